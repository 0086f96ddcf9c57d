/* SPDX-License-Identifier: Apache-2.0 */
/* worker/step.h: one step over a plan: what to put in the batch, and the report of what came of it. */
#pragma once
#include "worker/seq.h"

enum { STEP_SEQS_MAX = 64 }; /* sequences of one plan */
enum {
    STEP_E_STOPPED = 1
}; /* outcome: the step was given up; s->report says so and nothing else */

struct step_entry {
    struct seq *seq;           /* NULL: closed since the plan came */
    uint32_t prefill_tokens;   /* most prompt tokens of one step */
    const struct level *level; /* for tokens of the answer */
};

struct step {
    struct step_entry entry[STEP_SEQS_MAX];
    size_t n_entries;
    uint64_t version; /* of the plan */
    float *
        logits; /* [n_logits, vocab], owned; grows with the number of sequences that sample at once */
    size_t n_logits;
    /* the report, valid until the next step */
    Hearth__Worker__Step report;
    Hearth__Worker__SeqStep seq[STEP_SEQS_MAX], *seqs[STEP_SEQS_MAX];
    struct seq_result result[STEP_SEQS_MAX];
    struct reason why[STEP_SEQS_MAX];
};

/** step_deinit() - free the buffers. */
void step_deinit(struct step *s);

/** step_forget() - @seq is going to be freed. */
void step_forget(struct step *s, const struct seq *seq);

/** step_runnable() - true if some sequence of the plan has something to do. */
bool step_runnable(const struct step *s);

/**
 * step_run() - one batch: a token of each answer, and of each unfinished prompt as much as its entry and the batch allow
 * Return: 0 and s->report (which may say that all starved); STEP_E_STOPPED; -ENOMEM; -errno of the engine.
 */
int step_run(const struct seq_model *m, struct step *s);
