/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker/seq.h: one open request in the worker: its tokens, at which level each is processed, and the answer so far. A
 * sequence is made from a SeqOpen, advanced by steps, and does not know of other sequences.
 */
#pragma once
#include <hearth.pb-c.h>
#include <stdbool.h>
#include <stdint.h>
#include <worker.pb-c.h>
#include "base/buf.h"
#include "base/list.h"
#include "engine/decode/sampler.h"
#include "engine/engine.h"
#include "engine/token/call_guard.h"
#include "engine/token/chat.h"
#include "worker/answer.h"

enum { SEQ_E_REFUSED = 1 }; /* outcome: the request cannot be served; code and reason say why */

/* What all sequences of a model share. */
struct seq_model {
    struct engine *engine;
    struct chat chat;
    struct tokenizer *tokenizer;
    struct sampler *sampler;
    struct call_mask *calls; /* of a model that calls tools, else NULL */
    struct sampler_config defaults;
};

struct seq_span { /* tokens below end, from the end of the span before */
    const struct level *level;
    uint32_t end;
};

struct seq {
    struct list node; /* in the owner's list of open sequences */
    uint64_t id, owner;
    bool shareable; /* the prefix may be kept for everybody's shareable prompts */
    struct engine *engine;
    struct engine_seq *kv; /* NULL once the prefix cache has it, with tokens and span */
    uint32_t *tokens;      /* [n_max] prompt and answer */
    uint32_t n, n_max;
    uint32_t n_prompt; /* of them: the prompt */
    uint32_t n_fixed;  /* tokens that were given: prompt and what a replay brought */
    struct seq_span
        *span; /* [n_spans] levels of the given tokens, and of the answer's that were processed */
    uint32_t n_spans;
    bool unnoted;         /* memory was short: span does not tell all that were processed */
    uint32_t snapshot_at; /* keep a prefix of so many tokens when they are processed; 0: none */
    bool snapshot_guess;  /* nobody has asked for that one yet: it is the first to be dropped */
    uint32_t n_out_max;   /* most tokens of the answer */
    struct sampler_config sampling;
    struct answer answer;
    struct tools *tools;      /* what may be called; NULL: nothing */
    struct call_guard *calls; /* with tools: holds calls to them */
    bool prefix_only;
    Hearth__Finish finish; /* not UNKNOWN: nothing more comes */
};

/**
 * seq_new() - render and tokenize a request
 * @fds: [n_fds] that came with it; texts are read from them. Levels that are not named are the SeqOpen's.
 * Return: 0 and @ret, owned; SEQ_E_REFUSED (@ret_code, @why); -ENOMEM.
 */
int seq_new(const struct seq_model *m, const Hearth__Worker__SeqOpen *open, const int *fds,
            size_t n_fds, Hearth__ErrorCode *ret_code, struct reason *why, struct seq **ret);
struct seq *seq_free(struct seq *s);

/**
 * seq_item() - what the sequence would like to process next: at most @most tokens, at one level
 * @level: for tokens of the answer. @ret: seq, tokens, n, level, want.
 */
void seq_item(const struct seq *s, uint32_t most, const struct level *level,
              struct engine_item *ret);

/** seq_processed() - the tokens up to the sequence's new length were processed at @level. */
void seq_processed(struct seq *s, const struct level *level);

/** seq_in_prompt() - true while given tokens remain to be processed: the next item is prefill. */
static inline bool seq_in_prompt(const struct seq *s)
{
    return engine_seq_length(s->kv) < s->n_fixed;
}

/* What one step brought a sequence. */
struct seq_result {
    bool sampled;
    uint32_t id; /* the token */
    char text[2 * ANSWER_OUT_MAX];
    size_t n_text;
    const char *
        call; /* [n_call] JSON of a call that is complete, in the sequence until the next step; or NULL */
    size_t n_call;
};

/**
 * seq_sample() - the item wanted logits and was processed: choose the next token and see whether it ends the answer
 * @logits: [vocab], changed. A call of more than ANSWER_CALL_MAX bytes is left out and ends the answer with FINISH_LENGTH. Return: 0 and @ret; SEQ_E_REFUSED (no token is possible, or no memory for what may follow it: @why).
 */
int seq_sample(const struct seq_model *m, struct seq *s, float *logits, struct seq_result *ret,
               struct reason *why);
