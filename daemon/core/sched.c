/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of requests and apps. An app that is ahead of the others when its last request ends is remembered until they
 * have caught up: otherwise an app that sends its requests one after another would be forgiven each time, and would get
 * more than one that sends them together. When a class is empty everybody is forgiven: nobody was kept waiting.
 */
#include "daemon/core/sched.h"
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "daemon/core/sched_state.h"

/* ---- states ---- */

void sched_state_set(struct sched *s, struct sched_req *r, enum sched_state state)
{
    const bool held = sched_state_holds(r);

    s->n_state[r->state]--;
    r->state = state;
    s->n_state[state]++;
    if (held == sched_state_holds(r)) return;
    if (held) {
        s->pages_committed -= r->pages_most;
        r->app->pages_committed -= r->pages_most;
    } else {
        s->pages_committed += r->pages_most;
        r->app->pages_committed += r->pages_most;
    }
}

void sched_state_lose(struct sched *s, struct sched_req *r, enum sched_state state)
{
    sched_state_set(s, r, state);
    r->placed = r->fresh = false;
    r->pages = 0;
    r->prefilled_tokens = 0;
    r->given_tokens = r->prompt_tokens + r->output_tokens; /* a replay brings the answer so far */
}

/* ---- apps ---- */

static bool is_ahead(const struct sched *s, const struct sched_app *app)
{
    for (size_t c = 0; c < SCHED_CLASSES; c++)
        if (app->vtime[c] > s->vtime_floor[c]) return true;
    return false;
}

static void app_free(struct sched_app *app)
{
    list_remove(&app->node);
    free(app);
}

/* Forget the idle apps that are not ahead, and the ones that were idle longest if there are too many. */
static void forget_idle(struct sched *s)
{
    size_t n = 0;

    LIST_EACH(app, &s->apps, struct sched_app, node)
    if (app->n_requests == 0 && !is_ahead(s, app))
        app_free(app);
    else
        n += app->n_requests == 0;
    LIST_EACH(app, &s->apps, struct sched_app, node)
    if (app->n_requests == 0 && n > SCHED_IDLE_APPS_MAX) {
        app_free(app);
        n--;
    }
}

/* Nobody waits in the class: all start again from the same point. */
static void forgive(struct sched *s, enum sched_class class)
{
    LIST_EACH(app, &s->apps, struct sched_app, node)
    s->vtime_floor[class] = fmax(s->vtime_floor[class], app->vtime[class]);
}

static struct sched_app *find_app(struct sched *s, const char *key)
{
    LIST_EACH(app, &s->apps, struct sched_app, node)
    if (strncmp(app->key, key, sizeof(app->key) - 1) == 0) return app;
    return NULL;
}

static struct sched_app *add_app(struct sched *s, const char *key)
{
    struct sched_app *app = calloc(1, sizeof(*app));

    if (!app) return NULL;
    (void)snprintf(app->key, sizeof(app->key), "%s", key);
    list_push_back(&s->apps, &app->node);
    return app;
}

/* ---- the queue ---- */

static void check_config(const struct sched_config *c)
{
    assert(c->queue_max >= 1 && c->chunk_max >= 1);
    assert(c->running_max >= 1 && c->running_max <= SCHED_PLAN_MAX);
}

void sched_init(struct sched *s, const struct sched_config *config)
{
    check_config(config);
    *s = (struct sched){ .config = *config, .top = -1, .abandoned = -1 };
    list_init(&s->reqs);
    list_init(&s->apps);
}

void sched_deinit(struct sched *s)
{
    assert(s->n_reqs == 0);
    LIST_EACH(app, &s->apps, struct sched_app, node)
    app_free(app);
}

void sched_configure(struct sched *s, const struct sched_config *config)
{
    check_config(config);
    s->config = *config;
}

void sched_model(struct sched *s, uint32_t pages_total)
{
    LIST_EACH(r, &s->reqs, struct sched_req, node)
    sched_state_lose(s, r, SCHED_OPENING);
    s->pages_total = pages_total;
    s->prefill_tok_ns = s->decode_step_ns = s->learn_ns = s->learn_tokens = s->request_ns = 0;
    s->longest_ns = 0;
    memset(&s->decode, 0, sizeof(s->decode));
    s->decode.each_ns = -1;
    s->top = s->abandoned = -1;
    s->alone = s->rests = false;
    for (size_t c = 0; c < SCHED_CLASSES; c++) {
        s->owed_ns[c] = 0;
        s->waits[c] = s->turn[c] = s->tight[c] = false;
    }
}

int sched_add(struct sched *s, struct sched_req *r, const char *app_key, uint32_t weight,
              enum sched_class class, uint64_t serial, uint64_t now_ns)
{
    assert(!r->app && weight >= 1 && weight <= 1000 && class < SCHED_CLASSES);
    if (s->n_reqs >= s->config.queue_max) return SCHED_E_FULL;
    forget_idle(s);
    struct sched_app *app = find_app(s, app_key);
    if (!app) app = add_app(s, app_key);
    if (!app) return err_raise(-ENOMEM);
    *r = (struct sched_req){ .app = app,
                             .serial = serial,
                             .class = class,
                             .state = SCHED_OPENING,
                             .pages_quota = r->pages_quota,
                             .arrived_ns = now_ns };
    list_push_back(&s->reqs, &r->node);
    app->weight = weight;
    app->n_requests++;
    s->n_reqs++;
    s->n_class[class]++;
    s->n_state[SCHED_OPENING]++;
    return 0;
}

void sched_opened(struct sched *s, struct sched_req *r, uint32_t prompt_tokens,
                  uint32_t cached_tokens, uint32_t given_tokens, uint32_t output_max,
                  uint32_t pages_most)
{
    const double floor = s->vtime_floor[r->class];

    assert(r->app && r->state == SCHED_OPENING);
    /* Back from idleness: not behind those who worked meanwhile. */
    r->app->vtime[r->class] = fmax(r->app->vtime[r->class], floor);
    r->prompt_tokens = prompt_tokens;
    r->cached_tokens = cached_tokens;
    r->given_tokens = given_tokens;
    /* The last token is processed in any case: its logits are wanted. */
    r->prefilled_tokens =
        cached_tokens < given_tokens || given_tokens == 0 ? cached_tokens : given_tokens - 1;
    r->output_max = output_max;
    r->pages_most = pages_most;
    sched_state_set(s, r, SCHED_QUEUED);
}

void sched_reopen(struct sched *s, struct sched_req *r)
{
    sched_state_lose(s, r, SCHED_OPENING);
}

static void learn_request(struct sched *s, const struct sched_req *r)
{
    if (r->engine_ns == 0 || r->output_tokens == 0) return; /* it was given up before it began */
    const double took_ns = (double)r->engine_ns;
    s->request_ns = s->request_ns > 0 ? s->request_ns + (took_ns - s->request_ns) / 8 : took_ns;
}

void sched_remove(struct sched *s, struct sched_req *r)
{
    struct sched_app *app = r->app;
    const enum sched_class class = r->class;

    if (!app) return;
    learn_request(s, r);
    sched_state_set(s, r, SCHED_OPENING); /* holds nothing */
    s->n_state[SCHED_OPENING]--;
    s->n_reqs--;
    s->n_class[class]--;
    list_remove(&r->node);
    r->app = NULL;
    r->placed = false;
    if (s->n_class[class] == 0) forgive(s, class);
    if (--app->n_requests > 0) return;
    list_remove(&app->node); /* the end of the list: idle since now */
    list_push_back(&s->apps, &app->node);
    forget_idle(s);
}

bool sched_urgent(const struct sched *s, const struct sched_req *r)
{
    for (int c = 0; c < (int)r->class; c++)
        if (s->tight[c]) return false; /* what is lost with a step is lost for those, too */
    return s->top >= 0 && (int)r->class > s->top && s->abandoned != s->top;
}

void sched_abandoned(struct sched *s)
{
    s->abandoned = s->top;
}

const char *sched_state_name(const struct sched_req *r)
{
    switch (r->state) {
    case SCHED_OPENING:
    case SCHED_QUEUED:
        return "queued";
    case SCHED_RUNNING:
        return sched_state_prefills(r) ? "prefill" : "decode";
    case SCHED_PARKED:
        return "parked";
    }
    return "queued";
}
