/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises. When one is made a quarter of the time until it is due is left in reserve: for lower classes' share, for rates that
 * change, for what the forecast leaves out. Others may run beside it until an eighth of its work is all that is left of the
 * reserve; then its class is tight. So a promise costs others nothing while there is time, and the engine is not idle.
 *
 * Requests without a promise cannot make one pass, but for those of a higher class: these have the right of way, as always.
 */
#include <math.h>
#include "daemon/core/sched.h"
#include "daemon/core/sched_state.h"

/* The longest step that can run when a promise has to wait for one. */
static double step_ns(const struct sched *s)
{
    const uint32_t n = s->n_reqs < s->config.running_max ? s->n_reqs : s->config.running_max;
    const double chunk = s->config.chunk_max * s->prefill_tok_ns,
                 answers = sched_state_cautious_ns(s, n),
                 mixed = fmax((double)s->config.step_target_ns, answers + 8 * s->prefill_tok_ns);

    return fmin(fmax(chunk, fmin(mixed, answers + chunk)),
                fmax((double)s->config.step_target_ns, s->longest_ns));
}

/* The step that runs now, and the one that the worker begins before it has the next plan. */
static double blocked_ns(const struct sched *s)
{
    return 2 * step_ns(s);
}

/* The lowest class that something is promised to; SCHED_CLASSES: none. */
static enum sched_class lowest_of(const struct sched *s)
{
    enum sched_class lowest = SCHED_CLASSES;

    LIST_EACH(r, &s->reqs, struct sched_req, node)
    if (r->due_ns > 0 && r->class < lowest) lowest = r->class;
    return lowest;
}

static bool promised(const struct sched_req *r, enum sched_class class)
{
    return r->due_ns > 0 && r->class == class;
}

/* ---- while a plan is made ---- */

/* After a forecast: is there a promise of the class without time to spare? */
static bool is_tight(const struct sched *s, enum sched_class class, double now_ns)
{
    /* Not loosened before it is worth a new plan. */
    const double least_ns = 3 * step_ns(s) + (s->tight[class] ? 2 * step_ns(s) : 0);

    LIST_EACH(r, &s->reqs, struct sched_req, node)
    {
        if (!promised(r, class) || !sched_state_runnable(s, r)) continue;
        if ((double)r->due_ns - r->done_ns < least_ns + (r->done_ns - now_ns) / 8) return true;
    }
    return false;
}

/* The first promise that will be late by more than a step: whoever comes after it shall not be late, too. */
static void give_up(struct sched *s, enum sched_class class)
{
    LIST_EACH(r, &s->reqs, struct sched_req, node)
    if (promised(r, class) && sched_state_runnable(s, r) &&
        r->done_ns > (double)r->due_ns + step_ns(s)) {
        r->due_ns = 0;
        return;
    }
}

void sched_state_review(struct sched *s, uint64_t now_ns)
{
    const enum sched_class lowest = lowest_of(s);
    const bool known =
        lowest < SCHED_CLASSES && sched_state_forecast(s, lowest, false, NULL, now_ns);

    for (int c = 0; c < SCHED_CLASSES; c++) {
        s->tight[c] = known && is_tight(s, (enum sched_class)c, (double)now_ns);
        if (known) give_up(s, (enum sched_class)c);
    }
}

/* ---- admission ---- */

/* What the class's share by weight allows: when @r's app may have used what it was promised until @r is due. After a forecast. */
static double share_ns(struct sched *s, const struct sched_req *r, double now_ns)
{
    double least = 0, all = 0, used_ns = 0;
    bool others = false;

    LIST_EACH(app, &s->apps, struct sched_app, node)
    app->active = false;
    LIST_EACH(q, &s->reqs, struct sched_req, node)
    {
        if (q->class != r->class) continue;
        if (!q->app->active) all += q->app->weight;
        q->app->active = true;
        if (q->app == r->app) {
            if (q->due_ns > 0 && !sched_state_first(r, q)) used_ns += q->charge_ns;
            continue;
        }
        /* One that comes back from idleness, and is not open yet, has not saved that up. */
        const double its = fmax(q->app->vtime[r->class], s->vtime_floor[r->class]);
        if (!others || its < least) least = its;
        others = true;
    }
    const double ahead_ns = (r->app->vtime[r->class] - least) * r->app->weight;
    if (!others) return now_ns;
    return now_ns + (fmax(ahead_ns, 0) + used_ns) * all / r->app->weight;
}

/* The pages of all promises are there at once, so that none makes another one lose what was computed. */
static bool pages_fit(const struct sched *s, const struct sched_req *r)
{
    uint64_t all = 0, own = 0;

    LIST_EACH(q, &s->reqs, struct sched_req, node)
    {
        const bool stays = q->paused && q->class > r->class && sched_state_holds(q);
        if (q->due_ns == 0 && !stays) continue;
        all += q->pages_most;
        if (q->app == r->app) own += q->pages_most;
    }
    return all <= s->pages_total && (r->pages_quota == 0 || own <= r->pages_quota);
}

/* Are all promises of @class and below kept that are done later than kept_ns? Not asked of @but. After a forecast. */
static bool all_kept(const struct sched *s, enum sched_class class, const struct sched_req *but,
                     double now_ns)
{
    LIST_EACH(q, &s->reqs, struct sched_req, node)
    {
        if (q == but || q->due_ns == 0 || q->class > class) continue;
        const double reserve_ns = blocked_ns(s) + (q->done_ns - now_ns) / 16;
        if (q->done_ns + reserve_ns > (double)q->due_ns && q->done_ns > q->kept_ns) return false;
    }
    return true;
}

static double with_reserve(const struct sched *s, double done_ns, double now_ns)
{
    return done_ns + (done_ns - now_ns) / 3 + blocked_ns(s);
}

/* Without all others. */
static double alone_ns(const struct sched *s, const struct sched_req *r)
{
    return sched_state_prompt_left(r) * s->prefill_tok_ns * sched_state_pace(r->pace_prompt) +
           sched_state_answer(r) * sched_state_cautious_ns(s, 1) * sched_state_pace(r->pace_answer);
}

static uint32_t ms_of(double ns)
{
    return (uint32_t)fmin(ceil(fmax(ns, 0) / 1e6), UINT32_MAX);
}

/* @r is refused: it would hurt nobody after all that was promised. */
static void say_when(struct sched *s, struct sched_req *r, double due_ns, double share,
                     double now_ns, struct sched_late *ret)
{
    const double window_ns = due_ns - (double)r->arrived_ns;
    const bool fits = pages_fit(s, r);
    double expected_ns = fmax(due_ns + 1e6, share);

    r->due_ns = UINT64_MAX;
    (void)sched_state_forecast(s, lowest_of(s), true, NULL, (uint64_t)now_ns);
    LIST_EACH(q, &s->reqs, struct sched_req, node)
    if (q->due_ns > 0 && (q == r || !fits))
        expected_ns = fmax(expected_ns, with_reserve(s, q->done_ns, now_ns));
    const bool never = with_reserve(s, alone_ns(s, r), 0) > window_ns;
    const double retry_ms =
        fmin(fmax((expected_ns - due_ns) / 1e6, SCHED_RETRY_LEAST_MS), SCHED_RETRY_MOST_MS);
    *ret = (struct sched_late){ .expected_ms = ms_of(expected_ns - (double)r->arrived_ns),
                                .retry_ms = never ? 0 : (uint32_t)retry_ms };
}

int sched_promise(struct sched *s, struct sched_req *r, uint64_t due_ns, uint64_t now_ns,
                  struct sched_late *ret)
{
    const double now = (double)now_ns, due = (double)due_ns;
    const bool any = lowest_of(s) < SCHED_CLASSES;

    if (any) (void)sched_state_forecast(s, lowest_of(s), true, r, now_ns);
    LIST_EACH(q, &s->reqs, struct sched_req, node)
    q->kept_ns = q->done_ns;
    r->due_ns = due_ns;
    if (!sched_state_forecast(s, lowest_of(s), true, NULL, now_ns)) { /* not measured */
        r->due_ns = 0;
        return 0;
    }
    const double share = share_ns(s, r, now);
    if (with_reserve(s, r->done_ns, now) <= due && share <= due && pages_fit(s, r) &&
        all_kept(s, r->class, r, now))
        return 0;
    say_when(s, r, due, share, now, ret);
    r->due_ns = 0;
    return SCHED_E_LATE;
}

bool sched_keeps(struct sched *s, struct sched_req *r, double pace, uint64_t now_ns)
{
    const double had = r->pace_answer;
    const enum sched_class lowest = lowest_of(s);

    if (lowest == SCHED_CLASSES) return true;
    r->pace_answer = pace;
    const bool known = sched_state_forecast(s, lowest, false, NULL, now_ns);
    r->pace_answer = had;
    LIST_EACH(q, &s->reqs, struct sched_req, node)
    q->kept_ns = 0;
    return !known || all_kept(s, r->class, NULL, (double)now_ns);
}
