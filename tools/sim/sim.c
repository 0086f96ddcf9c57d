/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sim/sim.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "bench/stats.h"
#include "daemon/core/levels.h"

/* A request that is not answered so long after the last one came waits for ever. */
#define STARVED_S 36000.0

enum { RETRY_NS = 1000000 }; /* a client that was refused for good tries no busy loop */

static const char *const refusals[] = { "busy", "in flight", "quota", "deadline", "too long" };

const char *sim_refusal_name(enum sim_refusal r)
{
    return refusals[r];
}

/* ---- a request comes ---- */

static double level_cost(const struct scenario *s, const char *asked)
{
    struct levels_row row[SCENARIO_LEVELS_MAX];
    struct reason why;
    size_t i = 0;

    if (s->n_levels == 0) return 1;
    for (size_t k = 0; k < s->n_levels; k++)
        row[k] = (struct levels_row){ s->level[k].name, s->level[k].cost };
    return levels_pick(asked, row, s->n_levels, "", &i, &why) == 0 ? s->level[i].cost : 1;
}

static uint32_t pages_of(const struct scenario *s, uint32_t tokens)
{
    return (tokens + s->page_tokens - 1) / s->page_tokens;
}

/* Nothing is promised to @r, and it goes before all lower classes: what was promised there may not hold any more. */
static void disturb(struct sim *s, const struct world_req *r)
{
    LIST_EACH(q, &s->world.s.reqs, struct sched_req, node)
    if (q->class < r->sched.class) ((struct world_req *)q)->disturbed = true;
}

/* As request_new() of hearthd: policy, quota, queue, estimate. Return: -1 it is in the queue, or why it is not. */
static int admit(struct sim *s, uint32_t source, uint64_t at_ns, struct sched_late *ret_late)
{
    const struct load_source *q = &s->load.source[source];
    const struct scenario_group *g = &s->scenario->group[q->group];
    struct world_req like = { .app = q->app, .weight = g->weight, .group = q->group };

    like.prompt = load_draw(&s->load, g->prompt);
    like.output = load_draw(&s->load, g->output);
    like.pages_most = pages_of(s->scenario, like.prompt + like.output);
    like.cost = level_cost(s->scenario, g->level);
    if (g->in_flight > 0 && s->in_flight[q->app] >= g->in_flight) return SIM_IN_FLIGHT;
    if (quota_check(&s->quota[q->app], s->world.now_ns) != 0) return SIM_QUOTA;
    if (like.pages_most > s->scenario->pages || (g->kv_pages && like.pages_most > g->kv_pages))
        return SIM_TOO_LONG;
    struct world_req *r = world_come_with(&s->world, &like, (enum sched_class)g->request_class,
                                          s->warm[q->app] ? g->prefix : 0, g->kv_pages, at_ns);
    if (!r) return SIM_BUSY;
    if (g->deadline_ms > 0) {
        r->deadline_ns = at_ns + g->deadline_ms * MS;
        if (sched_promise(&s->world.s, &r->sched, r->deadline_ns, s->world.now_ns, ret_late) != 0) {
            world_gone(&s->world, r);
            return SIM_DEADLINE;
        }
        r->promised = r->sched.due_ns > 0;
        s->group[q->group].n_promised++;
    }
    if (r->sched.due_ns == 0) disturb(s, r);
    s->in_flight[q->app]++;
    s->of_req[r - s->world.req] = source;
    return -1;
}

/* When a client that was refused comes again. */
static uint64_t retry_ns(const struct sim *s, uint32_t app, int refused,
                         const struct sched_late *late)
{
    switch ((enum sim_refusal)refused) {
    case SIM_BUSY:
        return sched_retry_ms(&s->world.s) * MS;
    case SIM_QUOTA:
        return quota_retry_ms(&s->quota[app], s->world.now_ns) * MS;
    case SIM_DEADLINE:
        return late->retry_ms > 0 ? late->retry_ms * MS : SEC;
    case SIM_IN_FLIGHT:
    case SIM_TOO_LONG:
    case SIM_REFUSALS:
        break;
    }
    return RETRY_NS;
}

/* All that came until now. Return: true if the worker has something new to open. */
static bool arrive(struct sim *s)
{
    const struct load_source *q;
    bool any = false;

    while ((q = load_next(&s->load)) != NULL && q->at_ns <= s->world.now_ns) {
        const uint32_t source = (uint32_t)(q - s->load.source);
        const uint64_t at_ns = q->at_ns;
        struct sim_group *g = &s->group[q->group];
        g->n_sent++;
        load_take(&s->load, source);
        struct sched_late late = { 0 };
        const int refused = admit(s, source, at_ns, &late);
        if (refused < 0) {
            any = true;
            continue;
        }
        g->n_refused[refused]++;
        load_answered(&s->load, source, s->world.now_ns, retry_ns(s, q->app, refused, &late));
    }
    if (s->world.s.n_reqs > s->queue_most) s->queue_most = s->world.s.n_reqs;
    if (s->world.s.n_reqs > s->scenario->queue && !s->world.broken.text[0])
        reason_set(&s->world.broken, "the queue has %u requests, %u are allowed", s->world.s.n_reqs,
                   s->scenario->queue);
    return any;
}

/* ---- a request ends ---- */

static void leave(struct sim *s, const struct world_req *r, uint32_t slot)
{
    s->in_flight[r->app]--;
    load_answered(&s->load, s->of_req[slot], s->world.now_ns, 0);
}

static void keep(struct sim *s, struct samples *q, uint64_t ns)
{
    if (samples_add(q, (double)ns * 1e-9) < 0) s->memory = -ENOMEM;
}

static void on_ended(struct world *w, const struct world_req *r)
{
    struct sim *s = w->context;
    struct sim_group *g = &s->group[r->group];
    const uint32_t slot = w->idle[w->n_idle - 1]; /* that it has just left */

    if (r->deadline_ns > 0 && w->now_ns > r->deadline_ns && !w->broken.text[0])
        reason_set(&w->broken, "an answer of group %s ended after its deadline",
                   s->scenario->group[r->group].name);
    g->n_done++;
    g->tokens += r->sched.output_tokens;
    g->prompt_tokens += r->prompt;
    g->cached_tokens += r->sched.cached_tokens;
    keep(s, &g->first, r->first_token_ns - r->arrived_ns);
    keep(s, &g->wait,
         r->sched.running_ns > r->arrived_ns ? r->sched.running_ns - r->arrived_ns : 0);
    keep(s, &g->total, w->now_ns - r->arrived_ns);
    quota_charge(&s->quota[r->app], r->prompt + r->sched.output_tokens, w->now_ns);
    s->warm[r->app] = true;
    leave(s, r, slot);
}

static void expire(struct sim *s)
{
    LIST_EACH(q, &s->world.s.reqs, struct sched_req, node)
    {
        struct world_req *r = (struct world_req *)q;
        if (r->deadline_ns == 0 || r->deadline_ns >= s->world.now_ns) continue;
        const struct world_req copy = *r;
        world_gone(&s->world, r);
        s->group[copy.group].n_expired++;
        s->group[copy.group].n_unserved += copy.first_token_ns == 0;
        s->group[copy.group].n_broken += copy.promised && !copy.disturbed;
        s->group[copy.group].lost_ns += copy.sched.engine_ns;
        leave(s, &copy, (uint32_t)(r - s->world.req));
    }
}

static bool on_between(struct world *w)
{
    struct sim *s = w->context;

    expire(s);
    return arrive(s);
}

/* The first arrival before the step's end that is worth abandoning it for. */
static uint64_t on_cut(struct world *w, uint64_t end_ns)
{
    struct sim *s = w->context;
    const struct load_source *next = load_next(&s->load);
    uint64_t at_ns = UINT64_MAX;

    if (!s->scenario->abandons || !next || next->at_ns >= end_ns) return UINT64_MAX;
    for (uint32_t i = 0; i < s->load.n; i++) {
        const struct load_source *q = &s->load.source[i];
        const struct sched_req like = {
            .class = (enum sched_class)s->scenario->group[q->group].request_class
        };
        if (q->at_ns < at_ns && q->at_ns < end_ns && sched_urgent(&w->s, &like)) at_ns = q->at_ns;
    }
    return at_ns < w->now_ns ? w->now_ns : at_ns;
}

/* ---- the whole ---- */

/* Who got what, when the last request has come: afterwards, those who asked for most would have the engine alone. */
static void count_shares(struct sim *s)
{
    const struct world *w = &s->world;
    uint32_t app = 0;

    if (s->counted) return;
    s->counted = true;
    for (size_t i = 0; i < s->scenario->n_groups; i++) {
        const struct scenario_group *c = &s->scenario->group[i];
        const uint32_t first = app;
        for (; app < first + c->apps; app++) {
            s->group[i].engine_ns += w->app_ns[app];
            s->fair[app] = (double)w->app_ns[app] / c->weight;
        }
        s->group[i].jain = stats_jain(s->fair + first, c->apps);
    }
    s->jain = stats_jain(s->fair, app);
    s->engine_ns = w->took_ns;
    memcpy(s->class_ns, w->class_ns, sizeof(s->class_ns));
}

static int prepare(struct sim *s, uint64_t seed, struct reason *why)
{
    const struct scenario *sc = s->scenario;
    const struct sched_config config = { .queue_max = sc->queue,
                                         .running_max = sc->running,
                                         .step_target_ns = (uint64_t)(sc->step_target_ms * 1e6),
                                         .chunk_max = sc->chunk };

    world_init(&s->world, &config, sc->pages);
    s->world.context = s;
    s->world.hooks =
        (struct world_hooks){ .ended = on_ended, .cut = on_cut, .between = on_between };
    s->world.decode_ns = sc->decode_ms * 1e6;
    s->world.each_ns = sc->sequence_ms * 1e6;
    s->world.prefill_ns = sc->prefill_ms * 1e6;
    s->world.noise = sc->noise;
    s->world.layers = sc->layers;
    s->world.lags = true;
    s->world.waits = sc->waits;
    int r = load_init(&s->load, sc, seed, s->world.now_ns, why);
    if (r < 0) return err_pass(r);
    if (r == 0 && s->load.n_apps > WORLD_APPS_MAX) {
        reason_set(why, "its groups have %u apps, the simulator takes %d", s->load.n_apps,
                   WORLD_APPS_MAX);
        r = SIM_E_REFUSED;
    }
    if (r != 0) return SIM_E_REFUSED;
    s->quota = calloc(s->load.n_apps, sizeof(*s->quota));
    s->in_flight = calloc(s->load.n_apps, sizeof(*s->in_flight));
    s->of_req = calloc(WORLD_REQS_MAX, sizeof(*s->of_req));
    s->warm = calloc(s->load.n_apps, sizeof(*s->warm));
    s->fair = calloc(s->load.n_apps, sizeof(*s->fair));
    if (!s->quota || !s->in_flight || !s->of_req || !s->warm || !s->fair) return err_raise(-ENOMEM);
    for (uint32_t i = 0; i < s->load.n; i++) {
        const struct load_source *q = &s->load.source[i];
        quota_init(&s->quota[q->app], sc->group[q->group].tokens_per_minute, s->world.now_ns);
    }
    return 0;
}

static void check_all(struct sim *s)
{
    struct reason *why = &s->world.broken;

    for (size_t i = 0; i < s->scenario->n_groups && !why->text[0]; i++) {
        const struct sim_group *g = &s->group[i];
        uint64_t all = g->n_done + g->n_expired;
        for (int k = 0; k < SIM_REFUSALS; k++)
            all += g->n_refused[k];
        if (all != g->n_sent)
            reason_set(why, "group %s sent %" PRIu64 " requests, %" PRIu64 " were answered",
                       s->scenario->group[i].name, g->n_sent, all);
    }
}

int sim_run(struct sim *ret, const struct scenario *scenario, uint64_t seed, struct reason *why)
{
    struct sim *s = ret;

    memset(s, 0, sizeof(*s));
    s->scenario = scenario;
    const int r = prepare(s, seed, why);
    if (r < 0) return err_pass(r);
    if (r != 0) return r;
    struct world *w = &s->world;
    const uint64_t from_ns = w->now_ns;
    const uint64_t end_ns = from_ns + (uint64_t)(scenario->seconds * 1e9);
    const uint64_t most_ns = end_ns + (uint64_t)(STARVED_S * 1e9);
    while (!w->broken.text[0] && s->memory == 0) {
        const struct load_source *next = load_next(&s->load);
        if (w->s.n_reqs == 0 && !next) break;
        if (w->s.n_reqs == 0)
            world_idle(w, next->at_ns);
        else
            world_step(w);
        if (w->now_ns >= end_ns) count_shares(s);
        if (w->now_ns > most_ns)
            reason_set(&w->broken, "%u requests starve: they have no answer %.0f s after the end",
                       w->s.n_reqs, STARVED_S);
    }
    count_shares(s);
    s->busy = (double)w->took_ns / (double)(w->now_ns - from_ns);
    check_all(s);
    if (!world_deinit(w)) {
        *why = w->broken;
        return SIM_E_BROKEN;
    }
    return s->memory < 0 ? err_raise(s->memory) : 0;
}

void sim_deinit(struct sim *s)
{
    load_deinit(&s->load);
    free(s->quota);
    free(s->in_flight);
    free(s->of_req);
    free(s->warm);
    free(s->fair);
    for (size_t i = 0; i < SCENARIO_GROUPS_MAX; i++) {
        samples_deinit(&s->group[i].first);
        samples_deinit(&s->group[i].wait);
        samples_deinit(&s->group[i].total);
    }
}
