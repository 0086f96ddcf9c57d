/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/core/sched_pick.h: who of one class has a place. A part of sched; nobody else includes it. */
#pragma once
#include "daemon/core/sched.h"

struct sched_pick {
    struct sched *s;
    struct sched_plan *plan; /* receives the evicted */
    enum sched_class class;
    size_t limit, n; /* places: most, taken */
    double least;    /* smallest virtual time of an app with work */
    bool full;       /* somebody waits for pages: nobody else may take new ones */
};

/**
 * sched_pick() - give out the places of p->class: r->placed of its requests
 * Who has a place keeps it but for fairness and a smaller limit; the next one goes to the app with the smallest
 * virtual time whose request fits the pool, evicting where the rules allow it. O(places * (apps + requests)).
 * @p: s, plan, class, limit and full are given; full is left for the next lower class.
 */
void sched_pick(struct sched_pick *p);
