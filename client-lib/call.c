/* SPDX-License-Identifier: Apache-2.0 */
#include "client-lib/call.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "client-lib/pump.h"

struct call *call_find(struct hearth_client *c, uint64_t id)
{
    LIST_EACH(call, &c->calls, struct call, node)
    {
        if (call->id == id) return call;
    }
    return NULL;
}

void call_tell(struct hearth_client *c, struct call *call, struct hearth_event *e)
{
    e->id = call->id;
    if (!call->fn) return;
    c->in_callback = true;
    call->fn(call->context, e);
    c->in_callback = false;
}

void call_end(struct hearth_client *c, struct call *call, struct hearth_event *e)
{
    list_remove(&call->node);
    c->n_calls--;
    call_tell(c, call, e);
    if (c->wait.id == call->id) { /* after the callback, which may have left another sentence */
        c->wait.ended = true;
        c->wait.code = e->code;
        if (e->code != 0) (void)client_fail(c, e->code, "%s", e->message);
    }
    free(call);
}

int call_may_run(struct hearth_client *c, const uint64_t *ret_id)
{
    if (ret_id || !c->in_callback) return 0;
    return client_fail(c, -EDEADLK, "a callback cannot wait for another request: give ret_id");
}

/* Queue the frame on a connection. Return: 0, LINK_E_FULL, -errno. */
static int send_frame(const struct call_order *o, const Hearth__ClientFrame *f)
{
    struct hearth_client *c = o->client;
    int r = pump_connect(c, !o->ret_id);

    if (r < 0) return err_pass(r);
    if (protobuf_c_message_get_packed_size(&f->base) > c->frame_max)
        return client_fail(c, -E2BIG, "the request is larger than a frame (%zu bytes)",
                           c->frame_max);
    r = link_send(&c->link, &f->base, o->fds, o->n_fds);
    if (r == LINK_E_FULL) return r;
    if (r == -EBADF)
        return client_fail(c, r, "the descriptor that goes with the request is not open");
    if (r < 0) return client_fail_errno(c, r, "the request cannot be sent");
    return 0;
}

int call_run(const struct call_order *o)
{
    struct hearth_client *c = o->client;
    Hearth__ClientFrame f = HEARTH__CLIENT_FRAME__INIT;
    int r = call_may_run(c, o->ret_id);

    if (r < 0) return err_pass(r);
    if (c->n_calls == CLIENT_CALLS_MAX)
        return client_fail(c, -EAGAIN, "%d requests are in flight: process their events first",
                           CLIENT_CALLS_MAX);
    CLEANUP(freep) struct call *call = calloc(1, sizeof(*call));
    if (!call) return client_fail_errno(c, -ENOMEM, "the request");
    call->fn = o->fn;
    call->context = o->context;
    call->id = ++c->last_id;
    *o->body_id = call->id;
    f.body_case = o->kind;
    f.hello = (Hearth__Hello *)o->body; /* a union of pointers to messages */
    while ((r = send_frame(o, &f)) == LINK_E_FULL) {
        if (o->ret_id)
            return client_fail(c, -EAGAIN,
                               "hearthd does not keep up: process events and try "
                               "again when the descriptor is readable");
        r = pump_turn(c, -1);
        if (r < 0) return err_pass(r);
    }
    if (r < 0) return err_pass(r);
    const uint64_t id = call->id;
    list_push_back(&c->calls, &TAKE_PTR(call)->node);
    c->n_calls++;
    pump_kick(c);
    if (!o->ret_id) return pump_wait(c, id, -1);
    *o->ret_id = id;
    return 0;
}
