/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gated FFN. Rows of different levels share the sweep: units are taken in ranges between the widths that occur, and
 * each range is multiplied for the rows that are wide enough. The sums of the down projection go on from range to range
 * in the order of the units, so a row gets the bits that it would get alone.
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

void ffn_run(struct forward *f)
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
        cpu_multiply(&f->p.cpu, p, 2);
    }
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
