/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gemma 3n text, layer by layer as the reference computes it (HF transformers, modeling_gemma3n; MatFormer, AltUp, LAuReL and
 * per-layer embeddings are described in arXiv 2310.07707, 2301.13310, 2411.07501 and Google's Gemma 3n developer guide).
 * Four residual streams run side by side; the first is the active one, and the layer proper (attention, LAuReL, FFN) sees only it.
 */
#include "engine/gemma3n/text.h"
#include <assert.h>
#include <math.h>
#include <string.h>
#include "base/err.h"
#include "engine/gemma3n/attention.h"
#include "engine/gemma3n/ffn.h"

#define INV_SQRT2 0.707106781f

static float *stream(const struct forward *f, int s, uint32_t i)
{
    return work_row(f->stream[s], f->stride_d, i);
}

/* y scaled to the root mean square @target; the clamp is the reference's guard against division by zero. */
static void match_magnitude(const struct kernels *k, float *y, float target, uint32_t n)
{
    k->scale(y, target / sqrtf(fmaxf(k->mean_square(y, n), 1e-5f)), n);
}

/* ---- before the layers: the streams from the embedding ---- */

static void embed_act_row(void *context, uint32_t i, void *scratch)
{
    const struct forward *f = context;

    (void)scratch;
    cpu_act_row(f->p.cpu.k, &f->embed, i, f->p.config->d_model);
}

static void stack_row(void *context, uint32_t i, void *scratch)
{
    const struct forward *f = context;
    const struct kernels *k = f->p.cpu.k;
    const uint32_t D = f->p.config->d_model;
    const float *h = work_act(&f->embed, i);
    const float magnitude = sqrtf(k->mean_square(h, D));

    (void)scratch;
    memcpy(stream(f, 0, i), h, D * sizeof(float));
    for (int s = 1; s < CONFIG_STREAMS; s++)
        match_magnitude(k, stream(f, s, i), magnitude, D);
    for (int s = 0; s < CONFIG_STREAMS; s++)
        work_see(f,
                 s == 0   ? "stack0"
                 : s == 1 ? "stack1"
                 : s == 2 ? "stack2"
                          : "stack3",
                 i, stream(f, s, i), D);
}

static void make_streams(struct forward *f)
{
    struct cpu_product p[CONFIG_STREAMS - 1];

    cpu_rows(&f->p.cpu, f->all, embed_act_row, f);
    for (int s = 1; s < CONFIG_STREAMS; s++)
        p[s - 1] = cpu_product(&f->p.weights->altup_proj[s - 1], &f->embed, f->stream[s],
                               f->stride_d, f->all);
    cpu_multiply(&f->p.cpu, p, CONFIG_STREAMS - 1);
    cpu_rows(&f->p.cpu, f->all, stack_row, f);
}

static int read_ple_rows(struct forward *f)
{
    for (uint32_t i = 0; i < f->n; i++)
        ple_ask(f->p.ple, f->row[i].token);
    for (uint32_t i = 0; i < f->n; i++) {
        const int r = ple_read(f->p.ple, f->row[i].token, f->ple_row + i * f->p.ple->row_bytes);
        if (r < 0) return err_pass(r);
    }
    return 0;
}

/* ---- one layer, in the order of its parts ---- */

/* tanh(router . (rms(x) / D)): how the streams are mixed, from the active one. @ret: [4] */
static void route(const struct forward *f, const float *x, float *tmp, float ret[4])
{
    const struct config *c = f->p.config;
    const struct kernels *k = f->p.cpu.k;
    const struct weights_layer *w = &f->p.weights->layer[f->layer];

    k->rms(tmp, x, w->router_norm, c->d_model, c->eps);
    k->scale(tmp, 1.0f / (float)c->d_model, c->d_model);
    for (int j = 0; j < 4; j++)
        ret[j] = k->dot(w->router + (size_t)j * c->d_model, tmp, c->d_model);
    k->tanh(ret, 4);
}

/* AltUp predict, then the norm that attention and LAuReL share. */
static void begin_row(void *context, uint32_t i, void *scratch)
{
    const struct forward *f = context;
    const struct config *c = f->p.config;
    const struct kernels *k = f->p.cpu.k;
    const struct weights_layer *w = &f->p.weights->layer[f->layer];
    float *const x[4] = { stream(f, 0, i), stream(f, 1, i), stream(f, 2, i), stream(f, 3, i) };
    float r[4], coefs[16];

    route(f, x[0], scratch, r);
    for (int j = 0; j < 16; j++)
        coefs[j] = k->dot(w->predict + 4 * (size_t)j, r, 4);
    k->altup_predict(x, coefs, c->d_model);
    k->rms(work_act(&f->norm, i), x[0], w->attn_norm, c->d_model, c->eps);
    cpu_act_row(k, &f->norm, i, c->d_model);
}

/* The per-layer input p[l] of the row: projection of the embedding (just multiplied) and the table's row. */
static void ple_row(const struct forward *f, uint32_t i, float *tmp)
{
    const struct config *c = f->p.config;
    const struct kernels *k = f->p.cpu.k;
    const uint32_t P = c->ple_width;
    float *p = work_row(f->ple, f->stride_p, i);

    k->scale(p, 1.0f / sqrtf((float)c->d_model), P);
    k->rms(p, p, f->p.weights->ple_proj_norm, P, c->eps);
    quant_decode(f->p.ple->type, f->ple_row + i * f->p.ple->row_bytes, (size_t)f->layer * P, P,
                 tmp);
    k->scale(tmp, sqrtf((float)P), P);
    k->add(p, tmp, P);
    k->scale(p, INV_SQRT2, P);
    work_see(f, "per_layer_input", i, p, P);
}

static void inputs_row(void *context, uint32_t i, void *scratch)
{
    const struct forward *f = context;

    ple_row(f, i, scratch);
    cpu_act_row(f->p.cpu.k, &f->laurel_mid, i, f->p.weights->laurel_rank);
}

static void multiply_attention(struct forward *f)
{
    const struct weights_layer *w = &f->p.weights->layer[f->layer];
    struct cpu_product p[] = {
        cpu_product(&w->q, &f->norm, f->q, f->stride_q, f->active),
        cpu_product(&w->laurel_l, &f->norm, f->laurel_mid.f, f->laurel_mid.cols_max, f->active),
        cpu_product(&w->ple_model_proj, &f->embed, f->ple, f->stride_p, f->active),
        cpu_product(&w->k, &f->norm, f->k, f->stride_k, f->active),
        cpu_product(&w->v, &f->norm, f->v, f->stride_k, f->active)
    };

    cpu_multiply(&f->p.cpu, p, f->layer < f->p.config->first_shared ? 5 : 3);
    cpu_rows(&f->p.cpu, f->active, inputs_row, f);
    attention_run(f);
    const struct cpu_product out[] = {
        cpu_product(&w->o, &f->heads, f->attn, f->stride_d, f->active),
        cpu_product(&w->laurel_r, &f->laurel_mid, f->laurel, f->stride_d, f->active)
    };
    cpu_multiply(&f->p.cpu, out, 2);
}

/* mid = (active + rms(attention) + (norm + rms(laurel))) / sqrt 2; input of the FFN */
static void between_row(void *context, uint32_t i, void *scratch)
{
    const struct forward *f = context;
    const struct config *c = f->p.config;
    const struct kernels *k = f->p.cpu.k;
    const struct weights_layer *w = &f->p.weights->layer[f->layer];
    float *a = work_row(f->attn, f->stride_d, i), *l = work_row(f->laurel, f->stride_d, i),
          *mid = work_row(f->mid, f->stride_d, i);

    (void)scratch;
    work_see(f, "attention_out", i, a, c->d_model);
    k->rms(a, a, w->post_attn_norm, c->d_model, c->eps);
    k->rms(l, l, w->laurel_norm, c->d_model, c->eps);
    k->add(l, work_act(&f->norm, i), c->d_model);
    work_see(f, "laurel_out", i, l, c->d_model);
    k->join(mid, stream(f, 0, i), a, l, c->d_model);
    k->rms(work_act(&f->ffn_in, i), mid, w->ffn_norm, c->d_model, c->eps);
    cpu_act_row(k, &f->ffn_in, i, c->d_model);
}

/* AltUp correct with what the layer made, then the input of the per-layer gate. */
static void correct_row(void *context, uint32_t i, void *scratch)
{
    const struct forward *f = context;
    const struct config *c = f->p.config;
    const struct kernels *k = f->p.cpu.k;
    const struct weights_layer *w = &f->p.weights->layer[f->layer];
    float *const x[4] = { stream(f, 0, i), stream(f, 1, i), stream(f, 2, i), stream(f, 3, i) };
    float *o = work_row(f->ffn, f->stride_d, i), r[4], s[4];

    work_see(f, "ffn_out", i, o, c->d_model);
    k->rms(o, o, w->post_ffn_norm, c->d_model, c->eps);
    k->add(o, work_row(f->mid, f->stride_d, i), c->d_model);
    route(f, o, scratch, r);
    for (int j = 0; j < 4; j++)
        s[j] = k->dot(w->correct + 4 * (size_t)j, r, 4);
    k->altup_correct(x, o, s, c->d_model);
    k->mul(work_act(&f->norm, i), x[0], w->correct_scale, c->d_model);
    cpu_act_row(k, &f->norm, i, c->d_model);
}

static void gate_row(void *context, uint32_t i, void *scratch)
{
    const struct forward *f = context;
    const uint32_t P = f->p.config->ple_width;
    float *g = work_act(&f->ple_mid, i);

    (void)scratch;
    f->p.cpu.k->gelu_mul(g, g, work_row(f->ple, f->stride_p, i), P);
    cpu_act_row(f->p.cpu.k, &f->ple_mid, i, P);
}

/* The per-layer input enters the streams that are not active. */
static void inject_row(void *context, uint32_t i, void *scratch)
{
    const struct forward *f = context;
    const struct config *c = f->p.config;
    const struct kernels *k = f->p.cpu.k;
    float *q = work_row(f->attn, f->stride_d, i);

    (void)scratch;
    k->rms(q, q, f->p.weights->layer[f->layer].ple_norm, c->d_model, c->eps);
    for (int s = 1; s < CONFIG_STREAMS; s++)
        k->add(stream(f, s, i), q, c->d_model);
    for (int s = 0; s < CONFIG_STREAMS; s++)
        work_see(f,
                 s == 0   ? "altup0"
                 : s == 1 ? "altup1"
                 : s == 2 ? "altup2"
                          : "altup3",
                 i, stream(f, s, i), c->d_model);
}

static void inject_ple(struct forward *f)
{
    const struct weights_layer *w = &f->p.weights->layer[f->layer];
    const struct cpu_product gate =
        cpu_product(&w->ple_gate, &f->norm, f->ple_mid.f, f->ple_mid.cols_max, f->active);
    const struct cpu_product proj =
        cpu_product(&w->ple_proj, &f->ple_mid, f->attn, f->stride_d, f->active);

    cpu_multiply(&f->p.cpu, &gate, 1);
    cpu_rows(&f->p.cpu, f->active, gate_row, f);
    cpu_multiply(&f->p.cpu, &proj, 1);
    cpu_rows(&f->p.cpu, f->active, inject_row, f);
}

/* ---- after the layers: the streams merged ---- */

/* Stream @s of the n-th wanted row goes to row n of f->norm. */
static void gather_stream(struct forward *f, int s)
{
    const uint32_t D = f->p.config->d_model;
    uint32_t n = 0;

    for (uint32_t i = 0; i < f->n; i++) {
        if (!f->row[i].want) continue;
        memcpy(work_act(&f->norm, n), stream(f, s, i), D * sizeof(float));
        cpu_act_row(f->p.cpu.k, &f->norm, n++, D);
    }
}

/* (x0 + sum of the projected others, each at the magnitude of x0) / 4, normed, to f->norm rows [0, n_want). */
static void merge_streams(struct forward *f)
{
    const struct config *c = f->p.config;
    const struct kernels *k = f->p.cpu.k;
    const struct rows wanted = { f->at_all, f->n_want };
    uint32_t n = 0;

    for (int s = 1; s < CONFIG_STREAMS; s++) { /* f->mid, f->laurel, f->attn are free now */
        float *const to[] = { f->mid, f->laurel, f->attn };
        gather_stream(f, s);
        const struct cpu_product p = cpu_product(&f->p.weights->altup_unembed[s - 1], &f->norm,
                                                 to[s - 1], f->stride_d, wanted);
        cpu_multiply(&f->p.cpu, &p, 1);
    }
    for (uint32_t i = 0; i < f->n; i++) {
        if (!f->row[i].want) continue;
        float *const y[] = { work_row(f->mid, f->stride_d, n), work_row(f->laurel, f->stride_d, n),
                             work_row(f->attn, f->stride_d, n) };
        float *x = work_act(&f->norm, n),
              magnitude = sqrtf(k->mean_square(stream(f, 0, i), c->d_model));
        memcpy(x, stream(f, 0, i), c->d_model * sizeof(float));
        for (int s = 0; s < 3; s++) {
            match_magnitude(k, y[s], magnitude, c->d_model);
            k->add(x, y[s], c->d_model);
        }
        k->scale(x, 0.25f, c->d_model);
        work_see(f, "merged", i, x, c->d_model);
        k->rms(x, x, f->p.weights->final_norm, c->d_model, c->eps);
        work_see(f, "final_norm", i, x, c->d_model);
        cpu_act_row(k, &f->norm, n++, c->d_model);
    }
}

int text_layers(struct forward *f)
{
    const int r = read_ple_rows(f);

    if (r < 0) return err_pass(r);
    make_streams(f);
    for (uint32_t l = 0; l < f->p.config->n_layers; l++) {
        if (work_stopped(f)) return FORWARD_E_STOPPED;
        if (!work_activate(f, l)) continue;
        cpu_rows(&f->p.cpu, f->active, begin_row, f);
        multiply_attention(f);
        cpu_rows(&f->p.cpu, f->active, between_row, f);
        ffn_run(f);
        cpu_rows(&f->p.cpu, f->active, correct_row, f);
        inject_ple(f);
    }
    if (f->n_want > 0) merge_streams(f);
    return 0;
}
