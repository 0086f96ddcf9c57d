/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/core/levels.h: which row of the model's level table a request gets: what it asked, but no more than is allowed. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/reason.h"

enum { LEVELS_E_UNKNOWN = 1 }; /* outcome: there is no such level (@why lists the names) */

struct levels_row {
    const char *name;
    double
        cost; /* share of the whole model's weights per token, (0, 1]; anything else counts as 1 */
};

/** levels_cost() - cost of a row, 1 if what it has is none. */
double levels_cost(const struct levels_row *row);
/** levels_find() - the row with this very name (no word like "best" is one). Return: its index, SIZE_MAX: none. */
size_t levels_find(const struct levels_row *rows, size_t n, const char *name);

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

/**
 * levels_under() - row @i, or the dearest one that costs less and is within a share of the way from the cheapest to the dearest
 * @share: 0: only the cheapest, 1: all. Return: an index; why it is less is the caller's to say.
 */
size_t levels_under(const struct levels_row *rows, size_t n, size_t i, double share);

struct levels_pace { /* what was measured; 0: unknown */
    double prefill_tok_ns, decode_step_ns;
    double cost; /* of the levels that ran then */
};

struct levels_work { /* what is left of a request */
    double wait_ns;  /* until it begins */
    uint32_t prefill_tokens, decode_tokens;
    double left_ns; /* until its deadline; < 0: it is over */
};

/** levels_time_ns() - how long @work takes at @row: times are taken to grow with the cost. 0: unknown. */
double levels_time_ns(const struct levels_row *row, const struct levels_pace *pace,
                      const struct levels_work *work);

/**
 * levels_in_time() - the dearest row that costs no more than row @top and lets the request meet its deadline
 * @now: the row that it has: a dearer one is given only if it leaves a third of the time as a reserve, so that it does not go to and fro.
 * Return: an index: the cheapest row if none is in time, @top if nothing was measured.
 */
size_t levels_in_time(const struct levels_row *rows, size_t n, size_t top, size_t now,
                      const struct levels_pace *pace, const struct levels_work *work);
