/* SPDX-License-Identifier: Apache-2.0 */
/* cancel, level, drain, conversation: small orders to hearthd. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/generate.h"
#include "cli/json_out.h"
#include "cli/out.h"
#include "cli/talk.h"

/* What was done, for people on stderr and for programs on stdout. */
static int done(const struct args *a, const char *key, const char *value, const char *sentence)
{
    if (a->json) return json_out_print(json_pack("{so}", key, json_out_string(value)));
    out_note("%s", sentence);
    return TALK_OK;
}

int command_cancel(const struct args *a)
{
    CLEANUP(talk_closep) struct talk c = { 0 };
    struct reason why = { "" };
    uint64_t serial, id = 0;
    char sentence[64];
    int worst = TALK_OK;

    for (size_t i = 0; i < a->n_words; i++)
        if (args_u64(a->words[i], UINT64_MAX, "SERIAL", &serial, &why) != 0) {
            out_error("%s; `hearthctl ps` lists them", why.text);
            return TALK_USAGE;
        }
    int r = talk_open(&c, a);
    if (r != TALK_OK) return r;
    for (size_t i = 0; i < a->n_words; i++) {
        (void)args_u64(a->words[i], UINT64_MAX, "SERIAL", &serial, &why); /* checked above */
        talk_begin(&c, NULL, NULL);
        const int sent = hearth_request_kill(c.client, serial, talk_event, &c, &id);
        r = talk_finish(&c, sent, id);
        (void)snprintf(sentence, sizeof(sentence), "request %" PRIu64 " is cancelled", serial);
        if (r == TALK_OK) r = done(a, "cancelled", a->words[i], sentence);
        if (worst == TALK_OK) worst = r;
        if (r == TALK_UNREACHABLE || r == TALK_INTERRUPTED) return r;
    }
    return worst;
}

int command_level(const struct args *a)
{
    CLEANUP(talk_closep) struct talk c = { 0 };
    char sentence[160];
    uint64_t id = 0;
    int r = talk_open(&c, a);

    if (r != TALK_OK) return r;
    talk_begin(&c, NULL, NULL);
    const int sent = hearth_set_level(c.client, a->words[0], talk_event, &c, &id);
    r = talk_finish(&c, sent, id);
    if (strcmp(a->words[0], "auto") == 0)
        (void)snprintf(sentence, sizeof(sentence), "no ceiling: hearthd alone decides");
    else
        (void)snprintf(sentence, sizeof(sentence), "no request gets more than level %s",
                       a->words[0]);
    return r == TALK_OK ? done(a, "level", a->words[0], sentence) : r;
}

int command_drain(const struct args *a)
{
    CLEANUP(talk_closep) struct talk c = { 0 };
    uint64_t id = 0;
    int r = talk_open(&c, a);

    if (r != TALK_OK) return r;
    talk_begin(&c, NULL, NULL);
    const int sent = hearth_drain(c.client, talk_event, &c, &id);
    r = talk_finish(&c, sent, id);
    return r == TALK_OK
               ? done(a, "state", "draining",
                      "hearthd finishes what runs and takes nothing new; restart it to end this")
               : r;
}

static void requestp(struct hearth_request **q)
{
    *q = hearth_request_free(*q);
}

int command_conversation_open(const struct args *a)
{
    CLEANUP(talk_closep) struct talk c = { 0 };
    CLEANUP(requestp) struct hearth_request *q = NULL;
    char sentence[160];
    uint64_t id = 0;
    int r = TALK_OK;

    if (a->system) {
        r = generate_check(hearth_request_new(&q));
        if (r == TALK_OK) r = generate_check(hearth_request_message(q, HEARTH_ROLE_SYSTEM));
        if (r == TALK_OK) r = generate_check(hearth_request_text(q, a->system, HEARTH_TEXT_SIZE));
    }
    if (r == TALK_OK) r = talk_open(&c, a);
    if (r != TALK_OK) return r;
    talk_begin(&c, NULL, NULL);
    const int sent = hearth_conversation_open(c.client, a->words[0], q, talk_event, &c, &id);
    r = talk_finish(&c, sent, id);
    (void)snprintf(sentence, sizeof(sentence),
                   "open; continue it with `hearthctl chat --conversation %s`", a->words[0]);
    return r == TALK_OK ? done(a, "opened", a->words[0], sentence) : r;
}

int command_conversation_close(const struct args *a)
{
    CLEANUP(talk_closep) struct talk c = { 0 };
    uint64_t id = 0;
    int r = talk_open(&c, a);

    if (r != TALK_OK) return r;
    talk_begin(&c, NULL, NULL);
    const int sent = hearth_conversation_close(c.client, a->words[0], talk_event, &c, &id);
    r = talk_finish(&c, sent, id);
    return r == TALK_OK ? done(a, "closed", a->words[0], "closed and forgotten") : r;
}
