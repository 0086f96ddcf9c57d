/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products with the few units of a sparse FFN. What fixes the bits is the definition in vec_matmul.c: blocks ascending,
 *   y = fma(s_b * d_b, (float)i_b, y) with the exact integer sum i_b of block b.
 * A block of which no unit takes part has i_b = d_b = 0 there, which adds nothing to any y (y is never -0: it begins as +0, and
 * a product of integers and scales does not underflow), so that it is left out here.
 *
 * Rows (up): the integer sums of 16 units are made one unit after the other, then the float part runs over the 16 units side
 * by side. Columns (down): per block, the columns of its units are added up for 32 rows at a time. Both know early what they
 * read next and say so: units lie far apart, where no hardware would guess them.
 */
#include "engine/kernels/kernels.h"
#include "engine/kernels/simd.h"
#include "engine/kernels/vec.h"

enum { LANES = 16, LINE = 64 };

SIMD_INLINE void prefetch(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i += LINE)
        __builtin_prefetch(p + i);
}

/* ---- rows ---- */

/* Of 16 units: integer sums and f16 scales, for each block side by side. */
struct gathered {
    int32_t *sum; /* [blocks, 16] */
    uint16_t *d;  /* [blocks, 16] */
};

/* Sums of the blocks of two vectors' worth of weights. */
SIMD_INLINE void two_blocks(enum quant_type t, v64u w, const int8_t *q, int32_t ret[2])
{
    v16i_halves(t == QUANT_Q8_0 ? v16i_dot64_s8(v16i_set(0), w, q) : v16i_dot64(v16i_set(0), w, q),
                ret);
}

SIMD_INLINE void unit_sums(enum quant_type t, const struct kernels_units *j, const uint8_t *unit,
                           uint32_t lane, const struct gathered *g)
{
    const uint32_t n = j->w->cols / MATRIX_BLOCK, per_vector = t == QUANT_Q8_0 ? 2 : 4;
    const int bias = t == QUANT_Q4_0 ? 3 : SIMD_S8_BIAS != 0 ? 7 : -1;
    const uint8_t *low = unit + j->w->low_at;
    int8_t tail[4 * MATRIX_BLOCK] = { 0 }; /* activations behind the last whole vector, and zeros */
    int32_t sum[4];

    for (uint32_t b = 0; b < n; b += per_vector, low += LINE) {
        const uint32_t some = n - b < per_vector ? n - b : per_vector;
        const int8_t *q = j->q + (size_t)b * MATRIX_BLOCK;
        const v64u v = v64u_load(low);
        if (some < per_vector) q = memcpy(tail, q, (size_t)some * MATRIX_BLOCK);
        if (t == QUANT_Q8_0) {
            two_blocks(t, v64u_from_s8(v), q, sum);
        } else {
            two_blocks(t, v64u_low4(v), q, sum);
            two_blocks(t, v64u_high4(v), q + 2 * MATRIX_BLOCK, sum + 2);
        }
        for (uint32_t i = 0; i < some; i++) {
            const size_t at = (size_t)(b + i) * LANES + lane;
            g->sum[at] = bias < 0 ? sum[i] : sum[i] - (int32_t)((uint32_t)j->sum[b + i] << bias);
            memcpy(&g->d[at], unit + 2 * (size_t)(b + i), 2);
        }
    }
}

SIMD_INLINE void rows_of(enum quant_type t, const struct kernels_units *j, uint32_t from,
                         uint32_t to, const struct gathered *g)
{
    const uint32_t n_blocks = j->w->cols / MATRIX_BLOCK;

    for (uint32_t i = from; i < to; i += LANES) {
        const uint32_t n = to - i < LANES ? to - i : LANES;
        v16f y = v16f_set(0.0f);
        for (uint32_t k = 0; k < n; k++) {
            if (i + k + 1 < to)
                prefetch(j->w->packed + j->unit[i + k + 1] * j->w->tile_bytes, j->w->tile_bytes);
            unit_sums(t, j, j->w->packed + j->unit[i + k] * j->w->tile_bytes, k, g);
        }
        for (uint32_t b = 0; b < n_blocks; b++) {
            const v16f s = v16f_load_f16(g->d + (size_t)b * LANES);
            y = v16f_fma(v16f_mul(s, v16f_set(j->d[b])),
                         v16i_to_f(v16i_load(g->sum + (size_t)b * LANES)), y);
        }
        v16f_store_n(j->y + i, y, (int)n);
    }
}

void VEC(vec_unit_rows)(const struct kernels_units *j, uint32_t from, uint32_t to, void *scratch)
{
    const size_t n = (size_t)(j->w->cols / MATRIX_BLOCK) * LANES;
    const struct gathered g = { scratch, (uint16_t *)scratch + 2 * n };

    _Static_assert(KERNELS_COLS_MAX / MATRIX_BLOCK * LANES * 6 <= KERNELS_SCRATCH, "both fit");
    if (from < to) memset(scratch, 0, n * 6); /* lanes without a unit */
    if (j->w->type == QUANT_Q8_0)
        rows_of(QUANT_Q8_0, j, from, to, &g);
    else
        rows_of(QUANT_Q4_0, j, from, to, &g);
}

/* ---- columns ---- */

/* The units of one block: j->unit[from..to). */
struct group {
    uint32_t from, to, block;
};

SIMD_INLINE struct group group_at(const struct kernels_units *j, uint32_t from)
{
    struct group g = { from, from, from < j->n ? j->unit[from] / MATRIX_BLOCK : 0 };

    while (g.to < j->n && j->unit[g.to] / MATRIX_BLOCK == g.block)
        g.to++;
    return g;
}

SIMD_INLINE void group_prefetch(enum quant_type t, const struct kernels_units *j, struct group g,
                                uint32_t r0, uint32_t r1)
{
    const uint8_t *tile = j->w->packed + g.block * j->w->tile_bytes, *low = tile + j->w->low_at;
    const uint32_t half = t == QUANT_Q4_0;

    if (g.from == g.to) return;
    prefetch(tile + 2 * (size_t)r0, 2 * (size_t)(r1 - r0));
    for (uint32_t i = g.from; i < g.to; i++)
        prefetch(low + j->unit[i] % MATRIX_BLOCK * matrix_column_bytes(j->w) + (r0 >> half),
                 (r1 - r0) >> half);
}

/* What the units of @g add to rows [r, r + 32): @y. */
SIMD_INLINE void group_add(enum quant_type t, const struct kernels_units *j, struct group g,
                           uint32_t r, v16f d, float *y)
{
    const size_t column_bytes = matrix_column_bytes(j->w);
    const uint8_t *tile = j->w->packed + g.block * j->w->tile_bytes,
                  *low = tile + j->w->low_at + (t == QUANT_Q8_0 ? r : r / 2);
    const v16i start =
        v16i_set(t == QUANT_Q8_0 ? 0 : (int32_t)(0u - ((uint32_t)j->sum[g.block] << 3)));
    v16i n[2] = { start, start };

    for (uint32_t i = g.from; i < g.to; i++) {
        const int32_t q = j->q[j->unit[i]];
        const uint8_t *at = low + j->unit[i] % MATRIX_BLOCK * column_bytes;
        n[0] = t == QUANT_Q8_0 ? v16i_mla_s8(n[0], at, q) : v16i_mla_low4(n[0], at, q);
        n[1] = t == QUANT_Q8_0 ? v16i_mla_s8(n[1], at + 16, q) : v16i_mla_high4(n[1], at, q);
    }
    for (int h = 0; h < 2; h++) {
        const v16f s = v16f_load_f16((const uint16_t *)(const void *)tile + r + 16 * h);
        v16f_store(y + 16 * h, v16f_fma(v16f_mul(s, d), v16i_to_f(n[h]), v16f_load(y + 16 * h)));
    }
}

SIMD_INLINE void columns_of(enum quant_type t, const struct kernels_units *j, uint32_t r0,
                            uint32_t r1)
{
    struct group g = group_at(j, 0);

    memset(j->y + r0, 0, (r1 - r0) * sizeof(float));
    group_prefetch(t, j, g, r0, r1);
    while (g.from < g.to) {
        const struct group next = group_at(j, g.to);
        const v16f d = v16f_set(j->d[g.block]);
        group_prefetch(t, j, next, r0, r1);
        for (uint32_t r = r0; r < r1; r += 2 * LANES)
            group_add(t, j, g, r, d, j->y + r);
        g = next;
    }
}

void VEC(vec_unit_columns)(const struct kernels_units *j, uint32_t from, uint32_t to, void *scratch)
{
    (void)scratch;
    if (j->w->type == QUANT_Q8_0)
        columns_of(QUANT_Q8_0, j, from, to);
    else
        columns_of(QUANT_Q4_0, j, from, to);
}
