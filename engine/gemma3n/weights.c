/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/gemma3n/weights.h"
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "engine/kernels/kernels.h"

#define TRY(call)                                                                                  \
    do {                                                                                           \
        const int try_r_ = (call);                                                                 \
        if (try_r_ != 0) return try_r_;                                                            \
    } while (0)

struct loader {
    const struct gguf *g;
    struct reason *why;
    struct weights *w;
    size_t n_values, max_values; /* of the copies */
    uint32_t n_used;
    char name[GGUF_NAME_MAX + 1];
};

static int find(struct loader *l, const struct gguf_tensor **ret)
{
    *ret = gguf_tensor(l->g, "%s", l->name);
    if (!*ret) {
        reason_set(l->why, "model file: tensor '%s' is missing", l->name);
        return GGUF_E_REFUSED;
    }
    l->n_used++;
    return 0;
}

static const char *dims_text(const struct gguf_tensor *t, char *out, size_t size)
{
    int n = 0;

    for (uint32_t i = 0; i < t->n_dims && n < (int)size; i++)
        n += snprintf(out + n, size - (size_t)n, "%s%llu", i ? " x " : "",
                      (unsigned long long)t->dims[i]);
    return out;
}

static int wrong_shape(struct loader *l, const struct gguf_tensor *t, uint64_t cols, uint64_t rows)
{
    char have[100];

    reason_set(l->why, "model file: tensor '%s' is %s, expected %llu x %llu", l->name,
               dims_text(t, have, sizeof(have)), (unsigned long long)cols,
               (unsigned long long)rows);
    return GGUF_E_REFUSED;
}

/* The tensor l->name as a matrix; @rows 0 takes as many as there are. */
static int matrix_named(struct loader *l, uint32_t rows, uint32_t cols, struct matrix *ret)
{
    const struct gguf_tensor *t = NULL;

    TRY(find(l, &t));
    if (t->n_dims > 2 || t->dims[0] != cols || (rows ? t->dims[1] != rows : t->dims[1] > 1 << 24))
        return wrong_shape(l, t, cols, rows);
    if (cols > KERNELS_COLS_MAX) {
        reason_set(l->why,
                   "model file: tensor '%s' has rows of %u values, at most %d are supported",
                   l->name, cols, KERNELS_COLS_MAX);
        return GGUF_E_REFUSED;
    }
    *ret = matrix_raw(t->type, (uint32_t)t->dims[1], cols, gguf_data(l->g, t));
    return 0;
}

/* The tensor l->name as float32 in memory. */
static int values_named(struct loader *l, uint32_t rows, uint32_t cols, const float **ret)
{
    const struct gguf_tensor *t = NULL;

    TRY(find(l, &t));
    if (t->dims[0] != cols || t->dims[1] != rows || t->dims[2] != 1 || t->dims[3] != 1)
        return wrong_shape(l, t, cols, rows);
    assert(l->n_values + (size_t)rows * cols <= l->max_values);
    float *out = l->w->values + l->n_values;
    for (uint32_t r = 0; r < rows; r++)
        quant_decode(t->type,
                     (const uint8_t *)gguf_data(l->g, t) + r * quant_row_bytes(t->type, cols), 0,
                     cols, out + (size_t)r * cols);
    l->n_values += (size_t)rows * cols;
    *ret = out;
    return 0;
}

static void name(struct loader *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void name(struct loader *l, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(l->name, sizeof(l->name), format, args);
    va_end(args);
}

static int layer_matrix(struct loader *l, uint32_t i, const char *part, uint32_t rows,
                        uint32_t cols, struct matrix *ret)
{
    name(l, "blk.%u.%s.weight", i, part);
    return matrix_named(l, rows, cols, ret);
}

static int layer_values(struct loader *l, uint32_t i, const char *part, uint32_t rows,
                        uint32_t cols, const float **ret)
{
    name(l, "blk.%u.%s.weight", i, part);
    return values_named(l, rows, cols, ret);
}

/* The reference clamps these at 120 whenever it uses them. */
static void clip(const float *values, size_t n)
{
    float *v = (float *)(size_t)values; /* our own copy */

    for (size_t i = 0; i < n; i++)
        v[i] = fminf(fmaxf(v[i], -120.0f), 120.0f);
}

static int load_gemma3n_layer(struct loader *l, const struct config *c, uint32_t i,
                              struct weights_layer *y)
{
    const uint32_t D = c->d_model, P = c->ple_width;

    TRY(layer_matrix(l, i, "laurel_l", l->w->laurel_rank, D, &y->laurel_l));
    l->w->laurel_rank = y->laurel_l.rows;
    TRY(layer_matrix(l, i, "laurel_r", D, l->w->laurel_rank, &y->laurel_r));
    TRY(layer_matrix(l, i, "inp_gate", P, D, &y->ple_gate));
    TRY(layer_matrix(l, i, "proj", D, P, &y->ple_proj));
    TRY(layer_values(l, i, "laurel_post_norm", 1, D, &y->laurel_norm));
    TRY(layer_values(l, i, "post_norm", 1, D, &y->ple_norm));
    TRY(layer_values(l, i, "altup_router", CONFIG_STREAMS, D, &y->router));
    TRY(layer_values(l, i, "altup_router_norm", 1, D, &y->router_norm));
    TRY(layer_values(l, i, "altup_predict_coef", 16, 4, &y->predict));
    TRY(layer_values(l, i, "altup_correct_coef", 4, 4, &y->correct));
    TRY(layer_values(l, i, "altup_correct_scale", 1, D, &y->correct_scale));
    clip(y->predict, 64);
    clip(y->correct, 16);
    return 0;
}

static int load_layer(struct loader *l, const struct config *c, uint32_t i, struct weights_layer *y)
{
    const uint32_t D = c->d_model, Q = c->n_heads * c->head_size, K = c->n_kv_heads * c->head_size,
                   F = c->ffn_width[i];

    TRY(layer_matrix(l, i, "attn_q", Q, D, &y->q));
    TRY(layer_matrix(l, i, "attn_output", D, Q, &y->o));
    TRY(layer_matrix(l, i, "ffn_gate", F, D, &y->gate));
    TRY(layer_matrix(l, i, "ffn_up", F, D, &y->up));
    TRY(layer_matrix(l, i, "ffn_down", D, F, &y->down));
    TRY(layer_values(l, i, "attn_norm", 1, D, &y->attn_norm));
    TRY(layer_values(l, i, "post_attention_norm", 1, D, &y->post_attn_norm));
    TRY(layer_values(l, i, "ffn_norm", 1, D, &y->ffn_norm));
    TRY(layer_values(l, i, "post_ffw_norm", 1, D, &y->post_ffn_norm));
    TRY(layer_values(l, i, "attn_q_norm", 1, c->head_size, &y->q_norm));
    if (i < c->first_shared) {
        TRY(layer_matrix(l, i, "attn_k", K, D, &y->k));
        TRY(layer_matrix(l, i, "attn_v", K, D, &y->v));
        TRY(layer_values(l, i, "attn_k_norm", 1, c->head_size, &y->k_norm));
    }
    return c->arch == CONFIG_GEMMA3N ? load_gemma3n_layer(l, c, i, y) : 0;
}

/* @out: three matrices stacked in one tensor */
static int load_stack(struct loader *l, uint32_t D, const char *part, struct matrix out[3])
{
    const struct gguf_tensor *t = NULL;

    name(l, "%s", part);
    TRY(find(l, &t));
    if (t->n_dims != 3 || t->dims[0] != D || t->dims[1] != D || t->dims[2] != 3)
        return wrong_shape(l, t, D, D);
    for (int k = 0; k < 3; k++)
        out[k] = matrix_raw(t->type, D, D,
                            (const uint8_t *)gguf_data(l->g, t) +
                                (size_t)k * D * quant_row_bytes(t->type, D));
    return 0;
}

static int load_gemma3n_globals(struct loader *l, const struct config *c)
{
    struct weights *w = l->w;
    const uint32_t D = c->d_model, P = c->ple_width;
    struct matrix all;

    TRY(load_stack(l, D, "altup_proj.weight", w->altup_proj));
    TRY(load_stack(l, D, "altup_unembd_proj.weight", w->altup_unembed));
    name(l, "per_layer_proj_norm.weight");
    TRY(values_named(l, 1, P, &w->ple_proj_norm));
    name(l, "per_layer_model_proj.weight");
    TRY(matrix_named(l, c->n_layers * P, D, &all));
    for (uint32_t i = 0; i < c->n_layers; i++)
        w->layer[i].ple_model_proj =
            matrix_raw(all.type, P, D, (const uint8_t *)all.raw + (size_t)i * P * all.raw_stride);
    name(l, "per_layer_token_embd.weight");
    TRY(find(l, &w->ple_table));
    if (w->ple_table->n_dims > 2 || w->ple_table->dims[0] != (uint64_t)c->n_layers * P ||
        w->ple_table->dims[1] > 1 << 24)
        return wrong_shape(l, w->ple_table, (uint64_t)c->n_layers * P, w->vocab);
    w->ple_rows = w->ple_table->dims[1] < CONFIG_PLE_VOCAB ? (uint32_t)w->ple_table->dims[1]
                                                           : CONFIG_PLE_VOCAB;
    return 0;
}

static int load_globals(struct loader *l, const struct config *c)
{
    struct weights *w = l->w;

    name(l, "token_embd.weight");
    TRY(matrix_named(l, 0, c->d_model, &w->embed));
    w->vocab = w->embed.rows;
    w->head = w->embed;
    if (gguf_tensor(l->g, "output.weight")) {
        name(l, "output.weight");
        TRY(matrix_named(l, w->vocab, c->d_model, &w->head));
    }
    name(l, "output_norm.weight");
    TRY(values_named(l, 1, c->d_model, &w->final_norm));
    return c->arch == CONFIG_GEMMA3N ? load_gemma3n_globals(l, c) : 0;
}

int weights_load(const struct gguf *g, const struct config *c, struct reason *why,
                 struct weights **ret)
{
    CLEANUP(freep) struct loader *l = calloc(1, sizeof(*l));
    size_t n_tensors = 0;

    if (!l) return err_raise(-ENOMEM);
    struct weights *w = calloc(1, sizeof(*w));
    if (!w) return err_raise(-ENOMEM);
    *l = (struct loader){ .g = g, .why = why, .w = w };
    /* per layer: 8 vectors of D, the router's 4 D, 2 head norms, 64 + 16 coefficients; and the final norms */
    l->max_values = (size_t)c->n_layers * (12 * (size_t)c->d_model + 2 * c->head_size + 80) +
                    c->d_model + c->ple_width;
    w->layer = calloc(c->n_layers, sizeof(*w->layer));
    w->values = calloc(l->max_values, sizeof(float));
    int r = w->layer && w->values ? 0 : err_raise(-ENOMEM);
    if (r == 0) r = load_globals(l, c);
    for (uint32_t i = 0; i < c->n_layers && r == 0; i++)
        r = load_layer(l, c, i, &w->layer[i]);
    if (r != 0) {
        weights_free(w);
        return r;
    }
    (void)gguf_tensors(g, &n_tensors);
    w->n_unused = (uint32_t)n_tensors - l->n_used;
    *ret = w;
    return 0;
}

struct weights *weights_free(struct weights *w)
{
    if (!w) return NULL;
    free(w->layer);
    free(w->values);
    free(w);
    return NULL;
}

void weights_by_unit(struct weights *w, const struct config *c)
{
    for (uint32_t l = 0; l < c->n_layers; l++) {
        struct weights_layer *y = &w->layer[l];
        const struct matrix up = y->up;
        if (c->sparsity[l] == -INFINITY || !matrix_by_unit(&y->up, MATRIX_UNIT_ROWS)) continue;
        if (!matrix_by_unit(&y->down, MATRIX_UNIT_COLUMNS)) y->up = up; /* both or none */
    }
}

bool weights_sparse(const struct weights *w, const struct config *c)
{
    for (uint32_t l = 0; l < c->n_layers; l++)
        if (w->layer[l].up.layout != MATRIX_TILES) return true;
    return false;
}

void weights_each(struct weights *w, const struct config *c,
                  void (*visit)(void *context, struct matrix *m), void *context)
{
    const bool tied = w->head.raw == w->embed.raw && w->head.packed == w->embed.packed;

    visit(context, &w->embed);
    if (c->arch == CONFIG_GEMMA3N)
        for (int k = 0; k < 3; k++)
            visit(context, &w->altup_proj[k]);
    for (uint32_t i = 0; i < c->n_layers; i++) {
        struct weights_layer *y = &w->layer[i];
        struct matrix *const all[] = {
            &y->q,    &y->k,  &y->v,    &y->laurel_l,       &y->o,        &y->laurel_r,
            &y->gate, &y->up, &y->down, &y->ple_model_proj, &y->ple_gate, &y->ple_proj
        };
        for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++)
            if (all[k]->rows > 0) visit(context, all[k]);
    }
    if (c->arch == CONFIG_GEMMA3N)
        for (int k = 0; k < 3; k++)
            visit(context, &w->altup_unembed[k]);
    if (tied)
        w->head = w->embed;
    else
        visit(context, &w->head);
}
