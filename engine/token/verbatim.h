/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/token/verbatim.h: pieces of texts, byte by byte: which byte may stand next in a piece that stands in a text word for word.
 * What may follow is found among all ends of the texts, sorted: each byte of a piece leaves a shorter range of them.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    VERBATIM_SORTED = 256
}; /* bytes of a piece up to which it may go on as at each of its places; then as at that one of them that stands first in the texts */

struct verbatim; /* texts; immutable */

/**
 * verbatim_new() - of @text: [n], with a zero byte between two texts, over which no piece goes
 * The texts are copied as they stand in a JSON string: quotation marks, backslashes and \b \f \n \r \t are escaped. Other control
 * characters and what is no UTF-8 end a text as well. Time: n log n comparisons of at most VERBATIM_SORTED bytes.
 * Return: 0 and @ret, owned; -ENOMEM.
 */
int verbatim_new(const char *text, size_t n, struct verbatim **ret);
struct verbatim *verbatim_free(struct verbatim *v);

/** verbatim_count() - places where a piece may begin: the range of the empty piece is [0, count). */
size_t verbatim_count(const struct verbatim *v);

/**
 * verbatim_push() - append @byte to a piece that has @n bytes and the range [*low, *high)
 * Return: false: it stands nowhere; the range is then of no use.
 */
bool verbatim_push(const struct verbatim *v, size_t *low, size_t *high, size_t n, uint8_t byte);
