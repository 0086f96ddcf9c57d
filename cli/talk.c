/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/talk.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/json_out.h"
#include "cli/out.h"

enum { TICK_MS = 100 }; /* how often a progress bar moves */

int talk_open(struct talk *c, const struct args *a)
{
    sigset_t signals;

    *c = (struct talk){ .json = a->json, .timeout_ms = -1, .signal_fd = -1 };
    c->wants_progress = !a->no_progress && !a->json && out_is_terminal(stderr);
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    const int fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        out_error("cannot watch for Ctrl-C: %s", strerror(errno));
        return TALK_FAILED;
    }
    const int r = hearth_client_new(a->socket, &c->client);
    if (r < 0) {
        out_error(r == -ENAMETOOLONG ? "the socket's path is too long, the kernel takes 107 bytes"
                                     : "cannot make a client: %s",
                  strerror(-r));
        (void)close(fd);
        return r == -ENAMETOOLONG ? TALK_USAGE : TALK_FAILED;
    }
    (void)hearth_client_set_name(c->client, "hearthctl"); /* fixed and short: cannot be refused */
    (void)sigprocmask(SIG_BLOCK, &signals, &c->signals_before);
    c->signal_fd = fd;
    return TALK_OK;
}

void talk_close(struct talk *c)
{
    if (!c->client) return;
    c->client = hearth_client_free(c->client);
    (void)talk_interrupted(c); /* what came too late must not kill us now */
    (void)sigprocmask(SIG_SETMASK, &c->signals_before, NULL);
    (void)close(c->signal_fd);
}

void talk_closep(struct talk *c)
{
    talk_close(c);
}

void talk_begin(struct talk *c, hearth_event_fn fn, void *context)
{
    c->fn = fn;
    c->context = context;
    c->ended = c->interrupted = false;
    c->end = (struct talk_end){ 0 };
    progress_init(&c->progress, c->wants_progress ? stderr : NULL, clock_now_ns());
}

static void copy_end(struct talk_end *to, const struct hearth_event *e)
{
    to->code = e->code;
    to->retry = e->retry != 0;
    to->retry_after_ms = e->retry_after_ms;
    to->finish = e->finish;
    to->has_usage = e->usage != NULL;
    if (e->usage) to->usage = *e->usage;
    (void)snprintf(to->message, sizeof(to->message), "%s", e->message ? e->message : "");
    (void)snprintf(to->level, sizeof(to->level), "%s", e->level ? e->level : "");
    (void)snprintf(to->level_reason, sizeof(to->level_reason), "%s",
                   e->level_reason ? e->level_reason : "");
    (void)snprintf(to->model, sizeof(to->model), "%s", e->model_name ? e->model_name : "");
}

void talk_event(void *context, const struct hearth_event *e)
{
    struct talk *const c = context;

    if (e->type == HEARTH_EVENT_PROGRESS)
        progress_set(&c->progress, e->what ? e->what : "", e->done, e->total, clock_now_ns());
    else if (e->type == HEARTH_EVENT_QUEUED)
        progress_set(&c->progress, "queue", e->position, 0, clock_now_ns());
    else if (e->type != HEARTH_EVENT_STARTED)
        progress_erase(&c->progress); /* what follows may write to the terminal */
    if (e->type == HEARTH_EVENT_END) copy_end(&c->end, e);
    if (e->type == HEARTH_EVENT_END) c->ended = true;
    if (c->fn) c->fn(c->context, e);
}

bool talk_interrupted(struct talk *c)
{
    struct signalfd_siginfo info;
    bool any = false;

    while (read(c->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        any = true;
    return any;
}

/* Wait until something happens, at most until @until_ns (0: no limit), and handle it. Return: 0, -errno, 1: leave at once. */
static int wait_once(struct talk *c, uint64_t id, uint64_t until_ns)
{
    struct pollfd p[2] = { { .fd = hearth_client_fd(c->client), .events = POLLIN },
                           { .fd = c->signal_fd, .events = POLLIN } };
    int timeout_ms = c->wants_progress ? TICK_MS : -1;

    if (until_ns && timeout_ms < 0) timeout_ms = TICK_MS;
    if (poll(p, 2, timeout_ms) < 0 && errno != EINTR) return -errno;
    if (talk_interrupted(c)) {
        if (c->interrupted) return 1;
        c->interrupted = true;
        const int r = hearth_cancel(c->client, id);
        if (r < 0) return r;
    }
    const int r = hearth_client_process(c->client);
    if (r < 0) return r;
    progress_tick(&c->progress, clock_now_ns());
    return until_ns && clock_now_ns() > until_ns && !c->ended ? -ETIMEDOUT : 0;
}

const char *talk_error_name(int code)
{
    if (code >= 0) return hearth_code_name(code);
    return talk_exit_code(code, false) == TALK_UNREACHABLE ? "UNREACHABLE" : "FAILED";
}

int talk_exit_code(int code, bool retry)
{
    static const int unreachable[] = { ENOENT,       ECONNREFUSED, EACCES,    EPERM,   ENOTSOCK,
                                       ECONNRESET,   EPIPE,        ENOTCONN,  ENOTDIR, EAGAIN,
                                       ECONNABORTED, EPROTOTYPE,   ETIMEDOUT, ELOOP,   ENODEV };

    if (code == 0) return TALK_OK;
    if (code == HEARTH_E_DISCONNECTED) return TALK_UNREACHABLE;
    if (code == HEARTH_E_BUSY || code == HEARTH_E_QUOTA || code == HEARTH_E_DEADLINE)
        return TALK_LATER;
    if (code > 0) return retry ? TALK_LATER : TALK_FAILED;
    for (size_t i = 0; i < sizeof(unreachable) / sizeof(unreachable[0]); i++)
        if (-code == unreachable[i]) return TALK_UNREACHABLE;
    return TALK_FAILED;
}

static void report(const struct talk *c)
{
    const struct talk_end *const e = &c->end;
    char after[48] = "", time[32];

    if (e->retry_after_ms > 0)
        (void)snprintf(after, sizeof(after), " (try again in about %s)",
                       out_about(time, sizeof(time), e->retry_after_ms));
    out_error("%s%s", e->message[0] ? e->message : talk_error_name(e->code), after);
    if (c->json)
        (void)json_out_print(json_pack(
            "{so}", "error",
            json_out_error(talk_error_name(e->code), e->message, e->retry, e->retry_after_ms)));
}

int talk_finish(struct talk *c, int r, uint64_t id)
{
    const uint64_t until_ns =
        c->timeout_ms < 0 ? 0 : clock_now_ns() + (uint64_t)c->timeout_ms * CLOCK_NS_PER_MS;

    while (r == 0 && !c->ended)
        r = wait_once(c, id, until_ns);
    progress_erase(&c->progress);
    if (r < 0 && !c->ended) {
        c->end.code = r;
        (void)snprintf(c->end.message, sizeof(c->end.message), "%s",
                       r == -ETIMEDOUT ? "hearthd does not answer"
                                       : hearth_client_error(c->client));
    }
    if (c->interrupted) return TALK_INTERRUPTED;
    const int exit_code = talk_exit_code(c->end.code, c->end.retry);
    if (exit_code != TALK_OK && !c->silent) report(c);
    return exit_code;
}
