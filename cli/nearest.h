/* SPDX-License-Identifier: Apache-2.0 */
/* cli/nearest.h: what a mistyped word was probably meant to be. */
#pragma once
#include <stddef.h>

enum { NEAREST_WORD_MAX = 64 }; /* longer words are nobody's typing mistake */

/**
 * nearest_distance() - insertions, deletions, substitutions and swaps of neighbours that make @b of @a
 * Formula: optimal string alignment distance (Damerau, CACM 7(3), 1964, without overlapping edits).
 * Return: the number; NEAREST_WORD_MAX if one of the words is that long or longer.
 */
size_t nearest_distance(const char *a, const char *b);

/**
 * nearest_of() - the one of @names: [n] that @word was probably meant to be
 * A name qualifies when @word begins it (two letters at least), or when at most a third of the letters of the longer
 * word differ, and in any case one. Return: it, borrowed; NULL: none is near, or @word is empty.
 */
const char *nearest_of(const char *word, const char *const *names, size_t n);
