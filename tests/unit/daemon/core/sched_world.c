/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/daemon/core/sched_world.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

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
}

void world_deinit(struct world *w)
{
    for (size_t i = 0; i < WORLD_REQS_MAX; i++)
        if (w->req[i].used) world_gone(w, &w->req[i]);
    cr_assert_eq(w->s.n_reqs, 0);
    cr_assert_eq(w->s.pages_committed, 0);
    sched_deinit(&w->s);
}

uint32_t world_random(struct world *w, uint32_t below)
{
    w->random ^= w->random << 13; /* xorshift64: Marsaglia 2003 */
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (uint32_t)((w->random >> 33) % below);
}

struct world_req *world_come(struct world *w, uint32_t app, uint32_t weight, enum sched_class class,
                             uint32_t prompt, uint32_t output, uint32_t pages_most)
{
    struct world_req *r = NULL;
    char key[32];

    for (size_t i = 0; i < WORLD_REQS_MAX && !r; i++)
        if (!w->req[i].used) r = &w->req[i];
    cr_assert(r && app < WORLD_APPS_MAX);
    *r = (struct world_req){ .app = app,
                             .weight = weight,
                             .prompt = prompt,
                             .output = output,
                             .pages_most = pages_most,
                             .arrived_step = w->step,
                             .used = true };
    (void)snprintf(key, sizeof(key), "app-%u", app);
    if (sched_add(&w->s, &r->sched, key, weight, class, ++w->serial, w->now_ns) != 0) {
        r->used = false;
        return NULL;
    }
    sched_opened(&w->s, &r->sched, prompt, 0, prompt, output, pages_most);
    return r;
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

static void check_pages(const struct world *w)
{
    uint64_t pages = 0;
    uint32_t n_state[4] = { 0 };

    LIST_EACH(r, &w->s.reqs, struct sched_req, node)
    {
        n_state[r->state]++;
        if (r->state == SCHED_RUNNING || r->state == SCHED_PARKED)
            pages += r->pages_most;
        else
            cr_assert_eq(r->pages, 0, "who waits holds nothing");
        cr_assert_eq(r->state == SCHED_RUNNING, world_planned(w, (struct world_req *)r));
    }
    cr_assert_leq(pages, w->s.pages_total);
    cr_assert_eq(pages, w->s.pages_committed);
    cr_assert_arr_eq(n_state, w->s.n_state, sizeof(n_state));
}

static void check_step(const struct world *w)
{
    const struct sched_config *c = &w->s.config;
    double tokens = 0;
    bool decodes = false;

    cr_assert_leq(w->plan.n, c->running_max);
    for (size_t i = 0; i < w->plan.n; i++) {
        const struct sched_entry *e = &w->plan.entry[i];
        cr_assert_geq(e->prefill_tokens, 1);
        for (size_t k = 0; k < i; k++)
            cr_assert_neq(e->req, w->plan.entry[k].req, "each once");
        if (prefills(e->req))
            tokens += e->prefill_tokens;
        else
            decodes |= (int)e->req->class == w->s.top;
    }
    cr_assert_leq(tokens, c->chunk_max);
    if (decodes && tokens > 8)
        cr_assert_leq(w->s.decode_step_ns + tokens * w->s.prefill_tok_ns,
                      (double)c->step_target_ns);
    for (size_t i = 0; i < w->plan.n_evict; i++) {
        cr_assert_eq(w->plan.evict[i]->state, SCHED_QUEUED);
        cr_assert_not(world_planned(w, (struct world_req *)w->plan.evict[i]));
    }
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
    if (differs(w)) cr_assert(changed, "a plan that differs is not kept back");
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
    if (w->ended) w->ended(w, &copy);
}

static size_t run(struct world *w, const struct world_sent *plan, size_t n_plan,
                  struct sched_done *done, double *ret_ns)
{
    double ns = 0;
    bool decodes = false;
    size_t n = 0;

    for (size_t i = 0; i < n_plan; i++) {
        struct sched_req *r = plan[i].req;
        if (!r) continue; /* closed since */
        struct sched_done *d = &done[n++];
        *d = (struct sched_done){ .req = r, .pages = r->pages_most };
        const uint32_t left = r->given_tokens - r->prefilled_tokens;
        if (prefills(r)) d->prefilled = left < plan[i].tokens ? left : plan[i].tokens;
        d->decoded = d->prefilled == left;
        decodes |= d->prefilled == 0;
        ns += d->prefilled > 0 ? d->prefilled * w->prefill_ns : w->each_ns;
    }
    *ret_ns = ns + (decodes ? w->decode_ns : 0);
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
    cr_assert_eq(charged, took_ns, "the charges of a step add up to its time");
    w->charged_ns += charged;
}

void world_step(struct world *w)
{
    struct sched_done done[SCHED_PLAN_MAX];
    uint64_t before[SCHED_PLAN_MAX];
    double ns = 0;
    const bool late = w->lags;
    const size_t n =
        late ? run(w, w->late, w->n_late, done, &ns) : run(w, w->sent, w->n_sent, done, &ns);
    const uint64_t took_ns = n > 0 ? (uint64_t)ns : MS;

    memcpy(w->late, w->sent, sizeof(w->late));
    w->n_late = w->n_sent;
    w->now_ns += took_ns;
    w->step++;
    if (n > 0) {
        w->took_ns += took_ns;
        for (size_t i = 0; i < n; i++)
            before[i] = done[i].req->engine_ns;
        sched_charge(&w->s, done, n, took_ns);
        account(w, done, n, took_ns, before);
    }
    for (size_t i = 0; i < n; i++) {
        struct world_req *r = (struct world_req *)done[i].req;
        if (r->sched.output_tokens >= r->output) finish(w, r);
    }
    (void)world_plan(w);
}
