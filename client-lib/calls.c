/* SPDX-License-Identifier: Apache-2.0 */
/* The public calls: each fills its message and leaves the rest to call_run(). */
#include <errno.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "client-lib/call.h"
#include "client-lib/compose.h"

/* Fields of an order that all calls have; @m is the message, the others are the function's arguments. */
#define ORDER(KIND, m)                                                                             \
    .client = c, .kind = HEARTH__CLIENT_FRAME__BODY_##KIND, .body = &(m).base, .body_id = &(m).id, \
    .fn = fn, .context = context, .ret_id = ret_id

/* A string for protobuf-c, which does not know const and does not write to it. NULL is "". */
static char *lend(const char *s)
{
    return (char *)(uintptr_t)(s ? s : "");
}

static int check_name(struct hearth_client *c, const char *name, const char *what)
{
    if (name && *name) return 0;
    return client_fail(c, -EINVAL, "%s is missing", what);
}

/* Run an order whose messages were made by @k. */
static int run_composed(struct call_order *o, struct compose *k)
{
    struct hearth_client *c = o->client;
    int r = compose_fit(k, o->body, c->frame_max);

    if (r == -E2BIG)
        return client_fail(c, r,
                           "the request is too large: %zu bytes fit beside the %d largest parts",
                           c->frame_max, FRAME_FDS_MAX);
    if (r < 0) return client_fail_errno(c, r, "cannot make a memory file for a large part");
    o->fds = k->fds;
    o->n_fds = k->n_fds;
    r = call_run(o);
    return r < 0 ? err_pass(r) : r;
}

int hearth_generate(struct hearth_client *c, const struct hearth_request *q, hearth_event_fn fn,
                    void *context, uint64_t *ret_id)
{
    CLEANUP(compose_deinit) struct compose k = { 0 };
    Hearth__Generate m = HEARTH__GENERATE__INIT;
    Hearth__Sampling sampling = compose_sampling(q);
    struct call_order o = { ORDER(GENERATE, m) };
    int r = call_may_run(c, ret_id);

    if (r < 0) return err_pass(r);
    r = compose_init(&k, q);
    if (r < 0) return client_fail_errno(c, r, "the request");
    m.messages = k.messages;
    m.n_messages = k.n_messages;
    m.tools = k.tools;
    m.n_tools = k.n_tools;
    m.stop = k.stops;
    m.n_stop = k.n_stops;
    m.raw = q->raw;
    m.sampling = &sampling;
    m.max_tokens = q->max_tokens;
    m.level = lend(q->level);
    m.request_class = (Hearth__Class)q->request_class;
    m.deadline_ms = q->deadline_ms;
    m.conversation = lend(q->conversation);
    m.level_may_drop = q->level_may_drop;
    return run_composed(&o, &k);
}

int hearth_conversation_open(struct hearth_client *c, const char *name,
                             const struct hearth_request *q, hearth_event_fn fn, void *context,
                             uint64_t *ret_id)
{
    const struct hearth_request nothing = { 0 };
    CLEANUP(compose_deinit) struct compose k = { 0 };
    Hearth__ConversationOpen m = HEARTH__CONVERSATION_OPEN__INIT;
    struct call_order o = { ORDER(CONVERSATION_OPEN, m) };
    int r = call_may_run(c, ret_id);

    if (r == 0) r = check_name(c, name, "the conversation's name");
    if (r < 0) return err_pass(r);
    r = compose_init(&k, q ? q : &nothing);
    if (r < 0) return client_fail_errno(c, r, "the request");
    m.name = lend(name);
    m.messages = k.messages;
    m.n_messages = k.n_messages;
    m.tools = k.tools;
    m.n_tools = k.n_tools;
    return run_composed(&o, &k);
}

int hearth_conversation_close(struct hearth_client *c, const char *name, hearth_event_fn fn,
                              void *context, uint64_t *ret_id)
{
    Hearth__ConversationClose m = HEARTH__CONVERSATION_CLOSE__INIT;
    int r = check_name(c, name, "the conversation's name");

    if (r < 0) return err_pass(r);
    m.name = lend(name);
    return call_run(&(struct call_order){ ORDER(CONVERSATION_CLOSE, m) });
}

int hearth_tokenize(struct hearth_client *c, const char *text, size_t size, int parse_special,
                    int count_only, hearth_event_fn fn, void *context, uint64_t *ret_id)
{
    Hearth__Tokenize m = HEARTH__TOKENIZE__INIT;

    if (!text && size > 0) return client_fail(c, -EINVAL, "the text is missing");
    m.text.len = size == HEARTH_TEXT_SIZE ? strlen(text) : size;
    m.text.data = (uint8_t *)lend(text);
    m.parse_special = parse_special != 0;
    m.count_only = count_only != 0;
    return call_run(&(struct call_order){ ORDER(TOKENIZE, m) });
}

int hearth_status(struct hearth_client *c, hearth_event_fn fn, void *context, uint64_t *ret_id)
{
    Hearth__StatusGet m = HEARTH__STATUS_GET__INIT;

    return call_run(&(struct call_order){ ORDER(STATUS, m) });
}

int hearth_subscribe(struct hearth_client *c, uint32_t interval_ms, hearth_event_fn fn,
                     void *context, uint64_t *ret_id)
{
    Hearth__Subscribe m = HEARTH__SUBSCRIBE__INIT;

    m.interval_ms = interval_ms;
    return call_run(&(struct call_order){ ORDER(SUBSCRIBE, m) });
}

int hearth_metrics(struct hearth_client *c, hearth_event_fn fn, void *context, uint64_t *ret_id)
{
    Hearth__MetricsGet m = HEARTH__METRICS_GET__INIT;

    return call_run(&(struct call_order){ ORDER(METRICS, m) });
}

int hearth_requests(struct hearth_client *c, hearth_event_fn fn, void *context, uint64_t *ret_id)
{
    Hearth__RequestList m = HEARTH__REQUEST_LIST__INIT;

    return call_run(&(struct call_order){ ORDER(REQUEST_LIST, m) });
}

int hearth_request_kill(struct hearth_client *c, uint64_t serial, hearth_event_fn fn, void *context,
                        uint64_t *ret_id)
{
    Hearth__RequestKill m = HEARTH__REQUEST_KILL__INIT;

    m.request = serial;
    return call_run(&(struct call_order){ ORDER(REQUEST_KILL, m) });
}

int hearth_models(struct hearth_client *c, hearth_event_fn fn, void *context, uint64_t *ret_id)
{
    Hearth__ModelList m = HEARTH__MODEL_LIST__INIT;

    return call_run(&(struct call_order){ ORDER(MODEL_LIST, m) });
}

int hearth_model_load(struct hearth_client *c, const char *name, hearth_event_fn fn, void *context,
                      uint64_t *ret_id)
{
    Hearth__ModelLoad m = HEARTH__MODEL_LOAD__INIT;

    m.name = lend(name);
    return call_run(&(struct call_order){ ORDER(MODEL_LOAD, m) });
}

int hearth_model_unload(struct hearth_client *c, hearth_event_fn fn, void *context,
                        uint64_t *ret_id)
{
    Hearth__ModelUnload m = HEARTH__MODEL_UNLOAD__INIT;

    return call_run(&(struct call_order){ ORDER(MODEL_UNLOAD, m) });
}

int hearth_model_add(struct hearth_client *c, const char *name, int fd, const char *sha256,
                     int activate, hearth_event_fn fn, void *context, uint64_t *ret_id)
{
    Hearth__ModelAdd m = HEARTH__MODEL_ADD__INIT;
    int r = check_name(c, name, "the model's name");

    if (r < 0) return err_pass(r);
    m.name = lend(name);
    m.fd_index = 1;
    m.activate = activate != 0;
    m.sha256 = lend(sha256);
    return call_run(&(struct call_order){ ORDER(MODEL_ADD, m), .fds = &fd, .n_fds = 1 });
}

int hearth_model_activate(struct hearth_client *c, const char *name, const char *version,
                          hearth_event_fn fn, void *context, uint64_t *ret_id)
{
    Hearth__ModelActivate m = HEARTH__MODEL_ACTIVATE__INIT;
    int r = check_name(c, name, "the model's name");

    if (r < 0) return err_pass(r);
    m.name = lend(name);
    m.version = lend(version);
    return call_run(&(struct call_order){ ORDER(MODEL_ACTIVATE, m) });
}

int hearth_model_remove(struct hearth_client *c, const char *name, const char *version,
                        hearth_event_fn fn, void *context, uint64_t *ret_id)
{
    Hearth__ModelRemove m = HEARTH__MODEL_REMOVE__INIT;
    int r = check_name(c, name, "the model's name");

    if (r < 0) return err_pass(r);
    m.name = lend(name);
    m.version = lend(version);
    return call_run(&(struct call_order){ ORDER(MODEL_REMOVE, m) });
}

int hearth_set_level(struct hearth_client *c, const char *level, hearth_event_fn fn, void *context,
                     uint64_t *ret_id)
{
    Hearth__SetLevel m = HEARTH__SET_LEVEL__INIT;
    int r = check_name(c, level, "the level");

    if (r < 0) return err_pass(r);
    m.level = lend(level);
    return call_run(&(struct call_order){ ORDER(SET_LEVEL, m) });
}

int hearth_drain(struct hearth_client *c, hearth_event_fn fn, void *context, uint64_t *ret_id)
{
    Hearth__Drain m = HEARTH__DRAIN__INIT;

    return call_run(&(struct call_order){ ORDER(DRAIN, m) });
}
