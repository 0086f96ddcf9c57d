/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/gemma3n/config.h: what a model file says about its shape. Architectures "gemma3n" and "gemma3" (text); every
 * number comes from the file, and defaults are those that the published files rely on.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/reason.h"
#include "engine/format/gguf.h"

enum {
    CONFIG_LAYERS_MAX = 256,
    CONFIG_STREAMS = 4,           /* AltUp streams; the architecture has exactly four */
    CONFIG_PLE_VOCAB = 262144,    /* ids from here on use row 0 of the per-layer-embedding table */
    CONFIG_CONTEXT_MAX = 1 << 20, /* tokens, a bound on hostile files */
};

enum config_arch { CONFIG_GEMMA3N, CONFIG_GEMMA3 };

struct config {
    enum config_arch arch;
    uint32_t n_layers, d_model, n_heads, n_kv_heads, head_size;
    uint32_t context; /* tokens that the model was trained for */
    uint32_t
        window; /* positions that a sliding layer sees, itself included; 0: all layers are full */
    uint32_t first_shared; /* layers from here on use the KV of an earlier layer; n_layers: none */
    uint32_t ple_width;    /* per-layer-embedding width; 0 for gemma3 */
    float eps;             /* of every RMS norm */
    float rope_base_full, rope_base_sliding;
    float rope_scale_full; /* positions of full layers are divided by it (linear scaling); 1: off */
    float attention_scale; /* of the scores */
    float softcap;         /* of the logits; 0: none */
    bool full[CONFIG_LAYERS_MAX]; /* full attention; otherwise sliding */
    uint32_t kv_source
        [CONFIG_LAYERS_MAX]; /* layer whose KV layer l reads; l itself below first_shared */
    uint32_t ffn_width[CONFIG_LAYERS_MAX];
    float sparsity[CONFIG_LAYERS_MAX]; /* cutoff in standard deviations, or -INFINITY: dense */
};

/**
 * config_load() - read and check the configuration of @g
 * The widths of the FFN are also checked against the tensors by weights_load(), which has the last word.
 * Return: 0 and @ret; GGUF_E_REFUSED (@why names the key: another architecture, a value that makes no sense).
 */
int config_load(const struct gguf *g, struct reason *why, struct config *ret);

/** config_arch_name() - "gemma3n", "gemma3". */
const char *config_arch_name(enum config_arch arch);
