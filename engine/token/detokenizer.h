/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/token/detokenizer.h: tokens to text, as they come: whole UTF-8 characters only, so that a reader never
 * sees half of one. A value type: all zero is the beginning of a text.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "engine/token/utf8.h"
#include "engine/token/vocab.h"

struct detokenizer {
    char held[UTF8_MAX]; /* bytes of a character that is not complete yet */
    uint8_t n_held;      /* 0..3 */
};

enum { DETOKENIZER_OUT_MAX = VOCAB_TEXT_MAX + 16 }; /* a token and what was held back, as U+FFFD */

/**
 * detokenizer_push() - append token @id < vocab_size() to the text
 * @special: control and unknown tokens give their spelling, otherwise nothing.
 * @out: [DETOKENIZER_OUT_MAX] receives the bytes that became certain: whole characters; bytes that can no longer
 * become part of one are given out as U+FFFD, one for each maximal subpart (utf8.h).
 * Return: number of bytes written, 0 or more.
 */
size_t detokenizer_push(struct detokenizer *d, const struct vocab *v, uint32_t id, bool special,
                        char *out);

/**
 * detokenizer_end() - the text ends: what is held back is given out as U+FFFD
 * @out: [DETOKENIZER_OUT_MAX]. @d: begins a new text. Return: bytes written.
 */
size_t detokenizer_end(struct detokenizer *d, char *out);

/**
 * detokenizer_piece() - the bytes of one token as they are, not made whole: for exact round trips
 * @out: [VOCAB_TEXT_MAX]. Return: bytes written.
 */
size_t detokenizer_piece(const struct vocab *v, uint32_t id, bool special, char *out);
