/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/token/call_guard.h"
#include <errno.h>
#include <stdlib.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "engine/token/verbatim.h"

struct call_guard {
    const struct chat *chat;
    const struct vocab *vocab;
    const struct call_mask *mask;
    const struct tools *tools;
    struct verbatim *said; /* of the conversation, if an argument asks for it */
    struct call_form form;
    bool in_call;
    uint64_t allow[];
};

int call_guard_new(const struct chat *chat, const struct vocab *v, const struct call_mask *mask,
                   const struct tools *tools, struct call_guard **ret)
{
    struct call_guard *g = calloc(1, sizeof(*g) + call_mask_words(mask) * sizeof(g->allow[0]));

    if (!g) return err_raise(-ENOMEM);
    g->chat = chat;
    g->vocab = v;
    g->mask = mask;
    g->tools = tools;
    *ret = g;
    return 0;
}

struct call_guard *call_guard_free(struct call_guard *g)
{
    if (!g) return NULL;
    verbatim_free(g->said);
    free(g);
    return NULL;
}

static int begin(struct call_guard *g, const uint32_t *tokens, size_t n)
{
    CLEANUP(buf_deinit) struct buf texts;

    buf_init(&texts, SIZE_MAX);
    if (tools_verbatim(g->tools)) {
        int r = chat_texts(g->chat, g->vocab, tokens, n, &texts);
        g->said = verbatim_free(g->said);
        if (r == 0) r = verbatim_new((const char *)buf_front(&texts), texts.n, &g->said);
        if (r != 0) return r < 0 ? err_pass(r) : err_fold(r);
    }
    g->form = call_form_begin(g->tools, g->said);
    g->in_call = true;
    return 0;
}

int call_guard_follow(struct call_guard *g, const uint32_t *tokens, size_t n)
{
    const uint32_t id = tokens[n - 1];

    if (g->in_call) {
        (void)call_mask_push(g->mask, &g->form, id);
        g->in_call = !call_form_done(&g->form);
    } else if (id == g->chat->call) {
        const int r = begin(g, tokens, n - 1);
        if (r < 0) return err_pass(r);
    }
    if (g->in_call) call_mask_fill(g->mask, &g->form, g->allow);
    return 0;
}

const uint64_t *call_guard_allow(const struct call_guard *g)
{
    return g->in_call ? g->allow : NULL;
}
