/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "engine/kernels/kernels.h"
#include "tests/unit/engine/kernels/random.h"

enum { SETS_MAX = 8, LENGTH_MAX = 50, N_OPS = 18 };

/* Operator @op on inputs a, b, c of length n; the result to y. */
static void apply(const struct kernels *k, int op, uint32_t n, float *y, const float *a,
                  const float *b, const float *c)
{
    memcpy(y, a, n * sizeof(float));
    switch (op) {
    case 0:
        k->rms(y, a, b, n, 1e-6f);
        break;
    case 1:
        k->rms(y, y, NULL, n, 1e-6f);
        break;
    case 2:
        y[0] = k->mean_square(a, n);
        break;
    case 3:
        y[0] = k->dot(a, b, n);
        break;
    case 4:
        k->add(y, b, n);
        break;
    case 5:
        k->mul(y, a, b, n);
        break;
    case 6:
        k->scale(y, 0.3f, n);
        break;
    case 7:
        k->axpy(y, b, 0.7f, n);
        break;
    case 8:
        k->join(y, a, b, c, n);
        break;
    case 9:
        k->gelu(y, n);
        break;
    case 10:
        k->gelu_mul(y, a, b, n);
        break;
    case 11:
        k->sparsify(y, 0.8f, n);
        break;
    case 12:
        k->tanh(y, n);
        break;
    case 13:
        k->softcap(y, 3.0f, n);
        break;
    case 14:
        k->rope(y, b, c, n / 2 * 2);
        break;
    case 15:
        k->gelu_mul(y, y, y, n);
        break;
    }
}

static void each(void (*check)(const struct kernels *k, const struct kernels *ref, int op,
                               uint32_t n, const float *got, const float *expect),
                 bool against_plain)
{
    const struct kernels *sets[SETS_MAX];
    const size_t n_sets = kernels_list(sets, SETS_MAX);
    const struct kernels *ref = against_plain ? sets[n_sets - 2] : sets[n_sets - 1];
    float mem[5][LENGTH_MAX + 1];

    for (size_t s = 0; s + 1 < n_sets; s++)
        for (int op = 0; op < N_OPS; op++)
            for (uint32_t n = 1; n <= LENGTH_MAX; n++) {
                float *a = mem[0] + 1, *b = mem[1] + 1, *c = mem[2] + 1, *got = mem[3] + 1,
                      *expect = mem[4] + 1; /* misaligned */
                random_floats(a, n);
                random_floats(b, n);
                random_floats(c, n);
                apply(ref, op, n, expect, a, b, c);
                apply(sets[s], op, n, got, a, b, c);
                check(sets[s], ref, op, n, got, expect);
            }
}

static void same_bits(const struct kernels *k, const struct kernels *ref, int op, uint32_t n,
                      const float *got, const float *expect)
{
    (void)ref;
    cr_assert_eq(memcmp(got, expect, n * sizeof(float)), 0, "%s op %d n=%u", k->name, op, n);
}

/* 50 roundings of numbers below 20; tanh and gelu add 2e-7 (simd.h) */
static void close_enough(const struct kernels *k, const struct kernels *ref, int op, uint32_t n,
                         const float *got, const float *expect)
{
    (void)ref;
    for (uint32_t i = 0; i < n; i++)
        cr_assert(fabs((double)got[i] - (double)expect[i]) <= 3e-6 * (1 + fabs((double)expect[i])),
                  "%s op %d n=%u: %g for %g", k->name, op, n, (double)got[i], (double)expect[i]);
}

Test(ops, every_vector_set_gives_the_bits_of_plain_c_at_every_length)
{
    each(same_bits, true);
}

Test(ops, agree_with_the_reference)
{
    each(close_enough, false);
}

Test(ops, exponentials_are_right_over_their_whole_range)
{
    const struct kernels *sets[SETS_MAX];
    const size_t n_sets = kernels_list(sets, SETS_MAX);
    const struct kernels *plain = sets[n_sets - 2];

    for (float x = -30.0f; x < 30.0f; x += 0.01f) {
        float y = x;
        plain->tanh(&y, 1);
        cr_assert_float_eq(y, tanh((double)x), 3e-7, "tanh(%g)", (double)x);
        y = x;
        plain->gelu(&y, 1);
        const double u = 0.7978845608028654 * ((double)x + 0.044715 * pow((double)x, 3));
        cr_assert_float_eq(y, 0.5 * (double)x * (1 + tanh(u)), 3e-7 * (1 + fabs((double)x)),
                           "gelu(%g)", (double)x);
    }
    float odd[4] = { INFINITY, -INFINITY, 1e30f, -1e30f };
    plain->tanh(odd, 4);
    cr_assert_eq(odd[0], 1.0f);
    cr_assert_eq(odd[1], -1.0f);
    cr_assert_eq(odd[2], 1.0f);
}

Test(ops, sparsify_keeps_what_is_above_the_population_cutoff)
{
    const struct kernels *sets[SETS_MAX];
    const size_t n_sets = kernels_list(sets, SETS_MAX);

    for (size_t s = 0; s < n_sets; s++) {
        float g[4] = { 0.0f, 0.0f, 0.0f, 4.0f }; /* mean 1, population std sqrt(3) */
        sets[s]->sparsify(g, 1.0f, 4);
        cr_assert_eq(g[0], 0.0f);
        cr_assert_float_eq(g[3], 4 - (1 + 1.7320508), 1e-6);
    }
}

/* ---- attention ---- */

enum { PAGES = 5, HEAD = 48, HEADS = 7 };

struct cache {
    uint8_t bytes[2][PAGES][HEAD * KERNELS_PAGE * 4];
    struct kernels_kv pages[PAGES];
};

static struct cache *cache_make(const struct kernels *k, bool f32)
{
    struct cache *c = calloc(1, sizeof(*c));

    memset(c->bytes, 0xff,
           sizeof(c->bytes)); /* NaN where nothing was written: it must not be read as a value */
    for (int p = 0; p < PAGES; p++)
        c->pages[p] = (struct kernels_kv){ c->bytes[0][p], c->bytes[1][p] };
    random_state = 99;
    for (uint32_t j = 3; j < PAGES * KERNELS_PAGE - 5; j++) {
        float key[HEAD], value[HEAD];
        random_floats(key, HEAD);
        random_floats(value, HEAD);
        k->kv_put(c->bytes[0][j / KERNELS_PAGE], c->bytes[1][j / KERNELS_PAGE], f32, key, value,
                  HEAD, j % KERNELS_PAGE);
    }
    return c;
}

static void attend(const struct kernels *k, const struct cache *c, bool f32, uint32_t first,
                   uint32_t last, float *out, float *max, float *sum)
{
    float q[HEADS * HEAD];

    random_state = 5;
    random_floats(q, HEADS * HEAD);
    const struct kernels_attend a = { .q = q,
                                      .n_heads = HEADS,
                                      .head_size = HEAD,
                                      .scale = 0.7f,
                                      .f32 = f32,
                                      .pages = c->pages,
                                      .n_pages = PAGES,
                                      .first = first,
                                      .last = last,
                                      .out = out,
                                      .max = max,
                                      .sum = sum };
    k->attend(&a);
}

Test(attend, every_vector_set_gives_the_bits_of_plain_c_and_agrees_with_the_reference)
{
    const struct kernels *sets[SETS_MAX];
    const size_t n_sets = kernels_list(sets, SETS_MAX);
    const uint32_t ranges[][2] = { { 3, 3 },
                                   { 3, 31 },
                                   { 3, 32 },
                                   { 5, 140 },
                                   { 64, 95 },
                                   { 33, 34 },
                                   { 3, PAGES * KERNELS_PAGE - 6 } };

    for (int f32 = 0; f32 < 2; f32++)
        for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
            float ref[HEADS * HEAD], plain[HEADS * HEAD], got[HEADS * HEAD], max[3][HEADS],
                sum[3][HEADS];
            struct cache *c = cache_make(kernels_c(), f32);
            attend(kernels_c(), c, f32, ranges[i][0], ranges[i][1], ref, max[0], sum[0]);
            free(c);
            c = cache_make(sets[n_sets - 2], f32);
            attend(sets[n_sets - 2], c, f32, ranges[i][0], ranges[i][1], plain, max[1], sum[1]);
            for (int h = 0; h < HEADS; h++) {
                cr_assert_float_eq(max[0][h], max[1][h], 1e-4);
                for (int d = 0; d < HEAD; d++)
                    cr_assert_float_eq(ref[h * HEAD + d] / sum[0][h],
                                       plain[h * HEAD + d] / sum[1][h], 1e-4);
            }
            for (size_t s = 0; s + 2 < n_sets; s++) {
                struct cache *own = cache_make(sets[s], f32);
                cr_assert_eq(memcmp(own->bytes, c->bytes, sizeof(c->bytes)), 0,
                             "%s stores the same KV", sets[s]->name);
                attend(sets[s], own, f32, ranges[i][0], ranges[i][1], got, max[2], sum[2]);
                cr_assert_eq(memcmp(plain, got, sizeof(got)), 0, "%s", sets[s]->name);
                cr_assert_eq(memcmp(max[1], max[2], sizeof(max[1])), 0);
                cr_assert_eq(memcmp(sum[1], sum[2], sizeof(sum[1])), 0);
                free(own);
            }
            free(c);
        }
}

Test(attend, two_parts_merge_to_the_whole)
{
    const struct kernels *sets[SETS_MAX];
    const size_t n_sets = kernels_list(sets, SETS_MAX);

    for (size_t s = 0; s < n_sets; s++) {
        float whole[HEADS * HEAD], a[HEADS * HEAD], b[HEADS * HEAD], max[3][HEADS], sum[3][HEADS];
        struct cache *c = cache_make(sets[s], true);
        attend(sets[s], c, true, 3, 120, whole, max[0], sum[0]);
        attend(sets[s], c, true, 3, 63, a, max[1], sum[1]);
        attend(sets[s], c, true, 64, 120, b, max[2], sum[2]);
        for (int h = 0; h < HEADS; h++) {
            sets[s]->attend_merge(a + h * HEAD, &max[1][h], &sum[1][h], b + h * HEAD, max[2][h],
                                  sum[2][h], HEAD);
            for (int d = 0; d < HEAD; d++)
                cr_assert_float_eq(a[h * HEAD + d] / sum[1][h], whole[h * HEAD + d] / sum[0][h],
                                   1e-5);
        }
        free(c);
    }
}
