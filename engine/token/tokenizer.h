/* SPDX-License-Identifier: Apache-2.0 */
/* engine/token/tokenizer.h: text to tokens, SentencePiece BPE as GGUF files store it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "engine/token/vocab.h"

enum {
    TOKENIZER_TEXT_MAX = 1 << 20, /* bytes of a text; encoding takes 50 times that for a moment */
};

enum {
    TOKENIZER_E_FULL = 1, /* outcome: the text has more tokens than asked for */
    TOKENIZER_E_LONG = 2, /* outcome: the text has more than TOKENIZER_TEXT_MAX bytes */
};

struct tokenizer; /* scratch memory beside a vocabulary: one per thread */

/** tokenizer_new() - for @v, which must outlive it. Return: 0 and @ret, owned; -ENOMEM. */
int tokenizer_new(const struct vocab *v, struct tokenizer **ret);

/** tokenizer_free() - NULL is fine. Return: NULL. */
struct tokenizer *tokenizer_free(struct tokenizer *t);

/** tokenizer_vocab() - the vocabulary it was made for. */
const struct vocab *tokenizer_vocab(const struct tokenizer *t);

/**
 * tokenizer_encode() - the tokens of a text, without bos
 * @text: [n] any bytes; what is in no token (invalid UTF-8, zero bytes) becomes byte tokens, so that the tokens
 * give the same bytes again (but U+2581, which becomes a space).
 * @special: control tokens that are spelled in the text become those tokens. With false, no text can make one.
 * @out: [max]. @ret_n: how many tokens the text has.
 * Algorithm: special.h; then spaces become U+2581 and each piece between the cuts begins as single characters, of
 * which the adjacent pair whose merged text has the best score is merged, the leftmost of equals first, until no
 * merged text is a normal or user-defined token; what is then no token becomes its bytes. Time O(n log n).
 * Source: SentencePiece (Kudo and Richardson 2018), BPE model; the GGUF reader of llama.cpp.
 * Return: 0; TOKENIZER_E_FULL (@ret_n is set, @out has the first max); TOKENIZER_E_LONG; -ENOMEM.
 */
int tokenizer_encode(struct tokenizer *t, const char *text, size_t n, bool special, uint32_t *out,
                     size_t max, size_t *ret_n);
