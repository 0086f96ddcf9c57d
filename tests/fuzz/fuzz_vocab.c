/* SPDX-License-Identifier: Apache-2.0 */
/* A text of a user, first byte: options. Encoding must give its bytes back and no control tokens. */
#include <stdlib.h>
#include <string.h>
#include "engine/token/detokenizer.h"
#include "engine/token/tokenizer.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/engine/token/vocab_make.h"

static struct vocab_made made;
static struct tokenizer *t;

static void make(void)
{
    struct gguf_make m;

    gguf_make_init(&m);
    vocab_make_small(&m);
    made = vocab_make_load(&m);
    if (tokenizer_new(made.v, &t) != 0) abort();
}

/* The bytes of @ids must be @text, in which U+2581 has become a space. */
static void check_bytes(const uint32_t *ids, size_t n_ids, const char *text, size_t n)
{
    char piece[VOCAB_TEXT_MAX];
    size_t at = 0;

    for (size_t i = 0; i < n_ids; i++) {
        const size_t got = detokenizer_piece(made.v, ids[i], true, piece);
        for (size_t k = 0; k < got; k++) {
            if (n - at >= 3 && memcmp(text + at, VOCAB_SPACE, 3) == 0 && piece[k] == ' ')
                at += 3;
            else if (at == n || text[at++] != piece[k])
                abort();
        }
    }
    if (at != n) abort();
}

/* Decoded as a stream it must be valid text. */
static void check_stream(const uint32_t *ids, size_t n)
{
    struct detokenizer d = { 0 };
    char out[DETOKENIZER_OUT_MAX];

    for (size_t i = 0; i <= n; i++) {
        const size_t got =
            i < n ? detokenizer_push(&d, made.v, ids[i], false, out) : detokenizer_end(&d, out);
        if (!utf8_valid(out, got)) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!t) make();
    if (size == 0) return 0;
    const bool special = data[0] & 1, short_out = data[0] & 2;
    const size_t n = size - 1, max = short_out ? n / 2 : n;
    char *text = malloc(n ? n : 1);
    uint32_t *ids = malloc((max ? max : 1) * sizeof(*ids));
    size_t n_ids = 0;

    memcpy(text, data + 1, n);
    const int r = tokenizer_encode(t, text, n, special, ids, max, &n_ids);
    if (r < 0 || n_ids > n || (r == TOKENIZER_E_FULL) != (n_ids > max)) abort();
    if (r == 0) {
        check_bytes(ids, n_ids, text, n);
        check_stream(ids, n_ids);
    }
    for (size_t i = 0; i < n_ids && i < max; i++)
        if (ids[i] >= vocab_size(made.v) ||
            (!special && vocab_kind(made.v, ids[i]) == VOCAB_CONTROL))
            abort();
    free(text);
    free(ids);
    return 0;
}
