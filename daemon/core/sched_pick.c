/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places are given out by a key: the virtual time of an app, plus a slice for each place that it has. With equal times
 * that is a round robin by weight; an app that is ahead by k slices gets k places less. A place changes hands when that lowers the
 * key by more than a slice: to change back, the times must have moved by two slices, so plans are stable.
 * The sum of the keys of all places taken falls with each such change, so the loop ends.
 *
 * A sequence makes one token a step, however much its app is owed. So an app whose requests all run can fall behind one with
 * many; that one is then cut to its first place until the other has caught up. To take the first, too, would
 * slow one app down and speed nobody up.
 *
 * Promises take places before all that, the earliest deadline first; that they take no more than their app's share
 * was seen to when they were made (sched_promise.c), and their apps pay for their time like others.
 */
#include "daemon/core/sched_pick.h"
#include <math.h>
#include "daemon/core/sched_state.h"

/* How far @a is ahead of @virtual time, in engine time of its own. */
static double lead_ns(const struct sched_pick *p, const struct sched_app *a, double vtime)
{
    return (a->vtime[p->class] - vtime) * a->weight;
}

/* ---- requests of an app ---- */

/* First those that hold pages, which are free again when they have ended; then by arrival. */
static void find_next(struct sched_pick *p, struct sched_app *app)
{
    app->next = NULL;
    LIST_EACH(r, &p->s->reqs, struct sched_req, node)
    {
        if (r->app != app || r->class != p->class || r->placed || r->evicted) continue;
        if (r->due_ns > 0) continue; /* it has what it can have already */
        if (!sched_state_runnable(p->s, r)) continue;
        if (!app->next) app->next = r;
        if (!sched_state_holds(r)) continue;
        app->next = r;
        return;
    }
}

static void lose_place(struct sched_pick *p, struct sched_req *r)
{
    r->placed = false;
    r->app->n_placed--;
    r->app->n_due -= r->due_ns > 0;
    p->n--;
}

/* The youngest request of @app that has a place and no promise loses it. */
static void displace(struct sched_pick *p, struct sched_app *app)
{
    struct sched_req *last = NULL;

    LIST_EACH(r, &p->s->reqs, struct sched_req, node)
    if (r->app == app && r->class == p->class && r->placed && r->due_ns == 0) last = r;
    lose_place(p, last);
    find_next(p, app);
}

/* ---- pages ---- */

/* What it takes to compute the KV of @r again. */
static double recompute_ns(const struct sched *s, const struct sched_req *r)
{
    const uint32_t given = r->prompt_tokens + r->output_tokens;

    return s->prefill_tok_ns * (sched_state_prefills(r) ? r->prefilled_tokens : given);
}

/* May @r take the pages of @victim? (No app is ahead of itself, so it keeps its own, but for a promise.) */
static bool may_evict(const struct sched_pick *p, const struct sched_req *victim,
                      const struct sched_req *r)
{
    if (!sched_state_holds(victim) || victim->class > r->class) return false;
    if (victim->class < r->class) return true;
    if (victim->due_ns > 0 || r->due_ns > 0) return victim->due_ns == 0;
    return lead_ns(p, victim->app, r->app->vtime[p->class]) >
           (double)SCHED_SLICE_NS + recompute_ns(p->s, victim);
}

/* @victim goes before @other: promised nothing, of the lower class, or the younger. */
static bool goes_first(const struct sched_req *victim, const struct sched_req *other)
{
    if (other && (victim->due_ns > 0) != (other->due_ns > 0)) return victim->due_ns == 0;
    if (!other || victim->class != other->class) return !other || victim->class < other->class;
    return victim->serial > other->serial;
}

static void evict(struct sched_pick *p, struct sched_req *r)
{
    if (r->placed && r->class == p->class) lose_place(p, r);
    sched_state_lose(p->s, r, SCHED_QUEUED);
    r->evicted = true;
    p->plan->evict[p->plan->n_evict++] = r;
    if (r->class == p->class) find_next(p, r->app);
}

/*
 * Evict until @lack pages are free: of all, or of the own app's lower classes if @own.
 * Return: false if the rules do not allow enough of it; nothing is evicted then.
 */
static bool free_pages(struct sched_pick *p, const struct sched_req *r, uint32_t lack, bool own)
{
    uint64_t most = 0;

    LIST_EACH(v, &p->s->reqs, struct sched_req, node)
    if (may_evict(p, v, r) && (!own || v->app == r->app)) most += v->pages_most;
    if (most < lack) return false;
    for (uint32_t got = 0; got < lack;) {
        struct sched_req *first = NULL;
        if (p->plan->n_evict == SCHED_PLAN_MAX) return false; /* the next plan goes on */
        LIST_EACH(v, &p->s->reqs, struct sched_req, node)
        if (may_evict(p, v, r) && (!own || v->app == r->app) && goes_first(v, first)) first = v;
        got += first->pages_most;
        evict(p, first);
    }
    return true;
}

static uint32_t lack_of(uint32_t committed, uint32_t need, uint32_t total)
{
    const uint64_t all = (uint64_t)committed + need;

    return all > total ? (uint32_t)(all - total) : 0;
}

/* Is there room for @r, or can it be made? */
static bool make_room(struct sched_pick *p, const struct sched_req *r)
{
    if (sched_state_holds(r)) return true;
    uint32_t lack =
        r->pages_quota ? lack_of(r->app->pages_committed, r->pages_most, r->pages_quota) : 0;
    if (lack > 0 && !free_pages(p, r, lack, true)) {
        r->app->stuck = true; /* until one of its own ends: that hinders nobody else */
        return false;
    }
    lack = lack_of(p->s->pages_committed, r->pages_most, p->s->pages_total);
    if (lack == 0 || free_pages(p, r, lack, false)) return true;
    p->full = true;
    return false;
}

/* ---- places ---- */

static void begin(struct sched_pick *p)
{
    LIST_EACH(app, &p->s->apps, struct sched_app, node)
    {
        app->n_placed = app->n_due = 0;
        app->active = app->stuck = false;
    }
    p->n = 0;
    LIST_EACH(r, &p->s->reqs, struct sched_req, node)
    {
        if (r->class != p->class) continue;
        r->tried = false;
        if (!sched_state_runnable(p->s, r)) { /* paused: others use its place meanwhile */
            r->placed = false;
            continue;
        }
        r->app->active = true;
        r->app->n_placed += r->placed;
        r->app->n_due += r->placed && r->due_ns > 0;
        p->n += r->placed;
    }
    bool any = false;
    LIST_EACH(app, &p->s->apps, struct sched_app, node)
    {
        if (!app->active) continue;
        /* Who works is never below the floor; who was paused is, and must not have saved that up. */
        app->vtime[p->class] = fmax(app->vtime[p->class], p->s->vtime_floor[p->class]);
        if (!any || app->vtime[p->class] < p->least) p->least = app->vtime[p->class];
        any = true;
        find_next(p, app);
    }
    if (any && p->least > p->s->vtime_floor[p->class]) p->s->vtime_floor[p->class] = p->least;
}

/* The app but @except whose last place has the highest key, less the slice that a change must bring; NULL: none has a place. */
static struct sched_app *richest(const struct sched_pick *p, const struct sched_app *except,
                                 double *ret_key)
{
    struct sched_app *found = NULL;

    LIST_EACH(app, &p->s->apps, struct sched_app, node)
    {
        if (app == except || !app->active || app->n_placed == app->n_due) continue;
        const double key = sched_state_key(app, p->class, (double)app->n_placed - 2);
        if (found && key <= *ret_key) continue;
        found = app;
        *ret_key = key;
    }
    return found;
}

/* The app that takes the next place; NULL: none can. */
static struct sched_app *poorest(const struct sched_pick *p)
{
    struct sched_app *found = NULL;
    double least = 0;

    LIST_EACH(app, &p->s->apps, struct sched_app, node)
    {
        if (!app->active || app->stuck || !app->next) continue;
        if (p->full && !sched_state_holds(app->next)) continue;
        /* Half a slice: who was cut to one place does not get the second back at once. */
        if (app->n_placed > 0 && lead_ns(p, app, p->least) > (double)SCHED_SLICE_NS / 2) continue;
        const double key = sched_state_key(app, p->class, app->n_placed);
        if (found && (key > least || (key == least && app->next->serial > found->next->serial)))
            continue;
        found = app;
        least = key;
    }
    return found;
}

/* Of those that have a place, the promise that is due last; NULL: none. */
static struct sched_req *last_promise(const struct sched_pick *p)
{
    struct sched_req *found = NULL;

    LIST_EACH(r, &p->s->reqs, struct sched_req, node)
    if (r->class == p->class && r->due_ns > 0 && r->placed &&
        (!found || sched_state_first(found, r)))
        found = r;
    return found;
}

static void shrink(struct sched_pick *p)
{
    double key = 0;

    LIST_EACH(app, &p->s->apps, struct sched_app, node)
    while (app->active && app->n_placed > 1 && app->n_placed > app->n_due &&
           lead_ns(p, app, p->least) > (double)SCHED_SLICE_NS)
        displace(p, app);
    while (p->n > p->limit) {
        struct sched_app *from = richest(p, NULL, &key);
        if (from)
            displace(p, from);
        else
            lose_place(p, last_promise(p));
    }
}

static void take_place(struct sched_pick *p, struct sched_req *r)
{
    r->placed = true;
    r->fresh = !sched_state_holds(r);
    if (r->fresh) sched_state_set(p->s, r, SCHED_PARKED);
    r->app->n_placed++;
    r->app->n_due += r->due_ns > 0;
    p->n++;
}

/* ---- promises ---- */

/* The promise that is due next of those without a place. */
static struct sched_req *next_promise(const struct sched_pick *p)
{
    struct sched_req *found = NULL;

    LIST_EACH(r, &p->s->reqs, struct sched_req, node)
    if (r->class == p->class && r->due_ns > 0 && !r->placed && !r->evicted && !r->tried &&
        sched_state_runnable(p->s, r) && (!found || sched_state_first(r, found)))
        found = r;
    return found;
}

/* Promises first. Return: one has a place. */
static bool place_promises(struct sched_pick *p)
{
    struct sched_req *r;
    double key = 0;

    while ((r = next_promise(p)) != NULL) {
        struct sched_app *from = p->n < p->limit ? NULL : richest(p, NULL, &key);
        struct sched_req *last = p->n < p->limit || from ? NULL : last_promise(p);
        r->tried = true;
        if (last && !sched_state_first(r, last)) break;
        if (!make_room(p, r)) continue;
        if (p->n >= p->limit && last) lose_place(p, last); /* unless one was evicted */
        if (p->n >= p->limit && from) displace(p, from);
        take_place(p, r);
    }
    return last_promise(p) != NULL;
}

static void clear_others(struct sched_pick *p)
{
    LIST_EACH(r, &p->s->reqs, struct sched_req, node)
    if (r->class == p->class && r->placed && r->due_ns == 0) lose_place(p, r);
}

void sched_pick(struct sched_pick *p)
{
    struct sched_app *app;
    double key = 0;

    begin(p);
    shrink(p);
    if (place_promises(p) && p->s->tight[p->class]) {
        clear_others(p);
        return;
    }
    while ((app = poorest(p)) != NULL) {
        struct sched_app *from = p->n < p->limit ? NULL : richest(p, app, &key);
        if (p->n >= p->limit && (!from || key <= sched_state_key(app, p->class, app->n_placed)))
            break;
        struct sched_req *r = app->next;
        if (!make_room(p, r)) continue;
        if (from && p->n >= p->limit) displace(p, from); /* unless one was evicted */
        take_place(p, r);
        find_next(p, app);
    }
}
