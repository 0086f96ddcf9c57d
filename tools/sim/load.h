/* SPDX-License-Identifier: Apache-2.0 */
/* tools/sim/load.h: when which app of a scenario asks, in virtual time. */
#pragma once
#include "bench/scenario.h"

/* One client of an app, or an app that asks by rate. */
struct load_source {
    uint64_t
        at_ns; /* of its next request; UINT64_MAX: none follows while one is in flight, or at all */
    uint32_t group, app; /* app: counted through all groups */
};

struct load {
    const struct scenario *scenario; /* borrowed */
    struct load_source *source;      /* [n] */
    uint32_t *heap;                  /* [n] sources, the next one first */
    uint32_t *place;                 /* [n] of a source in the heap */
    uint32_t *sent;                  /* [n_apps] requests so far */
    uint32_t n, n_apps;
    uint64_t random, from_ns;
};

enum { LOAD_SOURCES_MAX = 1 << 18, LOAD_E_REFUSED = 1 };

/** load_init() - @from_ns: when the scenario begins. Return: 0; LOAD_E_REFUSED (too many clients: @why); -ENOMEM. */
int load_init(struct load *l, const struct scenario *s, uint64_t seed, uint64_t from_ns,
              struct reason *why);
void load_deinit(struct load *l);

/** load_next() - the source that is next; NULL: none is left or all wait for an answer. */
const struct load_source *load_next(const struct load *l);
/** load_take() - its request is sent now: count it, and set when the next one by rate comes. */
void load_take(struct load *l, uint32_t source);
/** load_answered() - the request of a client ended at @now_ns: it thinks for a while, at least @least_ns, and asks again. */
void load_answered(struct load *l, uint32_t source, uint64_t now_ns, uint64_t least_ns);
/** load_draw() - an even draw from @range. */
uint32_t load_draw(struct load *l, struct scenario_range range);
