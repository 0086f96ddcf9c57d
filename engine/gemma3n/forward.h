/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/gemma3n/forward.h: one step through the layers for a batch of rows. A row is one token of one sequence; rows of
 * different sequences, positions and levels go through together, and none of them changes what another one gets.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "engine/backend/cpu.h"
#include "engine/decode/kv.h"
#include "engine/gemma3n/config.h"
#include "engine/gemma3n/level.h"
#include "engine/gemma3n/ple.h"
#include "engine/gemma3n/rope.h"
#include "engine/gemma3n/weights.h"

struct forward_row {
    uint32_t token;
    uint32_t position;
    const struct kv_table *kv; /* with a page for this position; borrowed for the step */
    const struct level *level;
    bool want; /* logits of this row */
    const uint64_t *
        allow; /* of a wanted row: bit id % 64 of [id / 64] for the only tokens that are of interest, or NULL: all; borrowed for the step */
};

/* What a test may look at: tensor @name after layer @layer, row @row of the batch, [n]. */
struct forward_tap {
    void (*see)(void *context, const char *name, uint32_t layer, uint32_t row, const float *x,
                uint32_t n);
    void *context;
};

/* Asked before each layer: should the step be given up? */
struct forward_stop {
    bool (*ask)(void *context);
    void *context;
};

enum { FORWARD_E_STOPPED = 1 }; /* outcome of forward_step() */

struct forward; /* the workspace of one model: all memory of a step */

struct forward_parts {
    const struct config *config;
    const struct weights *weights;
    struct cpu cpu;
    struct ple *ple; /* gemma3n; else NULL */
    struct kv_pool *kv;
    uint32_t rows_max; /* most rows of a step */
};

/** forward_new() - reserve the memory of steps of at most @parts->rows_max rows. Return: 0 and @ret, owned; -ENOMEM. */
int forward_new(const struct forward_parts *parts, struct forward **ret);
struct forward *forward_free(struct forward *f);

/** forward_bytes() - memory that the workspace of @rows_max rows takes. */
size_t forward_bytes(const struct config *c, const struct weights *w, uint32_t rows_max);

/**
 * forward_step() - process rows [0, n); their KV is written, kv_table_advance() is the caller's
 * Rows of one sequence must be in order of position and follow what its table holds.
 * @logits: [number of wanted rows, vocab] f32 after the softcap, in the order of the rows; -infinity where forward_row.allow has no bit.
 * Of the head only those tiles are computed that a wanted row has a bit in.
 * Layers that make no KV run only for wanted rows: nothing else would see their results.
 * Return: 0, FORWARD_E_STOPPED (forward_stop() said so; what it has written is not to be used), -errno of reading the
 * per-layer-embedding table.
 */
int forward_step(struct forward *f, const struct forward_row *rows, uint32_t n, float *logits);

/** forward_watch() - call @tap during steps; its see may be called from several threads. NULL: no more. */
void forward_watch(struct forward *f, const struct forward_tap *tap);

/** forward_stop() - steps may be given up between two layers. @stop: copied; ask NULL: never. */
void forward_stop(struct forward *f, struct forward_stop stop);
