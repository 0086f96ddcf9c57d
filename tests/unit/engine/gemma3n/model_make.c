/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/engine/gemma3n/model_make.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/engine/token/vocab_make.h"

struct model_make model_make_gemma3n(void)
{
    return (struct model_make){ .layers = 6,
                                .d_model = 32,
                                .heads = 2,
                                .kv_heads = 1,
                                .head_size = 16,
                                .ffn = 64,
                                .window = 16,
                                .period = 3,
                                .context = 1024,
                                .vocab = 320,
                                .shared = 3,
                                .ple = 64,
                                .rank = 8,
                                .matrices = QUANT_F32 };
}

struct model_make model_make_gemma3(void)
{
    struct model_make s = model_make_gemma3n();

    s.gemma3 = true;
    s.shared = 0;
    return s;
}

struct builder {
    const struct model_make *s;
    struct gguf_make *m;
    uint32_t state; /* of the random numbers */
};

static void add_u32(struct builder *b, const char *name, uint32_t value)
{
    char key[100];

    if (b->s->without && strcmp(b->s->without, name) == 0) return;
    (void)snprintf(key, sizeof(key), "%s.%s", b->s->gemma3 ? "gemma3" : "gemma3n", name);
    gguf_make_u32(b->m, key, value);
}

void model_make_keys(const struct model_make *s, struct gguf_make *m)
{
    struct builder b = { s, m, 0 };

    if (!s->without || strcmp(s->without, "general.architecture") != 0)
        gguf_make_text(m, "general.architecture", s->gemma3 ? "gemma3" : "gemma3n");
    add_u32(&b, "block_count", s->layers);
    add_u32(&b, "embedding_length", s->d_model);
    add_u32(&b, "context_length", s->context);
    add_u32(&b, "feed_forward_length", s->ffn);
    add_u32(&b, "attention.head_count", s->heads);
    add_u32(&b, "attention.head_count_kv", s->kv_heads);
    add_u32(&b, "attention.key_length", s->head_size);
    add_u32(&b, "attention.value_length", s->head_size);
    add_u32(&b, "attention.sliding_window", s->window);
    add_u32(&b, "attention.sliding_window_pattern", s->period);
    if (s->levels) gguf_make_text(m, "hearth.levels", s->levels);
    if (s->gemma3) return;
    add_u32(&b, "attention.shared_kv_layers", s->shared);
    add_u32(&b, "embedding_length_per_layer_input", s->ple);
}

static float next(struct builder *b) /* in [-1, 1) */
{
    b->state = b->state * 1664525u + 1013904223u;
    return (float)(int32_t)b->state * 0x1p-31f;
}

static bool is(const char *name, const char *wanted)
{
    return wanted && strcmp(name, wanted) == 0;
}

/* @values: [n]; as Q8_0 blocks, or as they are */
static void add_values(struct builder *b, enum quant_type type, const float *values, size_t n)
{
    if (type == QUANT_F32) gguf_make_add(&b->m->data, values, n * sizeof(*values));
    for (size_t i = 0; i < n && type == QUANT_Q8_0; i += 32) {
        float most = 0;
        for (size_t k = 0; k < 32; k++)
            most = isnan(values[i + k]) ? values[i + k] : fmaxf(most, fabsf(values[i + k]));
        const uint16_t scale = quant_to_f16(most / 127);
        gguf_make_add(&b->m->data, &scale, sizeof(scale));
        for (size_t k = 0; k < 32; k++) {
            const float q = isfinite(most) ? roundf(values[i + k] * 127 / most) : 1;
            gguf_make_add(&b->m->data, &(int8_t){ (int8_t)q }, 1);
        }
    }
}

/* A tensor around @middle with values that are @spread away from it at most. */
static void add(struct builder *b, enum quant_type type, float middle, float spread, uint64_t cols,
                uint64_t rows, uint64_t planes, const char *format, ...)
    __attribute__((format(printf, 8, 9)));
static void add(struct builder *b, enum quant_type type, float middle, float spread, uint64_t cols,
                uint64_t rows, uint64_t planes, const char *format, ...)
{
    char name[100];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(name, sizeof(name), format, args);
    va_end(args);
    if (is(name, b->s->without)) return;
    cols += is(name, b->s->wider) ? 32 : 0;
    rows += is(name, b->s->taller);
    const uint64_t dims[] = { cols, rows, planes };
    const size_t n = cols * rows * planes;
    float *values = malloc(n * sizeof(*values));
    if (!values) abort();
    for (size_t i = 0; i < n; i++)
        values[i] = is(name, b->s->poisoned) ? b->s->poison : middle + spread * next(b);
    gguf_make_tensor(b->m, name, type, planes > 1 ? 3 : rows > 1 ? 2 : 1, dims, NULL, 0);
    add_values(b, type, values, n);
    free(values);
}

static void add_matrix(struct builder *b, uint32_t cols, uint32_t rows, uint32_t layer,
                       const char *part)
{
    add(b, cols % 32 ? QUANT_F32 : b->s->matrices, 0, 1.5f / sqrtf((float)cols), cols, rows, 1,
        "blk.%u.%s.weight", layer, part);
}

static void add_norm(struct builder *b, uint32_t n, uint32_t layer, const char *part)
{
    add(b, QUANT_F32, 1, 0.3f, n, 1, 1, "blk.%u.%s.weight", layer, part);
}

static void add_gemma3n_layer(struct builder *b, uint32_t l)
{
    const struct model_make *s = b->s;
    const uint32_t D = s->d_model;

    add_matrix(b, D, s->rank, l, "laurel_l");
    add_matrix(b, s->rank, D, l, "laurel_r");
    add_matrix(b, D, s->ple, l, "inp_gate");
    add_matrix(b, s->ple, D, l, "proj");
    add_norm(b, D, l, "laurel_post_norm");
    add_norm(b, D, l, "post_norm");
    add_norm(b, D, l, "altup_router_norm");
    add_norm(b, D, l, "altup_correct_scale");
    add(b, QUANT_F32, 0, 0.3f, D, 4, 1, "blk.%u.altup_router.weight", l);
    add(b, QUANT_F32, 0, 0.3f, 4, 16, 1, "blk.%u.altup_predict_coef.weight", l);
    add(b, QUANT_F32, 0, 0.3f, 4, 4, 1, "blk.%u.altup_correct_coef.weight", l);
}

static void add_layer(struct builder *b, uint32_t l)
{
    const struct model_make *s = b->s;
    const uint32_t D = s->d_model, Q = s->heads * s->head_size, K = s->kv_heads * s->head_size;

    add_norm(b, D, l, "attn_norm");
    add_norm(b, D, l, "post_attention_norm");
    add_norm(b, D, l, "ffn_norm");
    add_norm(b, D, l, "post_ffw_norm");
    add_norm(b, s->head_size, l, "attn_q_norm");
    add_matrix(b, D, Q, l, "attn_q");
    add_matrix(b, Q, D, l, "attn_output");
    if (l < s->layers - s->shared) {
        add_matrix(b, D, K, l, "attn_k");
        add_matrix(b, D, K, l, "attn_v");
        add_norm(b, s->head_size, l, "attn_k_norm");
    }
    add_matrix(b, D, s->ffn, l, "ffn_gate");
    add_matrix(b, D, s->ffn, l, "ffn_up");
    add_matrix(b, s->ffn, D, l, "ffn_down");
    if (!s->gemma3) add_gemma3n_layer(b, l);
}

void model_make_tensors(const struct model_make *s, struct gguf_make *m)
{
    struct builder b = { s, m, 1 };
    const uint32_t D = s->d_model, LP = s->layers * s->ple;

    add(&b, s->matrices, 0, 1, D, s->vocab, 1, "token_embd.weight");
    add(&b, QUANT_F32, 1, 0.3f, D, 1, 1, "output_norm.weight");
    for (uint32_t l = 0; l < s->layers; l++)
        add_layer(&b, l);
    if (s->gemma3) return;
    add(&b, QUANT_F32, 0, 0.3f, D, D, 3, "altup_proj.weight");
    add(&b, QUANT_F32, 0, 0.3f, D, D, 3, "altup_unembd_proj.weight");
    add(&b, QUANT_F32, 1, 0.3f, s->ple, 1, 1, "per_layer_proj_norm.weight");
    add(&b, QUANT_F32, 0, 0.3f, D, LP, 1, "per_layer_model_proj.weight");
    add(&b, QUANT_F32, 0, 1, LP, s->vocab, 1, "per_layer_token_embd.weight");
}

struct gguf_make_bytes model_make_file(const struct model_make *s)
{
    struct gguf_make m;

    gguf_make_init(&m);
    model_make_keys(s, &m);
    vocab_make_small(&m);
    model_make_tensors(s, &m);
    const struct gguf_make_bytes f = gguf_make_file(&m);
    gguf_make_deinit(&m);
    return f;
}

int model_make_fd(const struct model_make *s)
{
    struct gguf_make_bytes f = model_make_file(s);
    const int fd = gguf_make_fd(f.bytes, f.n);

    free(f.bytes);
    return fd;
}
