/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sim/world.h"
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Keep the first rule that is broken, with the step. */
#define RULE(w, holds, ...)                                                                        \
    do {                                                                                           \
        if (!(holds) && !(w)->broken.text[0]) break_rule(w, __VA_ARGS__);                          \
    } while (0)

__attribute__((format(printf, 2, 3))) static void break_rule(struct world *w, const char *format,
                                                             ...)
{
    char what[160];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(what, sizeof(what), format, ap);
    va_end(ap);
    reason_set(&w->broken, "step %" PRIu64 ", %.3f s: %s", w->step, (double)w->now_ns * 1e-9, what);
}

void world_init(struct world *w, const struct sched_config *config, uint32_t pages)
{
    memset(w, 0, sizeof(*w));
    sched_init(&w->s, config);
    sched_model(&w->s, pages);
    w->decode_ns = 10e6;
    w->each_ns = 1e6;
    w->prefill_ns = 0.5e6;
    w->now_ns = SEC;
    w->random = 88172645463325252u;
    w->layers = 1;
    w->pace = 1;
    for (uint32_t i = 0; i < WORLD_REQS_MAX; i++)
        w->idle[w->n_idle++] = WORLD_REQS_MAX - 1 - i;
}

static void forget_sent(struct world *w, const struct sched_req *r)
{
    for (size_t i = 0; i < SCHED_PLAN_MAX; i++) {
        if (w->sent[i].req == r) w->sent[i].req = NULL;
        if (w->late[i].req == r) w->late[i].req = NULL;
    }
}

void world_gone(struct world *w, struct world_req *r)
{
    forget_sent(w, &r->sched);
    sched_remove(&w->s, &r->sched);
    r->used = false;
    w->idle[w->n_idle++] = (uint32_t)(r - w->req);
}

bool world_deinit(struct world *w)
{
    for (size_t i = 0; i < WORLD_REQS_MAX; i++)
        if (w->req[i].used) world_gone(w, &w->req[i]);
    RULE(w, w->s.n_reqs == 0, "%u requests are left", w->s.n_reqs);
    RULE(w, w->s.pages_committed == 0, "%u pages are left", w->s.pages_committed);
    RULE(w, w->charged_ns + w->nobodys_ns == w->took_ns,
         "%" PRIu64 " ns were charged for %" PRIu64 " ns of steps", w->charged_ns, w->took_ns);
    sched_deinit(&w->s);
    return !w->broken.text[0];
}

uint32_t world_random(struct world *w, uint32_t below)
{
    w->random ^= w->random << 13; /* xorshift64: Marsaglia 2003 */
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (uint32_t)((w->random >> 33) % below);
}

struct world_req *world_come_with(struct world *w, const struct world_req *like,
                                  enum sched_class class, uint32_t cached, uint32_t quota,
                                  uint64_t now_ns)
{
    char key[32];

    assert(like->app < WORLD_APPS_MAX);
    if (w->n_idle == 0) return NULL;
    struct world_req *r = &w->req[w->idle[w->n_idle - 1]];
    *r = *like;
    r->sched = (struct sched_req){ .pages_quota = quota };
    r->arrived_step = w->step;
    r->arrived_ns = now_ns;
    r->first_token_ns = 0;
    (void)snprintf(key, sizeof(key), "app-%u", r->app);
    if (sched_add(&w->s, &r->sched, key, r->weight, class, ++w->serial, now_ns) != 0) return NULL;
    r->used = true;
    w->n_idle--;
    sched_opened(&w->s, &r->sched, r->prompt, cached, r->prompt, r->output, r->pages_most);
    return r;
}

struct world_req *world_come(struct world *w, uint32_t app, uint32_t weight, enum sched_class class,
                             uint32_t prompt, uint32_t output, uint32_t pages_most)
{
    const struct world_req like = {
        .app = app, .weight = weight, .prompt = prompt, .output = output, .pages_most = pages_most
    };

    return world_come_with(w, &like, class, 0, 0, w->now_ns);
}

bool world_planned(const struct world *w, const struct world_req *r)
{
    for (size_t i = 0; i < w->plan.n; i++)
        if (w->plan.entry[i].req == &r->sched) return true;
    return false;
}

static bool prefills(const struct sched_req *r)
{
    return r->prefilled_tokens < r->given_tokens;
}

/* ---- what holds for each plan ---- */

static void check_pages(struct world *w)
{
    uint64_t pages = 0;
    uint32_t n_state[4] = { 0 };

    w->stamp++;
    for (size_t i = 0; i < w->plan.n; i++)
        ((struct world_req *)w->plan.entry[i].req)->stamp = w->stamp;
    LIST_EACH(r, &w->s.reqs, struct sched_req, node)
    {
        n_state[r->state]++;
        if (r->state == SCHED_RUNNING || r->state == SCHED_PARKED)
            pages += r->pages_most;
        else
            RULE(w, r->pages == 0, "request %" PRIu64 " waits and holds pages", r->serial);
        RULE(w, (r->state == SCHED_RUNNING) == (((struct world_req *)r)->stamp == w->stamp),
             "the state of request %" PRIu64 " is not that of the plan", r->serial);
    }
    RULE(w, pages <= w->s.pages_total, "%" PRIu64 " pages are given away of %u", pages,
         w->s.pages_total);
    RULE(w, pages == w->s.pages_committed, "%" PRIu64 " pages are committed, %u are counted", pages,
         w->s.pages_committed);
    RULE(w, memcmp(n_state, w->s.n_state, sizeof(n_state)) == 0, "the states are miscounted");
}

static void check_step(struct world *w)
{
    const struct sched_config *c = &w->s.config;
    double tokens = 0, answers = 0;
    bool decodes = false;

    RULE(w, w->plan.n <= c->running_max, "the plan has %zu requests", w->plan.n);
    for (size_t i = 0; i < w->plan.n; i++) {
        const struct sched_entry *e = &w->plan.entry[i];
        RULE(w, e->prefill_tokens >= 1, "an entry without tokens");
        for (size_t k = 0; k < i; k++)
            RULE(w, e->req != w->plan.entry[k].req, "request %" PRIu64 " is there twice",
                 e->req->serial);
        if (prefills(e->req))
            tokens += e->prefill_tokens;
        else
            decodes |= (int)e->req->class == w->s.top;
        answers += !prefills(e->req);
    }
    RULE(w, tokens <= c->chunk_max, "a step of %.0f prompt tokens", tokens);
    if (decodes && tokens > 8)
        RULE(w,
             sched_answers_ns(&w->s, answers) + tokens * w->s.prefill_tok_ns <=
                 (double)c->step_target_ns + 1,
             "a step beyond its target: %.0f prompt tokens beside an answer", tokens);
    for (size_t i = 0; i < w->plan.n_evict; i++)
        RULE(w,
             w->plan.evict[i]->state == SCHED_QUEUED &&
                 !world_planned(w, (struct world_req *)w->plan.evict[i]),
             "request %" PRIu64 " is evicted and planned", w->plan.evict[i]->serial);
}

static bool differs(const struct world *w)
{
    if (w->plan.n != w->n_sent || w->plan.n_evict > 0) return true;
    for (size_t i = 0; i < w->plan.n; i++) {
        const struct sched_entry *e = &w->plan.entry[i];
        size_t k = 0;
        while (k < w->n_sent && w->sent[k].req != e->req)
            k++;
        if (k == w->n_sent) return true;
        if (prefills(e->req) && w->sent[k].tokens != e->prefill_tokens) return true;
    }
    return false;
}

bool world_plan(struct world *w)
{
    const bool changed = sched_plan(&w->s, w->now_ns, &w->plan);

    check_pages(w);
    check_step(w);
    RULE(w, changed || !differs(w), "a plan that differs is kept back");
    w->n_evicted += w->plan.n_evict;
    for (size_t i = 0; i < w->plan.n_evict; i++)
        forget_sent(w, w->plan.evict[i]); /* the worker drops it before it reads the plan */
    if (!changed) return false;
    w->n_plans_sent++;
    w->n_sent = w->plan.n;
    for (size_t i = 0; i < w->plan.n; i++)
        w->sent[i] = (struct world_sent){ w->plan.entry[i].req, w->plan.entry[i].prefill_tokens };
    return true;
}

/* ---- a step ---- */

static void finish(struct world *w, struct world_req *r)
{
    const struct world_req copy = *r;

    w->n_ended++;
    world_gone(w, r);
    if (w->hooks.ended) w->hooks.ended(w, &copy);
}

/* Somebody else uses the machine, or does not: that lasts for a second. */
static double pace_of(struct world *w)
{
    const uint64_t second = w->now_ns / SEC;

    if (w->noise > 0 && second != w->paced_s)
        w->pace = 1 + w->noise * (world_random(w, 2001) / 1000.0 - 1);
    w->paced_s = second;
    return w->noise > 0 ? w->pace : 1;
}

/* What a step over @plan does, and how long that takes. Answers sweep the widest level of the batch once. */
static size_t run(struct world *w, const struct world_sent *plan, size_t n_plan,
                  struct sched_done *done, double *ret_ns)
{
    double ns = 0, widest = 0;
    size_t n = 0;

    for (size_t i = 0; i < n_plan; i++) {
        struct sched_req *r = plan[i].req;
        if (!r) continue; /* closed since */
        const double cost = ((struct world_req *)r)->cost;
        struct sched_done *d = &done[n++];
        *d = (struct sched_done){ .req = r, .pages = r->pages_most };
        const uint32_t left = r->given_tokens - r->prefilled_tokens;
        if (prefills(r)) d->prefilled = left < plan[i].tokens ? left : plan[i].tokens;
        d->decoded = d->prefilled == left;
        if (d->prefilled == 0) widest = fmax(widest, cost > 0 ? cost : 1);
        ns +=
            (cost > 0 ? cost : 1) * (d->prefilled > 0 ? d->prefilled * w->prefill_ns : w->each_ns);
    }
    *ret_ns = (ns + widest * w->decode_ns) * pace_of(w);
    return n;
}

static void account(struct world *w, const struct sched_done *done, size_t n, uint64_t took_ns,
                    const uint64_t *before)
{
    uint64_t charged = 0;

    for (size_t i = 0; i < n; i++) {
        struct world_req *r = (struct world_req *)done[i].req;
        const uint64_t got = r->sched.engine_ns - before[i];
        charged += got;
        w->app_ns[r->app] += got;
        w->class_ns[r->sched.class] += got;
        w->app_tokens[r->app] += done[i].decoded;
        if (done[i].decoded > 0 && r->first_token_ns == 0) r->first_token_ns = w->now_ns;
    }
    RULE(w, charged == took_ns, "a step of %" PRIu64 " ns was charged with %" PRIu64, took_ns,
         charged);
    w->charged_ns += charged;
}

/* Those of @done that are still there: hearthd knows nothing of others. */
static size_t remaining(const struct world_sent *plan, size_t n_plan, struct sched_done *done,
                        size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n_plan; k++)
            if (plan[k].req == done[i].req) {
                done[kept++] = done[i];
                break;
            }
    return kept;
}

static void charge(struct world *w, struct sched_done *done, size_t n, uint64_t took_ns)
{
    uint64_t before[SCHED_PLAN_MAX];

    w->took_ns += took_ns;
    if (n == 0) w->nobodys_ns += took_ns;
    if (n == 0) return;
    for (size_t i = 0; i < n; i++)
        before[i] = done[i].req->engine_ns;
    sched_charge(&w->s, done, n, took_ns);
    account(w, done, n, took_ns, before);
    for (size_t i = 0; i < n; i++) {
        struct world_req *r = (struct world_req *)done[i].req;
        if (r->sched.output_tokens >= r->output) finish(w, r);
    }
}

/* The step is given up at a layer's end: nothing of it counts, and it is nobody's. */
static void abandon(struct world *w, uint64_t took_ns)
{
    w->n_abandoned++;
    w->abandoned_ns += took_ns;
    sched_abandoned(&w->s);
}

/* The newest plan is the worker's now, if it waits for it or has nothing else to do. */
static void adopt(struct world *w, bool came)
{
    bool busy = false;

    for (size_t i = 0; i < w->n_late; i++)
        busy |= w->late[i].req != NULL;
    if (busy && !(came && w->waits)) return;
    memcpy(w->late, w->sent, sizeof(w->late));
    w->n_late = w->n_sent;
}

void world_step(struct world *w)
{
    struct sched_done done[SCHED_PLAN_MAX];
    struct world_sent *plan = w->lags ? w->late : w->sent;
    const size_t n_plan = w->lags ? w->n_late : w->n_sent;
    double ns = 0;
    size_t n = run(w, plan, n_plan, done, &ns);
    uint64_t took_ns = n > 0 ? (uint64_t)ns : MS;
    const uint64_t layer_ns = took_ns / w->layers + 1, begun_ns = w->now_ns;
    const uint64_t cut_ns =
        w->hooks.cut && n > 0 ? w->hooks.cut(w, begun_ns + took_ns) : UINT64_MAX;
    const bool abandoned = cut_ns < begun_ns + took_ns;

    if (abandoned) {
        const uint64_t layers = (cut_ns - begun_ns) / layer_ns + 1;
        if (layers * layer_ns < took_ns) took_ns = layers * layer_ns;
    }
    w->now_ns += took_ns;
    w->step++;
    const bool came = w->hooks.between && w->hooks.between(w);
    if (n > 0 && !abandoned) charge(w, done, remaining(plan, n_plan, done, n), took_ns);
    if (n > 0 && abandoned) abandon(w, took_ns);
    memcpy(w->late, w->sent, sizeof(w->late)); /* what has ended is not in it any more */
    w->n_late = w->n_sent;
    (void)world_plan(w);
    adopt(w, came);
}

void world_idle(struct world *w, uint64_t until_ns)
{
    if (until_ns > w->now_ns) w->now_ns = until_ns;
    const bool came = w->hooks.between && w->hooks.between(w);
    (void)world_plan(w);
    adopt(w, came);
}
