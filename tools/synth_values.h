/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tools/synth_values.h: random tensor data in the formats of a GGUF file. The integers are drawn, not rounded from
 * floats: the values of a row have mean 0 and the wanted standard deviation, and every scale and minimum is in use.
 */
#pragma once
#include <stdint.h>
#include "engine/format/quant.h"

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014): any state is a good one. */
struct synth_values_random {
    uint64_t state;
};

/** synth_values_next() - 64 random bits. */
uint64_t synth_values_next(struct synth_values_random *r);

/** synth_values_float() - uniform in [-1, 1). */
float synth_values_float(struct synth_values_random *r);

/**
 * synth_values_row() - random values of one row
 * @type: F32, F16, BF16, Q4_0, Q8_0, Q4_K or Q6_K. @n: a multiple of its block.
 * @mean: of the values; only for the types without blocks. @deviation: standard deviation of the values.
 * @out: [quant_row_bytes(type, n)].
 */
void synth_values_row(struct synth_values_random *r, enum quant_type type, size_t n, float mean,
                      float deviation, uint8_t *out);
