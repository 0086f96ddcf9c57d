/* SPDX-License-Identifier: Apache-2.0 */
#include "client-lib/receive.h"
#include <errno.h>
#include <hearth.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "client-lib/call.h"
#include "client-lib/pump.h"
#include "client-lib/view.h"

static void frame_freep(ProtobufCMessage **m)
{
    (void)frame_unpacked_free(*m);
}

static int welcome(struct hearth_client *c, const Hearth__Welcome *w, struct reason *why)
{
    if (c->welcome) {
        reason_set(why, "a second welcome");
        return RECEIVE_E_GARBAGE;
    }
    if (w->version != 1) {
        reason_set(why, "it chose version %u of the protocol, which was not offered", w->version);
        return RECEIVE_E_GARBAGE;
    }
    (void)snprintf(c->info.server, sizeof(c->info.server), "%s", w->server);
    c->info.class_ceiling = (enum hearth_class)w->class_ceiling;
    c->info.max_in_flight = w->max_in_flight;
    c->info.administrator = w->administrator;
    if (w->max_frame_bytes > 0 && w->max_frame_bytes < c->frame_max)
        c->frame_max = w->max_frame_bytes;
    c->welcome = true;
    return 0;
}

static void refused(struct hearth_client *c, const Hearth__Error *m)
{
    const int code = (int)m->code;
    const bool known = code >= (int)HEARTH_E_PROTOCOL && code <= (int)HEARTH_E_INTERNAL;
    struct hearth_event e = {
        .type = HEARTH_EVENT_END,
        .code = known ? code : (int)HEARTH_E_UNKNOWN,
        .message = *m->message ? m->message : "hearthd gave no reason",
        .retry = m->retry,
        .retry_after_ms = m->retry_after_ms,
    };
    struct call *call = call_find(c, m->id);

    if (m->id == 0)
        pump_hang_up(c, &e);
    else if (call)
        call_end(c, call, &e);
}

/* A copy with a NUL behind it, in c->text. */
static int keep_text(struct hearth_client *c, const ProtobufCBinaryData *text)
{
    if (text->len >= c->text_room) { /* at most a frame */
        char *p = realloc(c->text, text->len + 256);
        if (!p) return err_raise(-ENOMEM);
        c->text = p;
        c->text_room = text->len + 256;
    }
    if (text->len > 0) memcpy(c->text, text->data, text->len);
    c->text[text->len] = '\0';
    return 0;
}

/* Tell request @id of @e with @text. It may be gone: an event before may have cancelled it. */
static int tell_text(struct hearth_client *c, uint64_t id, const ProtobufCBinaryData *text,
                     struct hearth_event e)
{
    struct call *call = call_find(c, id);

    if (!call || !call->fn) return 0;
    const int r = keep_text(c, text);
    if (r < 0) return err_pass(r);
    e.text = c->text;
    e.text_size = text->len;
    call_tell(c, call, &e);
    return 0;
}

static int token(struct hearth_client *c, const Hearth__Token *m)
{
    const struct hearth_event made = { .type = HEARTH_EVENT_TEXT,
                                       .token_ids = m->token_ids,
                                       .n_token_ids = m->n_token_ids },
                              called = { .type = HEARTH_EVENT_CALL };
    int r = tell_text(c, m->id, &m->text, made);

    if (r == 0 && m->call.len > 0) r = tell_text(c, m->id, &m->call, called);
    return r < 0 ? err_pass(r) : 0;
}

static void done(struct hearth_client *c, const Hearth__Done *m)
{
    const struct hearth_usage usage = view_usage(m->usage);
    struct call *call = call_find(c, m->id);

    if (!call) return;
    call_end(c, call,
             &(struct hearth_event){ .type = HEARTH_EVENT_END,
                                     .message = "",
                                     .finish = (enum hearth_finish)m->finish,
                                     .usage = &usage,
                                     .level = m->level,
                                     .level_reason = m->level_reason,
                                     .model_name = m->model });
}

static int status_event(struct hearth_client *c, struct call *call, const Hearth__Status *m)
{
    CLEANUP(view_deinit) struct view v = { 0 };
    int r = view_status(&v, m);

    if (r < 0) return err_pass(r);
    call_tell(c, call, &(struct hearth_event){ .type = HEARTH_EVENT_STATUS, .status = &v.status });
    return 0;
}

static int models_event(struct hearth_client *c, struct call *call, Hearth__Model *const *m,
                        size_t n)
{
    CLEANUP(view_deinit) struct view v = { 0 };
    int r = view_models(&v, m, n);

    if (r < 0) return err_pass(r);
    call_tell(
        c, call,
        &(struct hearth_event){ .type = HEARTH_EVENT_MODELS, .models = v.models, .n_models = n });
    return 0;
}

static int requests_event(struct hearth_client *c, struct call *call, const Hearth__Requests *m)
{
    CLEANUP(view_deinit) struct view v = { 0 };
    int r = view_requests(&v, m->requests, m->n_requests);

    if (r < 0) return err_pass(r);
    call_tell(c, call,
              &(struct hearth_event){ .type = HEARTH_EVENT_REQUESTS,
                                      .requests = v.requests,
                                      .n_requests = m->n_requests });
    return 0;
}

/* Two events: what the answer says, and the END. */
static int reply(struct hearth_client *c, const Hearth__Reply *m)
{
    struct call *call = call_find(c, m->id);
    int r = 0;

    if (!call) return 0;
    switch (m->body_case) {
    case HEARTH__REPLY__BODY_TOKENS:
        call_tell(c, call,
                  &(struct hearth_event){ .type = HEARTH_EVENT_TOKENS,
                                          .count = m->tokens->count,
                                          .token_ids = m->tokens->ids,
                                          .n_token_ids = m->tokens->n_ids });
        break;
    case HEARTH__REPLY__BODY_METRICS:
        call_tell(c, call,
                  &(struct hearth_event){ .type = HEARTH_EVENT_METRICS,
                                          .text = m->metrics->prometheus,
                                          .text_size = strlen(m->metrics->prometheus) });
        break;
    case HEARTH__REPLY__BODY_STATUS:
        r = status_event(c, call, m->status);
        break;
    case HEARTH__REPLY__BODY_MODELS:
        r = models_event(c, call, m->models->models, m->models->n_models);
        break;
    case HEARTH__REPLY__BODY_MODEL:
        r = models_event(c, call, &m->model, 1);
        break;
    case HEARTH__REPLY__BODY_REQUESTS:
        r = requests_event(c, call, m->requests);
        break;
    case HEARTH__REPLY__BODY__NOT_SET:
    case _HEARTH__REPLY__BODY__CASE_IS_INT_SIZE:
        break;
    }
    if (r < 0) return err_pass(r);
    call_end(c, call, &(struct hearth_event){ .type = HEARTH_EVENT_END, .message = "" });
    return 0;
}

static void tell(struct hearth_client *c, uint64_t id, struct hearth_event e)
{
    struct call *call = call_find(c, id);

    if (call) call_tell(c, call, &e);
}

static int dispatch(struct hearth_client *c, const Hearth__ServerFrame *f)
{
    struct call *call;

    switch (f->body_case) {
    case HEARTH__SERVER_FRAME__BODY_QUEUED:
        tell(c, f->queued->id,
             (struct hearth_event){ .type = HEARTH_EVENT_QUEUED,
                                    .position = f->queued->position,
                                    .wait_ms = f->queued->wait_ms,
                                    .level = f->queued->level,
                                    .level_reason = f->queued->level_reason });
        break;
    case HEARTH__SERVER_FRAME__BODY_STARTED:
        tell(c, f->started->id,
             (struct hearth_event){ .type = HEARTH_EVENT_STARTED,
                                    .prompt_tokens = f->started->prompt_tokens,
                                    .cached_tokens = f->started->cached_tokens,
                                    .seed = f->started->seed });
        break;
    case HEARTH__SERVER_FRAME__BODY_PROGRESS:
        tell(c, f->progress->id,
             (struct hearth_event){ .type = HEARTH_EVENT_PROGRESS,
                                    .done = f->progress->done,
                                    .total = f->progress->total,
                                    .what = f->progress->what });
        break;
    case HEARTH__SERVER_FRAME__BODY_TOKEN:
        return token(c, f->token);
    case HEARTH__SERVER_FRAME__BODY_DONE:
        done(c, f->done);
        break;
    case HEARTH__SERVER_FRAME__BODY_REPLY:
        return reply(c, f->reply);
    case HEARTH__SERVER_FRAME__BODY_STATUS_EVENT:
        call = call_find(c, f->status_event->id);
        return call ? status_event(c, call, f->status_event) : 0;
    case HEARTH__SERVER_FRAME__BODY_WELCOME: /* both were looked at before */
    case HEARTH__SERVER_FRAME__BODY_ERROR:
    case HEARTH__SERVER_FRAME__BODY__NOT_SET: /* something newer than this library */
    case _HEARTH__SERVER_FRAME__BODY__CASE_IS_INT_SIZE:
        break;
    }
    return 0;
}

int receive_frame(struct hearth_client *c, const uint8_t *body, size_t size, struct reason *why)
{
    CLEANUP(frame_freep) ProtobufCMessage *m = NULL;

    if (frame_unpack(&hearth__server_frame__descriptor, body, size, &m, why) != 0)
        return RECEIVE_E_GARBAGE;
    const Hearth__ServerFrame *f = (const Hearth__ServerFrame *)m;
    if (f->body_case == HEARTH__SERVER_FRAME__BODY_WELCOME) return welcome(c, f->welcome, why);
    if (f->body_case == HEARTH__SERVER_FRAME__BODY_ERROR) { /* also instead of a welcome */
        refused(c, f->error);
        return 0;
    }
    if (!c->welcome) {
        reason_set(why, "an answer before the welcome");
        return RECEIVE_E_GARBAGE;
    }
    int r = dispatch(c, f);
    return r < 0 ? err_pass(r) : 0;
}
