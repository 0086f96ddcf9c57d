/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/core/levels.h: which row of the model's level table a request gets: what it asked, but no more than is allowed. */
#pragma once
#include <stddef.h>
#include "base/reason.h"

enum { LEVELS_E_UNKNOWN = 1 }; /* outcome: there is no such level (@why lists the names) */

struct levels_row {
    const char *name;
    double
        cost; /* share of the whole model's weights per token, (0, 1]; anything else counts as 1 */
};

/**
 * levels_pick() - the level of one request
 * @asked: "" and "auto" (what is best under @ceiling), "best" (the dearest row), "fast" (the cheapest), "balanced" (the one whose
 * cost is nearest the middle between the cheapest and the dearest), or the name of a row. Of rows that cost the same, the first.
 * These words come before rows of the same name.
 * @rows: [n], n >= 1 (asserted). @ceiling: as @asked; rows that cost more are not given, the dearest allowed one is instead. ""
 * and "auto": no ceiling. One that is unknown is none either: it was set for another model.
 * @why: also set with 0: why it is less than asked, "" if it is not.
 * Return: 0 and @ret_index, LEVELS_E_UNKNOWN (@asked; @why).
 */
int levels_pick(const char *asked, const struct levels_row *rows, size_t n, const char *ceiling,
                size_t *ret_index, struct reason *why);
