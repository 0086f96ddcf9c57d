/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/status.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "daemon/leveling.h"
#include "daemon/metrics.h"
#include "daemon/request.h"
#include "daemon/server.h"
#include "daemon/timer.h"
#include "proto/build_id.h"

enum { INTERVAL_MIN_MS = 100, INTERVAL_MAX_MS = 60000, INTERVAL_MS = 1000 };

struct report { /* a Status and what it points to */
    Hearth__Status status;
    Hearth__Model model;
    Hearth__Level level[SUPERVISOR_LEVELS_MAX], *levels[SUPERVISOR_LEVELS_MAX];
    Hearth__RequestInfo *info, **infos; /* owned */
    char power[32];
};

static void report_deinit(const struct report *r)
{
    free(r->info);
    free(r->infos);
}

/* The requests that this client may see: its user's, or all. */
static int fill_requests(const struct conn *c, struct report *ret, size_t *ret_n)
{
    struct server *s = c->server;
    const uint64_t now_ns = clock_now_ns();
    size_t n = 0;

    ret->info = calloc((size_t)s->sched.n_reqs + 1, sizeof(*ret->info));
    ret->infos = calloc((size_t)s->sched.n_reqs + 1, sizeof(*ret->infos));
    if (!ret->info || !ret->infos) return -1;
    LIST_EACH(r, &s->requests, struct request, node)
    if (c->policy.administrator || r->uid == c->peer.who.uid) {
        request_info(r, now_ns, &ret->info[n]);
        ret->infos[n] = &ret->info[n];
        n++;
    }
    *ret_n = n;
    return 0;
}

static void fill_worker(struct server *s, Hearth__Status *t)
{
    struct supervisor *v = &s->supervisor;
    const uint64_t now_ns = clock_now_ns();

    t->worker_restarts = v->restarts;
    t->last_error = v->failed.text;
    child_rss(&v->child, &t->rss_bytes, &t->rss_anon_bytes);
    if (v->state != SUPERVISOR_READY) return;
    t->sandbox = v->sandbox;
    t->kernels = v->kernels;
    t->threads = v->threads;
    t->weights = v->weights;
    t->load_us = v->load_us;
    t->kv_pages_total = v->pages_total;
    LIST_EACH(r, &s->requests, struct request, node)
    t->kv_pages_used += r->sched.pages;
    t->prefill_tok_s = (float)rate_per_s(&s->prefill_rate, now_ns);
    t->decode_tok_s = (float)rate_per_s(&s->decode_rate, now_ns);
    const double read_ns = rate_per_s(&s->read_ns, now_ns);
    if (read_ns > 0) t->read_gb_s = (float)(rate_per_s(&s->read_bytes, now_ns) / read_ns);
}

static void fill_machine(struct server *s, struct report *ret)
{
    Hearth__Status *t = &ret->status;
    const struct machine *m = &s->climate.machine;
    const char *why;

    climate_fresh(&s->climate);
    t->level = (char *)(size_t)leveling_ceiling(s, &why);
    t->level_reason = (char *)(size_t)why;
    t->pressure = (char *)(size_t)pressure_name(s->climate.pressure.stage);
    t->energy_mj = s->climate.energy_uj / 1000;
    t->power_w = (float)(rate_per_s(&s->climate.energy, clock_now_ns()) * 1e-6);
    if (m->zone[0]) {
        t->temperature_c = (float)m->heat_c;
        t->temperature_limit_c = (float)m->limit_c;
    }
    if (isnan(m->battery_percent)) return;
    (void)snprintf(ret->power, sizeof(ret->power), "%s, %.0f %%",
                   m->on_battery ? "battery" : "mains", m->battery_percent);
    t->power_supply = ret->power;
}

static void fill(struct server *s, uint64_t id, struct report *ret)
{
    Hearth__Status *t = &ret->status;
    const struct supervisor *v = &s->supervisor;
    const uint32_t *n = s->sched.n_state;

    hearth__status__init(t);
    t->id = id;
    t->state = supervisor_state_out(v);
    t->version = (char *)(size_t)PROTO_VERSION;
    t->models_path = s->conf.models;
    t->uptime_us = (clock_now_ns() - s->started_ns) / 1000;
    if (v->state != SUPERVISOR_NO_MODEL) {
        supervisor_model_fill(&s->supervisor, &v->model, &ret->model, ret->level, ret->levels);
        t->model = &ret->model;
    }
    t->clients = s->n_conns;
    t->queued = n[SCHED_OPENING] + n[SCHED_QUEUED];
    t->running = n[SCHED_RUNNING];
    t->parked = n[SCHED_PARKED];
    t->served = s->served;
    t->refused = s->refused;
    t->tokens_in = s->tokens_in;
    t->tokens_cached = s->tokens_cached;
    t->tokens_out = s->tokens_out;
    fill_worker(s, t);
    fill_machine(s, ret);
}

void status_get(struct conn *c, uint64_t id)
{
    struct report r = { 0 };
    Hearth__Reply reply = HEARTH__REPLY__INIT;

    fill(c->server, id, &r);
    reply.body_case = HEARTH__REPLY__BODY_STATUS;
    reply.status = &r.status;
    conn_reply(c, id, &reply);
}

void status_requests(struct conn *c, uint64_t id)
{
    CLEANUP(report_deinit) struct report r = { 0 };
    Hearth__Reply reply = HEARTH__REPLY__INIT;
    Hearth__Requests requests = HEARTH__REQUESTS__INIT;

    if (fill_requests(c, &r, &requests.n_requests) != 0) {
        conn_error(c, id, HEARTH__ERROR_CODE__ERROR_INTERNAL, 1000, "hearthd is out of memory");
        return;
    }
    requests.requests = r.infos;
    reply.body_case = HEARTH__REPLY__BODY_REQUESTS;
    reply.requests = &requests;
    conn_reply(c, id, &reply);
}

void status_metrics(struct conn *c, uint64_t id)
{
    struct report r = { 0 };
    Hearth__Reply reply = HEARTH__REPLY__INIT;
    Hearth__Metrics metrics = HEARTH__METRICS__INIT;

    fill(c->server, id, &r);
    CLEANUP(freep) char *text = metrics_text(&r.status);
    if (!text) {
        conn_error(c, id, HEARTH__ERROR_CODE__ERROR_INTERNAL, 1000, "hearthd is out of memory");
        return;
    }
    metrics.prometheus = text;
    reply.body_case = HEARTH__REPLY__BODY_METRICS;
    reply.metrics = &metrics;
    conn_reply(c, id, &reply);
}

/* ---- subscriptions ---- */

struct subscription {
    struct call call;
    struct climate *climate;
    struct event *timer;
};

static void subscription_end(struct call *call, bool gone)
{
    struct subscription *u = LIST_ENTRY(call, struct subscription, call);

    if (!gone) conn_cancelled(call->conn, call->id);
    climate_watch(u->climate, false);
    conn_call_over(call); /* the connection may be gone */
    event_free(u->timer);
    free(u);
}

static void send_event(struct subscription *u)
{
    CLEANUP(report_deinit) struct report r = { 0 };
    struct conn *c = u->call.conn;
    Hearth__ServerFrame f = HEARTH__SERVER_FRAME__INIT;

    if (c->paused) return; /* it does not read what it has */
    fill(c->server, u->call.id, &r);
    if (fill_requests(c, &r, &r.status.n_requests) != 0) return;
    r.status.requests = r.infos;
    f.body_case = HEARTH__SERVER_FRAME__BODY_STATUS_EVENT;
    f.status_event = &r.status;
    conn_send(c, &f);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    send_event(context);
}

void status_subscribe(struct conn *c, const Hearth__Subscribe *m)
{
    const uint32_t ms = m->interval_ms ? m->interval_ms : INTERVAL_MS;

    if (ms < INTERVAL_MIN_MS || ms > INTERVAL_MAX_MS) {
        conn_error(c, m->id, HEARTH__ERROR_CODE__ERROR_INVALID, CONN_NO_RETRY,
                   "an interval of %u ms is not possible: %d to %d are", ms, INTERVAL_MIN_MS,
                   INTERVAL_MAX_MS);
        return;
    }
    struct subscription *u = calloc(1, sizeof(*u));
    if (u) u->timer = event_new(c->server->base, -1, EV_PERSIST, on_timer, u);
    if (!u || !u->timer || timer_set(u->timer, ms) != 0) {
        if (u && u->timer) event_free(u->timer);
        free(u);
        conn_error(c, m->id, HEARTH__ERROR_CODE__ERROR_INTERNAL, 1000, "hearthd is out of memory");
        return;
    }
    conn_call(c, &u->call, m->id, subscription_end);
    u->climate = &c->server->climate;
    climate_watch(u->climate, true);
    send_event(u);
}
