/* SPDX-License-Identifier: Apache-2.0 */
/* llama-server, through its POST /completion with a stream of events; libevent speaks HTTP. */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "bench/service.h"

struct connection {
    struct event_base *base;
    const struct options *options;
    struct evhttp_connection *http; /* of the request in flight */
    struct service_job *job;
    struct event *later;
};

static void over(struct connection *c, uint32_t code)
{
    struct service_job *job = c->job;

    if (!job) return;
    c->job = NULL;
    job->record.code = code;
    service_job_over(job);
}

/* Cancelled from inside the loop: hang up, as its clients do. */
static void on_later(evutil_socket_t fd, short what, void *context)
{
    struct connection *c = context;

    (void)fd, (void)what;
    if (c->http) evhttp_connection_free(c->http);
    c->http = NULL;
    over(c, 0);
}

static void *open_connection(struct event_base *base, const struct options *o)
{
    struct connection *c = calloc(1, sizeof(*c));

    if (!c) return NULL;
    c->base = base;
    c->options = o;
    c->later = evtimer_new(base, on_later, c);
    if (c->later) return c;
    free(c);
    return NULL;
}

static void close_connection(void *connection)
{
    struct connection *c = connection;

    if (c->http) evhttp_connection_free(c->http);
    if (c->later) event_free(c->later);
    free(c);
}

/* One "data: {...}" of the stream. */
static void take(struct connection *c, const char *line)
{
    struct service_record *r = &c->job->record;
    json_t *o = json_loads(line, 0, NULL);
    const char *content = json_string_value(json_object_get(o, "content"));

    if (content && content[0]) {
        r->output_tokens++;
        service_job_text(c->job);
    }
    if (json_is_true(json_object_get(o, "stop"))) {
        r->prompt_tokens = (uint32_t)json_integer_value(json_object_get(o, "tokens_evaluated"));
        const json_int_t made = json_integer_value(json_object_get(o, "tokens_predicted"));
        if (made > 0) r->output_tokens = (uint32_t)made;
        r->cached_tokens = (uint32_t)json_integer_value(json_object_get(o, "tokens_cached"));
    }
    json_decref(o);
}

static void on_chunk(struct evhttp_request *q, void *context)
{
    struct connection *c = context;
    struct evbuffer *in = evhttp_request_get_input_buffer(q);
    char *line;

    while (c->job && (line = evbuffer_readln(in, NULL, EVBUFFER_EOL_LF)) != NULL) {
        if (strncmp(line, "data: ", 6) == 0) take(c, line + 6);
        free(line);
    }
}

static void on_done(struct evhttp_request *q, void *context)
{
    struct connection *c = context;
    const int status = q ? evhttp_request_get_response_code(q) : 0;

    over(c, status == 200 ? 0 : status == 503 || status == 429 ? 7 /* busy */ : SERVICE_LOST);
}

static int ask(void *connection, struct service_job *job, const struct scenario_group *g,
               const char *prompt, uint32_t output)
{
    struct connection *c = connection;
    struct evhttp_request *q = evhttp_request_new(on_done, c);
    json_t *body = json_pack("{s:s, s:i, s:b, s:b, s:f}", "prompt", prompt, "n_predict",
                             (int)output, "stream", 1, "cache_prompt", 1, "temperature", 1.0);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

    (void)g;
    json_decref(body);
    if (c->http) evhttp_connection_free(c->http);
    c->http = evhttp_connection_base_new(c->base, NULL, "127.0.0.1", (uint16_t)c->options->http);
    if (!q || !text || !c->http) {
        free(text);
        if (q) evhttp_request_free(q);
        return err_raise(-ENOMEM);
    }
    evhttp_connection_set_timeout(c->http, 3600);
    evhttp_request_set_chunked_cb(q, on_chunk);
    (void)evhttp_add_header(evhttp_request_get_output_headers(q), "Host", "127.0.0.1");
    (void)evhttp_add_header(evhttp_request_get_output_headers(q), "Content-Type",
                            "application/json");
    (void)evbuffer_add(evhttp_request_get_output_buffer(q), text, strlen(text));
    free(text);
    c->job = job;
    const int r = evhttp_make_request(c->http, q, EVHTTP_REQ_POST, "/completion");
    if (r == 0) return 0;
    c->job = NULL; /* it has freed the request */
    return err_raise(-EIO);
}

static void cancel(void *connection, struct service_job *job)
{
    struct connection *c = connection;

    (void)job;
    event_active(c->later, EV_TIMEOUT, 0);
}

const struct service_target service_http = { open_connection, ask, cancel, close_connection };
