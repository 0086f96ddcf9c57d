/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/request.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "daemon/conversation.h"
#include "daemon/leveling.h"
#include "daemon/running.h"
#include "daemon/server.h"
#include "daemon/timer.h"

enum {
    STOPS_MAX = 8,
    STOP_BYTES = 64,
    TOOLS_MAX = 256,
    MESSAGES_MAX = 1024,
    PARTS_MAX = 1024,
    FD_BYTES_MAX = 64 << 20
};

/* ---- classes ---- */

Hearth__Class request_class_out(enum sched_class class)
{
    switch (class) {
    case SCHED_BACKGROUND:
        return HEARTH__CLASS__CLASS_BACKGROUND;
    case SCHED_INTERACTIVE:
        return HEARTH__CLASS__CLASS_INTERACTIVE;
    case SCHED_REALTIME:
        return HEARTH__CLASS__CLASS_REALTIME;
    case SCHED_CLASSES:
        break;
    }
    return HEARTH__CLASS__CLASS_DEFAULT;
}

/* @ret: what is asked for, or the default. False: there is no such class. */
static bool class_in(Hearth__Class asked, enum sched_class ceiling, enum sched_class *ret)
{
    switch ((int)asked) {
    case HEARTH__CLASS__CLASS_DEFAULT:
        *ret = ceiling < SCHED_INTERACTIVE ? ceiling : SCHED_INTERACTIVE;
        return true;
    case HEARTH__CLASS__CLASS_BACKGROUND:
        *ret = SCHED_BACKGROUND;
        return true;
    case HEARTH__CLASS__CLASS_INTERACTIVE:
        *ret = SCHED_INTERACTIVE;
        return true;
    case HEARTH__CLASS__CLASS_REALTIME:
        *ret = SCHED_REALTIME;
        return true;
    default:
        return false;
    }
}

/* ---- what is refused before it is queued ---- */

/* A file of the client is read later, and again for a replay: it must not change, and must not be able to block. */
static bool check_fds(const int *fds, size_t n, struct reason *why)
{
    const int sealed = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
    struct stat st;

    for (size_t i = 0; i < n; i++) {
        const int seals = fcntl(fds[i], F_GET_SEALS);
        if (seals < 0 || (seals & sealed) != sealed)
            reason_set(why,
                       "descriptor %zu is no memfd sealed against writing, shrinking and growing",
                       i + 1);
        else if (fstat(fds[i], &st) != 0 || st.st_size > FD_BYTES_MAX)
            reason_set(why, "descriptor %zu has more than %d bytes", i + 1, FD_BYTES_MAX);
        else
            continue;
        return false;
    }
    return true;
}

static bool check_counts(const Hearth__Generate *g, struct reason *why)
{
    size_t parts = 0;

    for (size_t i = 0; i < g->n_messages; i++)
        parts += g->messages[i]->n_parts;
    if (g->n_messages == 0)
        reason_set(why, "the request has no messages: give it at least one");
    else if (g->n_messages > MESSAGES_MAX || parts > PARTS_MAX)
        reason_set(why,
                   "the request has %zu messages with %zu parts, at most %d and %d are allowed",
                   g->n_messages, parts, MESSAGES_MAX, PARTS_MAX);
    else if (g->n_stop > STOPS_MAX)
        reason_set(why, "the request has %zu stop texts, at most %d are allowed", g->n_stop,
                   STOPS_MAX);
    else if (g->n_tools > TOOLS_MAX)
        reason_set(why, "the request offers %zu tools, at most %d are allowed", g->n_tools,
                   TOOLS_MAX);
    else if (g->raw && g->conversation[0])
        reason_set(why, "a raw request cannot continue a conversation");
    else
        return true;
    return false;
}

/* Return: 0, or the code of the error (@why, @retry_ms). */
static Hearth__ErrorCode check_policy(const struct conn *c, const Hearth__Generate *g,
                                      enum sched_class *ret, struct reason *why, uint32_t *retry_ms)
{
    const struct policy *p = &c->policy;
    const uint64_t now_ns = clock_now_ns();

    *retry_ms = CONN_NO_RETRY;
    if (!p->generate) {
        reason_set(
            why,
            "policy does not let you generate: join group %s, or see generate in hearthd.conf(5)",
            c->server->conf.group[0] ? c->server->conf.group : "hearth");
        return HEARTH__ERROR_CODE__ERROR_DENIED;
    }
    if (!class_in(g->request_class, p->class_ceiling, ret)) {
        reason_set(why, "there is no class %d", (int)g->request_class);
        return HEARTH__ERROR_CODE__ERROR_INVALID;
    }
    if (*ret > p->class_ceiling) {
        reason_set(why,
                   "policy allows class %s at most, %s was asked for: see class in hearthd.conf(5)",
                   policy_class_name(p->class_ceiling), policy_class_name(*ret));
        return HEARTH__ERROR_CODE__ERROR_DENIED;
    }
    *retry_ms = sched_retry_ms(&c->server->sched);
    if (c->server->draining) {
        reason_set(why, "hearthd is stopping");
        return HEARTH__ERROR_CODE__ERROR_BUSY;
    }
    if (c->app->n_requests >= p->in_flight_max) {
        reason_set(why, "%s has %u requests in flight, policy allows %u: wait for one of them",
                   c->app->key, c->app->n_requests, p->in_flight_max);
        return HEARTH__ERROR_CODE__ERROR_QUOTA;
    }
    if (quota_check(&c->app->tokens, now_ns) != 0) {
        *retry_ms = quota_retry_ms(&c->app->tokens, now_ns);
        reason_set(why, "%s used up its %u tokens per minute", c->app->key, p->tokens_per_minute);
        return HEARTH__ERROR_CODE__ERROR_QUOTA;
    }
    return HEARTH__ERROR_CODE__ERROR_UNKNOWN;
}

static Hearth__ErrorCode check(struct conn *c, const Hearth__Generate *g,
                               const struct link_frame *frame, enum sched_class *ret_class,
                               struct conversation **ret_conversation, struct reason *why,
                               uint32_t *retry_ms)
{
    Hearth__ErrorCode code = check_policy(c, g, ret_class, why, retry_ms);

    if (code) return code;
    *retry_ms = CONN_NO_RETRY;
    if (!check_counts(g, why) || !check_fds(frame->fds, frame->n_fds, why))
        return HEARTH__ERROR_CODE__ERROR_INVALID;
    if (!supervisor_level_known(&c->server->supervisor, g->level, why))
        return HEARTH__ERROR_CODE__ERROR_INVALID;
    code = supervisor_want(&c->server->supervisor, why);
    if (code || !g->conversation[0]) return code;
    *retry_ms = 1000;
    return conversation_join(c, g, ret_conversation, why);
}

/* ---- the end ---- */

static void request_free(struct request *r)
{
    if (r->conversation) conversation_leave(r);
    running_close(r);
    sched_remove(&r->server->sched, &r->sched);
    list_remove(&r->node);
    conn_call_over(&r->call);
    r->app->n_requests--;
    r->app->used_ns = clock_now_ns();
    if (r->deadline) event_free(r->deadline);
    for (size_t i = 0; i < r->n_fds; i++)
        (void)close(r->fds[i]);
    server_pump(r->server);
    frame_unpacked_free(r->frame ? &r->frame->base : NULL);
    runs_deinit(&r->runs);
    free(r->ids);
    free(r);
}

/* Of the prompt's tokens: a replay may have found some of the answer's, too. */
static uint32_t cached(const struct request *r)
{
    return r->sched.cached_tokens < r->sched.prompt_tokens ? r->sched.cached_tokens
                                                           : r->sched.prompt_tokens;
}

static void fill_usage(const struct request *r, uint64_t now_ns, Hearth__Usage *u)
{
    const struct sched_req *q = &r->sched;

    u->prompt_tokens = q->prompt_tokens;
    u->cached_tokens = cached(r);
    u->output_tokens = (uint32_t)r->n_ids;
    u->queued_us = ((q->running_ns ? q->running_ns : now_ns) - q->arrived_ns) / 1000;
    u->first_token_us = r->first_token_ns ? (r->first_token_ns - q->arrived_ns) / 1000 : 0;
    u->total_us = (now_ns - q->arrived_ns) / 1000;
    u->engine_us = q->engine_ns / 1000;
    u->replays = r->crashes;
    u->energy_mj = (uint64_t)(r->energy_uj * 1e-3 + 0.5);
}

static void log_end(const struct request *r, const char *how, const Hearth__Usage *u)
{
    struct reason why;
    const char *const level = leveling_made(r, &why);

    log_info(
        "request ended",
        "serial=%llu app=\"%s\" uid=%u class=%s how=%s level=%s why=\"%s\" prompt=%u cached=%u "
        "output=%u queued_us=%llu first_us=%llu total_us=%llu engine_us=%llu energy_mj=%llu "
        "replays=%u",
        (unsigned long long)r->sched.serial, r->app->key, r->uid, policy_class_name(r->sched.class),
        how, level, why.text, u->prompt_tokens, u->cached_tokens, u->output_tokens,
        (unsigned long long)u->queued_us, (unsigned long long)u->first_token_us,
        (unsigned long long)u->total_us, (unsigned long long)u->engine_us,
        (unsigned long long)u->energy_mj, u->replays);
}

void request_done(struct request *r, Hearth__Finish finish)
{
    static const char *const how[] = { "unknown", "stop", "length", "cancelled", "bad call" };
    struct server *s = r->server;
    Hearth__ServerFrame f = HEARTH__SERVER_FRAME__INIT;
    Hearth__Done d = HEARTH__DONE__INIT;
    Hearth__Usage u = HEARTH__USAGE__INIT;
    struct reason why;

    fill_usage(r, clock_now_ns(), &u);
    d.id = r->call.id;
    d.finish = finish;
    d.usage = &u;
    d.level = (char *)(size_t)leveling_made(r, &why);
    d.level_reason = why.text;
    d.model = s->supervisor.model.name;
    f.body_case = HEARTH__SERVER_FRAME__BODY_DONE;
    f.done = &d;
    conn_send(r->call.conn, &f);
    log_end(r, how[finish], &u);
    s->served++;
    s->tokens_in += u.prompt_tokens;
    s->tokens_cached += u.cached_tokens;
    s->tokens_out += u.output_tokens;
    if (finish != HEARTH__FINISH__FINISH_CANCELLED) supervisor_answered(&s->supervisor);
    if (r->conversation) conversation_add(r);
    r->keep = true;
    request_free(r);
}

void request_error(struct request *r, Hearth__ErrorCode code, uint32_t retry_ms, const char *format,
                   ...)
{
    Hearth__Usage u = HEARTH__USAGE__INIT;
    char text[384];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    fill_usage(r, clock_now_ns(), &u);
    conn_error(r->call.conn, r->call.id, code, retry_ms, "%s", text);
    log_end(r, "error", &u);
    request_free(r);
}

static void on_end(struct call *call, bool gone)
{
    struct request *r = LIST_ENTRY(call, struct request, call);
    Hearth__Usage u = HEARTH__USAGE__INIT;

    if (!gone) {
        request_done(r, HEARTH__FINISH__FINISH_CANCELLED);
        return;
    }
    fill_usage(r, clock_now_ns(), &u);
    log_end(r, "gone", &u);
    request_free(r);
}

static void on_deadline(evutil_socket_t fd, short what, void *context)
{
    struct request *r = context;

    (void)fd, (void)what;
    request_error(r, HEARTH__ERROR_CODE__ERROR_DEADLINE, 0,
                  "the deadline of %u ms passed after %zu tokens of the answer",
                  r->frame->generate->deadline_ms, r->n_ids);
}

/* ---- the beginning ---- */

/* A request without a seed gets one, so that a replay makes the same choices. */
static int fix_seed(struct request *r)
{
    Hearth__Generate *g = r->frame->generate;

    if (g->sampling && g->sampling->has_seed_case) {
        r->seed = g->sampling->seed;
        return 0;
    }
    return getrandom(&r->seed, sizeof(r->seed), 0) == (ssize_t)sizeof(r->seed) ? 0
                                                                               : err_raise(-EIO);
}

static int set_deadline(struct request *r)
{
    const uint32_t ms = r->frame->generate->deadline_ms;

    if (ms == 0) return 0;
    r->deadline = event_new(r->server->base, -1, 0, on_deadline, r);
    return r->deadline && timer_set(r->deadline, ms) == 0 ? 0 : err_raise(-ENOMEM);
}

/* Tell its place. */
static void send_queued(struct request *r)
{
    Hearth__ServerFrame f = HEARTH__SERVER_FRAME__INIT;
    Hearth__Queued q = HEARTH__QUEUED__INIT;
    struct reason why;

    q.id = r->call.id;
    sched_estimate(&r->server->sched, &r->sched, &q.position, &q.wait_ms);
    q.level = (char *)(size_t)leveling_preview(r, &why);
    q.level_reason = why.text;
    f.body_case = HEARTH__SERVER_FRAME__BODY_QUEUED;
    f.queued = &q;
    conn_send(r->call.conn, &f);
}

static struct request *make(struct conn *c, Hearth__ClientFrame *f, struct link_frame *frame,
                            enum sched_class class, int *ret)
{
    struct server *s = c->server;
    struct request *r = calloc(1, sizeof(*r));

    *ret = -ENOMEM;
    if (!r) return NULL;
    *ret = sched_add(&s->sched, &r->sched, c->app->key, c->policy.weight, class, ++s->serial,
                     clock_now_ns());
    if (*ret != 0) {
        free(r);
        return NULL;
    }
    r->server = s;
    r->app = c->app;
    r->app->n_requests++;
    r->uid = c->peer.who.uid;
    r->pid = c->peer.pid;
    r->shareable = c->policy.shareable;
    r->sched.pages_quota = c->policy.kv_pages_max;
    r->sched.paused = c->paused;
    r->frame = f;
    r->n_fds = frame->n_fds;
    memcpy(r->fds, frame->fds, sizeof(r->fds));
    frame->n_fds = 0;
    list_push_back(&s->requests, &r->node);
    conn_call(c, &r->call, f->generate->id, on_end);
    return r;
}

bool request_new(struct conn *c, Hearth__ClientFrame *f, struct link_frame *frame)
{
    struct conversation *conversation = NULL;
    struct reason why = { "" };
    enum sched_class class = SCHED_BACKGROUND;
    uint32_t retry_ms = CONN_NO_RETRY;
    int r = 0;
    const Hearth__ErrorCode code =
        check(c, f->generate, frame, &class, &conversation, &why, &retry_ms);

    if (code) {
        conn_error(c, f->generate->id, code, retry_ms, "%s", why.text);
        return false;
    }
    struct request *q = make(c, f, frame, class, &r);
    if (!q) {
        conn_error(c, f->generate->id, HEARTH__ERROR_CODE__ERROR_BUSY,
                   sched_retry_ms(&c->server->sched),
                   r == SCHED_E_FULL ? "the queue is full (%u requests): try again later"
                                     : "hearthd is out of memory (%u requests)",
                   c->server->sched.n_reqs);
        return false;
    }
    if (conversation) conversation_enter(q, conversation);
    r = fix_seed(q);
    if (r == 0) r = set_deadline(q);
    if (r < 0) {
        request_error(q, HEARTH__ERROR_CODE__ERROR_INTERNAL, 1000,
                      "hearthd could not prepare the request: %s", strerror(-r));
        return true;
    }
    send_queued(q);
    server_pump(c->server);
    return true;
}

bool request_promise(struct request *r)
{
    const uint32_t deadline_ms = r->frame->generate->deadline_ms;
    struct sched_late late;

    if (deadline_ms == 0 || r->started || r->sched.due_ns > 0) return true;
    if (leveling_promise(r, &late)) return true;
    if (late.retry_ms > 0)
        request_error(r, HEARTH__ERROR_CODE__ERROR_DEADLINE, late.retry_ms,
                      "the deadline of %u ms cannot be met: after what others were promised it "
                      "would be done in about %u ms",
                      deadline_ms, late.expected_ms);
    else
        request_error(r, HEARTH__ERROR_CODE__ERROR_DEADLINE, CONN_NO_RETRY,
                      "the deadline of %u ms cannot be met: it takes about %u ms, too long even "
                      "alone: allow more time, or ask for fewer max_tokens",
                      deadline_ms, late.expected_ms);
    return false;
}

int request_token(struct request *r, uint32_t id)
{
    if (r->n_ids == r->size_ids) {
        const size_t size = r->size_ids ? 2 * r->size_ids : 64;
        uint32_t *ids = reallocarray(r->ids, size, sizeof(*ids));
        if (!ids) return err_raise(-ENOMEM);
        r->ids = ids;
        r->size_ids = size;
    }
    r->ids[r->n_ids++] = id;
    return 0;
}

/* ---- all of them ---- */

void request_pause(struct server *s, const struct conn *c, bool paused)
{
    LIST_EACH(r, &s->requests, struct request, node)
    if (r->call.conn == c) r->sched.paused = paused;
    server_pump(s);
}

void request_fail_waiting(struct server *s, Hearth__ErrorCode code, const char *why)
{
    LIST_EACH(r, &s->requests, struct request, node)
    request_error(r, code, CONN_NO_RETRY, "%s", why);
}

void request_load_progress(struct server *s, const char *what, uint64_t done, uint64_t total)
{
    LIST_EACH(r, &s->requests, struct request, node)
    conn_progress(r->call.conn, r->call.id, what, done, total);
}

void request_kill(struct conn *c, const Hearth__RequestKill *m)
{
    LIST_EACH(r, &c->server->requests, struct request, node)
    {
        if (r->sched.serial != m->request) continue;
        if (r->uid != c->peer.who.uid && !c->policy.administrator)
            break; /* what others ask is nobody's business */
        request_done(r, HEARTH__FINISH__FINISH_CANCELLED);
        conn_ok(c, m->id);
        return;
    }
    conn_error(c, m->id, HEARTH__ERROR_CODE__ERROR_NOT_FOUND, CONN_NO_RETRY,
               "you have no request %llu: see hearthctl ps", (unsigned long long)m->request);
}

void request_info(const struct request *r, uint64_t now_ns, Hearth__RequestInfo *out)
{
    hearth__request_info__init(out);
    out->serial = r->sched.serial;
    out->app = r->app->key;
    out->uid = r->uid;
    out->pid = r->pid;
    out->request_class = request_class_out(r->sched.class);
    out->state = (char *)(size_t)(r->sched.paused ? "paused" : sched_state_name(&r->sched));
    out->prompt_tokens = r->sched.prompt_tokens;
    out->cached_tokens = cached(r);
    out->prefilled_tokens = r->sched.prefilled_tokens;
    out->output_tokens = (uint32_t)r->n_ids;
    out->level = (char *)(size_t)(r->n_ids == 0 ? r->prompt_level : r->level);
    out->age_us = (now_ns - r->sched.arrived_ns) / 1000;
    out->engine_us = r->sched.engine_ns / 1000;
    out->replays = r->crashes;
    out->energy_mj = (uint64_t)(r->energy_uj * 1e-3 + 0.5);
}
