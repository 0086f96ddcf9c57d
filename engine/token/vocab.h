/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/token/vocab.h: the vocabulary of a model: texts, merge scores and kinds of its tokens, read
 * from the `tokenizer.ggml.*` keys of its file. Immutable after vocab_load(); may be read by many threads.
 * tokenizer.h turns text into tokens, detokenizer.h tokens into text.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/reason.h"
#include "engine/format/gguf.h"

enum {
    VOCAB_TOKENS_MAX = 1 << 21,
    VOCAB_TEXT_MAX = 4096, /* bytes of a token */
    VOCAB_SPECIAL_MAX =
        256, /* bytes of a token that is looked for in texts (the longest published has 31) */
    VOCAB_STOPS_MAX = 16,
};
#define VOCAB_NONE  UINT32_MAX
#define VOCAB_SPACE "\xe2\x96\x81" /* U+2581, which stands for a space in normal tokens */

/* The numbers are those of the file format. */
enum vocab_kind {
    VOCAB_NORMAL = 1,
    VOCAB_UNKNOWN = 2,
    VOCAB_CONTROL = 3,
    VOCAB_USER = 4, /* splits the text before merging, wherever it stands */
    VOCAB_UNUSED = 5,
    VOCAB_BYTE = 6, /* "<0x41>": stands for one byte */
};

struct vocab;

/**
 * vocab_load() - read the vocabulary of @g, which must stay open as long as the vocabulary
 * The marks of turns, `<start_of_turn>` and `<end_of_turn>`, become control tokens whatever the file says, so
 * that no text of a user can spell them. Every byte must have a token, so that every text can be encoded.
 * Return: 0 and @ret, owned; GGUF_E_REFUSED (@why: a missing key, another tokenizer model than SentencePiece,
 * lengths that differ, an empty text, one that is not UTF-8 or occurs twice, an id out of range...); -ENOMEM.
 */
int vocab_load(const struct gguf *g, struct reason *why, struct vocab **ret);

/** vocab_free() - NULL is fine. Return: NULL. */
struct vocab *vocab_free(struct vocab *v);

/** vocab_size() - number of tokens in the list. */
uint32_t vocab_size(const struct vocab *v);
/** vocab_kind() - of token @id < vocab_size(). */
enum vocab_kind vocab_kind(const struct vocab *v, uint32_t id);
/** vocab_text() - the token's text as the file has it (normal tokens contain U+2581 for a space). */
struct gguf_string vocab_text(const struct vocab *v, uint32_t id);
/** vocab_score() - what the merge that makes this token is worth: higher comes first. Never NaN. */
float vocab_score(const struct vocab *v, uint32_t id);
/** vocab_find() - the token whose text is exactly these bytes, any kind. Return: VOCAB_NONE if there is none. */
uint32_t vocab_find(const struct vocab *v, const char *bytes, size_t n);
/** vocab_find_piece() - as vocab_find(), but only what merging may make: normal and user-defined tokens. */
uint32_t vocab_find_piece(const struct vocab *v, const char *bytes, size_t n);
/** vocab_byte() - the token for @byte where no piece covers it: its byte token, else the one-byte piece. */
uint32_t vocab_byte(const struct vocab *v, uint8_t byte);
/** vocab_byte_value() - the byte that token @id of kind VOCAB_BYTE stands for. */
uint8_t vocab_byte_value(const struct vocab *v, uint32_t id);

uint32_t vocab_bos(const struct vocab *v); /* VOCAB_NONE if the model has none */
uint32_t vocab_eos(const struct vocab *v); /* VOCAB_NONE if the model has none */
/** vocab_add_bos() - whether a text begins with vocab_bos(). */
bool vocab_add_bos(const struct vocab *v);
/** vocab_is_stop() - true for tokens that end an answer: eos, eot, <eos>, <end_of_turn>, and eos_token_ids. */
bool vocab_is_stop(const struct vocab *v, uint32_t id);
