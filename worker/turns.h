/* SPDX-License-Identifier: Apache-2.0 */
/* worker/turns.h: the turns of a request as tokens, and the level at which each token is to be processed. */
#pragma once
#include "worker/seq.h"

struct turns_out {
    struct gguf_string tools; /* in: lines (tools.h) */
    uint32_t *tokens;         /* [max] in: the place; out: [n] the prompt */
    uint32_t max, n;
    struct seq_span *span; /* [n_spans] owned by the caller, also after a refusal */
    uint32_t n_spans;
};

/**
 * turns_render() - what the model is to continue
 * Texts are concatenated in order; those that come as a descriptor are read from it. Media parts are refused: no
 * model of today takes them.
 * Return: 0; SEQ_E_REFUSED (@ret_code, @why); -ENOMEM; -errno of reading a descriptor.
 */
int turns_render(const struct seq_model *m, const Hearth__Worker__SeqOpen *open, const int *fds,
                 size_t n_fds, struct turns_out *out, Hearth__ErrorCode *ret_code,
                 struct reason *why);

/**
 * turns_runs() - add the spans of tokens that an answer made: @tokens->runs, the first of which is token @from
 * Return: 0; SEQ_E_REFUSED (a level that this model does not have); -ENOMEM.
 */
int turns_runs(const struct seq_model *m, const Hearth__Worker__Tokens *tokens, uint32_t from,
               struct turns_out *out, Hearth__ErrorCode *ret_code, struct reason *why);
