/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/kernels/kernels.h: the arithmetic of the model, one row or one tile at a time and on one thread. A set is a
 * table of functions; `c` is the readable reference (float32 activations over the file's own blocks), the others are
 * the same sources built for different CPUs and give the same bits as each other.
 *
 * All lengths are in values. Pointers need no alignment. Outputs may be the inputs of the same call where it says "in
 * place"; otherwise they must not overlap.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "engine/kernels/matrix.h"

enum {
    KERNELS_SCRATCH =
        256 << 10, /* bytes of scratch that each thread brings: a matrix row or an unpacked panel */
    KERNELS_COLS_MAX = 65536, /* widest row: what fits the scratch as float32 */
    KERNELS_PAGE = 32,        /* positions of a KV page */
    KERNELS_GROUP_MAX = 16,   /* query heads that share a KV head */
    KERNELS_HEAD_MAX = 512,   /* head size */
};

/* y[i][r] (+)= sum over k in [k0, k1) of w[r][k] * x[i][k], for the rows i listed in at. */
struct kernels_matmul {
    const struct matrix *w;
    const struct act *x;
    float *y; /* row i begins at y + i * y_stride */
    size_t y_stride;
    const uint16_t *at; /* [n] rows of x and y */
    uint32_t n;
    uint32_t k0, k1; /* multiples of 32 for quantised types; k1 <= w->cols */
    bool add; /* continue the sums that y holds (the same bits as one call over both ranges) */
};

/* Products with a few units of a matrix that is packed by unit. */
struct kernels_units {
    const struct matrix *w;
    const int8_t
        *q; /* one row of activations, as act_quantise() made it: q [cols], d and sum [cols / 32] */
    const float *d;
    const int32_t *sum;
    const uint16_t *unit; /* [n] units, ascending */
    uint32_t n;
    float *y;
};

/* One KV head of one page: keys transposed, so that a vector holds 16 positions. */
struct kernels_kv {
    void *k; /* [head_size][KERNELS_PAGE] f16 or f32 */
    void *v; /* [KERNELS_PAGE][head_size] */
};

/* Attention of the query heads that share one KV head, over pages that follow each other. */
struct kernels_attend {
    const float *q;                 /* [n_heads][head_size] */
    uint32_t n_heads, head_size;    /* <= KERNELS_GROUP_MAX, <= KERNELS_HEAD_MAX, a multiple of 2 */
    float scale;                    /* of the scores */
    bool f32;                       /* of the KV */
    const struct kernels_kv *pages; /* [n_pages] */
    uint32_t n_pages;
    uint32_t first,
        last; /* positions that may be seen, counted from the first page's beginning, both included */
    float *out;       /* [n_heads][head_size] sum of exp(score - max) * v, not divided */
    float *max, *sum; /* [n_heads] of the scores, and of exp(score - max) */
};

struct kernels {
    const char *name; /* "avx512-vnni" */
    bool packed;      /* wants packed matrices and, for quantised types, act_quantise()d rows */

    /* 8-bit blocks of one row: x [n] -> q [n], d [n/32], sum [n/32], sum16 [n/16]; n a multiple of 32. */
    void (*quantise)(const float *x, uint32_t n, int8_t *q, float *d, int32_t *sum, int32_t *sum16);
    /* Rows [row0, row1) of the product; row0 a multiple of 16. @scratch: [KERNELS_SCRATCH], 64-byte aligned. */
    void (*matmul)(const struct kernels_matmul *job, uint32_t row0, uint32_t row1, void *scratch);
    /*
     * MATRIX_UNIT_ROWS: y[i] = row unit[i] . x for i in [from, to). MATRIX_UNIT_COLUMNS: y[r] = row r . x for r in [from, to), multiples
     * of 32, where x is 0 but at the units. The bits are those of matmul. @scratch as there. NULL in a set that is not packed.
     */
    void (*unit_rows)(const struct kernels_units *job, uint32_t from, uint32_t to, void *scratch);
    void (*unit_columns)(const struct kernels_units *job, uint32_t from, uint32_t to,
                         void *scratch);
    /* y = x / sqrt(mean(x^2) + eps) * w; w may be NULL; in place. */
    void (*rms)(float *y, const float *x, const float *w, uint32_t n, float eps);
    /* mean of squares */
    float (*mean_square)(const float *x, uint32_t n);
    float (*dot)(const float *a, const float *b, uint32_t n);
    void (*add)(float *y, const float *x, uint32_t n);                 /* y += x */
    void (*mul)(float *y, const float *a, const float *b, uint32_t n); /* y = a * b; in place */
    void (*scale)(float *y, float s, uint32_t n);                      /* y *= s */
    void (*axpy)(float *y, const float *x, float s, uint32_t n);       /* y += s * x, fused */
    /* y = ((a + b) + c) / sqrt(2) */
    void (*join)(float *y, const float *a, const float *b, const float *c, uint32_t n);
    void (*gelu)(float *x, uint32_t n); /* tanh form, in place */
    void (*gelu_mul)(float *y, const float *g, const float *u,
                     uint32_t n); /* y = gelu(g) * u; in place */
    /* g = max(0, g - (mean + k * std)), population std (Gemma 3n activation sparsity); in place. */
    void (*sparsify)(float *g, float k, uint32_t n);
    /* AltUp predict: x[j] += sum over i of c[4 * j + i] * x[i], all from the old values; in place. */
    void (*altup_predict)(float *const x[4], const float c[16], uint32_t n);
    /* AltUp correct: e = o - x[0]; x[j] += e * (1 + s[j]); in place. */
    void (*altup_correct)(float *const x[4], const float *o, const float s[4], uint32_t n);
    void (*tanh)(float *x, uint32_t n);
    void (*softcap)(float *x, float cap, uint32_t n); /* x = cap * tanh(x / cap) */
    /* half rotation: (x[i], x[i+n/2]) turned by the angle with cos[i], sin[i]; @n even; in place. */
    void (*rope)(float *x, const float *cos, const float *sin, uint32_t n);
    /* One position into a page: k, v [head_size] to slot @slot. */
    void (*kv_put)(void *k_page, void *v_page, bool f32, const float *k, const float *v,
                   uint32_t head_size, uint32_t slot);
    void (*attend)(const struct kernels_attend *a);
    /* Merge of two partial attentions over disjoint positions: (out, max, sum) of b into those of a, one head. */
    void (*attend_merge)(float *out, float *max, float *sum, const float *out_b, float max_b,
                         float sum_b, uint32_t head_size);
};

/** kernels_c() - the reference set. */
const struct kernels *kernels_c(void);

/** kernels_auto() - the best set for this CPU. */
const struct kernels *kernels_auto(void);

/**
 * kernels_list() - every set of this build that this CPU can run, best first, the reference last
 * @ret: [max]. Return: how many there are.
 */
size_t kernels_list(const struct kernels **ret, size_t max);
