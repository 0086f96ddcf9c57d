/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/core/levels.h"
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

double levels_cost(const struct levels_row *row)
{
    return row->cost > 0 && row->cost <= 1 ? row->cost : 1;
}

/* The row whose cost is nearest @target and at most @most; SIZE_MAX if there is none. */
static size_t nearest(const struct levels_row *rows, size_t n, double target, double most)
{
    size_t best = SIZE_MAX;
    double least = 0;

    for (size_t i = 0; i < n; i++) {
        const double c = levels_cost(&rows[i]), d = c < target ? target - c : c - target;
        if (c > most || (best != SIZE_MAX && d >= least)) continue;
        best = i;
        least = d;
    }
    return best;
}

size_t levels_find(const struct levels_row *rows, size_t n, const char *name)
{
    size_t i = 0;

    while (i < n && strcmp(name, rows[i].name) != 0)
        i++;
    return i < n ? i : SIZE_MAX;
}

/* The row that @name means; SIZE_MAX if none. */
static size_t meant(const char *name, const struct levels_row *rows, size_t n)
{
    const size_t dearest = nearest(rows, n, 1, 1), cheapest = nearest(rows, n, 0, 1);

    if (name[0] == 0 || strcmp(name, "auto") == 0 || strcmp(name, "best") == 0) return dearest;
    if (strcmp(name, "fast") == 0) return cheapest;
    if (strcmp(name, "balanced") == 0)
        return nearest(rows, n, (levels_cost(&rows[cheapest]) + levels_cost(&rows[dearest])) / 2,
                       1);
    return levels_find(rows, n, name);
}

static void say_names(const char *asked, const struct levels_row *rows, size_t n,
                      struct reason *why)
{
    char names[sizeof(why->text)];
    size_t used = 0;

    names[0] = 0;
    for (size_t i = 0; i < n && used < sizeof(names); i++)
        used += (size_t)snprintf(names + used, sizeof(names) - used, ", %s", rows[i].name);
    reason_set(why, "there is no level \"%.32s\"; there are auto, fast, balanced, best%s", asked,
               names);
}

int levels_pick(const char *asked, const struct levels_row *rows, size_t n, const char *ceiling,
                size_t *ret_index, struct reason *why)
{
    assert(n >= 1);
    size_t i = meant(asked, rows, n);
    const size_t top = meant(ceiling, rows, n);

    if (i == SIZE_MAX) {
        say_names(asked, rows, n, why);
        return LEVELS_E_UNKNOWN;
    }
    reason_set(why, "%s", "");
    if (top != SIZE_MAX && levels_cost(&rows[i]) > levels_cost(&rows[top])) {
        i = nearest(rows, n, 1, levels_cost(&rows[top]));
        reason_set(why, "an administrator allows no more than %s", rows[top].name);
    }
    *ret_index = i;
    return 0;
}

size_t levels_under(const struct levels_row *rows, size_t n, size_t i, double share)
{
    const double least = levels_cost(&rows[nearest(rows, n, 0, 1)]),
                 most = levels_cost(&rows[nearest(rows, n, 1, 1)]),
                 bound = least + share * (most - least) + 1e-6; /* costs are f32 on their way */

    return levels_cost(&rows[i]) <= bound ? i : nearest(rows, n, 1, bound);
}

double levels_time_ns(const struct levels_row *row, const struct levels_pace *pace,
                      const struct levels_work *work)
{
    if (!(pace->prefill_tok_ns > 0 && pace->decode_step_ns > 0 && pace->cost > 0)) return 0;
    return work->wait_ns + levels_cost(row) / pace->cost *
                               (work->prefill_tokens * pace->prefill_tok_ns +
                                work->decode_tokens * pace->decode_step_ns);
}

size_t levels_in_time(const struct levels_row *rows, size_t n, size_t top, size_t now,
                      const struct levels_pace *pace, const struct levels_work *work)
{
    size_t best = SIZE_MAX;

    if (!(levels_time_ns(&rows[top], pace, work) > 0)) return top;
    for (size_t i = 0; i < n; i++) {
        const double reserve = levels_cost(&rows[i]) > levels_cost(&rows[now]) ? 1.5 : 1;
        if (levels_cost(&rows[i]) > levels_cost(&rows[top])) continue;
        if (levels_time_ns(&rows[i], pace, work) * reserve > work->left_ns) continue;
        const double more = best == SIZE_MAX ? 1 : levels_cost(&rows[i]) - levels_cost(&rows[best]);
        if (more > 0 || (i == top && more >= 0)) best = i; /* of equals the one that is wanted */
    }
    return best != SIZE_MAX ? best : nearest(rows, n, 0, 1);
}
