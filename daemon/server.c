/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/server.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "daemon/conn.h"
#include "daemon/conversation.h"
#include "daemon/listen.h"
#include "daemon/notify.h"
#include "daemon/running.h"
#include "daemon/timer.h"
#include "daemon/tokenize.h"

enum {
    ACCEPT_AT_ONCE = 16,
    ACCEPT_PAUSE_MS = 200, /* when descriptors run out */
    DRAIN_S = 30,          /* for what runs when hearthd is stopped */
    TIDY_S = 60,
    CHUNK_DEFAULT = 128,
    STEP_TARGET_MS = 100,
};

static struct log_limit accept_trouble = { .period_ns = UINT64_C(10) * CLOCK_NS_PER_S, .burst = 3 };

/* ---- the loop's own events ---- */

void server_pump(struct server *s)
{
    if (s->pump) event_active(s->pump, 0, 0);
}

static void end_if_drained(struct server *s)
{
    if (s->exiting && list_empty(&s->requests)) (void)event_base_loopbreak(s->base);
}

static void on_pump(evutil_socket_t fd, short what, void *context)
{
    struct server *s = context;

    (void)fd, (void)what;
    running_pump(s);
    tokenize_pump(s);
    climate_pump(&s->climate);
    server_status_line(s);
    end_if_drained(s);
}

static void on_accept(evutil_socket_t fd, short what, void *context)
{
    struct server *s = context;

    (void)fd, (void)what;
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        const int peer = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (peer >= 0) {
            const int r = conn_new(s, peer);
            if (r < 0 && log_limited(&accept_trouble, clock_now_ns()))
                log_warn("client not taken", "why=\"%s\"", strerror(-r));
            if (!event_pending(s->tidy, EV_TIMEOUT, NULL))
                (void)timer_set(s->tidy, UINT64_C(1000) * TIDY_S);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno == EAGAIN) return;
        if (log_limited(&accept_trouble, clock_now_ns()))
            log_warn("clients have to wait", "why=\"%s\"", strerror(errno));
        (void)event_del(
            s->accept); /* EMFILE and the like: trying again at once would only burn time */
        (void)timer_set(s->accept_again, ACCEPT_PAUSE_MS);
        return;
    }
}

static void on_accept_again(evutil_socket_t fd, short what, void *context)
{
    struct server *s = context;

    (void)fd, (void)what;
    if (!s->exiting) (void)event_add(s->accept, NULL);
}

static void on_watchdog(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what, (void)context;
    notify_watchdog();
}

/* Sleeps while there is nothing to tidy: an idle hearthd does not wake up. */
static void on_tidy(evutil_socket_t fd, short what, void *context)
{
    struct server *s = context;

    (void)fd, (void)what;
    app_tidy(&s->apps, clock_now_ns(), false);
    if (!list_empty(&s->apps)) (void)timer_set(s->tidy, UINT64_C(1000) * TIDY_S);
}

static void on_drain_end(evutil_socket_t fd, short what, void *context)
{
    struct server *s = context;

    (void)fd, (void)what;
    log_warn("stopping with requests unanswered", "requests=%u", s->sched.n_reqs);
    (void)event_base_loopbreak(s->base);
}

void server_drain(struct server *s, bool exit)
{
    if (!s->draining) log_notice("draining", "requests=%u", s->sched.n_reqs);
    s->draining = true;
    if (!exit) {
        server_status_line(s);
        return;
    }
    s->exiting = true;
    notify_stopping();
    notify_extend(UINT64_C(1000000) * (DRAIN_S + 5));
    (void)event_del(s->accept);
    (void)timer_set(s->drain_end, UINT64_C(1000) * DRAIN_S);
    server_pump(s);
}

void server_status_line(struct server *s)
{
    static const char *const names[] = { "no model is active", "model not loaded", "loading",
                                         "ready", "restarting the worker" };
    const struct supervisor *v = &s->supervisor;
    const uint32_t *n = s->sched.n_state;

    notify_status("%s%s%s%s; %u clients, %u running, %u waiting", s->draining ? "draining, " : "",
                  names[v->state], v->state == SUPERVISOR_NO_MODEL ? "" : ": ",
                  v->state == SUPERVISOR_NO_MODEL ? "" : v->model.name, s->n_conns,
                  n[SCHED_RUNNING], n[SCHED_OPENING] + n[SCHED_QUEUED] + n[SCHED_PARKED]);
}

/* ---- configuration ---- */

static void apply(struct server *s)
{
    const struct conf *c = &s->conf;
    const struct sched_config config = {
        .queue_max = c->queue_max,
        .running_max = c->running_max < SCHED_PLAN_MAX ? c->running_max : SCHED_PLAN_MAX,
        .step_target_ns =
            CLOCK_NS_PER_MS * (c->step_target_ms ? c->step_target_ms : STEP_TARGET_MS),
        .chunk_max = c->chunk ? c->chunk : CHUNK_DEFAULT,
    };

    log_set_level((enum log_level)c->log_level);
    sched_configure(&s->sched, &config);
    LIST_EACH(p, &s->conns, struct conn, node)
    conn_policy(p);
}

/* What takes effect only at the next start. */
static bool needs_restart(const struct conf *a, const struct conf *b)
{
    return strcmp(a->socket, b->socket) != 0 || strcmp(a->models, b->models) != 0 ||
           strcmp(a->cache, b->cache) != 0 || strcmp(a->group, b->group) != 0;
}

static void reload(struct server *s)
{
    struct conf *next = malloc(sizeof(*next));
    struct reason why = { "" };

    notify_reloading();
    const int r = next
                      ? conf_load(s->conf_path, s->conf_must_exist, s->private_instance, &why, next)
                      : -ENOMEM;
    if (r == 0) {
        if (needs_restart(&s->conf, next))
            log_warn("configuration needs a restart",
                     "what=\"socket, models, cache or group changed\"");
        (void)snprintf(next->socket, sizeof(next->socket), "%s", s->conf.socket);
        s->conf = *next;
        apply(s);
        log_notice("configuration read", "file=%s", s->conf_path ? s->conf_path : "default");
    } else {
        log_err("configuration not read, the old one stays", "why=\"%s\"",
                r > 0 ? why.text : strerror(-r));
    }
    free(next);
    notify_ready();
}

/* ---- signals ---- */

static void on_child_signal(evutil_socket_t sig, short what, void *context)
{
    int status;
    pid_t pid;

    (void)sig, (void)what, (void)context;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (WIFSIGNALED(status))
            log_info("worker ended", "pid=%d signal=%d", (int)pid, WTERMSIG(status));
        else
            log_info("worker ended", "pid=%d exit=%d", (int)pid, WEXITSTATUS(status));
}

static void on_stop_signal(evutil_socket_t sig, short what, void *context)
{
    struct server *s = context;

    (void)what;
    log_notice("stopping", "signal=%d", (int)sig);
    if (s->exiting) /* the second time: now */
        (void)event_base_loopbreak(s->base);
    else
        server_drain(s, true);
}

static void on_hup(evutil_socket_t sig, short what, void *context)
{
    (void)sig, (void)what;
    reload(context);
}

static int watch_signals(struct server *s)
{
    const struct sigaction ignore = { .sa_handler = SIG_IGN };
    const struct {
        int sig;
        event_callback_fn fn;
    } list[] = { { SIGTERM, on_stop_signal },
                 { SIGINT, on_stop_signal },
                 { SIGHUP, on_hup },
                 { SIGCHLD, on_child_signal } };

    (void)sigaction(SIGPIPE, &ignore, NULL);
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        s->signals[i] = evsignal_new(s->base, list[i].sig, list[i].fn, s);
        if (!s->signals[i] || event_add(s->signals[i], NULL) != 0) return err_raise(-ENOMEM);
    }
    return 0;
}

/* ---- life ---- */

static int make_events(struct server *s)
{
    s->accept = event_new(s->base, s->listen_fd, EV_READ | EV_PERSIST, on_accept, s);
    s->pump = event_new(s->base, -1, 0, on_pump, s);
    s->tidy = event_new(s->base, -1, 0, on_tidy, s);
    s->watchdog = event_new(s->base, -1, EV_PERSIST, on_watchdog, s);
    s->drain_end = event_new(s->base, -1, 0, on_drain_end, s);
    s->accept_again = event_new(s->base, -1, 0, on_accept_again, s);
    if (!s->accept || !s->pump || !s->tidy || !s->watchdog || !s->drain_end || !s->accept_again)
        return err_raise(-ENOMEM);
    if (event_add(s->accept, NULL) != 0) return err_raise(-ENOMEM);
    if (notify_watchdog_usec() > 0) (void)timer_set(s->watchdog, notify_watchdog_usec() / 1000);
    return watch_signals(s);
}

static int open_socket(struct server *s, struct reason *why)
{
    int fd = notify_listen_fd();

    if (fd == -EINVAL) {
        reason_set(why, "the service manager passed something else than one listening Unix stream "
                        "socket: see hearthd.socket");
        return LISTEN_E_FAILED;
    }
    if (fd >= 0) {
        s->listen_fd = fd;
        return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0 ? 0 : err_raise(-errno);
    }
    const int r = listen_open(s->conf.socket, s->private_instance ? "" : s->conf.group, why,
                              &s->listen_fd, &s->lock_fd);
    s->own_socket = r == 0;
    return r;
}

/* A connection is a descriptor, and so are the files of requests. */
static void raise_limits(void)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
        l.rlim_cur = l.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &l);
    }
}

/* Without a cache everything works, but loading takes longer. */
static int open_cache(struct server *s)
{
    const int r = cache_open(s->conf.cache, &s->no_cache, &s->cache);

    if (r < 0) return err_pass(r);
    if (r > 0) log_warn("weights will be packed in memory", "why=\"%s\"", s->no_cache.text);
    cache_tidy_store(s->cache, s->store);
    return 0;
}

int server_new(const struct conf *conf, const char *conf_path, bool conf_must_exist,
               bool private_instance, struct reason *why, struct server **ret)
{
    const struct sched_config none = { .queue_max = 1, .running_max = 1, .chunk_max = 1 };
    struct server *s = calloc(1, sizeof(*s));

    if (!s) return err_raise(-ENOMEM);
    raise_limits();
    s->conf = *conf;
    s->conf_path = conf_path;
    s->conf_must_exist = conf_must_exist;
    s->private_instance = private_instance;
    s->listen_fd = s->lock_fd = -1;
    s->started_ns = clock_now_ns();
    (void)snprintf(s->level_ceiling, sizeof(s->level_ceiling), "auto");
    list_init(&s->conns);
    list_init(&s->apps);
    list_init(&s->requests);
    list_init(&s->conversations);
    list_init(&s->tokenizing);
    sched_init(&s->sched, &none);
    s->base = event_base_new();
    int r = s->base ? 0 : err_raise(-ENOMEM);
    if (r == 0)
        r = open_socket(s, why); /* first: it tells whether another hearthd has this place */
    if (r == 0) r = store_open(s->conf.models, why, &s->store);
    if (r == 0) r = open_cache(s);
    if (r == 0) r = supervisor_init(&s->supervisor, s);
    if (r == 0) r = climate_init(&s->climate, s);
    import_init(&s->import, s);
    if (r == 0) r = make_events(s);
    if (r != 0) {
        server_free(s);
        return r;
    }
    apply(s);
    *ret = s;
    return 0;
}

int server_run(struct server *s)
{
    struct reason why = { "" };

    log_notice("hearthd ready", "socket=%s models=%s model=%s",
               s->own_socket ? s->conf.socket : "inherited", s->conf.models,
               s->supervisor.state == SUPERVISOR_NO_MODEL ? "none" : s->supervisor.model.name);
    notify_ready();
    if (s->conf.load_at_start && s->supervisor.state == SUPERVISOR_UNLOADED &&
        supervisor_want(&s->supervisor, &why))
        log_err("model not loaded", "why=\"%s\"", why.text);
    server_status_line(s);
    return event_base_dispatch(s->base) < 0 ? err_raise(-EIO) : 0;
}

struct server *server_free(struct server *s)
{
    struct event **events[] = { &s->accept,   &s->pump,      &s->tidy,
                                &s->watchdog, &s->drain_end, &s->accept_again };

    LIST_EACH(c, &s->conns, struct conn, node)
    conn_free(c);
    import_deinit(&s->import);
    supervisor_deinit(&s->supervisor);
    climate_deinit(&s->climate);
    conversation_free_all(&s->conversations);
    app_tidy(&s->apps, clock_now_ns(), true);
    sched_deinit(&s->sched);
    store_close(s->store);
    cache_close(s->cache);
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
        if (*events[i]) event_free(*events[i]);
    for (size_t i = 0; i < sizeof(s->signals) / sizeof(s->signals[0]); i++)
        if (s->signals[i]) event_free(s->signals[i]);
    if (s->own_socket)
        listen_close(s->conf.socket, s->listen_fd, s->lock_fd);
    else if (s->listen_fd >= 0)
        (void)close(s->listen_fd);
    if (s->base) event_base_free(s->base);
    free(s);
    return NULL;
}
