/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/conn.h: one client's connection: who it is, its frames in and out, and its patience. It checks the form of what comes
 * (framing, Hello first, ids, known requests) and hands it to the module that answers it.
 */
#pragma once
#include <event2/event.h>
#include <hearth.pb-c.h>
#include <stdbool.h>
#include "base/reason.h"
#include "daemon/app.h"
#include "daemon/call.h"
#include "daemon/peer.h"
#include "proto/link.h"

enum {
    CONN_OUT_MAX = 4 << 20,    /* bytes that may wait for a client: then it is cut */
    CONN_PAUSE_AT = 256 << 10, /* at so many its requests are paused... */
    CONN_RESUME_AT = 16 << 10, /* ...until so few are left */
    CONN_NAME_MAX = 64,
    CONN_CALLS_MAX = 64, /* unanswered calls of all kinds */
};

struct server;

struct conn {
    struct list node; /* in server->conns */
    struct server *server;
    struct link link;
    struct event *readable, *writable, *patience;
    struct peer peer;
    struct policy policy;
    struct app *app;
    char name[CONN_NAME_MAX + 1]; /* what it calls itself */
    struct list calls;            /* struct call */
    uint32_t n_calls;
    bool greeted, paused, doomed, ending;
};

/** conn_new() - take over an accepted socket. @fd: owned in any case. Refused peers are told why and hung up on. Return: 0, -errno (hung up). */
int conn_new(struct server *s, int fd);
/** conn_free() - hang up; its calls end. Only from the event loop, never from inside a callback of the connection: others use conn_doom(). */
void conn_free(struct conn *c);
/** conn_doom() - hang up soon, sending nothing more. */
void conn_doom(struct conn *c);
/** conn_finish() - hang up when what waits is sent, or after a second. */
void conn_finish(struct conn *c);
/** conn_policy() - look up the policy again: the configuration changed. */
void conn_policy(struct conn *c);

/** conn_call() - @call begins; it is then in c->calls. @end: see call.h. */
void conn_call(struct conn *c, struct call *call, uint64_t id, call_end_fn end);
/** conn_call_over() - it is answered: out of the list. Harmless if it is in none. */
void conn_call_over(struct call *call);

/** conn_send() - send @body of a server frame; a client that does not read is cut. NULL @c (the client is gone) is fine. */
void conn_send(struct conn *c, const Hearth__ServerFrame *frame);
/** conn_error() - an Error for request @id (0: the connection). @retry_ms: UINT32_MAX: retrying is of no use; else when. */
void conn_error(struct conn *c, uint64_t id, Hearth__ErrorCode code, uint32_t retry_ms,
                const char *format, ...) __attribute__((format(printf, 5, 6)));
#define CONN_NO_RETRY UINT32_MAX
/** conn_reply() - @reply with its id set. */
void conn_reply(struct conn *c, uint64_t id, Hearth__Reply *reply);
/** conn_ok() - an empty Reply. */
void conn_ok(struct conn *c, uint64_t id);
/** conn_cancelled() - a request that is no answer was cancelled: Done(CANCELLED). */
void conn_cancelled(struct conn *c, uint64_t id);
/** conn_progress() - so much of a long task is done. */
void conn_progress(struct conn *c, uint64_t id, const char *what, uint64_t done, uint64_t total);
