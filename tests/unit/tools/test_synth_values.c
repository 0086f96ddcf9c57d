/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>
#include "tools/synth_values.h"

enum { N = 256 * 64 };

static const enum quant_type types[] = { QUANT_F32,  QUANT_F16,  QUANT_BF16, QUANT_Q4_0,
                                         QUANT_Q8_0, QUANT_Q4_K, QUANT_Q6_K };

static uint8_t row[N * 4];
static float values[N];

static void decode(enum quant_type type, uint64_t seed, float deviation)
{
    struct synth_values_random r = { seed };

    synth_values_row(&r, type, N, 0, deviation, row);
    quant_decode(type, row, 0, N, values);
}

Test(synth_values, values_have_the_wanted_deviation_and_no_mean)
{
    for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
        double sum = 0, squares = 0;
        decode(types[t], 1, 0.02f);
        for (size_t i = 0; i < N; i++) {
            sum += (double)values[i];
            squares += (double)values[i] * (double)values[i];
        }
        const char *name = quant_find(types[t])->name;
        cr_assert_float_eq(sqrt(squares / N), 0.02, 0.0012, "%s: %g", name, sqrt(squares / N));
        /* 5 deviations of a mean, and the offset of integers whose range is not symmetric */
        cr_assert_lt(fabs(sum / N), 5 * 0.02 / sqrt(N) + 0.0005, "%s: %g", name, sum / N);
    }
}

Test(synth_values, the_same_seed_gives_the_same_bytes_and_another_one_others)
{
    static uint8_t first[N * 4];

    for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
        const size_t n = quant_row_bytes(types[t], N);
        decode(types[t], 7, 1);
        memcpy(first, row, n);
        decode(types[t], 7, 1);
        cr_assert_eq(memcmp(first, row, n), 0);
        decode(types[t], 8, 1);
        cr_assert_neq(memcmp(first, row, n), 0);
    }
}

Test(synth_values, types_without_blocks_have_the_mean_that_is_asked_for)
{
    struct synth_values_random r = { 3 };
    double sum = 0;

    synth_values_row(&r, QUANT_F32, N, 1.0f, 0.1f, row);
    quant_decode(QUANT_F32, row, 0, N, values);
    for (size_t i = 0; i < N; i++) {
        sum += (double)values[i];
        cr_assert(values[i] > 0.8f && values[i] < 1.2f);
    }
    cr_assert_float_eq(sum / N, 1, 0.005);
}
