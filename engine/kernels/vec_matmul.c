/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of packed matrices with rows of activations. What fixes the bits:
 *   quantised types: y = sum over blocks b, ascending, of fma(s_b * d_b, (float)i_b, y), where s_b is the weight scale, d_b the
 *   activation scale and i_b the exact integer sum of the block (two sums of 16 for Q6_K); types with a minimum then
 *   add fma(m_b * d_b, (float)sum_b, y).
 *   float types: y = sum over inputs k, ascending, of fma(w_k, x_k, y).
 * Vectors run over 16 output rows, so neither the number of rows of x nor the way of blocking enters.
 *
 * Few rows of x (decode): weights are unpacked in registers and used at once; memory is the limit. Many rows (prefill): VEC_R
 * tiles are unpacked to a panel in the cache, and a register tile of VEC_R x VEC_T sums goes over it. Pairs of rows (simd.h) are
 * for the panel alone: with one row half of what smmla multiplies is thrown away, so that it is no better than sdot, and with few
 * the weights would have to be interleaved anew for each use: 32 instructions a block, which is all that a pair saves.
 */
#include <assert.h>
#include "engine/kernels/kernels.h"
#include "engine/kernels/simd.h"
#include "engine/kernels/vec.h"

/* Register tile: how many sums fit the registers of this instruction set. Plain C has none: it is kept quick to compile. */
#if defined(SIMD_PLAIN)
enum { VEC_R = 1, VEC_T = 2 };
#elif defined(__AVX512F__)
enum { VEC_R = 3, VEC_T = 4 }; /* 12 sums, as many of integers, 3 weights and an activation */
#elif defined(__ARM_FEATURE_MATMUL_INT8)
enum { VEC_R = 1, VEC_T = 4 }; /* two pairs; with three too much is spilt */
#else
enum { VEC_R = 1, VEC_T = 3 };
#endif

enum {
    DIRECT_MAX = 4, /* rows of x up to which weights are used straight from registers */
    AHEAD = 8192,   /* bytes at least between asking for weights and using them */
    PANEL_BLOCKS = VEC_R > 1 ? 32 : 16, /* 32: 1024 inputs of three tiles are 48 KB of weights */
    FLOAT_R = 4, /* tiles at once for float types and one row: hides the latency of the sums */
    FLOAT_T = 4,
};

/* ---- one block of 32 inputs x 16 rows ---- */

struct scales {
    v16f s[2],
        m; /* s[1] for Q6_K's second half; m for types with a minimum (already negated for K types) */
};

SIMD_INLINE bool has_min(enum quant_type t)
{
    return t == QUANT_Q4_1 || t == QUANT_Q5_1 || t == QUANT_Q4_K || t == QUANT_Q5_K;
}

/* log2 of what the stored integers are larger than the values, or -1 for nothing. */
SIMD_INLINE int offset_log2(enum quant_type t)
{
    return t == QUANT_Q4_0                        ? 3
           : t == QUANT_Q5_0                      ? 4
           : t == QUANT_Q6_K                      ? 5
           : t == QUANT_Q8_0 && SIMD_S8_BIAS != 0 ? 7
                                                  : -1;
}

SIMD_INLINE struct scales scales_load(enum quant_type t, const struct matrix *w,
                                      const uint8_t *tile, uint32_t b)
{
    struct scales r = { 0 };
    const uint32_t n_blocks = w->cols / MATRIX_BLOCK;

    if (t == QUANT_Q4_1 || t == QUANT_Q5_1) {
        r.s[0] = v16f_load_f16((const uint16_t *)(const void *)(tile + 64 * (size_t)b));
        r.m = v16f_load_f16((const uint16_t *)(const void *)(tile + 64 * (size_t)b + 32));
    } else if (t == QUANT_Q4_K || t == QUANT_Q5_K) {
        const uint8_t *super = tile + 32 * (size_t)n_blocks + 64 * (size_t)(b / 8);
        r.s[0] = v16f_mul(v16f_load_f16((const uint16_t *)(const void *)super),
                          v16f_load_u8(tile + 32 * (size_t)b));
        r.m = v16f_mul(v16f_load_f16((const uint16_t *)(const void *)(super + 32)),
                       v16f_load_u8(tile + 32 * (size_t)b + 16));
        r.m = v16f_sub(v16f_set(0.0f), r.m);
    } else if (t == QUANT_Q6_K) {
        const uint8_t *super = tile + 32 * (size_t)n_blocks + 32 * (size_t)(b / 8);
        const v16f d = v16f_load_f16((const uint16_t *)(const void *)super);
        r.s[0] = v16f_mul(d, v16f_load_s8((const int8_t *)tile + 32 * (size_t)b));
        r.s[1] = v16f_mul(d, v16f_load_s8((const int8_t *)tile + 32 * (size_t)b + 16));
    } else {
        r.s[0] = v16f_load_f16((const uint16_t *)(const void *)(tile + 32 * (size_t)b));
    }
    return r;
}

SIMD_INLINE void unpack(enum quant_type t, const struct matrix *w, const uint8_t *tile, uint32_t b,
                        v64u out[8])
{
    const uint8_t *low = tile + w->low_at + (size_t)b * (t == QUANT_Q8_0 ? 512 : 256);

    if (t == QUANT_Q8_0) {
        for (int g = 0; g < 8; g++)
            out[g] = v64u_from_s8(v64u_load(low + 64 * g));
        return;
    }
    for (int j = 0; j < 4; j++) {
        const v64u v = v64u_load(low + 64 * j);
        out[2 * j] = v64u_low4(v);
        out[2 * j + 1] = v64u_high4(v);
    }
    if (t == QUANT_Q5_0 || t == QUANT_Q5_1 || t == QUANT_Q5_K) {
        const v64u h = v64u_load(tile + w->high_at + 64 * (size_t)b);
        for (int g = 0; g < 8; g++)
            out[g] = v64u_or_bits(out[g], h, g - 4, 0x10);
    }
    if (t == QUANT_Q6_K) {
        const v64u h0 = v64u_load(tile + w->high_at + 128 * (size_t)b);
        const v64u h1 = v64u_load(tile + w->high_at + 128 * (size_t)b + 64);
        for (int g = 0; g < 8; g++)
            out[g] = v64u_or_bits(out[g], g < 4 ? h0 : h1, 2 * (g % 4) - 4, 0x30);
    }
}

SIMD_INLINE v16i dot_start(enum quant_type t, v16i sum)
{
    const int k = offset_log2(t);

    return k < 0 ? v16i_set(0) : v16i_sub(v16i_set(0), v16i_shl(sum, k));
}

/* Steps between two folds (simd.h): the largest weight is 15, 31 or 63; products of Q8_0 are never kept in 16 bits. */
SIMD_INLINE int fold_steps(enum quant_type t)
{
    return t == QUANT_Q6_K ? 2 : t == QUANT_Q5_0 || t == QUANT_Q5_1 || t == QUANT_Q5_K ? 4 : 8;
}

/* Step @g of a block. */
SIMD_INLINE v16p dot_step(enum quant_type t, v16p acc, v64u w, const int8_t *q, int g)
{
    acc = t == QUANT_Q8_0 ? v16p_dot_s8(acc, w, q) : v16p_dot(acc, w, q);
    return t != QUANT_Q8_0 && (g + 1) % fold_steps(t) == 0 ? v16p_fold(acc) : acc;
}

/* One row of x: where its block @b begins. */
struct x_block {
    const int8_t *q;
    const float *d;
    const int32_t *sum, *sum16;
};

SIMD_INLINE struct x_block x_block_at(const struct act *x, uint32_t row, uint32_t b)
{
    const size_t n = x->cols_max, at = row * n + (size_t)b * MATRIX_BLOCK;

    return (struct x_block){ x->q + at, x->d + at / 32, x->sum + at / 32, x->sum16 + at / 16 };
}

/* The float part of a block; the order of operations here is the definition of the result. */
SIMD_INLINE v16f block_add(enum quant_type t, v16f acc, const struct scales *s, v16i i0, v16i i1,
                           struct x_block x)
{
    const v16f d = v16f_set(*x.d);

    acc = v16f_fma(v16f_mul(s->s[0], d), v16i_to_f(i0), acc);
    if (t == QUANT_Q6_K) acc = v16f_fma(v16f_mul(s->s[1], d), v16i_to_f(i1), acc);
    if (has_min(t)) acc = v16f_fma(v16f_mul(s->m, d), v16i_to_f(v16i_set(*x.sum)), acc);
    return acc;
}

/* ---- few rows: from registers ---- */

SIMD_INLINE float *y_at(const struct kernels_matmul *j, uint32_t i, uint32_t row)
{
    return j->y + j->at[i] * j->y_stride + row;
}

/* What y holds, or zeros if the sums begin here: if they are the @first ones of a call that does not add. */
SIMD_INLINE v16f y_load(const struct kernels_matmul *j, uint32_t i, uint32_t row, bool first)
{
    if (first && !j->add) return v16f_set(0.0f);
    return v16f_load_n(y_at(j, i, row), (int)(j->w->rows - row));
}

SIMD_INLINE void y_store(const struct kernels_matmul *j, uint32_t i, uint32_t row, v16f v)
{
    v16f_store_n(y_at(j, i, row), v, (int)(j->w->rows - row));
}

/*
 * Ask for weights on their way to the second-level cache. A tile is read in regions, and the hardware's own prefetching begins
 * again with each; asked for is memory in its order, one line after the other, so far ahead that the last region is in time.
 * Behind a tile follows the next one; asking for what is behind the last is harmless.
 */
SIMD_INLINE void ask_ahead(const struct matrix *w, const uint8_t *tile, uint32_t b,
                           size_t block_bytes)
{
    const uint8_t *p = tile + w->low_at + AHEAD + b * block_bytes;

    for (size_t i = 0; i < block_bytes; i += 64)
        __builtin_prefetch(p + i, 0, 1);
}

SIMD_INLINE void direct(enum quant_type t, const struct kernels_matmul *j, uint32_t row,
                        uint32_t i0, const uint32_t T)
{
    const uint8_t *tile = j->w->packed + row / MATRIX_TILE * j->w->tile_bytes;
    const size_t block_bytes = j->w->tile_bytes / (j->w->cols / MATRIX_BLOCK);
    v16f acc[DIRECT_MAX];

    for (uint32_t i = 0; i < T; i++)
        acc[i] = y_load(j, i0 + i, row, true);
    for (uint32_t b = j->k0 / MATRIX_BLOCK; b < j->k1 / MATRIX_BLOCK; b++) {
        v64u w[8];
        ask_ahead(j->w, tile, b, block_bytes);
        const struct scales s = scales_load(t, j->w, tile, b);
        unpack(t, j->w, tile, b, w);
        for (uint32_t i = 0; i < T; i++) {
            const struct x_block x = x_block_at(j->x, j->at[i0 + i], b);
            v16p n0 = v16p_set(dot_start(t, v16i_set(t == QUANT_Q6_K ? x.sum16[0] : *x.sum))),
                 n1 = v16p_set(dot_start(t, v16i_set(x.sum16[1])));
            SIMD_UNROLL
            for (int g = 0; g < 8; g++) {
                if (t == QUANT_Q6_K && g >= 4)
                    n1 = dot_step(t, n1, w[g], x.q + 4 * g, g);
                else
                    n0 = dot_step(t, n0, w[g], x.q + 4 * g, g);
            }
            acc[i] = block_add(t, acc[i], &s, n0.n, n1.n, x);
        }
    }
    for (uint32_t i = 0; i < T; i++)
        y_store(j, i0 + i, row, acc[i]);
}

/*
 * ---- many rows: through a panel ----
 * Where the set pairs rows of x (simd.h), the panel holds what a pair wants, and row i of x shares the sums i and i ^ 1 with
 * its neighbour.
 */

enum { VEC_P = 1 + SIMD_PAIR };

struct panel {
    uint8_t w[VEC_R][PANEL_BLOCKS][8][64];
    struct {
        float s[2][VEC_P][16], m[VEC_P][16];
    } scales[VEC_R][PANEL_BLOCKS];
};
_Static_assert(sizeof(struct panel) <= KERNELS_SCRATCH, "the panel fits the scratch");

SIMD_INLINE void panel_scales(v16f s, float ret[VEC_P][16])
{
    v16f t[2] = { s, s };

    v16f_pair(&t[0], &t[1]);
    for (int i = 0; i < VEC_P; i++)
        v16f_store(ret[i], t[i]);
}

SIMD_INLINE void panel_fill(enum quant_type t, const struct kernels_matmul *j, uint32_t row,
                            uint32_t b0, uint32_t n_blocks, const int R, struct panel *p)
{
    for (int r = 0; r < R; r++) {
        const uint8_t *tile = j->w->packed + (row / MATRIX_TILE + (uint32_t)r) * j->w->tile_bytes;
        for (uint32_t b = 0; b < n_blocks; b++) {
            v64u w[8];
            const struct scales s = scales_load(t, j->w, tile, b0 + b);
            unpack(t, j->w, tile, b0 + b, w);
            for (int g = 0; g < 8; g += 2)
                v64u_pair(&w[g], &w[g + 1]);
            for (int g = 0; g < 8; g++)
                v64u_store(p->w[r][b][g], w[g]);
            panel_scales(s.s[0], p->scales[r][b].s[0]);
            if (t == QUANT_Q6_K) panel_scales(s.s[1], p->scales[r][b].s[1]);
            if (has_min(t)) panel_scales(s.m, p->scales[r][b].m);
        }
    }
}

/* Step @g of a block: one for a row of x, two for a pair. */
SIMD_INLINE v16p panel_step(enum quant_type t, v16p acc, v64u w, const int8_t *x, const int8_t *y,
                            int g)
{
    return SIMD_PAIR ? v16p_dot_two(acc, w, x, y) : dot_step(t, acc, w, x, g);
}

/* T rows of x from the i0-th listed on, R tiles from @row on, blocks [b0, b0 + n_blocks). */
SIMD_INLINE void panel_run(enum quant_type t, const struct kernels_matmul *j, uint32_t row,
                           uint32_t i0, uint32_t b0, uint32_t n_blocks, bool first, const int R,
                           const int T, const struct panel *p)
{
    const int n_sums = T + (T & SIMD_PAIR); /* a last row alone is paired with itself */
    v16f acc[VEC_R][VEC_T];
    struct x_block x[VEC_T];

    for (int i = 0; i < n_sums; i++) {
        const uint32_t at = i0 + (uint32_t)(i < T ? i : T - 1);
        x[i] = x_block_at(j->x, j->at[at], b0);
        for (int r = 0; r < R; r++)
            acc[r][i] = y_load(j, at, row + (uint32_t)r * MATRIX_TILE, first);
    }
    for (int i = 0; SIMD_PAIR && i < n_sums; i += 2)
        for (int r = 0; r < R; r++)
            v16f_pair(&acc[r][i], &acc[r][i + 1]);
    for (uint32_t b = 0; b < n_blocks; b++) {
        for (int half = 0; half < (t == QUANT_Q6_K ? 2 : 1); half++) {
            const int g0 = half * 4, g1 = t == QUANT_Q6_K ? g0 + 4 : 8;
            v16p n[VEC_R][VEC_T];
            for (int i = 0; i < n_sums; i++) {
                const struct x_block *u = &x[i & ~SIMD_PAIR], *v = &x[i | SIMD_PAIR];
                const uint32_t h = 2 * b + (uint32_t)half;
                const v16i sum = t == QUANT_Q6_K ? v16i_two(u->sum16[h], v->sum16[h])
                                                 : v16i_two(u->sum[b], v->sum[b]);
                for (int r = 0; r < R; r++)
                    n[r][i] = v16p_set(dot_start(t, sum));
            }
            SIMD_UNROLL
            for (int g = g0; g < g1; g += VEC_P) {
                const size_t at = 32 * (size_t)b + 4 * (size_t)g;
                v64u w[VEC_R][VEC_P];
                for (int r = 0; r < R; r++)
                    for (int k = 0; k < VEC_P; k++)
                        w[r][k] = v64u_load(p->w[r][b][g + k]);
                for (int i = 0; i < n_sums; i++)
                    for (int r = 0; r < R; r++)
                        n[r][i] = panel_step(t, n[r][i], w[r][i & SIMD_PAIR],
                                             x[i & ~SIMD_PAIR].q + at, x[i | SIMD_PAIR].q + at, g);
            }
            for (int i = 0; i < n_sums; i++) {
                const v16f d = v16f_two(x[i & ~SIMD_PAIR].d[b], x[i | SIMD_PAIR].d[b]);
                for (int r = 0; r < R; r++) {
                    const v16f s = v16f_load(p->scales[r][b].s[half][i & SIMD_PAIR]);
                    acc[r][i] = v16f_fma(v16f_mul(s, d), v16i_to_f(n[r][i].n), acc[r][i]);
                }
            }
        }
        if (has_min(t))
            for (int i = 0; i < n_sums; i++) {
                const struct x_block *u = &x[i & ~SIMD_PAIR], *v = &x[i | SIMD_PAIR];
                const v16f d = v16f_two(u->d[b], v->d[b]),
                           sum = v16i_to_f(v16i_two(u->sum[b], v->sum[b]));
                for (int r = 0; r < R; r++) {
                    const v16f m = v16f_load(p->scales[r][b].m[i & SIMD_PAIR]);
                    acc[r][i] = v16f_fma(v16f_mul(m, d), sum, acc[r][i]);
                }
            }
    }
    for (int i = 0; SIMD_PAIR && i < n_sums; i += 2)
        for (int r = 0; r < R; r++)
            v16f_unpair(&acc[r][i], &acc[r][i + 1]);
    for (int i = 0; i < T; i++)
        for (int r = 0; r < R; r++)
            y_store(j, i0 + (uint32_t)i, row + (uint32_t)r * MATRIX_TILE, acc[r][i]);
}

/*
 * While a panel is used, the low bits of the next one come to the second-level cache: part @part of @n_parts of R tiles from @row
 * on, blocks [b, b + n_blocks). Behind the end of the matrix it is harmless.
 */
SIMD_INLINE void panel_ask(enum quant_type t, const struct matrix *w, uint32_t row, uint32_t b,
                           uint32_t n_blocks, const int R, uint32_t part, uint32_t n_parts)
{
    const size_t low = t == QUANT_Q8_0 ? 512 : 256, all = n_blocks * low,
                 from = all * part / n_parts & ~(size_t)63, to = all * (part + 1) / n_parts;
    const uint8_t *p = w->packed + row / MATRIX_TILE * w->tile_bytes + w->low_at + b * low;

    for (int r = 0; r < R; r++)
        for (size_t i = from; i < to; i += 64)
            __builtin_prefetch(p + (size_t)r * w->tile_bytes + i, 0, 1);
}

SIMD_INLINE void panel_rows(enum quant_type t, const struct kernels_matmul *j, uint32_t row,
                            const int R, struct panel *p)
{
    const uint32_t b_begin = j->k0 / MATRIX_BLOCK, b_end = j->k1 / MATRIX_BLOCK;
    const uint32_t n_parts = (j->n + VEC_T - 1) / VEC_T;

    for (uint32_t b = b_begin; b < b_end; b += PANEL_BLOCKS) {
        const uint32_t n = b_end - b < PANEL_BLOCKS ? b_end - b : PANEL_BLOCKS;
        const bool first = b == b_begin, last = b + n == b_end;
        uint32_t i = 0;
        panel_fill(t, j, row, b, n, R, p);
        for (; i + VEC_T <= j->n; i += VEC_T) {
            panel_ask(t, j->w, last ? row + (uint32_t)R * MATRIX_TILE : row, last ? b_begin : b + n,
                      n, R, i / VEC_T, n_parts);
            panel_run(t, j, row, i, b, n, first, R, VEC_T, p);
        }
        for (; i + 2 <= j->n; i += 2)
            panel_run(t, j, row, i, b, n, first, R, 2, p);
        if (i < j->n) panel_run(t, j, row, i, b, n, first, R, 1, p);
    }
}

SIMD_INLINE void quantised(enum quant_type t, const struct kernels_matmul *j, uint32_t row0,
                           uint32_t row1, void *scratch)
{
    uint32_t row = row0;

    if (j->k0 == j->k1 && !j->add) { /* nothing to add up: zeros */
        for (uint32_t i = 0; i < j->n; i++)
            memset(y_at(j, i, row0), 0, (row1 - row0) * sizeof(float));
        return;
    }
    if (j->n <= DIRECT_MAX) {
        for (; row < row1; row += MATRIX_TILE)
            switch (j->n) {
            case 1:
                direct(t, j, row, 0, 1);
                break;
            case 2:
                direct(t, j, row, 0, 2);
                break;
            case 3:
                direct(t, j, row, 0, 3);
                break;
            case 4:
                direct(t, j, row, 0, 4);
                break;
            }
        return;
    }
    for (; row + (VEC_R - 1) * MATRIX_TILE < row1; row += VEC_R * MATRIX_TILE)
        panel_rows(t, j, row, VEC_R, scratch);
    for (; row < row1; row += MATRIX_TILE)
        panel_rows(t, j, row, 1, scratch);
}

/* ---- float types ---- */

SIMD_INLINE v16f weights(enum quant_type t, const uint8_t *tile, uint32_t k)
{
    if (t == QUANT_F32) return v16f_load((const float *)(const void *)tile + 16 * (size_t)k);
    if (t == QUANT_F16) return v16f_load_f16((const uint16_t *)(const void *)tile + 16 * (size_t)k);
    return v16f_load_bf16((const uint16_t *)(const void *)tile + 16 * (size_t)k);
}

SIMD_INLINE void floats_run(enum quant_type t, const struct kernels_matmul *j, uint32_t row,
                            uint32_t i0, const int R, const int T)
{
    const uint8_t *tile = j->w->packed + row / MATRIX_TILE * j->w->tile_bytes;
    const float *x[FLOAT_T];
    v16f acc[FLOAT_R][FLOAT_T];

    for (int i = 0; i < T; i++) {
        x[i] = j->x->f + j->at[i0 + (uint32_t)i] * (size_t)j->x->cols_max;
        for (int r = 0; r < R; r++)
            acc[r][i] = y_load(j, i0 + (uint32_t)i, row + (uint32_t)r * MATRIX_TILE, true);
    }
    for (uint32_t k = j->k0; k < j->k1; k++)
        for (int r = 0; r < R; r++) {
            const v16f w = weights(t, tile + (size_t)r * j->w->tile_bytes, k);
            for (int i = 0; i < T; i++)
                acc[r][i] = v16f_fma(w, v16f_set(x[i][k]), acc[r][i]);
        }
    for (int i = 0; i < T; i++)
        for (int r = 0; r < R; r++)
            y_store(j, i0 + (uint32_t)i, row + (uint32_t)r * MATRIX_TILE, acc[r][i]);
}

SIMD_INLINE void floats(enum quant_type t, const struct kernels_matmul *j, uint32_t row0,
                        uint32_t row1)
{
    uint32_t row = row0;

    for (; row + (FLOAT_R - 1) * MATRIX_TILE < row1; row += FLOAT_R * MATRIX_TILE) {
        uint32_t i = 0;
        for (; i + FLOAT_T <= j->n; i += FLOAT_T)
            floats_run(t, j, row, i, FLOAT_R, FLOAT_T);
        for (; i < j->n; i++)
            floats_run(t, j, row, i, FLOAT_R, 1);
    }
    for (; row < row1; row += MATRIX_TILE)
        for (uint32_t i = 0; i < j->n; i++)
            floats_run(t, j, row, i, 1, 1);
}

void VEC(vec_matmul)(const struct kernels_matmul *j, uint32_t row0, uint32_t row1, void *scratch)
{
    switch (j->w->type) {
    case QUANT_F32:
        floats(QUANT_F32, j, row0, row1);
        break;
    case QUANT_F16:
        floats(QUANT_F16, j, row0, row1);
        break;
    case QUANT_BF16:
        floats(QUANT_BF16, j, row0, row1);
        break;
    case QUANT_Q4_0:
        quantised(QUANT_Q4_0, j, row0, row1, scratch);
        break;
    case QUANT_Q4_1:
        quantised(QUANT_Q4_1, j, row0, row1, scratch);
        break;
    case QUANT_Q5_0:
        quantised(QUANT_Q5_0, j, row0, row1, scratch);
        break;
    case QUANT_Q5_1:
        quantised(QUANT_Q5_1, j, row0, row1, scratch);
        break;
    case QUANT_Q8_0:
        quantised(QUANT_Q8_0, j, row0, row1, scratch);
        break;
    case QUANT_Q4_K:
        quantised(QUANT_Q4_K, j, row0, row1, scratch);
        break;
    case QUANT_Q5_K:
        quantised(QUANT_Q5_K, j, row0, row1, scratch);
        break;
    case QUANT_Q6_K:
        quantised(QUANT_Q6_K, j, row0, row1, scratch);
        break;
    }
}

void VEC(vec_quantise)(const float *x, uint32_t n, int8_t *q, float *d, int32_t *sum,
                       int32_t *sum16)
{
    for (uint32_t b = 0; b < n / 32; b++) {
        const v16f lo = v16f_load(x + 32 * (size_t)b), hi = v16f_load(x + 32 * (size_t)b + 16);
        const float most = v16f_largest(v16f_max(v16f_abs(lo), v16f_abs(hi)));
        const float scale =
            most > 0 && most <= 3e38f ? 127.0f / most : 0.0f; /* all zero, or not finite: zeros */
        int8_t *at = q + 32 * (size_t)b;

        v16f_store_s8(at, v16f_mul(lo, v16f_set(scale)));
        v16f_store_s8(at + 16, v16f_mul(hi, v16f_set(scale)));
        d[b] = scale > 0 ? most / 127.0f : 0.0f;
        sum16[2 * b] = v16_sum_s8(at);
        sum16[2 * b + 1] = v16_sum_s8(at + 16);
        sum[b] = sum16[2 * b] + sum16[2 * b + 1];
    }
}
