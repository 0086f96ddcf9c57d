/* SPDX-License-Identifier: Apache-2.0 */
/* engine_run.h: an engine run by a test. What fails, fails the test. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "engine/engine.h"

/** engine_run_open() - the model file at @path, for engine_free(). */
struct engine *engine_run_open(const char *path, const struct engine_options *o);

/** engine_run_seq() - an empty sequence, for engine_seq_free(). */
struct engine_seq *engine_run_seq(struct engine *e);

/**
 * engine_run_feed() - process @ids: [n], in steps of at most info.chunk
 * @level: NULL is the whole model. @logits: [n, vocab] of every token, or NULL: none.
 */
void engine_run_feed(struct engine *e, struct engine_seq *s, const uint32_t *ids, uint32_t n,
                     const struct level *level, float *logits);

/** engine_run_logits() - feed a new sequence; [n, vocab], for free(). */
float *engine_run_logits(struct engine *e, const uint32_t *ids, uint32_t n,
                         const struct level *level);

/** engine_run_argmax() - the first of the largest. */
uint32_t engine_run_argmax(const float *x, uint32_t n);
