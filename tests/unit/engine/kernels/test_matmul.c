/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "engine/kernels/kernels.h"
#include "tests/unit/engine/kernels/random.h"

enum { N_MAX = 20, SETS_MAX = 8 };

static const enum quant_type types[] = { QUANT_F32,  QUANT_F16,  QUANT_BF16, QUANT_Q4_0,
                                         QUANT_Q4_1, QUANT_Q5_0, QUANT_Q5_1, QUANT_Q8_0,
                                         QUANT_Q4_K, QUANT_Q5_K, QUANT_Q6_K };
enum { N_TYPES = sizeof(types) / sizeof(types[0]) };

struct product {
    struct matrix raw, packed;
    void *raw_bytes, *packed_bytes;
    struct act x;
    uint16_t at[N_MAX];
};

static void *aligned(size_t n)
{
    void *p = aligned_alloc(64, (n + 63) & ~(size_t)63);

    cr_assert_not_null(p);
    memset(p, 0, (n + 63) & ~(size_t)63);
    return p;
}

static void product_make(struct product *p, enum quant_type type, uint32_t rows, uint32_t cols)
{
    const size_t row_bytes = quant_row_bytes(type, cols);
    const uint32_t stride = (cols + 31) / 32 * 32;

    p->raw_bytes = malloc(rows * row_bytes + 1);
    for (uint32_t r = 0; r < rows; r++)
        random_blocks(type, (uint8_t *)p->raw_bytes + r * row_bytes, cols);
    p->raw = p->packed = matrix_raw(type, rows, cols, p->raw_bytes);
    p->packed_bytes = aligned(matrix_packed_bytes(&p->raw));
    matrix_pack_tiles(&p->raw, 0, matrix_tiles(&p->raw), p->packed_bytes);
    matrix_set_packed(&p->packed, p->packed_bytes);
    p->x = (struct act){ .cols_max = stride,
                         .f = aligned(N_MAX * stride * sizeof(float)),
                         .q = aligned(N_MAX * stride),
                         .d = aligned(N_MAX * stride / 32 * sizeof(float)),
                         .sum = aligned(N_MAX * stride / 32 * sizeof(int32_t)),
                         .sum16 = aligned(N_MAX * stride / 16 * sizeof(int32_t)) };
    for (uint32_t i = 0; i < N_MAX; i++) {
        p->at[i] = (uint16_t)(N_MAX - 1 - i); /* rows need not be in order */
        random_floats(p->x.f + i * stride, cols);
    }
}

static void product_free(struct product *p)
{
    free(p->raw_bytes);
    free(p->packed_bytes);
    free(p->x.f);
    free(p->x.q);
    free(p->x.d);
    free(p->x.sum);
    free(p->x.sum16);
}

static void quantise(struct product *p, const struct kernels *k, uint32_t cols)
{
    const uint32_t s = p->x.cols_max;

    if (!k->quantise || cols % 32) return;
    for (uint32_t i = 0; i < N_MAX; i++)
        k->quantise(p->x.f + i * s, cols, p->x.q + i * s, p->x.d + i * s / 32,
                    p->x.sum + i * s / 32, p->x.sum16 + i * s / 16);
}

/* y: [N_MAX, rows] of the set @k over columns [k0, k1) */
static void multiply(struct product *p, const struct kernels *k, uint32_t n, uint32_t k0,
                     uint32_t k1, bool add, float *y)
{
    static _Alignas(64) uint8_t scratch[KERNELS_SCRATCH];
    const struct kernels_matmul job = { .w = k->packed ? &p->packed : &p->raw,
                                        .x = &p->x,
                                        .y = y,
                                        .y_stride = p->raw.rows,
                                        .at = p->at,
                                        .n = n,
                                        .k0 = k0,
                                        .k1 = k1,
                                        .add = add };

    k->matmul(&job, 0, p->raw.rows, scratch);
}

static const uint32_t row_counts[] = { 1, 15, 16, 17, 32, 50, 80 };
static const uint32_t n_counts[] = { 1, 2, 3, 4, 5, 6, 7, 8, 11, 19 };

static uint32_t cols_of(enum quant_type type, int i)
{
    const uint32_t small[] = { 32, 96, 544, 1056 }, large[] = { 256, 512, 768, 1024 },
                   any[] = { 8, 37, 96, 200 };

    return !matrix_wants_q(type)                   ? any[i]
           : quant_find(type)->block_values == 256 ? large[i]
                                                   : small[i];
}

Test(matrix, a_packed_matrix_has_the_values_of_the_file_exactly)
{
    for (int t = 0; t < N_TYPES; t++)
        for (int c = 0; c < 4; c++) {
            const uint32_t cols = cols_of(types[t], c), rows = 21;
            struct product p;
            float *a = malloc(cols * sizeof(float)), *b = malloc(cols * sizeof(float));
            product_make(&p, types[t], rows, cols);
            for (uint32_t r = 0; r < rows; r++) {
                const uint32_t first = r % 3 ? cols / 5 : 0,
                               n = cols - first - (r % 2 ? cols / 7 : 0);
                quant_decode(types[t], (uint8_t *)p.raw_bytes + r * p.raw.raw_stride, first, n, a);
                matrix_row(&p.packed, r, first, n, b);
                cr_assert_eq(memcmp(a, b, n * sizeof(float)), 0, "%s row %u of %ux%u",
                             quant_find(types[t])->name, r, rows, cols);
                matrix_row(&p.raw, r, first, n, b);
                cr_assert_eq(memcmp(a, b, n * sizeof(float)), 0);
            }
            product_free(&p);
            free(a);
            free(b);
        }
}

/* ---- packed by unit ---- */

static const enum quant_type unit_types[] = { QUANT_Q4_0, QUANT_Q8_0 };

/* As @p, packed in @layout. */
static struct matrix by_unit(const struct product *p, enum matrix_layout layout)
{
    struct matrix m = p->raw;

    cr_assert(matrix_by_unit(&m, layout));
    uint8_t *at = aligned(matrix_packed_bytes(&m));
    for (uint32_t t = 0; t < matrix_tiles(&m); t++)
        matrix_pack_tiles(&m, t, t + 1, at + t * m.tile_bytes);
    matrix_set_packed(&m, at);
    return m;
}

static void free_packed(struct matrix *m)
{
    free((void *)(size_t)m->packed);
}

Test(matrix, packed_by_unit_has_the_values_of_the_file_exactly)
{
    for (int t = 0; t < 2; t++)
        for (int c = 0; c < 4; c++)
            for (int layout = MATRIX_UNIT_ROWS; layout <= MATRIX_UNIT_COLUMNS; layout++) {
                const uint32_t cols = cols_of(unit_types[t], c);
                struct product p;
                float *a = malloc(cols * sizeof(float)), *b = malloc(cols * sizeof(float));
                product_make(&p, unit_types[t], 64, cols);
                struct matrix m = by_unit(&p, layout);
                for (uint32_t r = 0; r < 64; r++) {
                    const uint32_t first = r % 3 ? cols / 5 : 0,
                                   n = cols - first - (r % 2 ? cols / 7 : 0);
                    matrix_row(&p.raw, r, first, n, a);
                    matrix_row(&m, r, first, n, b);
                    cr_assert_eq(memcmp(a, b, n * sizeof(float)), 0, "type %d layout %d row %u", t,
                                 layout, r);
                }
                free_packed(&m);
                product_free(&p);
                free(a);
                free(b);
            }
}

Test(matrix, is_not_packed_by_unit_where_that_cannot_be)
{
    static uint8_t raw[64 * 256];
    struct matrix k = matrix_raw(QUANT_Q4_K, 32, 256, raw),
                  odd = matrix_raw(QUANT_Q4_0, 48, 64, raw);

    cr_assert_not(matrix_by_unit(&k, MATRIX_UNIT_ROWS));
    cr_assert_not(matrix_by_unit(&odd, MATRIX_UNIT_COLUMNS));
    cr_assert_eq(odd.layout, MATRIX_TILES);
    cr_assert_eq(matrix_tiles(&odd), 3);
}

static _Alignas(64) uint8_t unit_scratch[KERNELS_SCRATCH];

/* Some of @of, ascending. Return: how many. */
static uint32_t some_units(uint16_t *unit, uint32_t of, int density)
{
    uint32_t n = 0;

    for (uint32_t u = 0; u < of; u++)
        if (density == 0 ? u == of - 1 : (int)(random_u32() % 8) < density) unit[n++] = (uint16_t)u;
    return n;
}

static struct kernels_units units_job(const struct product *p, const struct matrix *m,
                                      const uint16_t *unit, uint32_t n, float *y)
{
    return (struct kernels_units){ m, p->x.q, p->x.d, p->x.sum, unit, n, y };
}

Test(matmul, rows_of_units_have_the_bits_of_the_whole_product)
{
    const struct kernels *sets[SETS_MAX];
    const size_t n_sets = kernels_list(sets, SETS_MAX);

    for (size_t s = 0; s < n_sets - 1; s++)
        for (int t = 0; t < 2; t++)
            for (int c = 0; c < 4; c++)
                for (int density = 0; density <= 8; density += 4) {
                    struct product p;
                    float whole[96], some[96];
                    uint16_t unit[96];
                    product_make(&p, unit_types[t], 96, cols_of(unit_types[t], c));
                    struct matrix m = by_unit(&p, MATRIX_UNIT_ROWS);
                    p.at[0] = 0;
                    quantise(&p, sets[s], m.cols);
                    multiply(&p, sets[s], 1, 0, m.cols, false, whole);
                    const uint32_t n = some_units(unit, 96, density), cut = n / 3;
                    const struct kernels_units job = units_job(&p, &m, unit, n, some);
                    sets[s]->unit_rows(&job, 0, cut, unit_scratch);
                    sets[s]->unit_rows(&job, cut, n, unit_scratch);
                    for (uint32_t i = 0; i < n; i++)
                        cr_assert_eq(memcmp(&some[i], &whole[unit[i]], sizeof(float)), 0,
                                     "%s type %d cols %u unit %u: %a %a", sets[s]->name, t, m.cols,
                                     unit[i], (double)some[i], (double)whole[unit[i]]);
                    free_packed(&m);
                    product_free(&p);
                }
}

Test(matmul, columns_of_units_have_the_bits_of_the_whole_product)
{
    const struct kernels *sets[SETS_MAX];
    const size_t n_sets = kernels_list(sets, SETS_MAX);

    for (size_t s = 0; s < n_sets - 1; s++)
        for (int t = 0; t < 2; t++)
            for (int c = 0; c < 4; c++)
                for (int density = 0; density <= 8; density++) {
                    struct product p;
                    float whole[96], some[96];
                    uint16_t unit[2048];
                    product_make(&p, unit_types[t], 96, cols_of(unit_types[t], c));
                    struct matrix m = by_unit(&p, MATRIX_UNIT_COLUMNS);
                    const uint32_t n = density == 7 ? 0 : some_units(unit, m.cols, density);
                    for (uint32_t u = 0, k = 0; u < m.cols; u++) { /* 0 but at the units */
                        if (k < n && unit[k] == u)
                            k++;
                        else
                            p.x.f[u] = 0;
                    }
                    p.at[0] = 0;
                    quantise(&p, sets[s], m.cols);
                    multiply(&p, sets[s], 1, 0, m.cols, false, whole);
                    const struct kernels_units job = units_job(&p, &m, unit, n, some);
                    sets[s]->unit_columns(&job, 0, 32, unit_scratch);
                    sets[s]->unit_columns(&job, 32, 96, unit_scratch);
                    cr_assert_eq(memcmp(some, whole, sizeof(whole)), 0,
                                 "%s type %d cols %u, %u units", sets[s]->name, t, m.cols, n);
                    free_packed(&m);
                    product_free(&p);
                }
}

Test(matmul, every_vector_set_gives_the_bits_of_plain_c)
{
    const struct kernels *sets[SETS_MAX];
    const size_t n_sets = kernels_list(sets, SETS_MAX);
    const struct kernels *plain = sets[n_sets - 2];

    cr_assert_str_eq(plain->name, "plain");
    for (int t = 0; t < N_TYPES; t++)
        for (int c = 0; c < 4; c++)
            for (size_t r = 0; r < sizeof(row_counts) / sizeof(row_counts[0]); r++) {
                const uint32_t cols = cols_of(types[t], c), rows = row_counts[r];
                struct product p;
                float *expect = calloc(N_MAX * rows, sizeof(float)),
                      *got = calloc(N_MAX * rows, sizeof(float));
                product_make(&p, types[t], rows, cols);
                for (size_t n = 0; n < sizeof(n_counts) / sizeof(n_counts[0]); n++) {
                    memset(expect, 0, N_MAX * rows * sizeof(float));
                    quantise(&p, plain, cols);
                    multiply(&p, plain, n_counts[n], 0, cols, false, expect);
                    for (size_t s = 0; s + 2 < n_sets; s++) {
                        memset(got, 0, N_MAX * rows * sizeof(float));
                        quantise(&p, sets[s], cols);
                        multiply(&p, sets[s], n_counts[n], 0, cols, false, got);
                        cr_assert_eq(memcmp(expect, got, N_MAX * rows * sizeof(float)), 0,
                                     "%s %s %ux%u n=%u", sets[s]->name, quant_find(types[t])->name,
                                     rows, cols, n_counts[n]);
                    }
                }
                product_free(&p);
                free(expect);
                free(got);
            }
}

/* A row's result is the same alone and among others, and in two ranges of columns as in one. */
Test(matmul, neither_company_nor_splitting_changes_a_bit)
{
    const struct kernels *sets[SETS_MAX];
    const size_t n_sets = kernels_list(sets, SETS_MAX);
    const uint32_t rows = 50;

    for (size_t s = 0; s < n_sets; s++)
        for (int t = 0; t < N_TYPES; t++)
            for (int c = 0; c < 4; c++) {
                const uint32_t cols = cols_of(types[t], c), cut = cols / 64 * 32;
                struct product p;
                float *all = calloc(N_MAX * rows, sizeof(float)),
                      *one = calloc(N_MAX * rows, sizeof(float));
                product_make(&p, types[t], rows, cols);
                quantise(&p, sets[s], cols);
                multiply(&p, sets[s], 19, 0, cols, false, all);
                for (uint32_t i = 0; i < 19; i++) {
                    p.at[0] = (uint16_t)(N_MAX - 1 - i);
                    multiply(&p, sets[s], 1, 0, cut, false, one);
                    multiply(&p, sets[s], 1, cut, cols, true, one);
                }
                cr_assert_eq(memcmp(all, one, N_MAX * rows * sizeof(float)), 0, "%s %s %u columns",
                             sets[s]->name, quant_find(types[t])->name, cols);
                product_free(&p);
                free(all);
                free(one);
            }
}

/*
 * Against the reference: an activation is off by at most d/2 after rounding to 8 bits, so a product by sum |w| d/2; float sums
 * of K terms are off by at most K eps sum |w x| on either side (Higham 2002, section 3.1).
 */
Test(matmul, is_within_the_rounding_of_its_activations_of_the_reference)
{
    const struct kernels *plain = NULL, *sets[SETS_MAX];
    const uint32_t rows = 33, n = 7;

    plain = sets[kernels_list(sets, SETS_MAX) - 2];
    for (int t = 0; t < N_TYPES; t++)
        for (int c = 0; c < 4; c++) {
            const uint32_t cols = cols_of(types[t], c);
            struct product p;
            float *ref = calloc(N_MAX * rows, sizeof(float)),
                  *got = calloc(N_MAX * rows, sizeof(float)), *w = malloc(cols * sizeof(float));
            product_make(&p, types[t], rows, cols);
            quantise(&p, plain, cols);
            multiply(&p, kernels_c(), n, 0, cols, false, ref);
            multiply(&p, plain, n, 0, cols, false, got);
            for (uint32_t r = 0; r < rows; r++)
                for (uint32_t i = 0; i < n; i++) {
                    const float *x = p.x.f + p.at[i] * p.x.cols_max;
                    double rounding = 0, size = 0;
                    matrix_row(&p.raw, r, 0, cols, w);
                    for (uint32_t k = 0; k < cols; k++) {
                        size += fabs((double)w[k] * (double)x[k]);
                        if (matrix_wants_q(types[t]))
                            rounding += fabs((double)w[k]) *
                                        (double)p.x.d[p.at[i] * p.x.cols_max / 32 + k / 32] / 2;
                    }
                    const double bound =
                        rounding * 1.001 + 2 * cols * 6e-8 * size + 4 * 6e-8 * size;
                    const double err =
                        fabs((double)ref[p.at[i] * rows + r] - (double)got[p.at[i] * rows + r]);
                    cr_assert(err <= bound, "%s: %g > %g", quant_find(types[t])->name, err, bound);
                }
            product_free(&p);
            free(ref);
            free(got);
            free(w);
        }
}

Test(quantise, rounds_each_block_by_its_largest_value_and_survives_what_is_not_finite)
{
    const struct kernels *sets[SETS_MAX];
    const size_t n_sets = kernels_list(sets, SETS_MAX);
    float x[96] = { 0 }, d[3];
    int8_t q[96];
    int32_t sum[3], sum16[6];

    for (int i = 0; i < 32; i++)
        x[i] = (float)(i - 16);
    x[64] = NAN;
    x[65] = 1.0f;
    for (size_t s = 0; s + 1 < n_sets; s++) {
        sets[s]->quantise(x, 96, q, d, sum, sum16);
        cr_assert_float_eq(d[0], 16.0 / 127, 1e-7);
        cr_assert_eq(q[0], -127);
        cr_assert_eq(q[16], 0);
        cr_assert_eq(q[31], 119, "15 * 127 / 16 = 119.06");
        cr_assert_eq(sum[0], sum16[0] + sum16[1]);
        int32_t total = 0;
        for (int i = 0; i < 32; i++)
            total += q[i];
        cr_assert_eq(sum[0], total);
        cr_assert_eq(d[1], 0.0f, "a block of zeros");
        cr_assert_eq(q[40], 0);
        cr_assert(isfinite(d[2]));
    }
}
