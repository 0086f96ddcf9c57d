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
    struct verbatim *said; /* in the conversation, once a call needs it */
    struct call_form form;
    bool in_call, known; /* known: allow is that of this place */
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

/* What was said: once is enough, because the model adds nothing to it. */
static int listen(struct call_guard *g, const uint32_t *tokens, size_t n)
{
    CLEANUP(buf_deinit) struct buf texts;

    buf_init(&texts, SIZE_MAX);
    int r = chat_texts(g->chat, g->vocab, tokens, n, &texts);
    if (r == 0) r = verbatim_new((const char *)buf_front(&texts), texts.n, &g->said);
    return r <= 0 ? r : err_fold(r);
}

int call_guard_follow(struct call_guard *g, const uint32_t *tokens, size_t n)
{
    const uint32_t id = tokens[n - 1];

    g->known = false;
    if (g->in_call) {
        if (!call_mask_push(g->mask, &g->form, id)) return CALL_GUARD_E_UNFIT;
        g->in_call = !call_form_done(&g->form);
    } else if (id == g->chat->call) {
        const bool asked = !g->said && tools_verbatim(g->tools);
        const int r = asked ? listen(g, tokens, n) : 0;
        if (r < 0) return err_pass(r);
        g->form = call_form_begin(g->tools, g->said);
        g->in_call = true;
    }
    return 0;
}

const uint64_t *call_guard_allow(struct call_guard *g)
{
    if (!g->in_call) return NULL;
    if (!g->known) call_mask_fill(g->mask, &g->form, g->allow);
    g->known = true;
    return g->allow;
}
