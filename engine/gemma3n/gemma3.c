/* SPDX-License-Identifier: Apache-2.0 */
/* Gemma 3 text: one residual stream, norms before and after attention and FFN. */
#include "engine/gemma3n/gemma3.h"
#include "engine/gemma3n/attention.h"
#include "engine/gemma3n/ffn.h"

static float *stream(const struct forward *f, uint32_t i)
{
    return work_row(f->stream[0], f->stride_d, i);
}

static void begin_row(void *context, uint32_t i, void *scratch)
{
    const struct forward *f = context;
    const struct config *c = f->p.config;

    (void)scratch;
    f->p.cpu.k->rms(work_act(&f->norm, i), stream(f, i), f->p.weights->layer[f->layer].attn_norm,
                    c->d_model, c->eps);
    cpu_act_row(f->p.cpu.k, &f->norm, i, c->d_model);
}

static void between_row(void *context, uint32_t i, void *scratch)
{
    const struct forward *f = context;
    const struct config *c = f->p.config;
    const struct weights_layer *w = &f->p.weights->layer[f->layer];
    float *a = work_row(f->attn, f->stride_d, i);

    (void)scratch;
    f->p.cpu.k->rms(a, a, w->post_attn_norm, c->d_model, c->eps);
    f->p.cpu.k->add(stream(f, i), a, c->d_model);
    f->p.cpu.k->rms(work_act(&f->ffn_in, i), stream(f, i), w->ffn_norm, c->d_model, c->eps);
    cpu_act_row(f->p.cpu.k, &f->ffn_in, i, c->d_model);
}

static void end_row(void *context, uint32_t i, void *scratch)
{
    const struct forward *f = context;
    const struct config *c = f->p.config;
    float *y = work_row(f->ffn, f->stride_d, i);

    (void)scratch;
    f->p.cpu.k->rms(y, y, f->p.weights->layer[f->layer].post_ffn_norm, c->d_model, c->eps);
    f->p.cpu.k->add(stream(f, i), y, c->d_model);
}

static void multiply_attention(struct forward *f)
{
    const struct weights_layer *w = &f->p.weights->layer[f->layer];
    const struct cpu_product p[] = { cpu_product(&w->q, &f->norm, f->q, f->stride_q, f->active),
                                     cpu_product(&w->k, &f->norm, f->k, f->stride_k, f->active),
                                     cpu_product(&w->v, &f->norm, f->v, f->stride_k, f->active) };

    cpu_multiply(&f->p.cpu, p, 3);
    attention_run(f);
    const struct cpu_product o = cpu_product(&w->o, &f->heads, f->attn, f->stride_d, f->active);
    cpu_multiply(&f->p.cpu, &o, 1);
}

int gemma3_layers(struct forward *f)
{
    const struct config *c = f->p.config;
    uint32_t n = 0;

    for (uint32_t l = 0; l < c->n_layers; l++) {
        if (work_stopped(f)) return FORWARD_E_STOPPED;
        if (!work_activate(f, l)) continue;
        cpu_rows(&f->p.cpu, f->active, begin_row, f);
        multiply_attention(f);
        cpu_rows(&f->p.cpu, f->active, between_row, f);
        ffn_run(f);
        cpu_rows(&f->p.cpu, f->active, end_row, f);
    }
    for (uint32_t i = 0; i < f->n; i++) {
        if (!f->row[i].want) continue;
        f->p.cpu.k->rms(work_act(&f->norm, n), stream(f, i), f->p.weights->final_norm, c->d_model,
                        c->eps);
        cpu_act_row(f->p.cpu.k, &f->norm, n++, c->d_model);
    }
    return 0;
}
