/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/token/call_mask.h: which tokens may stand next in a call: those whose bytes call_form.h takes. Of a large vocabulary
 * few are tried: where nearly all are possible, inside a text, the common ones are known beforehand; elsewhere those that begin with
 * a byte that may stand next.
 */
#pragma once
#include <stdint.h>
#include "engine/token/call_form.h"
#include "engine/token/vocab.h"

struct call_mask; /* what is known beforehand of a vocabulary */

/** call_mask_new() - for @v, which is borrowed. Return: 0 and @ret, owned; -ENOMEM. */
int call_mask_new(const struct vocab *v, struct call_mask **ret);
struct call_mask *call_mask_free(struct call_mask *m);

/** call_mask_words() - length of a mask: a bit for each token. */
size_t call_mask_words(const struct call_mask *m);

/** call_mask_fill() - set bit id % 64 of @out[id / 64] for each token that may follow @f, no other. At least one may: each byte is a token. */
void call_mask_fill(const struct call_mask *m, const struct call_form *f, uint64_t *out);

/** call_mask_push() - append the bytes of token @id. Return: false: they cannot follow; @f is then of no use. */
bool call_mask_push(const struct call_mask *m, struct call_form *f, uint32_t id);
