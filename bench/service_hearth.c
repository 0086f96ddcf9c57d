/* SPDX-License-Identifier: Apache-2.0 */
/* hearthd, through libhearth: one connection for each client. */
#include <errno.h>
#include <event2/event.h>
#include <hearth.h>
#include <stdlib.h>
#include "base/err.h"
#include "bench/service.h"

struct connection {
    struct hearth_client *client;
    struct event *readable;
};

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct connection *c = context;

    (void)fd, (void)what;
    (void)hearth_client_process(c->client);
}

static void close_connection(void *connection)
{
    struct connection *c = connection;

    if (c->readable) event_free(c->readable);
    hearth_client_free(c->client);
    free(c);
}

static void *open_connection(struct event_base *base, const struct options *o)
{
    struct connection *c = calloc(1, sizeof(*c));

    if (!c) return NULL;
    if (hearth_client_new(o->socket, &c->client) == 0)
        c->readable =
            event_new(base, hearth_client_fd(c->client), EV_READ | EV_PERSIST, on_readable, c);
    if (c->readable && event_add(c->readable, NULL) == 0) return c;
    close_connection(c);
    return NULL;
}

static void on_event(void *context, const struct hearth_event *e)
{
    struct service_job *job = context;
    struct service_record *r = &job->record;

    if (e->type == HEARTH_EVENT_STARTED) {
        r->prompt_tokens = e->prompt_tokens;
        r->cached_tokens = e->cached_tokens;
    }
    if (e->type == HEARTH_EVENT_TEXT) {
        r->output_tokens += (uint32_t)e->n_token_ids;
        service_job_text(job);
    }
    if (e->type != HEARTH_EVENT_END) return;
    if (e->usage) {
        r->engine_s = (double)e->usage->engine_us * 1e-6;
        r->queued_s = (double)e->usage->queued_us * 1e-6;
    }
    job->retry_s = e->retry ? (double)e->retry_after_ms * 1e-3 : 0;
    r->code = (uint32_t)e->code < SERVICE_CUT ? (uint32_t)e->code : SERVICE_LOST;
    service_job_over(job);
}

static int ask(void *connection, struct service_job *job, const struct scenario_group *g,
               const char *prompt, uint32_t output)
{
    static const enum hearth_class classes[] = { HEARTH_CLASS_BACKGROUND, HEARTH_CLASS_INTERACTIVE,
                                                 HEARTH_CLASS_REALTIME };
    struct connection *c = connection;
    struct hearth_request *q = NULL;
    int r = hearth_request_new(&q);

    if (r == 0) r = hearth_request_message(q, HEARTH_ROLE_USER);
    if (r == 0) r = hearth_request_text(q, prompt, HEARTH_TEXT_SIZE);
    if (r == 0 && g->level[0]) r = hearth_request_set_level(q, g->level);
    if (r == 0) {
        hearth_request_set_raw(q, 1);
        hearth_request_set_temperature(q, 1);
        hearth_request_set_max_tokens(q, output);
        hearth_request_set_class(q, classes[g->request_class]);
        hearth_request_set_deadline_ms(q, g->deadline_ms);
        r = hearth_generate(c->client, q, on_event, job, &job->id);
    }
    hearth_request_free(q);
    return r < 0 ? err_pass(r) : 0;
}

static void cancel(void *connection, struct service_job *job)
{
    struct connection *c = connection;

    (void)hearth_cancel(c->client, job->id);
}

const struct service_target service_hearth = { open_connection, ask, cancel, close_connection };
