/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/token/vocab.h: the vocabulary of a model: texts, merge scores and kinds of its tokens, read
 * from the `tokenizer.ggml.*` keys of its file. Immutable after vocab_load().
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/reason.h"
#include "engine/format/gguf.h"

enum { VOCAB_TOKENS_MAX = 1 << 21, VOCAB_TEXT_MAX = 4096, VOCAB_STOPS_MAX = 16 };
#define VOCAB_NONE UINT32_MAX

/* The numbers are those of the file format. */
enum vocab_kind {
    VOCAB_NORMAL = 1,
    VOCAB_UNKNOWN = 2,
    VOCAB_CONTROL = 3,
    VOCAB_USER = 4, /* splits the text before merging, wherever it stands */
    VOCAB_UNUSED = 5,
    VOCAB_BYTE = 6,
};

struct vocab;

/**
 * vocab_load() - read the vocabulary of @g, which must stay open as long as the vocabulary
 * Return: 0 and @ret, owned; GGUF_E_REFUSED (@why: a missing key, another tokenizer model than
 * SentencePiece, lengths that differ, a text that occurs twice, an id out of range...); -ENOMEM.
 */
int vocab_load(const struct gguf *g, struct reason *why, struct vocab **ret);
struct vocab *vocab_free(struct vocab *v);

/** vocab_size() - number of tokens in the list. */
uint32_t vocab_size(const struct vocab *v);
/** vocab_kind() - of token @id < vocab_size(). */
enum vocab_kind vocab_kind(const struct vocab *v, uint32_t id);
/** vocab_text() - the token's text as the file has it (normal tokens contain U+2581 for a space). */
struct gguf_string vocab_text(const struct vocab *v, uint32_t id);
/** vocab_find() - the token whose text is exactly these bytes, any kind. Return: VOCAB_NONE if there is none. */
uint32_t vocab_find(const struct vocab *v, const char *bytes, size_t n);

uint32_t vocab_bos(const struct vocab *v); /* VOCAB_NONE if the model has none */
uint32_t vocab_eos(const struct vocab *v);
bool vocab_add_bos(const struct vocab *v);
/** vocab_is_stop() - true for tokens that end an answer: eos, eot, <end_of_turn>, and those of eos_token_ids. */
bool vocab_is_stop(const struct vocab *v, uint32_t id);

struct vocab_encoder; /* scratch memory for encoding: one per thread */

int vocab_encoder_new(const struct vocab *v, struct vocab_encoder **ret);
struct vocab_encoder *vocab_encoder_free(struct vocab_encoder *e);

enum { VOCAB_E_FULL = 2 }; /* outcome: the text has more tokens than asked for */

/**
 * vocab_encode() - the tokens of a text, without bos
 * @text: [n] any bytes; invalid UTF-8 and zero bytes become byte tokens.
 * @special: control tokens that are spelled in the text become those tokens. With false, no text can make one.
 * @out: [max]. @ret_n: how many. Algorithm: SentencePiece BPE by score, as the file format's reader defines it
 * (longest special tokens cut first, then the best-scored adjacent pair is merged, leftmost first).
 * Time O(n log n). Return: 0; VOCAB_E_FULL (@ret_n then has the number that would be needed); -ENOMEM.
 */
int vocab_encode(struct vocab_encoder *e, const char *text, size_t n, bool special, uint32_t *out,
                 size_t max, size_t *ret_n);

/* Streaming detokenizer: gives out whole UTF-8 characters only. A value type. */
struct vocab_decoder {
    unsigned char held[4]; /* bytes of a character that is not complete yet */
    unsigned n_held;
};

enum { VOCAB_PIECE_MAX = VOCAB_TEXT_MAX + 16 };

/**
 * vocab_decode() - append one token to the text
 * @out: [VOCAB_PIECE_MAX] receives the bytes that became certain: whole characters; a byte that can
 * never become part of one is given out as U+FFFD. @special: control tokens give their spelling, otherwise nothing.
 * Return: number of bytes written, 0 or more.
 */
size_t vocab_decode(const struct vocab *v, struct vocab_decoder *d, uint32_t id, bool special,
                    char *out);

/** vocab_decode_end() - the text ends: what is held back is given out as U+FFFD. @out: [16]. Return: bytes written. */
size_t vocab_decode_end(struct vocab_decoder *d, char *out);

/** vocab_piece() - the raw bytes of one token, not made whole: for exact round trips. @out: [VOCAB_PIECE_MAX]. Return: bytes. */
size_t vocab_piece(const struct vocab *v, uint32_t id, bool special, char *out);
