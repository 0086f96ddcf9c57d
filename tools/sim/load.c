/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sim/load.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include "base/err.h"

/* ---- chance ---- */

static uint64_t next_random(struct load *l)
{
    l->random ^= l->random << 13; /* xorshift64: Marsaglia 2003 */
    l->random ^= l->random >> 7;
    l->random ^= l->random << 17;
    return l->random;
}

/* In (0, 1]. */
static double even(struct load *l)
{
    return (double)((next_random(l) >> 11) + 1) * 0x1p-53;
}

/* Times between independent events are exponentially distributed. */
static uint64_t apart_ns(struct load *l, double mean_s)
{
    return (uint64_t)fmin(-log(even(l)) * mean_s * 1e9, 1e18);
}

uint32_t load_draw(struct load *l, struct scenario_range range)
{
    return range.least + (uint32_t)(next_random(l) % ((uint64_t)range.most - range.least + 1));
}

/* ---- a binary heap, the smallest time first ---- */

static bool before(const struct load *l, uint32_t a, uint32_t b)
{
    const uint64_t x = l->source[a].at_ns, y = l->source[b].at_ns;

    return x != y ? x < y : a < b;
}

static void put(struct load *l, uint32_t at, uint32_t source)
{
    l->heap[at] = source;
    l->place[source] = at;
}

static void settle(struct load *l, uint32_t source)
{
    uint32_t at = l->place[source];

    for (; at > 0 && before(l, source, l->heap[(at - 1) / 2]); at = (at - 1) / 2)
        put(l, at, l->heap[(at - 1) / 2]);
    for (uint32_t next; (next = 2 * at + 1) < l->n; at = next) {
        if (next + 1 < l->n && before(l, l->heap[next + 1], l->heap[next])) next++;
        if (!before(l, l->heap[next], source)) break;
        put(l, at, l->heap[next]);
    }
    put(l, at, source);
}

/* ---- sources ---- */

static uint64_t end_of(const struct load *l, const struct scenario_group *g)
{
    const double whole_s = l->scenario->seconds;
    const double end_s = g->duration_s > 0 ? fmin(g->start_s + g->duration_s, whole_s) : whole_s;

    return l->from_ns + (uint64_t)(end_s * 1e9);
}

/* @at_ns is when @source would ask again. */
static void schedule(struct load *l, uint32_t source, uint64_t at_ns)
{
    struct load_source *q = &l->source[source];
    const struct scenario_group *g = &l->scenario->group[q->group];
    const bool over = g->requests > 0 && l->sent[q->app] >= g->requests;

    q->at_ns = over || at_ns >= end_of(l, g) ? UINT64_MAX : at_ns;
    settle(l, source);
}

const struct load_source *load_next(const struct load *l)
{
    const struct load_source *q = l->n > 0 ? &l->source[l->heap[0]] : NULL;

    return q && q->at_ns != UINT64_MAX ? q : NULL;
}

void load_take(struct load *l, uint32_t source)
{
    const struct load_source *q = &l->source[source];
    const struct scenario_group *g = &l->scenario->group[q->group];

    l->sent[q->app]++;
    schedule(l, source, g->rate > 0 ? q->at_ns + apart_ns(l, 1 / g->rate) : UINT64_MAX);
}

void load_answered(struct load *l, uint32_t source, uint64_t now_ns, uint64_t least_ns)
{
    const struct scenario_group *g = &l->scenario->group[l->source[source].group];
    const uint64_t think_ns = g->think_s > 0 ? apart_ns(l, g->think_s) : 0;

    if (g->rate > 0) return;
    schedule(l, source, now_ns + (think_ns > least_ns ? think_ns : least_ns));
}

static void add_group(struct load *l, uint32_t group)
{
    const struct scenario_group *g = &l->scenario->group[group];
    const uint64_t start_ns = l->from_ns + (uint64_t)(g->start_s * 1e9);

    for (uint32_t a = 0; a < g->apps; a++, l->n_apps++)
        for (uint32_t c = 0; c < (g->rate > 0 ? 1 : g->clients); c++) {
            const uint32_t i = l->n++;
            l->source[i] = (struct load_source){ UINT64_MAX, group, l->n_apps };
            put(l, i, i);
            const double mean_s = g->rate > 0 ? 1 / g->rate : g->think_s;
            schedule(l, i, start_ns + (mean_s > 0 ? apart_ns(l, mean_s) : 0));
        }
}

int load_init(struct load *l, const struct scenario *s, uint64_t seed, uint64_t from_ns,
              struct reason *why)
{
    uint64_t n = 0, n_apps = 0;

    *l = (struct load){ .scenario = s,
                        .random = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15),
                        .from_ns = from_ns };
    for (size_t i = 0; i < s->n_groups; i++) {
        const struct scenario_group *g = &s->group[i];
        n_apps += g->apps;
        n += (uint64_t)g->apps * (g->rate > 0 ? 1 : g->clients);
    }
    if (n > LOAD_SOURCES_MAX) {
        reason_set(why, "its groups have %llu clients, the simulator takes %d",
                   (unsigned long long)n, LOAD_SOURCES_MAX);
        return LOAD_E_REFUSED;
    }
    l->source = calloc(n, sizeof(*l->source));
    l->heap = calloc(n, sizeof(*l->heap));
    l->place = calloc(n, sizeof(*l->place));
    l->sent = calloc(n_apps, sizeof(*l->sent));
    if (!l->source || !l->heap || !l->place || !l->sent) {
        load_deinit(l);
        return err_raise(-ENOMEM);
    }
    if (l->random == 0) l->random = 1;
    for (uint32_t i = 0; i < s->n_groups; i++)
        add_group(l, i);
    return 0;
}

void load_deinit(struct load *l)
{
    free(l->source);
    free(l->heap);
    free(l->place);
    free(l->sent);
    *l = (struct load){ 0 };
}
