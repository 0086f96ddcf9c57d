/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/token/special.h: finds the tokens that split a text before merging: control, unknown and user-defined
 * ones, "longest token first over the whole text". "</s>" counts as a control token.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "engine/token/vocab.h"

struct special; /* what to look for; immutable, for many threads */

/** special_new() - prepare for @v, which must outlive it. Return: 0 and @ret, owned; -ENOMEM. */
int special_new(const struct vocab *v, struct special **ret);

/** special_free() - NULL is fine. Return: NULL. */
struct special *special_free(struct special *s);

struct special_cut {
    uint32_t at, n, id; /* the token @id stands at text[at .. at + n) */
};

/* What special_find() works with and where it leaves its result; zeroed before the first call. */
struct special_scratch {
    struct special_cut *cuts; /* [n_cuts] in the order of the text */
    uint32_t *candidates;
    uint8_t *covered;
    size_t n_cuts, size_cuts, size_candidates, size_covered;
};

/** special_scratch_deinit() - free what @x holds; it is then as zeroed. */
void special_scratch_deinit(struct special_scratch *x);

/**
 * special_find() - the cuts of @text: [n], n < 2^32, into @x->cuts
 * As if for each special token, the longest first, every occurrence that overlaps no cut so far were cut out,
 * from left to right (the rule of the file format's reader; among tokens of one length it leaves the order open,
 * here the leftmost is first). @control: false looks for user-defined tokens only.
 * Return: 0, -ENOMEM.
 */
int special_find(const struct special *s, const char *text, size_t n, bool control,
                 struct special_scratch *x);
