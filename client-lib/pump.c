/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cancels come from any thread and from signal handlers: an array of atomic slots and an eventfd,
 * because a lock would be one more thing to be held at the wrong time. All else is the owner's.
 *
 * A failure to send ends nothing by itself: hearthd may have said why before it hung up, and that
 * sentence still waits to be read. Only the reading side declares a connection lost.
 */
#include "client-lib/pump.h"
#include <errno.h>
#include <hearth.pb-c.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "client-lib/call.h"
#include "client-lib/receive.h"

enum {
    READS_MAX = 16,     /* link_read() calls of one pump_process(): other things of the app wait */
    CONNECT_WAIT_S = 5, /* blocking calls, when hearthd's backlog is full */
    PROTOCOL_VERSION = 1, /* the one there is */
};

static int connect_failed(struct hearth_client *c, int code)
{
    switch (-code) {
    case ENOENT:
        return client_fail(c, code,
                           "hearthd is not running: there is no socket at %s; start it with "
                           "'systemctl start hearthd.socket', or see 'hearthctl doctor'",
                           c->path);
    case ECONNREFUSED:
        return client_fail(c, code,
                           "hearthd is not running: nobody answers at %s; start it with "
                           "'systemctl restart hearthd.socket', or see 'hearthctl doctor'",
                           c->path);
    case EACCES:
        return client_fail(c, code,
                           "no permission for %s: it is for the group hearth; join it with "
                           "'sudo usermod -aG hearth USER' and log in again",
                           c->path);
    case EAGAIN:
        return client_fail(c, code, "hearthd does not accept connections at %s: try again later",
                           c->path);
    default:
        errno = -code;
        return client_fail(c, code, "cannot connect to %s: %m", c->path);
    }
}

/* A connected socket. Return: it, -errno. */
static int open_socket(const struct hearth_client *c, bool blocking)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    const struct timeval t = { .tv_sec = CONNECT_WAIT_S };
    CLEANUP(closep)
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (blocking ? 0 : SOCK_NONBLOCK), 0);

    if (fd < 0) return err_raise(-errno);
    /* For Unix sockets this bounds connect() too, which waits while the backlog is full. */
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) < 0) return err_raise(-errno);
    memcpy(a.sun_path, c->path, strlen(c->path) + 1);
    int r;
    do
        r = connect(fd, (const struct sockaddr *)&a, sizeof(a));
    while (r < 0 && errno == EINTR);
    if (r < 0) return err_raise(-errno);
    return TAKE_FD(fd);
}

static int say_hello(struct hearth_client *c)
{
    Hearth__ClientFrame f = HEARTH__CLIENT_FRAME__INIT;
    Hearth__Hello h = HEARTH__HELLO__INIT;
    char name[CLIENT_NAME_MAX + 1];

    memcpy(name, c->name, sizeof(name));
    if (!*name) (void)snprintf(name, sizeof(name), "%s", program_invocation_short_name);
    h.version_min = h.version_max = PROTOCOL_VERSION;
    h.client_name = name;
    f.body_case = HEARTH__CLIENT_FRAME__BODY_HELLO;
    f.hello = &h;
    return link_send(&c->link, &f.base, NULL, 0);
}

static bool hung_up(const struct hearth_client *c)
{
    struct pollfd p = { .fd = c->link.fd, .events = POLLRDHUP };

    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

int pump_connect(struct hearth_client *c, bool blocking)
{
    if (c->connected && hung_up(c)) {
        if (c->n_calls > 0 && !c->in_callback && blocking) {
            int r = pump_process(c); /* ends them */
            if (r < 0) return err_pass(r);
        } else if (c->n_calls == 0) {
            pump_hang_up(c, NULL);
        } /* else: this request shares the fate of the others, at the next pump_process() */
    }
    if (c->connected) return 0;
    CLEANUP(closep) int fd = open_socket(c, blocking);
    if (fd < 0) return connect_failed(c, fd);
    struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };
    if (epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0) return connect_failed(c, -errno);
    int r = link_init(&c->link, fd, CLIENT_OUT_MAX);
    if (r < 0) return connect_failed(c, r);
    fd = -1;
    c->wants_out = c->welcome = false;
    c->frame_max = FRAME_BODY_MAX;
    r = say_hello(c);
    if (r != 0) { /* of an empty queue: only memory can be missing */
        link_deinit(&c->link);
        return connect_failed(c, err_fold(r));
    }
    c->connected = true;
    return 0;
}

void pump_hang_up(struct hearth_client *c, const struct hearth_event *end)
{
    struct list ended;

    link_deinit(&c->link); /* closing the socket also takes it out of the epoll set */
    c->connected = c->welcome = false;
    list_init(&ended); /* callbacks may begin new calls on a new connection: keep these apart */
    LIST_EACH(call, &c->calls, struct call, node)
    {
        list_remove(&call->node);
        list_push_back(&ended, &call->node);
    }
    while (!list_empty(&ended)) {
        struct hearth_event e = *end;
        call_end(c, LIST_ENTRY(ended.next, struct call, node), &e);
    }
}

static void lost(struct hearth_client *c, int code, const char *message)
{
    const struct hearth_event e = { .type = HEARTH_EVENT_END,
                                    .code = code,
                                    .message = message,
                                    .retry = code == HEARTH_E_DISCONNECTED };

    pump_hang_up(c, &e);
}

/* EPOLLOUT only while bytes wait, or the set would be ready all the time. */
static void watch_out(struct hearth_client *c)
{
    const bool out = link_pending(&c->link) > 0;
    struct epoll_event e = { .events = EPOLLIN | (out ? EPOLLOUT : 0), .data.fd = c->link.fd };

    if (out == c->wants_out) return;
    if (epoll_ctl(c->epoll_fd, EPOLL_CTL_MOD, c->link.fd, &e) == 0) c->wants_out = out;
}

void pump_kick(struct hearth_client *c)
{
    (void)link_flush(&c->link);
    watch_out(c);
}

/* Send the cancels that were asked for. One that finds no room stays: EPOLLOUT brings us back. Return: 0, -ENOMEM. */
static int send_cancels(struct hearth_client *c)
{
    for (size_t i = 0; i < CLIENT_CANCELS_MAX; i++) {
        const uint64_t id = atomic_load(&c->cancels[i]);
        if (id == 0) continue;
        struct call *call = call_find(c, id);
        if (call && !call->cancel_sent) {
            Hearth__ClientFrame f = HEARTH__CLIENT_FRAME__INIT;
            Hearth__Cancel m = HEARTH__CANCEL__INIT;
            m.id = id;
            f.body_case = HEARTH__CLIENT_FRAME__BODY_CANCEL;
            f.cancel = &m;
            int r = link_send(&c->link, &f.base, NULL, 0);
            if (r == LINK_E_FULL) return 0;
            if (r < 0) return err_pass(r);
            call->cancel_sent = true;
        }
        atomic_store(&c->cancels[i], 0);
    }
    return 0;
}

int hearth_cancel(struct hearth_client *c, uint64_t id)
{
    const uint64_t one = 1;
    const int kept = errno; /* a signal handler leaves no trace */
    bool placed = false;

    if (id == 0) return -EINVAL;
    for (size_t i = 0; i < CLIENT_CANCELS_MAX && !placed; i++) {
        uint64_t expected = 0;
        placed = atomic_compare_exchange_strong(&c->cancels[i], &expected, id) || expected == id;
    }
    if (!placed) return -EAGAIN;
    (void)!write(c->event_fd, &one, sizeof(one)); /* fails when it is signalled already */
    errno = kept;
    return 0;
}

/* All whole frames that are here. Return: 0, -ENOMEM. */
static int take_frames(struct hearth_client *c)
{
    struct link_frame f;
    struct reason why = { "" };

    while (c->connected) {
        int r = link_next(&c->link, &f, &why);
        if (r == LINK_E_NONE) break;
        if (r == 0) {
            link_frame_close(&f); /* this version expects none */
            r = receive_frame(c, f.body, f.size, &why);
        }
        if (r < 0) return err_pass(r);
        if (r > 0) {
            char text[sizeof(why.text) + 64];
            (void)snprintf(text, sizeof(text), "hearthd sent what this library cannot read: %s",
                           why.text);
            lost(c, HEARTH_E_PROTOCOL, text);
        }
    }
    return 0;
}

/* Read what is there. Return: 0, -ENOMEM. */
static int take_bytes(struct hearth_client *c)
{
    for (int i = 0; i < READS_MAX && c->connected; i++) {
        int r = link_read(&c->link);
        if (r == -ENOMEM) return err_pass(r);
        if (r == LINK_E_NONE) break;
        if (r == 0) {
            r = take_frames(c);
            if (r < 0) return err_pass(r);
        } else if (r == LINK_E_GARBAGE) {
            lost(c, HEARTH_E_PROTOCOL, "hearthd sent descriptors that belong to nothing");
        } else {
            lost(c, HEARTH_E_DISCONNECTED,
                 "the connection to hearthd was lost: it stopped or restarted");
        }
    }
    return 0;
}

int pump_process(struct hearth_client *c)
{
    uint64_t n;

    if (c->in_callback)
        return client_fail(c, -EDEADLK,
                           "a callback cannot process events: it is called from there");
    (void)!read(c->event_fd, &n, sizeof(n)); /* first: a cancel after it wakes us again */
    int r = send_cancels(c);
    if (r == 0 && c->connected) pump_kick(c);
    if (r == 0) r = take_bytes(c);
    if (r == 0) r = send_cancels(c); /* of callbacks */
    if (r < 0) {
        if (c->connected) lost(c, HEARTH_E_DISCONNECTED, "this program is out of memory");
        return client_fail_errno(c, r, "the connection was closed");
    }
    if (c->connected) pump_kick(c);
    return 0;
}

int pump_turn(struct hearth_client *c, int timeout_ms)
{
    struct pollfd p = { .fd = c->epoll_fd, .events = POLLIN };

    if (poll(&p, 1, timeout_ms) < 0 && errno != EINTR)
        return client_fail_errno(c, -errno, "cannot wait for hearthd");
    return pump_process(c);
}

int pump_wait(struct hearth_client *c, uint64_t id, int timeout_ms)
{
    const uint64_t end_ns =
        clock_now_ns() + (timeout_ms > 0 ? (uint64_t)timeout_ms : 0) * CLOCK_NS_PER_MS;
    int left_ms = 0; /* the first turn takes what is there already */
    int r;

    if (c->in_callback) return client_fail(c, -EDEADLK, "a callback cannot wait for a request");
    if (!call_find(c, id)) return 0;
    c->wait.id = id;
    c->wait.ended = false;
    while ((r = pump_turn(c, left_ms)) == 0 && !c->wait.ended) {
        const uint64_t now_ns = clock_now_ns();
        left_ms = -1;
        if (timeout_ms < 0) continue;
        if (now_ns >= end_ns) break;
        left_ms = (int)((end_ns - now_ns + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS);
    }
    c->wait.id = 0;
    if (r < 0) return err_pass(r);
    if (c->wait.ended) return c->wait.code;
    return client_fail(c, -ETIMEDOUT, "request %llu has not ended after %d ms",
                       (unsigned long long)id, timeout_ms);
}

int hearth_client_process(struct hearth_client *c)
{
    return pump_process(c);
}

int hearth_client_wait(struct hearth_client *c, uint64_t id, int timeout_ms)
{
    return pump_wait(c, id, timeout_ms);
}
