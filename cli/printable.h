/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/printable.h: text that came from a model or from other programs, made harmless for a terminal. Escape sequences
 * begin with a control character (C0: U+0000..U+001F and U+007F, C1: U+0080..U+009F), so these are what is replaced.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { PRINTABLE_MAX = 4 }; /* bytes that one step writes at most */

/**
 * printable_utf8() - the character at the start of @text: [n], n >= 1
 * Source: RFC 3629; overlong forms, surrogates and values above U+10FFFF are invalid.
 * Return: its bytes (1..4) and @ret; 0: what is there is not valid UTF-8.
 */
size_t printable_utf8(const char *text, size_t n, uint32_t *ret);

/**
 * printable_step() - the harmless form of the character at the start of @text: [n], n >= 1
 * C0 becomes caret notation ("^[" for escape), C1 and invalid bytes become U+FFFD.
 * @keep_lines: line feed and tab stay. @out: [PRINTABLE_MAX] receives it, not terminated. @ret_n_out: its bytes.
 * Return: bytes of @text used, >= 1.
 */
size_t printable_step(const char *text, size_t n, bool keep_lines, char *out, size_t *ret_n_out);

/** printable_copy() - @text (one line: nothing is kept) to @out: [size], cut at a character if it is too long. Return: @out. */
char *printable_copy(char *out, size_t size, const char *text);

/** printable_write() - @text: [n] to @f, line feeds and tabs kept. */
void printable_write(FILE *f, const char *text, size_t n);
