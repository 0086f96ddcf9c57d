/* SPDX-License-Identifier: Apache-2.0 */
/* tools/synth_shape.h: the sizes of Gemma 3n models, their tensors, and their keys and vocabulary in a file. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "engine/format/quant.h"
#include "tools/gguf_write.h"

struct synth_shape {
    const char *name; /* "e2b" */
    const char *label;
    uint32_t layers, shared; /* the last @shared layers read the KV of others */
    uint32_t width, ffn;     /* embedding, feed-forward */
    uint32_t heads, kv_heads, head_size;
    uint32_t ple_width, laurel;
    uint32_t period; /* every so many layers, one sees everything */
    uint32_t sparse; /* the first layers, with Gaussian top-k */
    uint32_t window, context, vocab;
};

/** synth_shape_find() - Return: the shape of that name, or NULL. */
const struct synth_shape *synth_shape_find(const char *name);
/** synth_shape_at() - the shapes, one by one. Return: NULL behind the last. */
const struct synth_shape *synth_shape_at(size_t i);

/* Which types a file has. What quantizers leave alone (AltUp, LAuReL, the projection to the per-layer inputs) is F16. */
struct synth_shape_types {
    enum quant_type weights; /* of the layers and of the per-layer embeddings */
    enum quant_type head;    /* token_embd.weight, which is also the head */
};

struct synth_shape_tensor {
    char name[64];
    enum quant_type type;
    uint32_t n_dims;
    uint64_t dims[3];
    float mean, deviation; /* of its values: activations keep about the size that they have */
};

/**
 * synth_shape_tensors() - call @each for every tensor, in the order of the file
 * Tensors have the names and shapes of published gemma3n files: 24 a layer and 7 others.
 */
void synth_shape_tensors(const struct synth_shape *s, const struct synth_shape_types *types,
                         void (*each)(void *context, const struct synth_shape_tensor *t),
                         void *context);

/**
 * synth_shape_keys() - announce the keys of the model and of its vocabulary
 * The vocabulary has the control tokens, the byte tokens and the order of Gemma's; its other pieces are runs of
 * letters, with and without a leading space.
 */
void synth_shape_keys(const struct synth_shape *s, const struct synth_shape_types *types,
                      struct gguf_write *w);
