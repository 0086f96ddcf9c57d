/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states and what moves between them:
 *
 *   NO_MODEL --activate--> LOADING(trial) --Loaded--> READY        UNLOADED --want--> LOADING --Loaded--> READY
 *   LOADING --Failed, or died LOAD_CRASHES_MAX times--> UNLOADED (who waited is told; a trial goes back to the old model)
 *   LOADING, READY --died or hung--> CRASHED --back-off--> LOADING
 *   READY --idle, unload--> UNLOADED
 *
 * A worker that is killed has nothing that hearthd does not have: requests are replayed (request.c).
 */
#include "daemon/supervisor.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "daemon/loading.h"
#include "daemon/notify.h"
#include "daemon/request.h"
#include "daemon/running.h"
#include "daemon/server.h"
#include "daemon/timer.h"
#include "daemon/tokenize.h"
#include "proto/build_id.h"

enum {
    HANG_S =
        60, /* a worker that owes an answer and says nothing for so long is stuck; a step takes seconds at worst */
    RESTART_MS_MAX = 10000, /* longest back-off */
    LOAD_CRASHES_MAX = 3,   /* a model whose loading kills the worker so often is refused */
};
#define LOAD_RETRY_NS (5 * CLOCK_NS_PER_S) /* a failed load is not tried again for so long */

/* ---- who waits ---- */

static void waiter_free(struct supervisor_waiter *w)
{
    conn_call_over(&w->call);
    list_remove(&w->node);
    free(w);
}

static void waiter_end(struct call *call, bool gone)
{
    struct supervisor_waiter *w = LIST_ENTRY(call, struct supervisor_waiter, call);

    if (!gone) conn_cancelled(call->conn, call->id); /* the model loads all the same */
    waiter_free(w);
}

static void waiter_add(struct list *list, struct conn *c, uint64_t id)
{
    struct supervisor_waiter *w = c ? calloc(1, sizeof(*w)) : NULL;

    if (!w) {
        conn_error(c, id, HEARTH__ERROR_CODE__ERROR_INTERNAL, 1000, "hearthd is out of memory");
        return;
    }
    list_push_back(list, &w->node);
    conn_call(c, &w->call, id, waiter_end);
}

static void waiters_fail(struct list *list, Hearth__ErrorCode code, const char *why)
{
    LIST_EACH(w, list, struct supervisor_waiter, node)
    {
        conn_error(w->call.conn, w->call.id, code, CONN_NO_RETRY, "%s", why);
        waiter_free(w);
    }
}

static void waiters_reply(struct supervisor *v)
{
    Hearth__Model model;
    Hearth__Level levels[SUPERVISOR_LEVELS_MAX], *pointers[SUPERVISOR_LEVELS_MAX];

    supervisor_model_fill(v, &v->model, &model, levels, pointers);
    LIST_EACH(w, &v->waiters, struct supervisor_waiter, node)
    {
        Hearth__Reply reply = HEARTH__REPLY__INIT;
        reply.body_case = HEARTH__REPLY__BODY_MODEL;
        reply.model = &model;
        conn_reply(w->call.conn, w->call.id, &reply);
        waiter_free(w);
    }
}

void supervisor_wait(struct supervisor *v, struct conn *c, uint64_t id)
{
    waiter_add(&v->waiters, c, id);
    if (v->state == SUPERVISOR_READY) waiters_reply(v);
}

/* ---- timers ---- */

void supervisor_busy(struct supervisor *v)
{
    const bool owes =
        v->state == SUPERVISOR_LOADING ||
        (v->state == SUPERVISOR_READY && (running_owed(v->server) || tokenize_owed(v->server)));
    const uint32_t idle_s = v->server->conf.unload_idle_s;

    if (owes)
        (void)timer_set(v->hang, HANG_S * 1000);
    else
        (void)event_del(v->hang);
    if (v->state == SUPERVISOR_READY && !owes && idle_s > 0 && list_empty(&v->server->requests)) {
        if (!event_pending(v->idle, EV_TIMEOUT, NULL))
            (void)timer_set(v->idle, UINT64_C(1000) * idle_s);
    } else {
        (void)event_del(v->idle);
    }
}

void supervisor_answered(struct supervisor *v)
{
    v->crashes = 0;
}

/* ---- stopping ---- */

static void set_state(struct supervisor *v, enum supervisor_state state)
{
    if (state != SUPERVISOR_LOADING && v->state == SUPERVISOR_LOADING)
        cache_end(v->server->cache, false); /* what was being packed and is not whole */
    if (state != SUPERVISOR_READY && v->state == SUPERVISOR_READY) {
        sched_model(&v->server->sched, 0);
        v->n_levels = 0;
        v->server->step_cost = 0;
    }
    v->state = state;
    supervisor_busy(v);
    server_status_line(v->server);
    server_pump(v->server);
}

void supervisor_unload(struct supervisor *v)
{
    (void)event_del(v->restart);
    child_stop(&v->child);
    running_worker_lost(v->server, false);
    tokenize_worker_lost(v->server);
    if (v->state != SUPERVISOR_NO_MODEL) set_state(v, SUPERVISOR_UNLOADED);
}

static void on_idle(evutil_socket_t fd, short what, void *context)
{
    struct supervisor *v = context;

    (void)fd, (void)what;
    log_notice("model unloaded", "name=%s why=idle", v->model.name);
    supervisor_unload(v);
}

/* The model cannot be had. */
static void fail(struct supervisor *v, Hearth__ErrorCode code, const char *why)
{
    struct store_model old;

    log_err("model not loaded", "name=%s version=%s why=\"%s\"", v->model.name, v->model.version,
            why);
    child_stop(&v->child);
    v->crashes = v->load_crashes = 0;
    waiters_fail(&v->waiters, code, why);
    if (v->trial) { /* back to what was active before; requests that came meanwhile are its */
        v->trial = false;
        if (store_active(v->server->store, &old) == 0) {
            v->model = old;
            set_state(v, SUPERVISOR_UNLOADED);
            return;
        }
        set_state(v, SUPERVISOR_NO_MODEL);
        request_fail_waiting(v->server, code, why);
        tokenize_fail(v->server, code, why);
        return;
    }
    v->failed_ns = clock_now_ns();
    v->failed_code = code;
    reason_set(&v->failed, "%s", why);
    set_state(v, SUPERVISOR_UNLOADED);
    request_fail_waiting(v->server, code, why);
    tokenize_fail(v->server, code, why);
}

/* ---- loading ---- */

static void on_message(void *context, const Hearth__Worker__FromWorker *m);

static void on_gone(void *context, const char *why)
{
    struct supervisor *v = context;
    const bool loading = v->state == SUPERVISOR_LOADING;

    v->restarts++;
    v->crashes++;
    v->load_crashes = loading ? v->load_crashes + 1 : 0;
    if (v->load_crashes >= LOAD_CRASHES_MAX) {
        fail(v, HEARTH__ERROR_CODE__ERROR_NO_MODEL,
             "the worker died again and again while it loaded the model: memory may be short, see "
             "hearthctl doctor and the log");
        return;
    }
    /* the first time at once: somebody waits */
    uint64_t wait_ms = v->crashes <= 1 ? 0 : UINT64_C(100) << (v->crashes < 9 ? v->crashes - 2 : 7);
    if (wait_ms > RESTART_MS_MAX) wait_ms = RESTART_MS_MAX;
    log_err("worker lost", "why=\"%s\" crashes=%u restart_ms=%llu", why, v->crashes,
            (unsigned long long)wait_ms);
    running_worker_lost(v->server, true);
    tokenize_worker_lost(v->server);
    set_state(v, SUPERVISOR_CRASHED);
    (void)timer_set(v->restart, wait_ms);
}

static void start(struct supervisor *v)
{
    struct reason why = { "" };

    v->failed.text[0] = '\0';
    if (child_start(&v->child, v->server->base, v->server->conf.worker, on_message, on_gone, v,
                    &why) != 0)
        fail(v, HEARTH__ERROR_CODE__ERROR_NO_MODEL,
             why.text[0] ? why.text : "the worker program cannot be started");
    else
        set_state(v, SUPERVISOR_LOADING);
}

static void on_restart(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    start(context);
}

static void on_hang(evutil_socket_t fd, short what, void *context)
{
    struct supervisor *v = context;

    (void)fd, (void)what;
    child_stop(&v->child);
    on_gone(v, "it said nothing for a minute while it owed an answer");
}

Hearth__ErrorCode supervisor_want(struct supervisor *v, struct reason *why)
{
    switch (v->state) {
    case SUPERVISOR_NO_MODEL:
        reason_set(why, "no model is active: add one with `hearthctl model add FILE.gguf`");
        return HEARTH__ERROR_CODE__ERROR_NO_MODEL;
    case SUPERVISOR_UNLOADED:
        if (v->failed.text[0] && clock_now_ns() - v->failed_ns < LOAD_RETRY_NS) {
            *why = v->failed;
            return v->failed_code;
        }
        start(v);
        if (v->state == SUPERVISOR_LOADING) return HEARTH__ERROR_CODE__ERROR_UNKNOWN;
        *why = v->failed;
        return v->failed_code;
    case SUPERVISOR_LOADING:
    case SUPERVISOR_READY:
    case SUPERVISOR_CRASHED:
        break;
    }
    return HEARTH__ERROR_CODE__ERROR_UNKNOWN;
}

/* ---- messages ---- */

static void on_ready(struct supervisor *v, const Hearth__Worker__Ready *m)
{
    struct reason why = { "" };

    if (strcmp(m->build_id, PROTO_BUILD_ID) != 0) {
        fail(v, HEARTH__ERROR_CODE__ERROR_INTERNAL,
             "hearthd and hearth-worker are of different builds: install both again");
        return;
    }
    (void)snprintf(v->sandbox, sizeof(v->sandbox), "%s", m->sandbox);
    v->packed_layout = m->packed_layout;
    const Hearth__ErrorCode code = loading_send(v, &why);
    if (code != HEARTH__ERROR_CODE__ERROR_UNKNOWN) fail(v, code, why.text);
}

static void on_packed(struct supervisor *v)
{
    const int r = v->state == SUPERVISOR_LOADING ? cache_keep(v->server->cache) : 0;

    if (r < 0) log_warn("packed weights not kept", "why=\"%s\"", strerror(-r));
}

static void on_loaded(struct supervisor *v, const Hearth__Worker__Loaded *m)
{
    struct reason why = { "" };

    v->load_crashes = 0;
    loading_done(v, m);
    if (v->trial && store_activate(v->server->store, v->model.name, v->model.version, &why) != 0) {
        fail(v, HEARTH__ERROR_CODE__ERROR_STORAGE, why.text);
        return;
    }
    v->trial = false;
    v->model.active = true;
    log_notice("model ready",
               "name=%s version=%s kernels=%s threads=%u context=%u sandbox=\"%s\" weights=\"%s\" "
               "took_ms=%llu",
               v->model.name, v->model.version, v->kernels, v->threads, v->context, v->sandbox,
               v->weights, (unsigned long long)(v->load_us / 1000));
    sched_model(&v->server->sched, v->pages_total);
    set_state(v, SUPERVISOR_READY);
    climate_loaded(&v->server->climate);
    waiters_reply(v);
}

static void on_progress(struct supervisor *v, const Hearth__Worker__Progress *m)
{
    if (v->state != SUPERVISOR_LOADING) return;
    notify_extend(UINT64_C(1000000) * HANG_S);
    LIST_EACH(w, &v->waiters, struct supervisor_waiter, node)
    conn_progress(w->call.conn, w->call.id, m->what, m->done, m->total);
    request_load_progress(v->server, m->what, m->done, m->total);
}

static void on_message(void *context, const Hearth__Worker__FromWorker *m)
{
    struct supervisor *v = context;

    switch (m->body_case) {
    case HEARTH__WORKER__FROM_WORKER__BODY_READY:
        on_ready(v, m->ready);
        break;
    case HEARTH__WORKER__FROM_WORKER__BODY_FAILED:
        if (v->state == SUPERVISOR_LOADING)
            fail(v, m->failed->code, m->failed->message);
        else
            log_err("worker failed", "why=\"%s\"", m->failed->message); /* it exits after it */
        break;
    case HEARTH__WORKER__FROM_WORKER__BODY_PROGRESS:
        on_progress(v, m->progress);
        break;
    case HEARTH__WORKER__FROM_WORKER__BODY_LOADED:
        on_loaded(v, m->loaded);
        break;
    case HEARTH__WORKER__FROM_WORKER__BODY_SEQ_OPENED:
        running_opened(v->server, m->seq_opened);
        break;
    case HEARTH__WORKER__FROM_WORKER__BODY_SEQ_FAILED:
        running_seq_failed(v->server, m->seq_failed);
        break;
    case HEARTH__WORKER__FROM_WORKER__BODY_STEP:
        running_step(v->server, m->step);
        break;
    case HEARTH__WORKER__FROM_WORKER__BODY_TOKENIZED:
        tokenize_done(v->server, m->tokenized);
        break;
    case HEARTH__WORKER__FROM_WORKER__BODY_PACKED:
        on_packed(v);
        break;
    case HEARTH__WORKER__FROM_WORKER__BODY_IMPORTED:
    case HEARTH__WORKER__FROM_WORKER__BODY__NOT_SET:
    default:
        break; /* nothing that this worker was asked for */
    }
    supervisor_busy(v);
}

/* ---- switching ---- */

void supervisor_switch(struct supervisor *v, const struct store_model *next, struct conn *c,
                       uint64_t id)
{
    if (v->switching || v->trial) {
        conn_error(c, id, HEARTH__ERROR_CODE__ERROR_BUSY, 1000,
                   "hearthd is switching to model %s already: try again when that is done",
                   v->switching ? v->next.name : v->model.name);
        return;
    }
    if (v->state == SUPERVISOR_READY && strcmp(next->name, v->model.name) == 0 &&
        strcmp(next->version, v->model.version) == 0) {
        supervisor_wait(v, c, id); /* it is there */
        return;
    }
    v->switching = true;
    v->next = *next;
    waiter_add(&v->switchers, c, id);
    server_pump(v->server);
}

void supervisor_switch_now(struct supervisor *v)
{
    waiters_fail(&v->waiters, HEARTH__ERROR_CODE__ERROR_BUSY, "another model is being activated");
    (void)event_del(v->restart);
    child_stop(&v->child);
    tokenize_worker_lost(v->server);
    set_state(v, SUPERVISOR_UNLOADED);
    v->switching = false;
    v->trial = true;
    v->model = v->next;
    v->crashes = v->load_crashes = 0;
    LIST_EACH(w, &v->switchers, struct supervisor_waiter, node)
    {
        list_remove(&w->node);
        list_push_back(&v->waiters, &w->node);
    }
    start(v);
}

/* ---- questions ---- */

bool supervisor_uses(const struct supervisor *v, const struct store_model *m)
{
    const bool current = v->state != SUPERVISOR_NO_MODEL && strcmp(v->model.name, m->name) == 0 &&
                         strcmp(v->model.version, m->version) == 0;

    return current || (v->switching && strcmp(v->next.name, m->name) == 0 &&
                       strcmp(v->next.version, m->version) == 0);
}

bool supervisor_level_known(const struct supervisor *v, const char *level, struct reason *why)
{
    size_t i = 0;

    if (strlen(level) >= SUPERVISOR_LEVEL_SIZE) {
        reason_set(why, "the level's name is too long");
        return false;
    }
    return v->n_levels == 0 || levels_pick(level, v->level, v->n_levels, "", &i, why) == 0;
}

void supervisor_model_fill(struct supervisor *v, const struct store_model *m, Hearth__Model *out,
                           Hearth__Level *levels, Hearth__Level **pointers)
{
    hearth__model__init(out);
    out->name = (char *)(size_t)m->name;
    out->version = (char *)(size_t)m->version;
    out->sha256 = (char *)(size_t)m->sha256;
    out->size_bytes = m->size_bytes;
    out->active = m->active;
    out->architecture = (char *)(size_t)m->architecture;
    out->description = (char *)(size_t)m->description;
    out->types = (char *)(size_t)m->types;
    out->prompt_form = (char *)(size_t)m->prompt_form;
    out->context = m->context;
    out->layers = m->layers;
    out->parameters = m->parameters;
    out->loaded = v->state == SUPERVISOR_READY && strcmp(v->model.name, m->name) == 0 &&
                  strcmp(v->model.version, m->version) == 0;
    if (!out->loaded || !levels) return;
    out->context = v->context;
    for (size_t i = 0; i < v->n_levels; i++) {
        hearth__level__init(&levels[i]);
        levels[i].name = v->level_name[i];
        levels[i].cost = (float)v->level[i].cost;
        levels[i].quality = v->level_quality[i];
        pointers[i] = &levels[i];
    }
    out->levels = pointers;
    out->n_levels = v->n_levels;
}

Hearth__State supervisor_state_out(const struct supervisor *v)
{
    if (v->server->draining) return HEARTH__STATE__STATE_DRAINING;
    switch (v->state) {
    case SUPERVISOR_NO_MODEL:
        return HEARTH__STATE__STATE_NO_MODEL;
    case SUPERVISOR_UNLOADED:
        return HEARTH__STATE__STATE_UNLOADED;
    case SUPERVISOR_LOADING:
        return HEARTH__STATE__STATE_LOADING;
    case SUPERVISOR_READY:
        return HEARTH__STATE__STATE_READY;
    case SUPERVISOR_CRASHED:
        return HEARTH__STATE__STATE_CRASHED;
    }
    return HEARTH__STATE__STATE_NO_MODEL;
}

/* ---- life ---- */

void supervisor_look(struct supervisor *v)
{
    if (v->state != SUPERVISOR_NO_MODEL && v->state != SUPERVISOR_UNLOADED) return;
    const bool has = store_active(v->server->store, &v->model) == 0;
    v->state = has ? SUPERVISOR_UNLOADED : SUPERVISOR_NO_MODEL;
    v->failed.text[0] = '\0';
}

int supervisor_init(struct supervisor *v, struct server *s)
{
    v->server = s;
    v->nudge_fd = -1;
    v->state = SUPERVISOR_NO_MODEL;
    list_init(&v->waiters);
    list_init(&v->switchers);
    v->restart = event_new(s->base, -1, 0, on_restart, v);
    v->hang = event_new(s->base, -1, 0, on_hang, v);
    v->idle = event_new(s->base, -1, 0, on_idle, v);
    if (!v->restart || !v->hang || !v->idle) return err_raise(-ENOMEM);
    v->nudge_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (v->nudge_fd < 0)
        log_warn("an urgent request waits for the step that runs", "why=\"eventfd: %s\"",
                 strerror(errno));
    supervisor_look(v);
    return 0;
}

void supervisor_nudge(const struct supervisor *v)
{
    const uint64_t one = 1;

    if (v->nudge_fd >= 0) (void)!write(v->nudge_fd, &one, sizeof(one));
}

void supervisor_deinit(struct supervisor *v)
{
    if (!v->server) return;
    child_stop(&v->child);
    if (v->restart) event_free(v->restart);
    if (v->hang) event_free(v->hang);
    if (v->idle) event_free(v->idle);
    closep(&v->nudge_fd);
}
