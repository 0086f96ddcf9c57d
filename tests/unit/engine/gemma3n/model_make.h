/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_make.h: small models with random weights, as GGUF files in memory, and such models with one thing wrong. A failure
 * aborts.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "engine/format/quant.h"
#include "tests/unit/engine/format/gguf_make.h"

struct model_make {
    bool gemma3; /* else gemma3n */
    uint32_t layers, d_model, heads, kv_heads, head_size, ffn, window, period, context, vocab;
    uint32_t shared, ple, rank; /* gemma3n: layers that share KV; widths */
    enum quant_type matrices;   /* QUANT_F32 or QUANT_Q8_0, for what is multiplied with */
    const char *levels;         /* value of hearth.levels, or NULL */
    const char *without;        /* key (without "gemma3n.") or tensor to leave out, or NULL */
    const char *wider, *taller; /* tensor with one more block of columns, one more row */
    const char *poisoned;       /* tensor of which every value is @poison */
    float poison;
};

/** model_make_gemma3n(), model_make_gemma3() - six layers, the third and the sixth full; gemma3n: the last three share KV. */
struct model_make model_make_gemma3n(void);
struct model_make model_make_gemma3(void);

/** model_make_keys() - the keys of the shape (not those of the vocabulary). */
void model_make_keys(const struct model_make *s, struct gguf_make *m);

/** model_make_tensors() - all tensors; that of the per-layer embeddings is the last. */
void model_make_tensors(const struct model_make *s, struct gguf_make *m);

/** model_make_file() - the whole file, with a small vocabulary; for free(). */
struct gguf_make_bytes model_make_file(const struct model_make *s);

/** model_make_fd() - a memfd with it, for close(). */
int model_make_fd(const struct model_make *s);
