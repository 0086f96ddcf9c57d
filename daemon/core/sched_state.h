/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/core/sched_state.h: what the files of sched share; nobody else includes it. */
#pragma once
#include "daemon/core/sched.h"

/** sched_state_set() - change the state of @r and all counts that follow from it; it is in the queue. */
void sched_state_set(struct sched *s, struct sched_req *r, enum sched_state state);

/** sched_state_lose() - the KV of @r is gone: @state is SCHED_QUEUED or SCHED_OPENING. */
void sched_state_lose(struct sched *s, struct sched_req *r, enum sched_state state);

/** sched_state_holds() - true if @r holds pages, or may: a step that runs now may take them. */
static inline bool sched_state_holds(const struct sched_req *r)
{
    return r->state == SCHED_RUNNING || r->state == SCHED_PARKED;
}

/** sched_state_prefills() - true if given tokens of @r remain to be processed. */
static inline bool sched_state_prefills(const struct sched_req *r)
{
    return r->prefilled_tokens < r->given_tokens;
}

/** sched_state_runnable() - true if a plan may have @r: its length is known, it can fit at all, and it is not paused. */
static inline bool sched_state_runnable(const struct sched *s, const struct sched_req *r)
{
    return r->state != SCHED_OPENING && !r->paused && r->pages_most <= s->pages_total &&
           (r->pages_quota == 0 || r->pages_most <= r->pages_quota);
}

/** sched_state_key() - what decides who gets a place: the virtual time of @app, as if each of @n places were a slice used up. */
static inline double sched_state_key(const struct sched_app *app, enum sched_class class, double n)
{
    return app->vtime[class] + n * (double)SCHED_SLICE_NS / app->weight;
}
