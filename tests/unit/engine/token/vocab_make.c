/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/engine/token/vocab_make.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

void vocab_make_keys(struct gguf_make *m, const struct vocab_make_token *tokens, size_t n)
{
    struct gguf_string *texts = calloc(n, sizeof(*texts));
    float *scores = calloc(n, sizeof(*scores));
    int32_t *kinds = calloc(n, sizeof(*kinds));

    if (!texts || !scores || !kinds) abort();
    for (size_t i = 0; i < n; i++) {
        texts[i] = (struct gguf_string){ tokens[i].text, strlen(tokens[i].text) };
        scores[i] = tokens[i].score;
        kinds[i] = tokens[i].kind;
    }
    gguf_make_text(m, "tokenizer.ggml.model", "llama");
    gguf_make_texts(m, "tokenizer.ggml.tokens", texts, n);
    gguf_make_array(m, "tokenizer.ggml.scores", GGUF_F32, scores, n, sizeof(*scores));
    gguf_make_array(m, "tokenizer.ggml.token_type", GGUF_I32, kinds, n, sizeof(*kinds));
    gguf_make_u32(m, "tokenizer.ggml.bos_token_id", 2);
    gguf_make_u32(m, "tokenizer.ggml.eos_token_id", 1);
    gguf_make_bool(m, "tokenizer.ggml.add_bos_token", true);
    gguf_make_bool(m, "tokenizer.ggml.add_space_prefix", false);
    free(texts);
    free(scores);
    free(kinds);
}

void vocab_make_small(struct gguf_make *m)
{
    static const char *const controls[] = { "<pad>", "<eos>",           "<bos>",
                                            "<unk>", "<start_of_turn>", "<end_of_turn>" };
    static const char *const users[] = { "\n", "\n\n", "  ", "<b>" };
    static const char *const pieces[] = {
        "\xe2\x96\x81t",
        "he",
        "\xe2\x96\x81the",
        "in",
        "an",
        "er",
        "user",
        "us",
        "mo",
        "del",
        "model",
        "de",
        "\xe2\x96\x81",
        "a",
        "d",
        "e",
        "h",
        "i",
        "l",
        "m",
        "n",
        "o",
        "r",
        "s",
        "t",
        "u",
        "Q",
        "A",
        ":",
        "\xea\xb0\x80",
        "\xeb\x82\x98",
        "\xea\xb0\x80\xeb\x82\x98",
    };
    struct vocab_make_token tokens[N_OF(controls) + 256 + N_OF(pieces) + N_OF(users)];
    char bytes[256][8];
    size_t n = 0;

    for (size_t i = 0; i < N_OF(controls); i++)
        tokens[n++] = (struct vocab_make_token){ controls[i], -1000, VOCAB_CONTROL };
    for (unsigned b = 0; b < 256; b++) {
        (void)snprintf(bytes[b], sizeof(bytes[b]), "<0x%02X>", b);
        tokens[n++] = (struct vocab_make_token){ bytes[b], 0, VOCAB_BYTE };
    }
    for (size_t i = 0; i < N_OF(pieces); i++)
        tokens[n++] = (struct vocab_make_token){ pieces[i], -(float)i, VOCAB_NORMAL };
    for (size_t i = 0; i < N_OF(users); i++)
        tokens[n++] = (struct vocab_make_token){ users[i], -1000, VOCAB_USER };
    vocab_make_keys(m, tokens, n);
}

struct vocab_made vocab_make_load(struct gguf_make *m)
{
    struct vocab_made made = { NULL, NULL };
    struct reason why = { "" };

    if (gguf_make_open(m, &why, &made.g) != 0 || vocab_load(made.g, &why, &made.v) != 0) {
        (void)fprintf(stderr, "vocab_make_load: %s\n", why.text);
        abort();
    }
    gguf_make_deinit(m);
    return made;
}

void vocab_made_deinit(struct vocab_made *made)
{
    made->v = vocab_free(made->v);
    made->g = gguf_free(made->g);
}
