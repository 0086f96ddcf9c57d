/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/backend/cpu.h: operators over the rows of a batch, spread over the threads. The forward pass is written against
 * these; which row or tile runs where does not change a bit of the result.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "engine/backend/pool.h"
#include "engine/kernels/kernels.h"

struct cpu {
    struct pool *pool;
    const struct kernels *k;
};

/* The rows of a batch that take part in an operation: their numbers, ascending or not. */
struct rows {
    const uint16_t *at;
    uint32_t n;
};

/** cpu_rows() - call @row for each of @rows; calls may run at once. @scratch: [KERNELS_SCRATCH] of the thread. */
void cpu_rows(const struct cpu *c, struct rows rows,
              void (*row)(void *context, uint32_t row, void *scratch), void *context);

/** cpu_tasks() - call @task for 0 .. n-1; calls may run at once. */
void cpu_tasks(const struct cpu *c, uint32_t n,
               void (*task)(void *context, uint32_t i, void *scratch), void *context);

/* y[i][r] (+)= sum over k in [k0, k1) of w[r][k] x[i][k], for r in [r0, r1). */
struct cpu_product {
    const struct matrix *w;
    const struct act *x;
    float *y;
    size_t y_stride;
    struct rows rows;
    uint32_t r0, r1; /* r0 a multiple of 16 */
    uint32_t k0, k1;
    bool add;
};

enum { CPU_PRODUCTS_MAX = 8 };

/** cpu_multiply() - @n products that do not depend on each other, in one go. n <= CPU_PRODUCTS_MAX. */
void cpu_multiply(const struct cpu *c, const struct cpu_product *products, size_t n);

/** cpu_product() - the whole of @w. */
static inline struct cpu_product cpu_product(const struct matrix *w, const struct act *x, float *y,
                                             size_t y_stride, struct rows rows)
{
    return (struct cpu_product){
        .w = w, .x = x, .y = y, .y_stride = y_stride, .rows = rows, .r1 = w->rows, .k1 = w->cols
    };
}

/** cpu_act_row() - after row @i of @a, [n] values of f, was written: make its 8-bit form, if this kernel set uses one. */
static inline void cpu_act_row(const struct kernels *k, const struct act *a, uint32_t i, uint32_t n)
{
    const size_t s = a->cols_max, at = i * s;

    if (k->packed && a->q && n % MATRIX_BLOCK == 0)
        k->quantise(a->f + at, n, a->q + at, a->d + at / 32, a->sum + at / 32, a->sum16 + at / 16);
}
