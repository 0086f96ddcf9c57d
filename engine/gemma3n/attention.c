/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention over the paged KV cache. Positions are taken in segments of SEGMENT, counted from the beginning of the
 * sequence; each segment is a running softmax of its own and they are merged in order. So the result depends on the
 * positions alone, and segments may be computed apart.
 */
#include "engine/gemma3n/attention.h"
#include <assert.h>
#include <string.h>

enum { SEGMENT_PAGES = 16, SEGMENT = SEGMENT_PAGES * KERNELS_PAGE };

static struct kernels_kv place(const struct forward *f, uint32_t row, uint32_t layer,
                               uint32_t block, uint32_t head)
{
    return kv_place(f->row[row].kv, layer, block, head);
}

/* Norms and rotation of the row's queries and, where the layer makes KV, its keys and values into the cache. */
static void prepare_row(void *context, uint32_t i, void *scratch)
{
    const struct forward *f = context;
    const struct config *c = f->p.config;
    const struct kernels *k = f->p.cpu.k;
    const struct weights_layer *w = &f->p.weights->layer[f->layer];
    const uint32_t d = c->head_size, position = f->row[i].position;
    const int turn = c->full[f->layer] ? WORK_FULL : WORK_SLIDING;
    const float *cosine = work_row(f->cosine[turn], f->half, i),
                *sine = work_row(f->sine[turn], f->half, i);

    (void)scratch;
    for (uint32_t h = 0; h < c->n_heads; h++) {
        float *q = work_row(f->q, f->stride_q, i) + h * d;
        k->rms(q, q, w->q_norm, d, c->eps);
        k->rope(q, cosine, sine, d);
    }
    if (f->layer >= c->first_shared) return;
    for (uint32_t h = 0; h < c->n_kv_heads; h++) {
        float *key = work_row(f->k, f->stride_k, i) + h * d,
              *value = work_row(f->v, f->stride_k, i) + h * d;
        k->rms(key, key, w->k_norm, d, c->eps);
        k->rope(key, cosine, sine, d);
        if (c->arch == CONFIG_GEMMA3N)
            k->rms(value, value, NULL, d, c->eps); /* a norm without weight */
        const struct kernels_kv to = place(f, i, f->layer, position / KERNELS_PAGE, h);
        k->kv_put(to.k, to.v, kv_pool_shape(f->p.kv)->f32, key, value, d, position % KERNELS_PAGE);
    }
}

/* The query heads of one KV head over one segment. */
static void segment(const struct forward *f, uint32_t row, uint32_t head, uint32_t s,
                    uint32_t first, float *out, float *max, float *sum)
{
    const struct config *c = f->p.config;
    const uint32_t base = s * SEGMENT, last = f->row[row].position,
                   group = c->n_heads / c->n_kv_heads;
    struct kernels_kv pages[SEGMENT_PAGES];
    struct kernels_attend a = { .q = work_row(f->q, f->stride_q, row) + head * group * c->head_size,
                                .n_heads = group,
                                .head_size = c->head_size,
                                .scale = c->attention_scale,
                                .f32 = kv_pool_shape(f->p.kv)->f32,
                                .pages = pages,
                                .first = first > base ? first - base : 0,
                                .last = last - base < SEGMENT ? last - base : SEGMENT - 1,
                                .out = out,
                                .max = max,
                                .sum = sum };

    for (uint32_t p = a.first / KERNELS_PAGE; p <= a.last / KERNELS_PAGE; p++)
        pages[p] = place(f, row, c->kv_source[f->layer], s * SEGMENT_PAGES + p, head);
    f->p.cpu.k->attend(&a);
}

/* Task i: row i / n_kv_heads of the active ones, KV head i % n_kv_heads. */
static void attend_task(void *context, uint32_t i, void *scratch)
{
    const struct forward *f = context;
    const struct config *c = f->p.config;
    const uint32_t row = f->active.at[i / c->n_kv_heads], head = i % c->n_kv_heads,
                   group = c->n_heads / c->n_kv_heads, d = c->head_size;
    const uint32_t last = f->row[row].position,
                   first = c->full[f->layer] || last < c->window ? 0 : last - c->window + 1;
    float *out = work_act(&f->heads, row) + head * group * d, *more = scratch;
    float max[KERNELS_GROUP_MAX], sum[KERNELS_GROUP_MAX], max_b[KERNELS_GROUP_MAX],
        sum_b[KERNELS_GROUP_MAX];

    segment(f, row, head, first / SEGMENT, first, out, max, sum);
    for (uint32_t s = first / SEGMENT + 1; s <= last / SEGMENT; s++) {
        segment(f, row, head, s, first, more, max_b, sum_b);
        for (uint32_t h = 0; h < group; h++)
            f->p.cpu.k->attend_merge(out + h * d, &max[h], &sum[h], more + h * d, max_b[h],
                                     sum_b[h], d);
    }
    for (uint32_t h = 0; h < group; h++)
        f->p.cpu.k->scale(out + h * d, 1.0f / sum[h], d);
}

static void finish_row(void *context, uint32_t i, void *scratch)
{
    const struct forward *f = context;

    (void)scratch;
    cpu_act_row(f->p.cpu.k, &f->heads, i, f->p.config->n_heads * f->p.config->head_size);
}

void attention_run(struct forward *f)
{
    cpu_rows(&f->p.cpu, f->active, prepare_row, f);
    cpu_tasks(&f->p.cpu, f->active.n * f->p.config->n_kv_heads, attend_task, f);
    cpu_rows(&f->p.cpu, f->active, finish_row, f);
}
