/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/gemma3n/weights.h: the tensors of a model by their part in it. Shapes are checked against the configuration.
 * Matrices point into the mapped file until they are packed; vectors and small matrices are float32 copies.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/reason.h"
#include "engine/gemma3n/config.h"
#include "engine/kernels/matrix.h"

/* Widths: D d_model, Q n_heads * head_size, K n_kv_heads * head_size, F ffn_width, P ple_width, R LAuReL rank. */
struct weights_layer {
    struct matrix q, k, v,
        o; /* [Q, D], [K, D], [K, D], [D, Q]; k and v have no rows in layers that share KV */
    struct matrix gate, up, down;                                       /* [F, D], [F, D], [D, F] */
    const float *attn_norm, *post_attn_norm, *ffn_norm, *post_ffn_norm; /* [D] */
    const float *q_norm, *k_norm; /* [head_size]; k_norm NULL where KV is shared */
    /* gemma3n only */
    struct matrix laurel_l, laurel_r;    /* [R, D], [D, R] */
    struct matrix ple_gate, ple_proj;    /* [P, D], [D, P] */
    struct matrix ple_model_proj;        /* [P, D]: this layer's rows of per_layer_model_proj */
    const float *laurel_norm, *ple_norm; /* [D] */
    const float *router, *router_norm;   /* [4, D], [D] */
    const float *predict, *correct; /* [16, 4], [4, 4]: output 4*j+i, input; clipped to +-120 */
    const float *correct_scale;     /* [D] */
};

struct weights {
    uint32_t vocab;          /* rows of the embedding table */
    uint32_t laurel_rank;    /* R */
    struct matrix embed;     /* [vocab, D], also the head unless the file has its own */
    struct matrix head;      /* [vocab, D] */
    const float *final_norm; /* [D] */
    /* gemma3n only */
    struct matrix altup_proj[3], altup_unembed[3]; /* [D, D] */
    const float *ple_proj_norm;                    /* [P] */
    const struct gguf_tensor
        *ple_table; /* [ple rows, n_layers * P], read from the file row by row */
    uint32_t ple_rows;
    struct weights_layer *layer; /* [n_layers], owned */
    float *values;               /* the copies, owned */
    uint32_t n_unused;           /* tensors of the file that the model does not use */
};

/**
 * weights_load() - find and check every tensor of @c in @g, which must stay open as long as matrices are not packed
 * Return: 0 and @ret, owned; GGUF_E_REFUSED (@why names the tensor: missing, wrong shape, a type that cannot be used
 * there); -ENOMEM.
 */
int weights_load(const struct gguf *g, const struct config *c, struct reason *why,
                 struct weights **ret);
struct weights *weights_free(struct weights *w);

/**
 * weights_by_unit() - let the up and down matrices of sparse layers be packed by unit, where their types can be
 * For a kernel set with packed matrices, before they are packed.
 */
void weights_by_unit(struct weights *w, const struct config *c);
/** weights_sparse() - is there a layer whose matrices are packed by unit? */
bool weights_sparse(const struct weights *w, const struct config *c);

/** weights_each() - call @visit for each matrix that is multiplied with, in the order in which a step uses them; embed only once. */
void weights_each(struct weights *w, const struct config *c,
                  void (*visit)(void *context, struct matrix *m), void *context);
