/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/synth_shape.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct synth_shape shapes[] = {
    { "e2b", "E2B", 30, 10, 2048, 8192, 8, 2, 256, 256, 64, 5, 10, 512, 32768, 262144 },
    { "e4b", "E4B", 35, 15, 2048, 16384, 8, 2, 256, 256, 64, 5, 10, 512, 32768, 262144 },
    /* for tests: the same parts, a few megabytes of them */
    { "tiny", "tiny", 6, 2, 256, 512, 4, 2, 64, 256, 64, 2, 2, 32, 1024, 1024 },
};

const struct synth_shape *synth_shape_at(size_t i)
{
    return i < sizeof(shapes) / sizeof(shapes[0]) ? &shapes[i] : NULL;
}

const struct synth_shape *synth_shape_find(const char *name)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        if (strcmp(shapes[i].name, name) == 0) return &shapes[i];
    return NULL;
}

/* ---- tensors ---- */

struct walk {
    void (*each)(void *context, const struct synth_shape_tensor *t);
    void *context;
    uint32_t layer;
};

/* A tensor of the file; @rows 0: a vector. @name: of a layer if it begins with '.'. */
static void visit(const struct walk *w, const char *name, enum quant_type type, uint64_t cols,
                  uint64_t rows, float mean, float deviation)
{
    struct synth_shape_tensor t = { .type = type,
                                    .n_dims = rows ? 2 : 1,
                                    .dims = { cols, rows ? rows : 1, 1 },
                                    .mean = mean,
                                    .deviation = deviation };

    if (name[0] == '.')
        (void)snprintf(t.name, sizeof(t.name), "blk.%u%s.weight", w->layer, name);
    else
        (void)snprintf(t.name, sizeof(t.name), "%s.weight", name);
    w->each(w->context, &t);
}

/* A product that keeps the size of its input. */
static void matrix(const struct walk *w, const char *name, enum quant_type type, uint64_t cols,
                   uint64_t rows)
{
    visit(w, name, type, cols, rows, 0, 1.0f / sqrtf((float)cols));
}

static void norm(const struct walk *w, const char *name, uint64_t n)
{
    visit(w, name, QUANT_F32, n, 0, 1.0f, 0.1f);
}

static void stack(const struct walk *w, const char *name, uint64_t width)
{
    struct synth_shape_tensor t = { .type = QUANT_F16,
                                    .n_dims = 3,
                                    .dims = { width, width, 3 },
                                    .deviation = 1.0f / sqrtf((float)width) };

    (void)snprintf(t.name, sizeof(t.name), "%s.weight", name);
    w->each(w->context, &t);
}

static void layer(const struct walk *w, const struct synth_shape *s, enum quant_type type)
{
    const uint32_t q = s->heads * s->head_size, kv = s->kv_heads * s->head_size;

    norm(w, ".attn_norm", s->width);
    matrix(w, ".attn_q", type, s->width, q);
    matrix(w, ".attn_k", type, s->width, kv);
    matrix(w, ".attn_v", type, s->width, kv);
    matrix(w, ".attn_output", type, q, s->width);
    /* scores are not divided by the root of the head size: smaller heads make them that of other models */
    visit(w, ".attn_q_norm", QUANT_F32, s->head_size, 0, 1.0f / sqrtf((float)s->head_size), 0.001f);
    norm(w, ".attn_k_norm", s->head_size);
    norm(w, ".post_attention_norm", s->width);
    norm(w, ".ffn_norm", s->width);
    matrix(w, ".ffn_gate", type, s->width, s->ffn);
    matrix(w, ".ffn_up", type, s->width, s->ffn);
    matrix(w, ".ffn_down", type, s->ffn, s->width);
    norm(w, ".post_ffw_norm", s->width);
    matrix(w, ".inp_gate", type, s->width, s->ple_width);
    matrix(w, ".proj", type, s->ple_width, s->width);
    norm(w, ".post_norm", s->width);
    visit(w, ".altup_correct_coef", QUANT_F32, 4, 4, 0, 0.1f);
    visit(w, ".altup_correct_scale", QUANT_F32, s->width, 0, 1.0f, 0.1f);
    visit(w, ".altup_predict_coef", QUANT_F32, 4, 16, 0, 0.02f);
    /* its input is divided by the width, not by its root */
    visit(w, ".altup_router", QUANT_F16, s->width, 4, 0, 0.5f * sqrtf((float)s->width));
    norm(w, ".altup_router_norm", s->width);
    matrix(w, ".laurel_l", QUANT_F16, s->width, s->laurel);
    matrix(w, ".laurel_r", QUANT_F16, s->laurel, s->width);
    norm(w, ".laurel_post_norm", s->width);
}

void synth_shape_tensors(const struct synth_shape *s, const struct synth_shape_types *types,
                         void (*each)(void *context, const struct synth_shape_tensor *t),
                         void *context)
{
    struct walk w = { each, context, 0 };

    /* the model multiplies by sqrt(width) and sqrt(ple_width) */
    matrix(&w, "token_embd", types->head, s->width, s->vocab);
    visit(&w, "per_layer_token_embd", types->weights, (uint64_t)s->ple_width * s->layers, s->vocab,
          0, 1.0f / sqrtf((float)s->ple_width));
    matrix(&w, "per_layer_model_proj", QUANT_F16, s->width, (uint64_t)s->ple_width * s->layers);
    norm(&w, "per_layer_proj_norm", s->ple_width);
    stack(&w, "altup_proj", s->width);
    stack(&w, "altup_unembd_proj", s->width);
    norm(&w, "output_norm", s->width);
    for (; w.layer < s->layers; w.layer++)
        layer(&w, s, types->weights);
}

/* ---- keys ---- */

static void model_keys(const struct synth_shape *s, struct gguf_write *w)
{
    char label[64];

    (void)snprintf(label, sizeof(label), "Random weights in the shape of Gemma 3n %s", s->label);
    gguf_write_text(w, "general.architecture", "gemma3n");
    gguf_write_text(w, "general.name", label);
    gguf_write_u32(w, "general.quantization_version", 2);
    gguf_write_u32(w, "gemma3n.block_count", s->layers);
    gguf_write_u32(w, "gemma3n.context_length", s->context);
    gguf_write_u32(w, "gemma3n.embedding_length", s->width);
    gguf_write_u32(w, "gemma3n.feed_forward_length", s->ffn);
    gguf_write_u32(w, "gemma3n.attention.head_count", s->heads);
    gguf_write_u32(w, "gemma3n.attention.head_count_kv", s->kv_heads);
    gguf_write_u32(w, "gemma3n.attention.key_length", s->head_size);
    gguf_write_u32(w, "gemma3n.attention.value_length", s->head_size);
    gguf_write_f32(w, "gemma3n.attention.layer_norm_rms_epsilon", 1e-6f);
    gguf_write_u32(w, "gemma3n.attention.sliding_window", s->window);
    gguf_write_array(w, "gemma3n.attention.sliding_window_pattern", GGUF_WRITE_BOOL, s->layers);
    for (uint32_t l = 0; l < s->layers; l++)
        gguf_write_value(w, &(uint8_t){ (l + 1) % s->period != 0 }, 1);
    gguf_write_u32(w, "gemma3n.attention.shared_kv_layers", s->shared);
    gguf_write_f32(w, "gemma3n.rope.freq_base", 1e6f);
    gguf_write_f32(w, "gemma3n.rope.freq_base_swa", 1e4f);
    gguf_write_f32(w, "gemma3n.final_logit_softcapping", 30.0f);
    gguf_write_u32(w, "gemma3n.embedding_length_per_layer_input", s->ple_width);
    gguf_write_u32(w, "gemma3n.altup.num_inputs", 4);
    gguf_write_u32(w, "gemma3n.altup.active_idx", 0);
    gguf_write_array(w, "gemma3n.activation_sparsity_scale", GGUF_WRITE_F32, s->layers);
    for (uint32_t l = 0; l < s->layers; l++) /* 95 % of a normal distribution are below it */
        gguf_write_value(w, &(float){ l < s->sparse ? 1.64485363f : -INFINITY }, sizeof(float));
}

enum kind { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER = 4, BYTE = 6 };
enum { FIRST_NEWLINES = 107, NEWLINES = 31, FIRST_BYTE = 238, FIRST_PIECE = 494 };

/* The @i-th piece: bijective numbers of 26 letters, every other one behind a space. */
static int piece_text(uint32_t i, char *out, size_t size)
{
    char letters[16];
    int n = 0;

    for (uint32_t x = i / 2 + 1; x > 0; x = (x - 1) / 26)
        letters[n++] = (char)('a' + (x - 1) % 26);
    return snprintf(out, size, "%s%.*s", i % 2 ? "\xe2\x96\x81" : "", n, letters);
}

static int token_text(uint32_t id, char *out, size_t size)
{
    static const char *const first[] = { "<pad>", "<eos>", "<bos>", "<unk>", "<mask>" };

    if (id < 5) return snprintf(out, size, "%s", first[id]);
    if (id == 105 || id == 106)
        return snprintf(out, size, id == 105 ? "<start_of_turn>" : "<end_of_turn>");
    if (id >= FIRST_NEWLINES && id < FIRST_NEWLINES + NEWLINES)
        return snprintf(out, size, "%.*s", (int)(id - FIRST_NEWLINES + 1),
                        "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n");
    if (id >= FIRST_BYTE && id < FIRST_PIECE)
        return snprintf(out, size, "<0x%02X>", id - FIRST_BYTE);
    return id < FIRST_PIECE ? snprintf(out, size, "<unused%u>", id)
                            : piece_text(id - FIRST_PIECE, out, size);
}

static enum kind token_kind(uint32_t id)
{
    if (id == 3) return UNKNOWN;
    if (id >= FIRST_NEWLINES && id < FIRST_NEWLINES + NEWLINES) return USER;
    if (id >= FIRST_BYTE && id < FIRST_PIECE) return BYTE;
    return id < FIRST_PIECE ? CONTROL : NORMAL;
}

static void vocab_keys(const struct synth_shape *s, struct gguf_write *w)
{
    char text[40];

    gguf_write_text(w, "tokenizer.ggml.model", "llama");
    gguf_write_text(w, "tokenizer.ggml.pre", "default");
    gguf_write_array(w, "tokenizer.ggml.tokens", GGUF_WRITE_TEXT, s->vocab);
    for (uint32_t id = 0; id < s->vocab; id++)
        gguf_write_string(w, text, (size_t)token_text(id, text, sizeof(text)));
    gguf_write_array(w, "tokenizer.ggml.scores", GGUF_WRITE_F32, s->vocab);
    for (uint32_t id = 0; id < s->vocab; id++)
        gguf_write_value(w, &(float){ id < FIRST_PIECE ? -1000.0f : -(float)id }, sizeof(float));
    gguf_write_array(w, "tokenizer.ggml.token_type", GGUF_WRITE_I32, s->vocab);
    for (uint32_t id = 0; id < s->vocab; id++)
        gguf_write_value(w, &(int32_t){ (int32_t)token_kind(id) }, sizeof(int32_t));
    gguf_write_u32(w, "tokenizer.ggml.bos_token_id", 2);
    gguf_write_u32(w, "tokenizer.ggml.eos_token_id", 1);
    gguf_write_u32(w, "tokenizer.ggml.unknown_token_id", 3);
    gguf_write_u32(w, "tokenizer.ggml.padding_token_id", 0);
    gguf_write_bool(w, "tokenizer.ggml.add_bos_token", true);
    gguf_write_bool(w, "tokenizer.ggml.add_eos_token", false);
    gguf_write_bool(w, "tokenizer.ggml.add_space_prefix", false);
}

/* What the file format calls "mostly" such weights; nobody computes with it. */
static uint32_t file_type(enum quant_type weights)
{
    switch (weights) {
    case QUANT_F16:
        return 1;
    case QUANT_Q8_0:
        return 7;
    case QUANT_Q4_K:
        return 14;
    case QUANT_Q6_K:
        return 18;
    default:
        return 2; /* Q4_0 */
    }
}

void synth_shape_keys(const struct synth_shape *s, const struct synth_shape_types *types,
                      struct gguf_write *w)
{
    gguf_write_u32(w, "general.file_type", file_type(types->weights));
    model_keys(s, w);
    vocab_keys(s, w);
}
