/* SPDX-License-Identifier: Apache-2.0 */
/* status, ps, metrics: what hearthd says about itself. */
#include <stdio.h>
#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/json_out.h"
#include "cli/out.h"
#include "cli/status_view.h"
#include "cli/talk.h"

struct answer {
    bool json, wrong;
    struct out_table table;
};

static void on_status(void *context, const struct hearth_event *e)
{
    struct answer *const a = context;

    if (e->type != HEARTH_EVENT_STATUS) return;
    if (a->json)
        a->wrong = json_out_print(json_out_status(e->status)) != 0;
    else
        status_view_print(e->status, stdout);
}

int command_status(const struct args *args)
{
    CLEANUP(talk_closep) struct talk c = { 0 };
    struct answer a = { .json = args->json };
    uint64_t id = 0;
    int r = talk_open(&c, args);

    if (r != TALK_OK) return r;
    talk_begin(&c, on_status, &a);
    const int sent = hearth_status(c.client, talk_event, &c, &id);
    r = talk_finish(&c, sent, id);
    return r == TALK_OK && (a.wrong || out_flush() != 0) ? TALK_FAILED : r;
}

static void on_requests(void *context, const struct hearth_event *e)
{
    struct answer *const a = context;

    if (e->type != HEARTH_EVENT_REQUESTS) return;
    if (a->json) {
        json_t *const rows = json_array();
        for (size_t i = 0; rows && i < e->n_requests; i++)
            if (json_array_append_new(rows, json_out_request(&e->requests[i])) != 0)
                a->wrong = true;
        a->wrong = json_out_print(rows) != 0 || a->wrong;
        return;
    }
    status_view_requests(&a->table, e->requests, e->n_requests);
    if (e->n_requests == 0)
        out_note("no requests now");
    else
        a->wrong = out_table_print(&a->table, stdout, OUT_BOLD) != 0;
    out_table_deinit(&a->table);
}

int command_ps(const struct args *args)
{
    CLEANUP(talk_closep) struct talk c = { 0 };
    struct answer a = { .json = args->json };
    uint64_t id = 0;
    int r = talk_open(&c, args);

    if (r != TALK_OK) return r;
    talk_begin(&c, on_requests, &a);
    const int sent = hearth_requests(c.client, talk_event, &c, &id);
    r = talk_finish(&c, sent, id);
    return r == TALK_OK && (a.wrong || out_flush() != 0) ? TALK_FAILED : r;
}

static void on_metrics(void *context, const struct hearth_event *e)
{
    struct answer *const a = context;

    if (e->type != HEARTH_EVENT_METRICS) return;
    if (a->json)
        a->wrong = json_out_print(
                       json_pack("{so}", "prometheus", json_out_text(e->text, e->text_size))) != 0;
    else
        out_text(e->text, e->text_size);
}

int command_metrics(const struct args *args)
{
    CLEANUP(talk_closep) struct talk c = { 0 };
    struct answer a = { .json = args->json };
    uint64_t id = 0;
    int r = talk_open(&c, args);

    if (r != TALK_OK) return r;
    talk_begin(&c, on_metrics, &a);
    const int sent = hearth_metrics(c.client, talk_event, &c, &id);
    r = talk_finish(&c, sent, id);
    return r == TALK_OK && (a.wrong || out_flush() != 0) ? TALK_FAILED : r;
}
