/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/worker/seq_run.h: sequences of a tiny golden model, and their answers. What fails, fails the test. */
#pragma once
#include "worker/step.h"

enum { SEQ_RUN_TOKENS_MAX = 256, SEQ_RUN_TEXT_MAX = 4096, SEQ_RUN_STOPS_MAX = 2 };

/* What a request asks; zero is a raw request for a greedy answer at the whole model. */
struct seq_run_ask {
    const char *text;
    const char *level, *stop;
    float temperature;
    uint32_t max_tokens;
    bool prefix_only;
    /* the answer so far */
    const uint32_t *prior; /* [n_prior] */
    uint32_t n_prior, prior_text_bytes;
    const struct seq_run_levels *runs;
};

struct
    seq_run_levels { /* tokens below @at are processed at the first level, the others at the second */
    uint32_t at;
    const char *first, *second;
};

struct seq_run_answer {
    uint32_t id[SEQ_RUN_TOKENS_MAX], n;
    uint32_t text_at[SEQ_RUN_TOKENS_MAX + 1]; /* bytes of text after so many tokens */
    char text[SEQ_RUN_TEXT_MAX];
    uint32_t n_text, prefilled, starved;
    Hearth__Finish finish;
};

/** seq_run_open() - the model "text/@folder/model.gguf" of the golden files, f32 KV. @kv_bytes: 0: ample. */
void seq_run_open(struct seq_model *m, const char *folder, uint32_t context, uint64_t kv_bytes);
void seq_run_close(struct seq_model *m);

/** seq_run_new() - seq_new(); 0 must come of it, unless @ret_code is given. Return: what seq_new() returned. */
int seq_run_new(const struct seq_model *m, const struct seq_run_ask *ask, uint64_t id,
                struct seq **ret, Hearth__ErrorCode *ret_code);

/** seq_run_steps() - steps until all of @seqs: [n] have ended. @chunk: prompt tokens of a step. @answer: [n]. */
void seq_run_steps(const struct seq_model *m, struct seq *const *seqs, size_t n, uint32_t chunk,
                   struct seq_run_answer *answer);

/** seq_run_one() - one request alone, to its end. */
void seq_run_one(const struct seq_model *m, const struct seq_run_ask *ask, uint32_t chunk,
                 struct seq_run_answer *ret);
