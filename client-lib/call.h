/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client-lib/call.h: one request in flight, from its frame to its END.
 */
#pragma once
#include <hearth.pb-c.h>
#include "client-lib/client.h"

/* What a public call asks for. The frame points into the caller's memory and is sent before call_run() returns. */
struct call_order {
    struct hearth_client *client;
    Hearth__ClientFrame__BodyCase kind;
    ProtobufCMessage *body; /* one of ClientFrame's, the one that @kind names */
    uint64_t *body_id;      /* where its id goes */
    const int *fds;         /* [n_fds] borrowed */
    size_t n_fds;
    hearth_event_fn fn;
    void *context;
    uint64_t *ret_id; /* NULL: blocking */
};

/**
 * call_run() - connect if need be, send the request; blocking: process events until it has ended
 * Return: as the calls of hearth.h; each that is not 0 leaves its sentence in the client.
 */
int call_run(const struct call_order *o);

/** call_may_run() - whether a call is allowed here. Return: 0, -EDEADLK (blocking, in a callback). */
int call_may_run(struct hearth_client *c, const uint64_t *ret_id);

/** call_find() - the call with this id, or NULL. */
struct call *call_find(struct hearth_client *c, uint64_t id);

/** call_tell() - hand an event to the call's callback; @e->id is set here. */
void call_tell(struct hearth_client *c, struct call *call, struct hearth_event *e);

/** call_end() - take the call out of its list, tell it @e (an END) and free it. */
void call_end(struct hearth_client *c, struct call *call, struct hearth_event *e);
