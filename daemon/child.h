/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/child.h: a hearth-worker process and the socket to it. It knows nothing of models: messages go to a callback. A child
 * that says anything that is no message of worker.proto is killed like one that died.
 */
#pragma once
#include <event2/event.h>
#include <stdbool.h>
#include <sys/types.h>
#include <worker.pb-c.h>
#include "base/reason.h"
#include "proto/link.h"

struct child;

/* One message; @frame's descriptors are the callback's to take (set n_fds 0) or are closed afterwards. */
typedef void (*child_message_fn)(void *context, const Hearth__Worker__FromWorker *message);
/* The process is gone (or was killed because of what it said: @why); child_stop() has been done. Never called from inside child_*(). */
typedef void (*child_gone_fn)(void *context, const char *why);

struct child {
    struct event_base *base;
    pid_t pid; /* 0: none */
    struct link link;
    struct event *readable, *writable, *dead;
    child_message_fn on_message;
    child_gone_fn on_gone;
    void *context;
    const char *why; /* of the death that `dead` will report */
};

/**
 * child_start() - fork and exec @path with a socket as descriptor 3, nothing else but stderr open
 * @c: zeroed or stopped. Return: 0; -errno (@why).
 */
int child_start(struct child *c, struct event_base *base, const char *path,
                child_message_fn on_message, child_gone_fn on_gone, void *context,
                struct reason *why);

/** child_send() - queue and send. @fds: [n_fds] borrowed. Return: 0; -EMSGSIZE (more than a frame; nothing was sent); else the child is as good
 * as gone, on_gone will be called, and 0 is returned. */
int child_send(struct child *c, const Hearth__Worker__ToWorker *message, const int *fds,
               size_t n_fds);

/** child_stop() - kill it (SIGKILL: it keeps nothing that could be lost) and forget it; no callback follows. Harmless if there is none. */
void child_stop(struct child *c);

/** child_running() - true from child_start() to child_stop() or the death. */
static inline bool child_running(const struct child *c)
{
    return c->pid > 0;
}

/** child_rss() - resident memory of the process now. @ret_anon: of it anonymous. Both 0 if unknown. */
void child_rss(const struct child *c, uint64_t *ret_bytes, uint64_t *ret_anon);
