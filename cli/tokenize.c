/* SPDX-License-Identifier: Apache-2.0 */
/* tokenize: how a model sees a text. */
#include <inttypes.h>
#include <stdio.h>
#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/generate.h"
#include "cli/json_out.h"
#include "cli/out.h"

struct answer {
    bool json, count, wrong;
};

static void on_tokens(void *context, const struct hearth_event *e)
{
    struct answer *const a = context;

    if (e->type != HEARTH_EVENT_TOKENS) return;
    if (a->json) {
        json_t *const o = json_pack("{sI}", "count", (json_int_t)e->count);
        if (o && !a->count &&
            json_object_set_new(o, "ids", json_out_ids(e->token_ids, e->n_token_ids)) != 0)
            a->wrong = true;
        a->wrong = json_out_print(o) != 0 || a->wrong;
        return;
    }
    if (a->count) printf("%" PRIu32 "\n", e->count);
    for (size_t i = 0; !a->count && i < e->n_token_ids; i++)
        printf("%s%" PRIu32, i ? " " : "", e->token_ids[i]);
    if (!a->count) printf("\n");
}

int command_tokenize(const struct args *args)
{
    CLEANUP(talk_closep) struct talk c = { 0 };
    struct answer a = { .json = args->json, .count = args->count };
    struct buf text;
    uint64_t id = 0;

    buf_init(&text, GENERATE_INPUT_MAX);
    int r = generate_prompt(args->words, args->n_words, false, &text);
    if (r == TALK_OK) r = talk_open(&c, args);
    if (r == TALK_OK) {
        talk_begin(&c, on_tokens, &a);
        const int sent = hearth_tokenize(c.client, text.n ? (const char *)buf_front(&text) : "",
                                         text.n, args->special, args->count, talk_event, &c, &id);
        r = talk_finish(&c, sent, id);
    }
    buf_deinit(&text);
    return r == TALK_OK && (a.wrong || out_flush() != 0) ? TALK_FAILED : r;
}
