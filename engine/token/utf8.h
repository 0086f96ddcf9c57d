/* SPDX-License-Identifier: Apache-2.0 */
/* engine/token/utf8.h: where the characters of bytes that should be UTF-8 begin and end. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum utf8_found {
    UTF8_CHARACTER, /* a whole, valid character */
    UTF8_INVALID,   /* bytes that no character begins with */
    UTF8_CUT,       /* all bytes, and they are the beginning of a character */
};

enum { UTF8_MAX = 4 }; /* bytes of the longest character */

/**
 * utf8_next() - what @bytes: [n > 0] begin with
 * Well-formed is what table 3-7 of the Unicode standard lists (no surrogates, nothing overlong, nothing
 * above U+10FFFF). Invalid bytes come in maximal subparts (Unicode standard, section 3.9), each of which is
 * to be replaced by one U+FFFD.
 * @ret_n: bytes of the character, of the invalid part, or n. Return: which of them it is.
 */
enum utf8_found utf8_next(const char *bytes, size_t n, size_t *ret_n);

/** utf8_valid() - true if @bytes: [n] are whole characters and nothing else. */
bool utf8_valid(const char *bytes, size_t n);
