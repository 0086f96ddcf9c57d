/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/gemma3n/config.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/err.h"

/* Reading stops at the first refusal: each step returns its code, and TRY hands it up. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        const int try_r_ = (call);                                                                 \
        if (try_r_ != 0) return try_r_;                                                            \
    } while (0)

struct reader {
    const struct gguf *g;
    struct reason *why;
    char key[128];
    const char *arch;
};

const char *config_arch_name(enum config_arch arch)
{
    switch (arch) {
    case CONFIG_GEMMA3N:
        return "gemma3n";
    case CONFIG_GEMMA3:
        return "gemma3";
    }
    return "?";
}

static const char *key(struct reader *r, const char *name)
{
    (void)snprintf(r->key, sizeof(r->key), "%s.%s", r->arch, name);
    return r->key;
}

static int refuse(struct reader *r, const char *name, const char *what)
{
    reason_set(r->why, "model file: key '%s.%s' %s", r->arch, name, what);
    return GGUF_E_REFUSED;
}

static int take_u32(struct reader *r, const char *name, uint32_t absent, uint32_t min, uint32_t max,
                    uint32_t *ret)
{
    uint32_t v = 0;

    if (absent == 0 && min > 0 && !gguf_has(r->g, key(r, name)))
        return refuse(r, name, "is missing");
    TRY(gguf_u32(r->g, key(r, name), absent, &v, r->why));
    if (v < min || v > max) {
        reason_set(r->why, "model file: key '%s' is %u, expected %u to %u", r->key, v, min, max);
        return GGUF_E_REFUSED;
    }
    *ret = v;
    return 0;
}

/* A finite number above zero. */
static int take_f32(struct reader *r, const char *name, float absent, float *ret)
{
    float v = 0;

    TRY(gguf_f32(r->g, key(r, name), absent, &v, r->why));
    if (!isfinite(v) || v <= 0) return refuse(r, name, "must be a finite number above 0");
    *ret = v;
    return 0;
}

/* The first of two names that the file has; writers differ. */
static const char *either(struct reader *r, const char *first, const char *second)
{
    return gguf_has(r->g, key(r, first)) || !gguf_has(r->g, key(r, second)) ? first : second;
}

static int take_arch(struct reader *r, struct config *c)
{
    struct gguf_string s;

    TRY(gguf_text(r->g, "general.architecture", &s, r->why));
    for (int a = CONFIG_GEMMA3N; a <= CONFIG_GEMMA3; a++) {
        const char *name = config_arch_name((enum config_arch)a);
        if (!s.bytes || s.n != strlen(name) || memcmp(s.bytes, name, s.n) != 0) continue;
        c->arch = (enum config_arch)a;
        r->arch = name;
        return 0;
    }
    if (!s.bytes)
        reason_set(r->why, "model file: key 'general.architecture' is missing");
    else
        reason_set(
            r->why,
            "model file: architecture '%.*s' is not supported, hearth runs gemma3n and gemma3",
            (int)(s.n < 64 ? s.n : 64), s.bytes);
    return GGUF_E_REFUSED;
}

/* Which layers see everything: an array of "is sliding", a period, or the architecture's default. */
static int take_pattern(struct reader *r, struct config *c)
{
    uint32_t period = c->arch == CONFIG_GEMMA3N ? 5 : 6, sliding[CONFIG_LAYERS_MAX];
    const char *name = "attention.sliding_window_pattern";
    size_t n = 0;
    enum gguf_value_type type;

    if (gguf_has(r->g, key(r, name)) && gguf_array_len(r->g, r->key, &n, &type, NULL) == 0) {
        if (n != c->n_layers) return refuse(r, name, "must have one entry for each layer");
        TRY(gguf_array_u32(r->g, r->key, sliding, n, r->why));
        for (uint32_t l = 0; l < c->n_layers; l++)
            c->full[l] = !sliding[l];
    } else {
        TRY(take_u32(r, name, period, 1, CONFIG_LAYERS_MAX, &period));
        for (uint32_t l = 0; l < c->n_layers; l++)
            c->full[l] = (l + 1) % period == 0;
    }
    for (uint32_t l = 0; l < c->n_layers; l++)
        if (c->window == 0) c->full[l] = true;
    return 0;
}

static int take_ffn(struct reader *r, struct config *c)
{
    const char *name = "feed_forward_length";
    size_t n = 0;
    enum gguf_value_type type;

    if (gguf_has(r->g, key(r, name)) && gguf_array_len(r->g, r->key, &n, &type, NULL) == 0) {
        if (n != c->n_layers) return refuse(r, name, "must have one entry for each layer");
        TRY(gguf_array_u32(r->g, r->key, c->ffn_width, n, r->why));
    } else {
        uint32_t width = 0;
        TRY(take_u32(r, name, 0, 1, 1 << 20, &width));
        for (uint32_t l = 0; l < c->n_layers; l++)
            c->ffn_width[l] = width;
    }
    for (uint32_t l = 0; l < c->n_layers; l++)
        if (c->ffn_width[l] == 0 || c->ffn_width[l] > 1 << 20)
            return refuse(r, name, "has a width outside 1 to 1048576");
    return 0;
}

/* A layer that makes no KV reads that of the last layer of its kind that does. */
static int take_sharing(struct reader *r, struct config *c)
{
    uint32_t shared = 0;

    if (c->arch == CONFIG_GEMMA3N)
        TRY(take_u32(r, "attention.shared_kv_layers", c->n_layers > 20 ? c->n_layers - 20 : 0, 0,
                     c->n_layers - 1, &shared));
    c->first_shared = c->n_layers - shared;
    for (uint32_t l = 0; l < c->n_layers; l++) {
        c->kv_source[l] = l;
        if (l < c->first_shared) continue;
        uint32_t from = c->first_shared;
        while (from > 0 && c->full[from - 1] != c->full[l])
            from--;
        if (from == 0)
            return refuse(r, "attention.shared_kv_layers",
                          c->full[l] ? "leaves no full layer to share from"
                                     : "leaves no sliding layer to share from");
        c->kv_source[l] = from - 1;
    }
    return 0;
}

static int take_sparsity(struct reader *r, struct config *c)
{
    const char *name = "activation_sparsity_scale";
    size_t n = 0;
    enum gguf_value_type type;

    for (uint32_t l = 0; l < c->n_layers;
         l++) /* 1.6448536: the 95 % point of the normal distribution */
        c->sparsity[l] = c->arch == CONFIG_GEMMA3N && l < 10 ? 1.64485363f : -INFINITY;
    if (c->arch != CONFIG_GEMMA3N || !gguf_has(r->g, key(r, name))) return 0;
    TRY(gguf_array_len(r->g, r->key, &n, &type, r->why));
    if (n != c->n_layers) return refuse(r, name, "must have one entry for each layer");
    TRY(gguf_array_f32(r->g, r->key, c->sparsity, n, r->why));
    for (uint32_t l = 0; l < c->n_layers; l++)
        if (isnan(c->sparsity[l]) || c->sparsity[l] == INFINITY)
            return refuse(r, name, "has an entry that is neither finite nor -inf");
    return 0;
}

static int take_heads(struct reader *r, struct config *c)
{
    uint32_t v_size = 0;

    TRY(take_u32(r, "attention.head_count", 0, 1, 1024, &c->n_heads));
    TRY(take_u32(r, "attention.head_count_kv", c->n_heads, 1, 1024, &c->n_kv_heads));
    TRY(take_u32(r, either(r, "attention.key_length", "head_dim"), 256, 2, 512, &c->head_size));
    TRY(take_u32(r, "attention.value_length", c->head_size, 2, 512, &v_size));
    if (v_size != c->head_size)
        return refuse(r, "attention.value_length", "differs from key_length");
    if (c->head_size % 2) return refuse(r, "attention.key_length", "must be even");
    if (c->n_heads % c->n_kv_heads || c->n_heads / c->n_kv_heads > 16)
        return refuse(r, "attention.head_count", "must be 1 to 16 times head_count_kv");
    c->attention_scale = c->arch == CONFIG_GEMMA3N ? 1.0f : 1.0f / sqrtf((float)c->head_size);
    return 0;
}

static int take_rope(struct reader *r, struct config *c)
{
    struct gguf_string scaling;

    TRY(take_f32(r, "rope.freq_base", 1e6f, &c->rope_base_full));
    TRY(take_f32(r, either(r, "rope.freq_base_swa", "rope.freq_base_local"), 1e4f,
                 &c->rope_base_sliding));
    c->rope_scale_full = 1.0f;
    TRY(gguf_text(r->g, key(r, "rope.scaling.type"), &scaling, r->why));
    if (!scaling.bytes || (scaling.n == 4 && memcmp(scaling.bytes, "none", 4) == 0)) return 0;
    if (scaling.n != 6 || memcmp(scaling.bytes, "linear", 6) != 0)
        return refuse(r, "rope.scaling.type", "must be 'linear' or 'none'");
    return take_f32(r, "rope.scaling.factor", 1.0f, &c->rope_scale_full);
}

static int take_softcap(struct reader *r, struct config *c)
{
    const char *name = "final_logit_softcapping";

    c->softcap = c->arch == CONFIG_GEMMA3N ? 30.0f : 0.0f;
    if (!gguf_has(r->g, key(r, name))) return 0;
    return take_f32(r, name, 0, &c->softcap);
}

int config_load(const struct gguf *g, struct reason *why, struct config *ret)
{
    struct reader r = { .g = g, .why = why };
    struct config c = { 0 };
    uint32_t n = 0;

    TRY(take_arch(&r, &c));
    TRY(gguf_u32(g, "split.count", 1, &n, why));
    if (n > 1) {
        reason_set(
            why,
            "model file: it is one of %u parts (key 'split.count'): join them to one file first",
            n);
        return GGUF_E_REFUSED;
    }
    TRY(take_u32(&r, "block_count", 0, 1, CONFIG_LAYERS_MAX, &c.n_layers));
    TRY(take_u32(&r, "embedding_length", 0, 8, 1 << 16, &c.d_model));
    TRY(take_u32(&r, "context_length", 0, 1, CONFIG_CONTEXT_MAX, &c.context));
    TRY(take_heads(&r, &c));
    TRY(take_f32(&r, "attention.layer_norm_rms_epsilon", 1e-6f, &c.eps));
    TRY(take_u32(&r, "attention.sliding_window", c.arch == CONFIG_GEMMA3N ? 512 : 0, 0,
                 CONFIG_CONTEXT_MAX, &c.window));
    TRY(take_pattern(&r, &c));
    TRY(take_ffn(&r, &c));
    TRY(take_sharing(&r, &c));
    TRY(take_sparsity(&r, &c));
    TRY(take_rope(&r, &c));
    TRY(take_softcap(&r, &c));
    if (c.arch == CONFIG_GEMMA3N) {
        TRY(take_u32(&r, "embedding_length_per_layer_input", 256, 1, 1 << 16, &c.ple_width));
        TRY(take_u32(&r, "altup.num_inputs", CONFIG_STREAMS, CONFIG_STREAMS, CONFIG_STREAMS, &n));
        TRY(take_u32(&r, "altup.active_idx", 0, 0, 0, &n));
    }
    *ret = c;
    return 0;
}
