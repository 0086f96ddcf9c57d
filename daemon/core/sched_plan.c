/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan: the places of the highest class that has work, one request of each lower class that is being paid, and prompt
 * tokens for them.
 *
 * Why the share of a lower class is at least SCHED_SHARE_PERCENT less a constant: sched_charge() adds that percentage of each step
 * to the debt and takes off what the class got. A plan pays only in a way that gives it a larger part of
 * the step (PAY_LEAST), or the whole step; so the debt falls while it is paid, and never grows much beyond the cost of
 * the step at which payment begins.
 */
#include <math.h>
#include "daemon/core/sched.h"
#include "daemon/core/sched_pick.h"
#include "daemon/core/sched_state.h"

enum {
    PREFILL_LEAST = 8, /* tokens of a step: a prompt goes on, however long the step is */
    MAKES_UP = 4, /* part of a chunk for the step after an abandoned one, which is not abandoned */
};
#define PAY_LEAST                                                                                  \
    (1.0 / 12) /* of a step; more than SCHED_SHARE_PERCENT, with room for wrong estimates */

struct draft {
    struct sched_req
        *req[SCHED_PLAN_MAX]; /* the highest class by order, then those that are paid */
    uint32_t tokens[SCHED_PLAN_MAX];
    size_t n, n_top;
};

/* ---- who ---- */

static bool before(const struct sched_req *a, const struct sched_req *b)
{
    const double va = a->app->vtime[a->class], vb = b->app->vtime[b->class];

    if (a->due_ns > 0 || b->due_ns > 0) return sched_state_first(a, b);
    return va != vb ? va < vb : a->serial < b->serial;
}

/* Those of the class that have a place: promises by deadline, then by virtual time of their app and arrival. */
static void take_placed(const struct sched *s, enum sched_class class, struct draft *d)
{
    LIST_EACH(r, &s->reqs, struct sched_req, node)
    {
        if (!r->placed || r->class != class || !sched_state_runnable(s, r)) continue;
        size_t i = d->n++;
        for (; i > 0 && d->req[i - 1]->class == class && before(r, d->req[i - 1]); i--)
            d->req[i] = d->req[i - 1];
        d->req[i] = r;
    }
}

static bool class_waits(const struct sched *s, enum sched_class class)
{
    LIST_EACH(r, &s->reqs, struct sched_req, node)
    if (r->class == class && sched_state_runnable(s, r)) return true;
    return false;
}

/* The highest class that can run. Return: -1: none. */
static int pick_top(struct sched_pick *p, struct draft *d)
{
    for (int c = SCHED_CLASSES - 1; c >= 0; c--) {
        p->class = (enum sched_class)c;
        p->limit = p->s->config.running_max;
        sched_pick(p);
        if (p->n == 0) continue;
        take_placed(p->s, p->class, d);
        d->n_top = d->n;
        return c;
    }
    return -1;
}

/* The debt at which payment begins: the cost of a step. */
static int64_t pay_from_ns(const struct sched *s)
{
    const double step_ns = fmax(s->decode_step_ns, (double)s->config.step_target_ns);

    return (int64_t)fmin(step_ns, 4 * (double)SCHED_SLICE_NS); /* the debt is bounded, too */
}

/* One request of each class that is being paid; the highest class makes room for it. */
static void pick_turns(struct sched_pick *p, int top, struct draft *d)
{
    struct sched *s = p->s;
    const size_t most = s->config.running_max;
    size_t n_turns = 0;
    bool tight = top >= 0 && s->tight[top];

    for (int c = top - 1; c >= 0; c--) {
        s->waits[c] = class_waits(s, (enum sched_class)c);
        if (s->owed_ns[c] > 0 && s->owed_ns[c] >= pay_from_ns(s)) s->turn[c] = true;
        if (!s->waits[c]) s->turn[c] = false;
        const bool later = tight; /* the debt is kept, and paid when there is time again */
        tight |= s->tight[c];
        if (!s->turn[c] || s->rests || n_turns == most || later) continue;
        p->class = (enum sched_class)c;
        p->limit = 1;
        sched_pick(p);
        if (p->n == 0) continue; /* it waits for pages */
        n_turns++;
        if (d->n == most) {
            d->n_top--;
            d->n--;
            for (size_t i = d->n_top; i < d->n; i++)
                d->req[i] = d->req[i + 1];
        }
        take_placed(s, p->class, d);
    }
}

/* ---- how much ---- */

static size_t count(const struct draft *d, size_t from, size_t to, bool prefill)
{
    size_t n = 0;

    for (size_t i = from; i < to; i++)
        n += sched_state_prefills(d->req[i]) == prefill;
    return n;
}

uint32_t sched_state_budget(const struct sched *s, size_t n_answers)
{
    const double rest_ns =
        (double)s->config.step_target_ns - sched_answers_ns(s, (double)n_answers);
    const bool known = s->prefill_tok_ns > 0 && (n_answers == 0 || s->decode_step_ns > 0);
    double n = known ? rest_ns / s->prefill_tok_ns : 0;

    n = fmin(fmax(n, PREFILL_LEAST), s->config.chunk_max);
    /* In steps of 8, so that not every measurement makes a new plan. */
    return n >= PREFILL_LEAST ? (uint32_t)n / 8 * 8 : (uint32_t)n;
}

/* Divide @budget in order; each gets 1 at least, those for whom nothing is left 0. Return: what was given out, at most. */
static uint32_t hand_out(struct draft *d, size_t from, size_t to, uint32_t budget)
{
    uint32_t others = (uint32_t)count(d, from, to, true), left = budget;

    for (size_t i = from; i < to; i++) {
        const struct sched_req *r = d->req[i];
        d->tokens[i] = 1;
        if (!sched_state_prefills(r)) continue;
        others--;
        const uint32_t need = r->given_tokens - r->prefilled_tokens;
        const uint32_t most = left > others ? left - others : left > 0;
        /* The last one may have all: what it does not need changes nothing, and the plan stays as it is. */
        d->tokens[i] = others > 0 && need < most ? need : most;
        left -= d->tokens[i];
    }
    return budget - left;
}

static void divide(const struct sched *s, struct draft *d)
{
    const bool watched = count(d, 0, d->n_top, false) > 0;
    const size_t n_answers = count(d, 0, d->n, false);
    const bool alone = d->n_top == 0;
    uint32_t budget = watched || alone ? sched_state_budget(s, n_answers) : s->config.chunk_max;

    if (s->abandoned >= 0 && s->abandoned == s->top) { /* who comes now has to wait for it */
        const uint32_t few = (s->config.chunk_max + MAKES_UP - 1) / MAKES_UP;
        if (few < budget) budget = few;
    }
    if (count(d, d->n_top, d->n, true) > 0) {
        const bool shared = count(d, 0, d->n_top, true) > 0;
        const uint32_t part = shared ? (budget + 3) / 4 : budget;
        budget -= hand_out(d, d->n_top, d->n, part);
    } else {
        (void)hand_out(d, d->n_top, d->n, 0);
    }
    (void)hand_out(d, 0, d->n_top, budget);
}

/* Does each request that is paid get enough of the step? */
static bool pays(const struct sched *s, const struct draft *d)
{
    double decoded = 0, prefilled = 0;

    for (size_t i = 0; i < d->n; i++)
        if (sched_state_prefills(d->req[i]))
            prefilled += d->tokens[i];
        else
            decoded++;
    const double all = (decoded > 0 ? s->decode_step_ns : 0) + prefilled * s->prefill_tok_ns;
    for (size_t i = d->n_top; i < d->n; i++) {
        const double part = sched_state_prefills(d->req[i]) ? d->tokens[i] * s->prefill_tok_ns
                                                            : s->decode_step_ns / decoded;
        if (part < PAY_LEAST * all) return false;
    }
    return true;
}

/* ---- the plan ---- */

static void drop_top(struct draft *d)
{
    for (size_t i = d->n_top; i < d->n; i++)
        d->req[i - d->n_top] = d->req[i];
    d->n -= d->n_top;
    d->n_top = 0;
}

static void begin(struct sched *s)
{
    LIST_EACH(r, &s->reqs, struct sched_req, node)
    {
        r->evicted = false;
        r->planned = r->state == SCHED_RUNNING;
        if (r->planned) sched_state_set(s, r, SCHED_PARKED);
    }
    s->alone = false;
    for (size_t c = 0; c < SCHED_CLASSES; c++)
        s->waits[c] = false;
}

/* The draft becomes the plan. Return: true if it differs from the one before. */
static bool finish(struct sched *s, const struct draft *d, uint64_t now_ns, struct sched_plan *ret)
{
    bool changed = ret->n_evict > 0;

    ret->n = 0;
    for (size_t i = 0; i < d->n; i++) {
        struct sched_req *r = d->req[i];
        if (d->tokens[i] == 0) continue;
        sched_state_set(s, r, SCHED_RUNNING);
        if (r->running_ns == 0) r->running_ns = now_ns > 0 ? now_ns : 1;
        changed |= !r->planned || (sched_state_prefills(r) && r->planned_tokens != d->tokens[i]);
        r->planned_tokens = d->tokens[i];
        ret->entry[ret->n++] = (struct sched_entry){ r, d->tokens[i] };
    }
    changed |= ret->n != s->n_planned;
    s->n_planned = ret->n;
    LIST_EACH(r, &s->reqs, struct sched_req, node)
    {
        if (r->fresh && r->state == SCHED_PARKED) { /* no token was left for it: it holds nothing */
            sched_state_set(s, r, SCHED_QUEUED);
            r->placed = false;
        }
        r->fresh = false;
    }
    return changed;
}

bool sched_plan(struct sched *s, uint64_t now_ns, struct sched_plan *ret)
{
    struct sched_pick p = { .s = s, .plan = ret };
    struct draft d = { .n = 0 };

    ret->n_evict = 0;
    begin(s);
    sched_state_review(s, now_ns);
    s->top = s->pages_total > 0 ? pick_top(&p, &d) : -1;
    pick_turns(&p, s->top, &d);
    divide(s, &d);
    if (d.n > d.n_top && (d.n_top == 0 || !pays(s, &d))) {
        s->alone = true;
        drop_top(&d);
        divide(s, &d);
    }
    return finish(s, &d, now_ns, ret);
}
