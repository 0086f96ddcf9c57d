/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/request.h: one Generate from its receipt to its Done or Error. It keeps the client's message and every token that was
 * made, so that the answer can be continued by another worker.
 */
#pragma once
#include <event2/event.h>
#include <hearth.pb-c.h>
#include <stdbool.h>
#include "base/reason.h"
#include "daemon/call.h"
#include "daemon/conn.h"
#include "daemon/core/runs.h"
#include "daemon/core/sched.h"
#include "proto/link.h"

struct conversation;

enum request_seat {                  /* in the worker that is ready now */
                    REQUEST_OUTSIDE, /* the worker does not know it */
                    REQUEST_OPENING, /* SeqOpen was sent */
                    REQUEST_OPEN,
};

struct request {
    struct call call;
    struct list node; /* in server->requests, by arrival */
    struct server *server;
    struct app *app;
    uint32_t uid, pid;
    struct sched_req sched;
    Hearth__ClientFrame *frame; /* owned; NULL once a conversation has it */
    int fds[FRAME_FDS_MAX];     /* [n_fds] that came with it, owned */
    size_t n_fds;
    struct conversation *conversation;
    struct event *deadline; /* NULL: none */
    uint64_t seed;
    bool shareable;
    /* "" until the model is ready: that processes the next token; its prompt; the row that was asked for */
    char level[RUNS_LEVEL_SIZE], prompt_level[RUNS_LEVEL_SIZE], asked[RUNS_LEVEL_SIZE];
    struct reason
        lowered;      /* why the level was less than asked when it was last, "" if it never was */
    struct runs runs; /* levels of the answer's tokens, but for the last one */
    bool drops;       /* its prompt, too, is processed at the cheapest level, for its deadline */
    enum request_seat seat;
    bool started, suspect; /* Started was sent; it ran when a worker died */
    bool keep;             /* what was computed may serve its owner's next request */
    uint32_t crashes;
    uint32_t *ids; /* [n_ids] of the answer */
    size_t n_ids, size_ids;
    uint64_t text_bytes; /* of the answer, sent */
    uint64_t first_token_ns, progress_ns;
    double energy_uj; /* its share of what the machine used in its steps */
};

/**
 * request_new() - answer a Generate: Queued, or Error
 * @f: taken over if true is returned. @frame: descriptors are taken out of it then.
 */
bool request_new(struct conn *c, Hearth__ClientFrame *f, struct link_frame *frame);

/** request_done() - the answer is complete: Done; @r is freed. */
void request_done(struct request *r, Hearth__Finish finish);
/** request_error() - it cannot be answered: Error; @r is freed. @retry_ms: as in conn_error(). */
void request_error(struct request *r, Hearth__ErrorCode code, uint32_t retry_ms, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));
/** request_promise() - @r was opened: it is taken if its deadline can be met, or has none. Return: false: @r got its Error and is gone. */
bool request_promise(struct request *r);
/** request_token() - remember a token of the answer. Return: 0, -ENOMEM. */
int request_token(struct request *r, uint32_t id);

/** request_pause() - the client @c does not read, or reads again. */
void request_pause(struct server *s, const struct conn *c, bool paused);
/** request_fail_waiting() - no worker can be had: every request that has not begun gets this error; those that have too. */
void request_fail_waiting(struct server *s, Hearth__ErrorCode code, const char *why);
/** request_load_progress() - the model that requests wait for is being loaded. */
void request_load_progress(struct server *s, const char *what, uint64_t done, uint64_t total);
/** request_kill() - answer a RequestKill. */
void request_kill(struct conn *c, const Hearth__RequestKill *m);
/** request_info() - @out describes @r; texts are borrowed. */
void request_info(const struct request *r, uint64_t now_ns, Hearth__RequestInfo *out);
/** request_class_out() - a class as hearth.proto names it. */
Hearth__Class request_class_out(enum sched_class class);
