/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/child.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/err.h"

enum {
    SOCKET_FD = 3,
    OUT_MAX = 64 << 20
}; /* 64 requests of a full frame may wait for the end of a step */

/* In the forked process: only calls that are safe there. */
static _Noreturn void become_worker(int sock, const char *path)
{
    char *const argv[] = { (char *)(size_t) "hearth-worker", NULL };
    sigset_t none;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* no worker outlives its hearthd */
    if (dup2(sock, SOCKET_FD) < 0) _exit(126);
    if (sock == SOCKET_FD) (void)fcntl(sock, F_SETFD, 0);
    (void)execv(path, argv);
    _exit(127);
}

static void die(struct child *c, const char *why)
{
    if (!c->why) c->why = why;
    event_active(c->dead, 0, 0);
}

static void on_dead(evutil_socket_t fd, short what, void *context)
{
    struct child *c = context;
    const char *why = c->why;

    (void)fd, (void)what;
    if (!child_running(c)) return;
    child_stop(c);
    c->on_gone(c->context, why);
}

static void want_write(struct child *c)
{
    if (link_pending(&c->link) > 0)
        (void)event_add(c->writable, NULL);
    else
        (void)event_del(c->writable);
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    struct child *c = context;

    (void)fd, (void)what;
    if (link_flush(&c->link) != 0)
        die(c, "it hung up");
    else
        want_write(c);
}

static int take_frame(struct child *c, struct link_frame *frame, struct reason *why)
{
    ProtobufCMessage *m = NULL;
    const int r =
        frame_unpack(&hearth__worker__from_worker__descriptor, frame->body, frame->size, &m, why);

    link_frame_close(frame);
    if (r != 0) return r;
    c->on_message(c->context, (const Hearth__Worker__FromWorker *)(const void *)m);
    frame_unpacked_free(m);
    return 0;
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct child *c = context;
    struct reason why = { "" };
    struct link_frame frame;
    const int got = link_read(&c->link);
    int r = 0;

    (void)fd, (void)what;
    /* a message may stop this child, and start another one in its place: then this socket is not ours any more */
    const pid_t pid = c->pid;
    while (c->pid == pid && !c->why && (r = link_next(&c->link, &frame, &why)) == 0)
        if (take_frame(c, &frame, &why) != 0) die(c, "it sent what is no message");
    if (c->pid != pid || c->why) return;
    if (r == LINK_E_GARBAGE) die(c, "it sent what is no message");
    if (got == LINK_E_CLOSED) die(c, "it died");
    if (got < 0 || got == LINK_E_GARBAGE) die(c, "its socket failed");
}

static int watch(struct child *c)
{
    c->readable = event_new(c->base, c->link.fd, EV_READ | EV_PERSIST, on_readable, c);
    c->writable = event_new(c->base, c->link.fd, EV_WRITE, on_writable, c);
    c->dead = event_new(c->base, -1, 0, on_dead, c);
    return c->readable && c->writable && c->dead && event_add(c->readable, NULL) == 0
               ? 0
               : err_raise(-ENOMEM);
}

int child_start(struct child *c, struct event_base *base, const char *path,
                child_message_fn on_message, child_gone_fn on_gone, void *context,
                struct reason *why)
{
    int pair[2];

    *c = (struct child){
        .base = base, .on_message = on_message, .on_gone = on_gone, .context = context
    };
    c->link.fd = -1;
    if (access(path, X_OK) != 0) {
        reason_set(why, "the worker program %s cannot be started: %s", path, strerror(errno));
        return err_raise(-errno);
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return err_raise(-errno);
    CLEANUP(closep) int theirs = pair[1];
    int r = link_init(&c->link, pair[0], OUT_MAX);
    if (r < 0) {
        (void)close(pair[0]);
        return err_pass(r);
    }
    c->pid = fork();
    if (c->pid == 0) become_worker(theirs, path);
    r = c->pid < 0 ? err_raise(-errno) : watch(c);
    if (r == 0) return 0;
    reason_set(why, "starting the worker: %s", strerror(-r));
    child_stop(c);
    return err_pass(r);
}

int child_send(struct child *c, const Hearth__Worker__ToWorker *message, const int *fds,
               size_t n_fds)
{
    if (!child_running(c) || c->why) return 0;
    int r = link_send(&c->link, &message->base, fds, n_fds);
    if (r == -EMSGSIZE) return r;
    if (r == 0) r = link_flush(&c->link);
    if (r != 0)
        die(c, r == LINK_E_FULL ? "it does not read its messages" : "it hung up");
    else
        want_write(c);
    return 0;
}

static void event_drop(struct event **e)
{
    if (*e) event_free(*e);
    *e = NULL;
}

void child_stop(struct child *c)
{
    if (!c->base) return;                        /* never started */
    if (c->pid > 0) (void)kill(c->pid, SIGKILL); /* the server's SIGCHLD handler reaps it */
    c->pid = 0;
    c->why = NULL;
    event_drop(&c->readable);
    event_drop(&c->writable);
    event_drop(&c->dead);
    if (c->link.fd >= 0) link_deinit(&c->link);
}

void child_rss(const struct child *c, uint64_t *ret_bytes, uint64_t *ret_anon)
{
    char path[64], line[128];
    unsigned long long kb;

    *ret_bytes = *ret_anon = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)c->pid);
    FILE *f = c->pid > 0 ? fopen(path, "re") : NULL;
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "VmRSS: %llu", &kb) == 1) *ret_bytes = kb << 10;
        if (sscanf(line, "RssAnon: %llu", &kb) == 1) *ret_anon = kb << 10;
    }
    if (f) (void)fclose(f);
}
