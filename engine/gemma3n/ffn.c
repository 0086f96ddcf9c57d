/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gated FFN.
 *
 * Dense layers: rows of different levels share the sweep: units are taken in ranges between the widths that occur, and
 * each range is multiplied for the rows that are wide enough. The sums of the down projection go on from range to range
 * in the order of the units, so a row gets the bits that it would get alone.
 *
 * Sparse layers (Gaussian top-k: about 5 % of the units survive): the gate first; then the survivors of each row are listed, and
 * only their rows of up and columns of down are read. Whatever is left out is a product with 0, so the bits are those of the
 * dense way. It is faster for few rows and as fast for many (docs/PERFORMANCE.md), so that matrices packed by unit have no other.
 */
#include "engine/gemma3n/ffn.h"
#include <assert.h>
#include <math.h>

static uint32_t width_of(const struct forward *f, uint32_t row)
{
    return f->row[row].level->width[f->layer];
}

/* The smallest width above @from among the active rows, 0 if there is none. */
static uint32_t next_width(const struct forward *f, uint32_t from)
{
    uint32_t best = 0;

    for (uint32_t i = 0; i < f->active.n; i++) {
        const uint32_t w = width_of(f, f->active.at[i]);
        if (w > from && (best == 0 || w < best)) best = w;
    }
    return best;
}

static struct rows at_least(const struct forward *f, uint32_t width)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < f->active.n; i++)
        if (width_of(f, f->active.at[i]) >= width) f->at_some[n++] = f->active.at[i];
    return (struct rows){ f->at_some, n };
}

static void multiply_gate(struct forward *f, bool with_up)
{
    const struct weights_layer *w = &f->p.weights->layer[f->layer];

    for (uint32_t from = 0, to; (to = next_width(f, from)) > 0; from = to) {
        const struct rows rows = at_least(f, to);
        struct cpu_product p[2] = { cpu_product(&w->gate, &f->ffn_in, f->gate.f, f->gate.cols_max,
                                                rows),
                                    cpu_product(&w->up, &f->ffn_in, f->up, f->stride_f, rows) };
        for (int i = 0; i < 2; i++) {
            p[i].r0 =
                from / MATRIX_TILE * MATRIX_TILE; /* a few units once more, to the same bits */
            p[i].r1 = to;
        }
        cpu_multiply(&f->p.cpu, p, with_up ? 2 : 1);
    }
}

/* ---- dense ---- */

static void activate_row(void *context, uint32_t i, void *scratch)
{
    const struct forward *f = context;
    const struct kernels *k = f->p.cpu.k;
    const uint32_t n = width_of(f, i);
    const float cut = f->p.config->sparsity[f->layer];
    float *g = work_act(&f->gate, i);

    (void)scratch;
    if (cut != -INFINITY) k->sparsify(g, cut, n);
    k->gelu_mul(g, g, work_row(f->up, f->stride_f, i), n);
    cpu_act_row(k, &f->gate, i, n);
}

static void dense(struct forward *f)
{
    const struct weights_layer *w = &f->p.weights->layer[f->layer];

    multiply_gate(f, true);
    cpu_rows(&f->p.cpu, f->active, activate_row, f);
    for (uint32_t from = 0, to; (to = next_width(f, from)) > 0; from = to) {
        struct cpu_product p =
            cpu_product(&w->down, &f->gate, f->ffn, f->stride_d, at_least(f, to));
        p.k0 = from;
        p.k1 = to;
        p.add = from > 0;
        cpu_multiply(&f->p.cpu, &p, 1);
    }
}

/* ---- sparse ---- */

enum { UP_UNITS = 64, DOWN_ROWS = 512 }; /* of one task */

static uint16_t *units_of(const struct forward *f, uint32_t row)
{
    return f->unit + (size_t)row * f->stride_f;
}

static void choose_row(void *context, uint32_t i, void *scratch)
{
    const struct forward *f = context;
    const uint32_t n = width_of(f, i);
    float *g = work_act(&f->gate, i);
    uint16_t *unit = units_of(f, i);
    uint32_t count = 0;

    (void)scratch;
    f->p.cpu.k->sparsify(g, f->p.config->sparsity[f->layer], n);
    for (uint32_t u = 0; u < n; u++) {
        unit[count] = (uint16_t)u;
        count += g[u] != 0;
    }
    f->n_units[i] = count;
}

static struct kernels_units units_job(const struct matrix *w, const struct act *x, uint32_t row,
                                      const uint16_t *unit, uint32_t n, float *y)
{
    const size_t at = (size_t)row * x->cols_max;

    return (struct kernels_units){ w, x->q + at, x->d + at / 32, x->sum + at / 32, unit, n, y };
}

/* Task @i is one of @per_row of a row. */
static uint32_t row_of_task(const struct forward *f, uint32_t i, uint32_t per_row)
{
    return f->active.at[i / per_row];
}

static uint32_t up_tasks(const struct forward *f)
{
    uint32_t most = 0;

    for (uint32_t i = 0; i < f->active.n; i++)
        if (f->n_units[f->active.at[i]] > most) most = f->n_units[f->active.at[i]];
    return (most + UP_UNITS - 1) / UP_UNITS;
}

struct up_job {
    const struct forward *f;
    uint32_t per_row;
};

static void up_task(void *context, uint32_t i, void *scratch)
{
    const struct up_job *j = context;
    const struct forward *f = j->f;
    const uint32_t row = row_of_task(f, i, j->per_row), from = i % j->per_row * UP_UNITS,
                   n = f->n_units[row];
    const struct kernels_units job =
        units_job(&f->p.weights->layer[f->layer].up, &f->ffn_in, row, units_of(f, row), n,
                  work_row(f->up, f->stride_f, row));

    if (from < n)
        f->p.cpu.k->unit_rows(&job, from, from + UP_UNITS < n ? from + UP_UNITS : n, scratch);
}

static void activate_units(void *context, uint32_t i, void *scratch)
{
    const struct forward *f = context;
    const struct kernels *k = f->p.cpu.k;
    const uint32_t n = f->n_units[i];
    const uint16_t *unit = units_of(f, i);
    float *g = work_act(&f->gate, i), *some = scratch;

    _Static_assert(KERNELS_COLS_MAX * sizeof(float) <= KERNELS_SCRATCH, "all units fit");
    for (uint32_t u = 0; u < n; u++)
        some[u] = g[unit[u]];
    k->gelu_mul(some, some, work_row(f->up, f->stride_f, i), n);
    for (uint32_t u = 0; u < n; u++)
        g[unit[u]] = some[u];
    cpu_act_row(k, &f->gate, i, width_of(f, i));
}

static void down_task(void *context, uint32_t i, void *scratch)
{
    const struct forward *f = context;
    const uint32_t D = f->p.config->d_model, per_row = (D + DOWN_ROWS - 1) / DOWN_ROWS,
                   row = row_of_task(f, i, per_row), from = i % per_row * DOWN_ROWS;
    const struct kernels_units job =
        units_job(&f->p.weights->layer[f->layer].down, &f->gate, row, units_of(f, row),
                  f->n_units[row], work_row(f->ffn, f->stride_d, row));

    f->p.cpu.k->unit_columns(&job, from, from + DOWN_ROWS < D ? from + DOWN_ROWS : D, scratch);
}

static void sparse(struct forward *f)
{
    multiply_gate(f, false);
    cpu_rows(&f->p.cpu, f->active, choose_row, f);
    struct up_job up = { f, up_tasks(f) };
    cpu_tasks(&f->p.cpu, up.per_row * f->active.n, up_task, &up);
    cpu_rows(&f->p.cpu, f->active, activate_units, f);
    cpu_tasks(&f->p.cpu, (f->p.config->d_model + DOWN_ROWS - 1) / DOWN_ROWS * f->active.n,
              down_task, f);
}

void ffn_run(struct forward *f)
{
    if (f->p.weights->layer[f->layer].up.layout == MATRIX_TILES)
        dense(f);
    else
        sparse(f);
}
