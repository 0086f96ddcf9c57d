/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/core/sched_state.h: what the files of sched share; nobody else includes it. */
#pragma once
#include "daemon/core/sched.h"

/* When to come again: less would be a busy loop of the client. */
enum { SCHED_RETRY_LEAST_MS = 100, SCHED_RETRY_MOST_MS = 60000 };

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

/** sched_state_prompt_left() - given tokens of @r that remain to be processed. */
static inline double sched_state_prompt_left(const struct sched_req *r)
{
    return sched_state_prefills(r) ? r->given_tokens - r->prefilled_tokens : 0;
}

/** sched_state_answer() - tokens that the answer of @r is taken to have, all in all. */
static inline uint32_t sched_state_answer(const struct sched_req *r)
{
    return r->output_likely ? r->output_likely : r->output_max;
}

/** sched_state_pace() - @given, a pace_prompt or pace_answer: 1 where it is unknown. */
static inline double sched_state_pace(double given)
{
    return given > 0 ? given : 1;
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

/** sched_state_budget() - most prompt tokens of a step that somebody waits for: @n_answers requests for the next token, or (0) others for its end. */
uint32_t sched_state_budget(const struct sched *s, size_t n_answers);

/** sched_state_cautious_ns() - sched_answers_ns(), or where it is not known yet the most that it can be; 0: nothing was measured. */
double sched_state_cautious_ns(const struct sched *s, double n);

/** sched_state_first() - does the promise of @a go before that of @b (of the same class)? */
static inline bool sched_state_first(const struct sched_req *a, const struct sched_req *b)
{
    if (a->due_ns == b->due_ns) return a->serial < b->serial;
    return a->due_ns > 0 && (b->due_ns == 0 || a->due_ns < b->due_ns);
}

/** sched_state_review() - which classes have promises without time to spare, for the plan that is made: s->tight. Who cannot be kept is given up. */
void sched_state_review(struct sched *s, uint64_t now_ns);

/**
 * sched_state_forecast() - when promises will be done if nothing else runs: done_ns and charge_ns of each, and of all requests of classes above
 * @class; only those of @class and above count. Steps are those that sched_plan() would make. O(requests * places).
 * @paused: also those whose clients do not read now. @without: this one does not count; NULL: all do.
 * Return: false: nothing was measured.
 */
bool sched_state_forecast(struct sched *s, enum sched_class class, bool paused,
                          const struct sched_req *without, uint64_t now_ns);
