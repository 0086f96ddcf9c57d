/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/core/value.h: the values of hearthd.conf: numbers, sizes, yes or no; and which word somebody may have meant. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/reason.h"

enum { VALUE_WORD_MAX = 48 }; /* bytes of a word that value_nearest() looks at */
enum { VALUE_E_INVALID = 1 }; /* outcome: the text is no such value (@why says which ones are) */

/** value_number() - a decimal number without sign. @name: of the setting, for @why. Return: 0 and @ret, VALUE_E_INVALID (also if not in @min..@max). */
int value_number(const char *name, const char *text, uint64_t min, uint64_t max, struct reason *why,
                 uint64_t *ret);

/** value_size() - a number of bytes, with K, M, G or T for 2^10, 2^20, 2^30, 2^40. Return: 0 and @ret, VALUE_E_INVALID (also if not in @min..@max). */
int value_size(const char *name, const char *text, uint64_t min, uint64_t max, struct reason *why,
               uint64_t *ret);

/** value_bool() - yes, true, on, 1; no, false, off, 0; in small or capital letters. Return: 0 and @ret, VALUE_E_INVALID. */
int value_bool(const char *name, const char *text, struct reason *why, bool *ret);

/**
 * value_nearest() - the word that was meant by @word
 * Distance: Levenshtein's (insert, delete, replace: 1 each); a word is near when it is at most a third of its letters
 * away, at least 1. @words: ends with NULL. Return: the nearest of @words, the first of equals; NULL if none is near.
 */
const char *value_nearest(const char *word, const char *const *words);
