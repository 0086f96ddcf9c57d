/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/conn.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "daemon/dispatch.h"
#include "daemon/request.h"
#include "daemon/server.h"
#include "daemon/timer.h"
#include "proto/build_id.h"

enum {
    HELLO_S = 10,   /* to say Hello, or the rest of a frame: a local program needs microseconds */
    STALLED_S = 30, /* that a client may leave its socket full */
    FINISH_S = 1,
    FRAMES_AT_ONCE = 32, /* then the loop looks at the other clients */
};

static struct log_limit trouble = { .period_ns = UINT64_C(10) * CLOCK_NS_PER_S, .burst = 5 };

static void log_trouble(const struct conn *c, const char *what, const char *why)
{
    if (log_limited(&trouble, clock_now_ns()))
        log_info(what, "uid=%u pid=%u why=\"%s\"", c->peer.who.uid, c->peer.pid, why);
}

static void be_patient(struct conn *c, int seconds)
{
    (void)timer_set(c->patience, UINT64_C(1000) * (unsigned)seconds);
}

void conn_doom(struct conn *c)
{
    if (c->doomed) return;
    c->doomed = true;
    (void)event_del(c->readable);
    event_active(c->patience, EV_TIMEOUT, 0); /* frees it from the loop */
}

/* ---- out ---- */

static void set_paused(struct conn *c, bool paused)
{
    if (c->paused == paused) return;
    c->paused = paused;
    request_pause(c->server, c, paused);
}

static void flush(struct conn *c)
{
    const size_t before = link_pending(&c->link);

    if (link_flush(&c->link) != 0) {
        conn_doom(c);
        return;
    }
    const size_t left = link_pending(&c->link);
    if (left == 0) {
        (void)event_del(c->writable);
        if (c->ending)
            conn_doom(c);
        else if (c->greeted && !link_partial(&c->link))
            (void)event_del(c->patience);
    } else {
        if (!event_pending(c->writable, EV_WRITE, NULL)) (void)event_add(c->writable, NULL);
        /* progress renews the patience */
        if (!c->ending && (left < before || !event_pending(c->patience, EV_TIMEOUT, NULL)))
            be_patient(c, STALLED_S);
    }
    if (left >= CONN_PAUSE_AT) set_paused(c, true);
    if (left <= CONN_RESUME_AT) set_paused(c, false);
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    flush(context);
}

void conn_send(struct conn *c, const Hearth__ServerFrame *frame)
{
    if (!c || c->doomed) return;
    const int r = link_send(&c->link, &frame->base, NULL, 0);
    if (r == 0) {
        flush(c);
        return;
    }
    log_trouble(c, "client cut",
                r == LINK_E_FULL ? "it does not read" : strerror(r < 0 ? -r : EPROTO));
    conn_doom(c);
}

void conn_error(struct conn *c, uint64_t id, Hearth__ErrorCode code, uint32_t retry_ms,
                const char *format, ...)
{
    Hearth__ServerFrame f = HEARTH__SERVER_FRAME__INIT;
    Hearth__Error e = HEARTH__ERROR__INIT;
    char text[512];
    va_list ap;

    if (!c) return;
    va_start(ap, format);
    (void)vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    e.id = id;
    e.code = code;
    e.message = text;
    e.retry = retry_ms != CONN_NO_RETRY;
    e.retry_after_ms = e.retry ? retry_ms : 0;
    f.body_case = HEARTH__SERVER_FRAME__BODY_ERROR;
    f.error = &e;
    c->server->refused++;
    conn_send(c, &f);
}

void conn_reply(struct conn *c, uint64_t id, Hearth__Reply *reply)
{
    Hearth__ServerFrame f = HEARTH__SERVER_FRAME__INIT;

    reply->id = id;
    f.body_case = HEARTH__SERVER_FRAME__BODY_REPLY;
    f.reply = reply;
    conn_send(c, &f);
}

void conn_ok(struct conn *c, uint64_t id)
{
    Hearth__Reply reply = HEARTH__REPLY__INIT;

    conn_reply(c, id, &reply);
}

void conn_cancelled(struct conn *c, uint64_t id)
{
    Hearth__ServerFrame f = HEARTH__SERVER_FRAME__INIT;
    Hearth__Done d = HEARTH__DONE__INIT;

    d.id = id;
    d.finish = HEARTH__FINISH__FINISH_CANCELLED;
    f.body_case = HEARTH__SERVER_FRAME__BODY_DONE;
    f.done = &d;
    conn_send(c, &f);
}

void conn_progress(struct conn *c, uint64_t id, const char *what, uint64_t done, uint64_t total)
{
    Hearth__ServerFrame f = HEARTH__SERVER_FRAME__INIT;
    Hearth__Progress p = HEARTH__PROGRESS__INIT;

    p.id = id;
    p.what = (char *)(size_t)what;
    p.done = done;
    p.total = total;
    f.body_case = HEARTH__SERVER_FRAME__BODY_PROGRESS;
    f.progress = &p;
    conn_send(c, &f);
}

void conn_finish(struct conn *c)
{
    if (c->doomed || c->ending) return;
    c->ending = true;
    (void)event_del(c->readable);
    be_patient(c, FINISH_S);
    flush(c);
}

/* ---- in ---- */

static void protocol_error(struct conn *c, const char *why)
{
    log_trouble(c, "client broke the protocol", why);
    conn_error(c, 0, HEARTH__ERROR_CODE__ERROR_PROTOCOL, CONN_NO_RETRY, "%s", why);
    conn_finish(c);
}

static void welcome(struct conn *c, const Hearth__Hello *h)
{
    Hearth__ServerFrame f = HEARTH__SERVER_FRAME__INIT;
    Hearth__Welcome w = HEARTH__WELCOME__INIT;

    if (h->version_min > DISPATCH_VERSION || h->version_max < DISPATCH_VERSION) {
        conn_error(c, 0, HEARTH__ERROR_CODE__ERROR_VERSION, CONN_NO_RETRY,
                   "the client speaks versions %u to %u of the protocol, hearthd %s speaks %d: "
                   "update the %s",
                   h->version_min, h->version_max, PROTO_VERSION, DISPATCH_VERSION,
                   h->version_min > DISPATCH_VERSION ? "daemon" : "client");
        conn_finish(c);
        return;
    }
    (void)snprintf(c->name, sizeof(c->name), "%s", h->client_name);
    for (char *p = c->name; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = '?'; /* it goes to terminals */
    c->greeted = true;
    w.version = DISPATCH_VERSION;
    w.server = (char *)(size_t) "hearthd " PROTO_VERSION;
    w.max_frame_bytes = FRAME_BODY_MAX;
    w.max_in_flight = c->policy.in_flight_max;
    w.class_ceiling = request_class_out(c->policy.class_ceiling);
    w.administrator = c->policy.administrator;
    w.microphone = c->policy.microphone;
    f.body_case = HEARTH__SERVER_FRAME__BODY_WELCOME;
    f.welcome = &w;
    conn_send(c, &f);
}

static void take_frame(struct conn *c, struct link_frame *frame)
{
    struct reason why = { "" };
    ProtobufCMessage *m = NULL;

    if (frame_unpack(&hearth__client_frame__descriptor, frame->body, frame->size, &m, &why) != 0) {
        protocol_error(c, why.text);
        link_frame_close(frame);
        return;
    }
    Hearth__ClientFrame *f = (Hearth__ClientFrame *)(void *)m;
    const bool hello = f->body_case == HEARTH__CLIENT_FRAME__BODY_HELLO;
    if (hello == c->greeted)
        protocol_error(c, hello ? "Hello came twice" : "the first message must be Hello");
    else if (hello)
        welcome(c, f->hello);
    else
        dispatch_frame(c, &f, frame);
    link_frame_close(frame);
    frame_unpacked_free(f ? &f->base : NULL);
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct conn *c = context;
    struct reason why = { "" };
    struct link_frame frame;
    const int got = what & EV_READ ? link_read(&c->link) : 0;
    int r = 0;

    (void)fd;
    for (int i = 0; !c->doomed && !c->ending && (r = link_next(&c->link, &frame, &why)) == 0; i++) {
        take_frame(c, &frame);
        if (i == FRAMES_AT_ONCE && !c->doomed && !c->ending) {
            event_active(c->readable, 0, 0); /* the rest in the next round */
            return;
        }
    }
    if (c->doomed || c->ending) return;
    if (r == LINK_E_GARBAGE || got == LINK_E_GARBAGE) {
        protocol_error(c,
                       r == LINK_E_GARBAGE ? why.text : "descriptors came that belong to no frame");
    } else if (got == LINK_E_CLOSED || got < 0) {
        conn_doom(c);
    } else if (link_partial(&c->link)) {
        if (!event_pending(c->patience, EV_TIMEOUT, NULL)) be_patient(c, HELLO_S);
    } else if (c->greeted && link_pending(&c->link) == 0) {
        (void)event_del(c->patience);
    }
}

/* Time is over, or the connection is to be freed. */
static void on_patience(evutil_socket_t fd, short what, void *context)
{
    struct conn *c = context;

    (void)fd, (void)what;
    if (c->doomed || c->ending) {
        conn_free(c);
        return;
    }
    if (link_pending(&c->link) > 0) {
        log_trouble(c, "client cut", "it does not read");
        conn_free(c);
        return;
    }
    conn_error(c, 0, HEARTH__ERROR_CODE__ERROR_PROTOCOL, CONN_NO_RETRY,
               c->greeted ? "a frame is incomplete since %d s" : "no Hello came within %d s",
               HELLO_S);
    conn_finish(c);
}

/* ---- life ---- */

void conn_policy(struct conn *c)
{
    policy_of(&c->server->conf.policy, &c->peer.who, &c->policy);
}

static int watch(struct conn *c)
{
    struct event_base *base = c->server->base;

    c->readable = event_new(base, c->link.fd, EV_READ | EV_PERSIST, on_readable, c);
    c->writable = event_new(base, c->link.fd, EV_WRITE | EV_PERSIST, on_writable, c);
    c->patience = event_new(base, -1, 0, on_patience, c);
    if (!c->readable || !c->writable || !c->patience || event_add(c->readable, NULL) != 0)
        return err_raise(-ENOMEM);
    be_patient(c, HELLO_S);
    return 0;
}

/* Too many connections: it learns why and is hung up on. */
static void check_places(struct conn *c)
{
    const struct conf *conf = &c->server->conf;

    if (c->app->n_conns > c->policy.connections_max)
        conn_error(c, 0, HEARTH__ERROR_CODE__ERROR_QUOTA, 1000,
                   "%s has %u connections, which is what policy allows: close some, or see "
                   "connections in hearthd.conf(5)",
                   c->app->key, c->policy.connections_max);
    else if (c->server->n_conns > conf->clients_max)
        conn_error(c, 0, HEARTH__ERROR_CODE__ERROR_BUSY, 1000,
                   "hearthd has %u clients, which is its limit: try again later, or see clients in "
                   "hearthd.conf(5)",
                   conf->clients_max);
    else
        return;
    conn_finish(c);
}

int conn_new(struct server *s, int fd)
{
    struct conn *c = calloc(1, sizeof(*c));

    if (!c) {
        (void)close(fd);
        return err_raise(-ENOMEM);
    }
    list_init(&c->node);
    list_init(&c->calls);
    c->server = s;
    c->link.fd = -1;
    int r = peer_of_socket(fd, &c->peer);
    if (r == 0) r = link_init(&c->link, fd, CONN_OUT_MAX);
    if (r < 0) {
        (void)close(fd);
        conn_free(c);
        return err_pass(r);
    }
    conn_policy(c);
    c->app = app_get(&s->apps, &c->peer, &c->policy, clock_now_ns());
    r = c->app ? watch(c) : err_raise(-ENOMEM);
    if (r < 0) {
        c->app = NULL;
        conn_free(c);
        return err_pass(r);
    }
    list_push_back(&s->conns, &c->node);
    s->n_conns++;
    c->app->n_conns++;
    check_places(c);
    return 0;
}

void conn_free(struct conn *c)
{
    c->doomed = true; /* what ends now sends nothing */
    LIST_EACH(call, &c->calls, struct call, node)
    {
        conn_call_over(call);
        call->end(call, true);
    }
    if (c->app) {
        c->app->n_conns--;
        c->app->used_ns = clock_now_ns();
        c->server->n_conns--;
    }
    list_remove(&c->node);
    if (c->readable) event_free(c->readable);
    if (c->writable) event_free(c->writable);
    if (c->patience) event_free(c->patience);
    if (c->link.fd >= 0) link_deinit(&c->link);
    free(c);
}

void conn_call(struct conn *c, struct call *call, uint64_t id, call_end_fn end)
{
    call->conn = c;
    call->id = id;
    call->end = end;
    list_push_back(&c->calls, &call->node);
    c->n_calls++;
}

void conn_call_over(struct call *call)
{
    if (!call->conn) return;
    list_remove(&call->node);
    call->conn->n_calls--;
    call->conn = NULL;
}
