/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/dispatch.h"
#include <stdlib.h>
#include <string.h>
#include "daemon/conversation.h"
#include "daemon/models.h"
#include "daemon/request.h"
#include "daemon/server.h"
#include "daemon/status.h"
#include "daemon/tokenize.h"

static struct call *find_call(struct conn *c, uint64_t id)
{
    LIST_EACH(call, &c->calls, struct call, node)
    if (call->id == id) return call;
    return NULL;
}

/* Every request of ours has its id in field 1, a varint; a newer client keeps to that. 0 if there is none. */
static uint64_t unknown_id(const Hearth__ClientFrame *f)
{
    if (f->base.n_unknown_fields == 0) return 0;
    const ProtobufCMessageUnknownField *u = &f->base.unknown_fields[0];
    const uint8_t *p = u->data, *end = u->data + u->len;
    uint64_t id = 0;

    while (p < end && *p & 0x80) /* the length of the submessage */
        p++;
    if (end - p < 3 || p[1] != 0x08) return 0;
    p += 2;
    for (int shift = 0; p < end && shift < 64; shift += 7) {
        id |= (uint64_t)(*p & 0x7f) << shift;
        if (!(*p++ & 0x80)) return id;
    }
    return 0;
}

static uint64_t id_of(const Hearth__ClientFrame *f)
{
    switch (f->body_case) {
    case HEARTH__CLIENT_FRAME__BODY_GENERATE:
        return f->generate->id;
    case HEARTH__CLIENT_FRAME__BODY_CANCEL:
        return f->cancel->id;
    case HEARTH__CLIENT_FRAME__BODY_CONVERSATION_OPEN:
        return f->conversation_open->id;
    case HEARTH__CLIENT_FRAME__BODY_CONVERSATION_CLOSE:
        return f->conversation_close->id;
    case HEARTH__CLIENT_FRAME__BODY_TOKENIZE:
        return f->tokenize->id;
    case HEARTH__CLIENT_FRAME__BODY_STATUS:
        return f->status->id;
    case HEARTH__CLIENT_FRAME__BODY_SUBSCRIBE:
        return f->subscribe->id;
    case HEARTH__CLIENT_FRAME__BODY_MODEL_LIST:
        return f->model_list->id;
    case HEARTH__CLIENT_FRAME__BODY_MODEL_LOAD:
        return f->model_load->id;
    case HEARTH__CLIENT_FRAME__BODY_MODEL_UNLOAD:
        return f->model_unload->id;
    case HEARTH__CLIENT_FRAME__BODY_MODEL_ADD:
        return f->model_add->id;
    case HEARTH__CLIENT_FRAME__BODY_MODEL_ACTIVATE:
        return f->model_activate->id;
    case HEARTH__CLIENT_FRAME__BODY_MODEL_REMOVE:
        return f->model_remove->id;
    case HEARTH__CLIENT_FRAME__BODY_REQUEST_LIST:
        return f->request_list->id;
    case HEARTH__CLIENT_FRAME__BODY_REQUEST_KILL:
        return f->request_kill->id;
    case HEARTH__CLIENT_FRAME__BODY_SET_LEVEL:
        return f->set_level->id;
    case HEARTH__CLIENT_FRAME__BODY_DRAIN:
        return f->drain->id;
    case HEARTH__CLIENT_FRAME__BODY_METRICS:
        return f->metrics->id;
    case HEARTH__CLIENT_FRAME__BODY_HELLO:
    case HEARTH__CLIENT_FRAME__BODY__NOT_SET:
    default:
        return unknown_id(f);
    }
}

static bool is_admin(const Hearth__ClientFrame *f)
{
    switch ((int)f->body_case) {
    case HEARTH__CLIENT_FRAME__BODY_MODEL_LOAD:
    case HEARTH__CLIENT_FRAME__BODY_MODEL_UNLOAD:
    case HEARTH__CLIENT_FRAME__BODY_MODEL_ADD:
    case HEARTH__CLIENT_FRAME__BODY_MODEL_ACTIVATE:
    case HEARTH__CLIENT_FRAME__BODY_MODEL_REMOVE:
    case HEARTH__CLIENT_FRAME__BODY_SET_LEVEL:
    case HEARTH__CLIENT_FRAME__BODY_DRAIN:
        return true;
    default:
        return false;
    }
}

/* The rules that hold for every request with an id. */
static bool acceptable(struct conn *c, const Hearth__ClientFrame *f, uint64_t id)
{
    if (id == 0)
        conn_error(c, 0, HEARTH__ERROR_CODE__ERROR_INVALID, CONN_NO_RETRY,
                   "a request has no id: choose one that is not 0");
    else if (find_call(c, id))
        conn_error(c, id, HEARTH__ERROR_CODE__ERROR_EXISTS, CONN_NO_RETRY,
                   "request %llu is in flight on this connection: choose another id",
                   (unsigned long long)id);
    else if (c->n_calls >= CONN_CALLS_MAX)
        conn_error(c, id, HEARTH__ERROR_CODE__ERROR_QUOTA, 1000,
                   "this connection has %u requests in flight, %d are allowed: wait for some",
                   c->n_calls, CONN_CALLS_MAX);
    else if (is_admin(f) && !c->policy.administrator)
        conn_error(
            c, id, HEARTH__ERROR_CODE__ERROR_DENIED, CONN_NO_RETRY,
            "only administrators may do this: run it as root, or see admin in hearthd.conf(5)");
    else
        return true;
    return false;
}

static void on_cancel(struct conn *c, uint64_t id)
{
    struct call *call = find_call(c, id);

    if (call) call->end(call, false); /* it may have ended meanwhile */
}

static void on_set_level(struct conn *c, const Hearth__SetLevel *m)
{
    struct server *s = c->server;
    struct reason why = { "" };

    if (supervisor_level_known(&s->supervisor, m->level, &why)) {
        (void)snprintf(s->level_ceiling, sizeof(s->level_ceiling), "%s",
                       m->level[0] ? m->level : "auto");
        server_pump(s);
        conn_ok(c, m->id);
    } else {
        conn_error(c, m->id, HEARTH__ERROR_CODE__ERROR_INVALID, CONN_NO_RETRY, "%s", why.text);
    }
}

void dispatch_frame(struct conn *c, Hearth__ClientFrame **frame_message, struct link_frame *frame)
{
    Hearth__ClientFrame *f = *frame_message;
    const uint64_t id = id_of(f);

    if (f->body_case == HEARTH__CLIENT_FRAME__BODY_CANCEL) {
        on_cancel(c, id);
        return;
    }
    if (f->body_case != HEARTH__CLIENT_FRAME__BODY__NOT_SET && !acceptable(c, f, id)) return;
    switch (f->body_case) {
    case HEARTH__CLIENT_FRAME__BODY_GENERATE:
        if (request_new(c, f, frame)) *frame_message = NULL;
        return;
    case HEARTH__CLIENT_FRAME__BODY_CONVERSATION_OPEN:
        if (conversation_open(c, f)) *frame_message = NULL;
        return;
    case HEARTH__CLIENT_FRAME__BODY_CONVERSATION_CLOSE:
        conversation_close(c, f->conversation_close);
        return;
    case HEARTH__CLIENT_FRAME__BODY_TOKENIZE:
        tokenize_new(c, f->tokenize);
        return;
    case HEARTH__CLIENT_FRAME__BODY_STATUS:
        status_get(c, id);
        return;
    case HEARTH__CLIENT_FRAME__BODY_SUBSCRIBE:
        status_subscribe(c, f->subscribe);
        return;
    case HEARTH__CLIENT_FRAME__BODY_METRICS:
        status_metrics(c, id);
        return;
    case HEARTH__CLIENT_FRAME__BODY_REQUEST_LIST:
        status_requests(c, id);
        return;
    case HEARTH__CLIENT_FRAME__BODY_REQUEST_KILL:
        request_kill(c, f->request_kill);
        return;
    case HEARTH__CLIENT_FRAME__BODY_MODEL_LIST:
        models_list(c, id);
        return;
    case HEARTH__CLIENT_FRAME__BODY_MODEL_LOAD:
        models_load(c, f->model_load);
        return;
    case HEARTH__CLIENT_FRAME__BODY_MODEL_UNLOAD:
        models_unload(c, id);
        return;
    case HEARTH__CLIENT_FRAME__BODY_MODEL_ADD:
        models_add(c, f->model_add, frame);
        return;
    case HEARTH__CLIENT_FRAME__BODY_MODEL_ACTIVATE:
        models_activate(c, f->model_activate);
        return;
    case HEARTH__CLIENT_FRAME__BODY_MODEL_REMOVE:
        models_remove(c, f->model_remove);
        return;
    case HEARTH__CLIENT_FRAME__BODY_SET_LEVEL:
        on_set_level(c, f->set_level);
        return;
    case HEARTH__CLIENT_FRAME__BODY_DRAIN:
        server_drain(c->server, false);
        conn_ok(c, id);
        return;
    case HEARTH__CLIENT_FRAME__BODY_HELLO:
    case HEARTH__CLIENT_FRAME__BODY_CANCEL:
    case HEARTH__CLIENT_FRAME__BODY__NOT_SET:
    default:
        conn_error(c, id, HEARTH__ERROR_CODE__ERROR_UNSUPPORTED, CONN_NO_RETRY,
                   "this hearthd does not know that request: it may be older than the client");
    }
}
