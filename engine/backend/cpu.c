/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cpu.h"
#include <assert.h>

/* Fewer multiplications than that are done before another core has seen that there is work (docs/PERFORMANCE.md). */
enum { ALONE_MACS = 100000 };

struct rows_job {
    struct rows rows;
    void (*row)(void *context, uint32_t row, void *scratch);
    void *context;
};

static void run_row(void *context, uint32_t i, void *scratch)
{
    const struct rows_job *j = context;

    j->row(j->context, j->rows.at[i], scratch);
}

void cpu_rows(const struct cpu *c, struct rows rows,
              void (*row)(void *context, uint32_t row, void *scratch), void *context)
{
    struct rows_job j = { rows, row, context };

    pool_run(c->pool, run_row, &j, rows.n);
}

void cpu_tasks(const struct cpu *c, uint32_t n,
               void (*task)(void *context, uint32_t i, void *scratch), void *context)
{
    pool_run(c->pool, task, context, n);
}

struct products_job {
    const struct kernels *k;
    const struct cpu_product *p[CPU_PRODUCTS_MAX]; /* those that have something to do */
    size_t n;
    uint32_t step[CPU_PRODUCTS_MAX];  /* output rows of one task, a multiple of 16 */
    uint32_t first[CPU_PRODUCTS_MAX]; /* number of each product's first task */
};

static void run_product(void *context, uint32_t i, void *scratch)
{
    const struct products_job *j = context;
    size_t at = j->n - 1;

    while (j->first[at] > i)
        at--;
    const struct cpu_product *p = j->p[at];
    const uint32_t r0 = p->r0 + (i - j->first[at]) * j->step[at];
    const uint32_t r1 = p->r1 - r0 < j->step[at] ? p->r1 : r0 + j->step[at];
    const struct kernels_matmul m = { .w = p->w,
                                      .x = p->x,
                                      .y = p->y,
                                      .y_stride = p->y_stride,
                                      .at = p->rows.at,
                                      .n = p->rows.n,
                                      .k0 = p->k0,
                                      .k1 = p->k1,
                                      .add = p->add };
    j->k->matmul(&m, r0, r1, scratch);
}

/*
 * Enough tasks that a thread which lost its core does not hold up the others, each large enough to be worth taking. Tasks are
 * multiples of what the kernels take at once: 3 tiles (or 1, 2) of quantised types, 4 of the others.
 */
static uint32_t task_rows(const struct cpu *c, const struct cpu_product *p)
{
    enum { TASKS_PER_THREAD = 8, QUANTISED = 6 * MATRIX_TILE, FLOATS = 4 * MATRIX_TILE };
    const uint32_t unit = matrix_wants_q(p->w->type) ? QUANTISED : FLOATS;
    const uint32_t n = (p->r1 - p->r0) / (pool_threads(c->pool) * TASKS_PER_THREAD) / unit * unit;

    return n < unit ? unit : n;
}

void cpu_multiply(const struct cpu *c, const struct cpu_product *products, size_t n)
{
    struct products_job j = { .k = c->k };
    uint32_t n_tasks = 0;
    uint64_t macs = 0;

    assert(n <= CPU_PRODUCTS_MAX);
    for (size_t i = 0; i < n; i++) {
        const struct cpu_product *p = &products[i];
        if (p->rows.n == 0 || p->r0 >= p->r1) continue;
        j.p[j.n] = p;
        j.step[j.n] = task_rows(c, p);
        j.first[j.n++] = n_tasks;
        n_tasks += (p->r1 - p->r0 + j.step[j.n - 1] - 1) / j.step[j.n - 1];
        macs += (uint64_t)(p->r1 - p->r0) * (p->k1 - p->k0) * p->rows.n;
    }
    (macs < ALONE_MACS ? pool_run_alone : pool_run)(c->pool, run_product, &j, n_tasks);
}
