/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/climate.h"
#include <errno.h>
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "daemon/leveling.h"
#include "daemon/request.h"
#include "daemon/sensors.h"
#include "daemon/server.h"
#include "daemon/timer.h"
#include "worker.pb-c.h"

enum {
    LOOK_MS = 1000,
    FRESH_MS = 900,
    ALARM_S = 12,     /* the kernel's average over 10 s rises more slowly than its trigger */
    IDLE_LOOKS = 3,   /* a model that was used a moment ago will perhaps be used again */
    WAITING_MAX = 16, /* apps whose wait is estimated: with so many the longest is long */
};

/* ---- what waits ---- */

static bool first_in_line(const struct request *r)
{
    return r->sched.class > SCHED_BACKGROUND && !r->sched.paused && r->n_ids == 0 &&
           (r->sched.state == SCHED_QUEUED || r->sched.state == SCHED_OPENING);
}

/* Apps without any request that runs, and how long the one that waits longest has to wait. */
static void count_waiting(struct climate *c, struct governor_input *in)
{
    const struct server *s = c->server;

    c->tick++;
    LIST_EACH(r, &s->requests, struct request, node)
    if (r->sched.state == SCHED_RUNNING) r->app->tick = c->tick;
    LIST_EACH(r, &s->requests, struct request, node)
    {
        uint32_t position, wait_ms;
        if (r->app->tick == c->tick || !first_in_line(r)) continue;
        r->app->tick = c->tick; /* its first one counts */
        if (in->apps_waiting++ >= WAITING_MAX) continue;
        sched_estimate(&s->sched, &r->sched, &position, &wait_ms);
        if (wait_ms > in->wait_ms) in->wait_ms = wait_ms;
    }
}

/* ---- memory pressure ---- */

static void limit_cache(struct climate *c, bool limited)
{
    Hearth__Worker__ToWorker f = HEARTH__WORKER__TO_WORKER__INIT;
    Hearth__Worker__CacheLimit m = HEARTH__WORKER__CACHE_LIMIT__INIT;

    if (c->server->supervisor.state != SUPERVISOR_READY) return;
    m.pages_most = limited ? 0 : UINT32_MAX;
    f.body_case = HEARTH__WORKER__TO_WORKER__BODY_CACHE_LIMIT;
    f.cache_limit = &m;
    (void)child_send(&c->server->supervisor.child, &f, NULL, 0);
}

void climate_loaded(struct climate *c)
{
    c->idle = 0;
    if (c->pressure.stage >= PRESSURE_CACHE) limit_cache(c, true);
}

static void log_pressure(const struct climate *c, enum pressure_stage had)
{
    const enum pressure_stage now = c->pressure.stage;

    log_event(now > had ? LOG_AT_WARN : LOG_AT_NOTICE,
              now > had ? "memory is short" : "memory is less short",
              "stage=%s before=%s some=%.1f full=%.1f", pressure_name(now), pressure_name(had),
              c->machine.memory_some, c->machine.memory_full);
}

/* A model that nobody uses goes, when nothing else helps; it comes back with the next request. */
static void unload_idle(struct climate *c)
{
    struct supervisor *v = &c->server->supervisor;
    const bool used = !list_empty(&c->server->requests) || !list_empty(&c->server->tokenizing) ||
                      v->state != SUPERVISOR_READY || v->switching;

    c->idle = used ? 0 : c->idle + 1;
    if (c->pressure.stage < PRESSURE_UNLOAD || c->idle < IDLE_LOOKS) return;
    log_notice("model unloaded", "name=%s why=memory", v->model.name);
    c->idle = 0;
    supervisor_unload(v);
}

static void follow_pressure(struct climate *c, uint64_t now_ns)
{
    const enum pressure_stage had = c->pressure.stage;

    if (pressure_update(&c->pressure, &c->machine, now_ns)) {
        log_pressure(c, had);
        if ((had == PRESSURE_NONE) != (c->pressure.stage == PRESSURE_NONE))
            limit_cache(c, c->pressure.stage > PRESSURE_NONE);
    }
    unload_idle(c);
}

/* ---- looking ---- */

static void look(struct climate *c)
{
    const uint64_t now_ns = clock_now_ns();
    struct governor_input in = { 0 };

    c->looked_ns = now_ns;
    sensors_read(c->sensors, &c->machine);
    follow_pressure(c, now_ns);
    in.machine = c->machine;
    in.memory_short = c->pressure.stage >= PRESSURE_LEVEL;
    count_waiting(c, &in);
    if (!governor_update(&c->governor, &in, now_ns)) return;
    log_info("ceiling of levels changed", "share=%.2f why=\"%s\"", governor_share(&c->governor),
             c->governor.reason.text);
    server_pump(c->server);
}

void climate_fresh(struct climate *c)
{
    if (clock_now_ns() - c->looked_ns >= FRESH_MS * CLOCK_NS_PER_MS) look(c);
}

double climate_share(const struct climate *c, const char **ret_why)
{
    *ret_why = c->governor.reason.text;
    return c->server->conf.governor_off ? 1 : governor_share(&c->governor);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    struct climate *c = context;

    (void)fd, (void)what;
    look(c);
    climate_pump(c);
}

static void on_trigger(evutil_socket_t fd, short what, void *context)
{
    struct climate *c = context;

    (void)fd, (void)what;
    sensors_pressure_clear(c->sensors);
    c->alarm_ns = clock_now_ns() + ALARM_S * CLOCK_NS_PER_S;
    climate_pump(c);
}

void climate_pump(struct climate *c)
{
    const bool awake = !list_empty(&c->server->requests) || c->watchers > 0 ||
                       c->pressure.stage > PRESSURE_NONE || clock_now_ns() < c->alarm_ns;
    const bool loaded = c->server->supervisor.state == SUPERVISOR_READY;

    if (c->trigger && loaded) (void)event_add(c->trigger, NULL);
    if (c->trigger && !loaded) (void)event_del(c->trigger);
    if (!awake) {
        (void)event_del(c->timer);
    } else if (!event_pending(c->timer, EV_TIMEOUT, NULL)) {
        climate_fresh(c);
        (void)timer_set(c->timer, LOOK_MS);
    }
}

void climate_watch(struct climate *c, bool more)
{
    c->watchers += more ? 1 : UINT32_MAX;
    climate_pump(c);
}

/* ---- energy ---- */

void climate_step_begins(struct climate *c)
{
    if (c->metered || !sensors_has_energy(c->sensors)) return;
    (void)sensors_energy_uj(c->sensors, clock_now_ns());
    c->metered = true;
}

uint64_t climate_step_energy(struct climate *c, uint64_t now_ns)
{
    if (!c->metered) return 0;
    const uint64_t uj = sensors_energy_uj(c->sensors, now_ns);
    c->energy_uj += uj;
    rate_add(&c->energy, uj, now_ns);
    return uj;
}

/* ---- life ---- */

int climate_init(struct climate *c, struct server *s)
{
    c->server = s;
    governor_init(&c->governor);
    const int r = sensors_new(s->conf.sensors, &c->sensors);
    if (r < 0) return err_pass(r);
    sensors_read(c->sensors, &c->machine);
    c->timer = event_new(s->base, -1, EV_PERSIST, on_timer, c);
    if (!c->timer) return err_raise(-ENOMEM);
    const int fd = sensors_pressure_fd(c->sensors);
    if (fd < 0) return 0;
    c->trigger = event_new(s->base, fd, EV_READ | EV_PERSIST, on_trigger, c);
    return c->trigger ? 0 : err_raise(-ENOMEM);
}

void climate_deinit(struct climate *c)
{
    if (c->timer) event_free(c->timer);
    if (c->trigger) event_free(c->trigger);
    c->timer = c->trigger = NULL;
    c->sensors = sensors_free(c->sensors);
}
