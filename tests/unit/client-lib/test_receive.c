/* SPDX-License-Identifier: Apache-2.0 */
/* Each thing that hearthd can say, as the callback sees it. */
#include <criterion/criterion.h>
#include <hearth.h>
#include <string.h>
#include "tests/unit/client-lib/fake_server.h"

static struct fake_server server;
static struct hearth_client *client;
static struct seen seen;
static uint64_t id;
static void (*look)(const struct hearth_event *e); /* at the event that is not the END */
static int looked;

static void start(void)
{
    fake_server_start(&server);
    cr_assert_eq(hearth_client_new(server.path, &client), 0);
}

static void stop(void)
{
    client = hearth_client_free(client);
    fake_server_stop(&server);
}

TestSuite(receive, .init = start, .fini = stop, .timeout = 60);

static void see(void *context, const struct hearth_event *e)
{
    fake_server_see(context, e);
    cr_assert_eq(e->id, id);
    if (e->type == HEARTH_EVENT_END) return;
    looked++;
    look(e);
}

/* A request in flight whose events go to @fn. */
static void ask(void (*fn)(const struct hearth_event *e))
{
    look = fn;
    cr_assert_eq(hearth_metrics(client, see, &seen, &id), 0);
    fake_server_welcome(&server);
}

/* Send @m, see one event of @type; then the END comes by itself if @ends, else by a Reply. */
static void expect(Hearth__ServerFrame__BodyCase kind, ProtobufCMessage *m,
                   enum hearth_event_type type, bool ends)
{
    fake_server_send(&server, kind, m);
    fake_server_pump(client, &seen, type, 1);
    if (!ends) {
        cr_assert_eq(seen.n[HEARTH_EVENT_END], 0);
        fake_server_reply(&server, id);
    }
    fake_server_pump(client, &seen, HEARTH_EVENT_END, 1);
    cr_assert_eq(looked, 1);
    cr_assert_eq(seen.code, 0);
    cr_assert_str_eq(seen.message, "");
}

static void look_queued(const struct hearth_event *e)
{
    cr_assert_eq(e->position, 3u);
    cr_assert_eq(e->wait_ms, 1500u);
    cr_assert_str_eq(e->level, "e2b");
    cr_assert_str_eq(e->level_reason, "heat");
}

Test(receive, queued)
{
    Hearth__Queued m = HEARTH__QUEUED__INIT;

    ask(look_queued);
    m.id = id;
    m.position = 3;
    m.wait_ms = 1500;
    m.level = (char *)(uintptr_t) "e2b";
    m.level_reason = (char *)(uintptr_t) "heat";
    expect(HEARTH__SERVER_FRAME__BODY_QUEUED, &m.base, HEARTH_EVENT_QUEUED, false);
}

static void look_started(const struct hearth_event *e)
{
    cr_assert_eq(e->prompt_tokens, 100u);
    cr_assert_eq(e->cached_tokens, 60u);
    cr_assert_eq(e->seed, UINT64_C(0x123456789abcdef0));
}

Test(receive, started)
{
    Hearth__Started m = HEARTH__STARTED__INIT;

    ask(look_started);
    m.id = id;
    m.prompt_tokens = 100;
    m.cached_tokens = 60;
    m.seed = UINT64_C(0x123456789abcdef0);
    expect(HEARTH__SERVER_FRAME__BODY_STARTED, &m.base, HEARTH_EVENT_STARTED, false);
}

static void look_progress(const struct hearth_event *e)
{
    cr_assert_eq(e->done, UINT64_C(5000000000));
    cr_assert_eq(e->total, UINT64_C(6000000000));
    cr_assert_str_eq(e->what, "load");
}

Test(receive, progress)
{
    Hearth__Progress m = HEARTH__PROGRESS__INIT;

    ask(look_progress);
    m.id = id;
    m.done = UINT64_C(5000000000);
    m.total = UINT64_C(6000000000);
    m.what = (char *)(uintptr_t) "load";
    expect(HEARTH__SERVER_FRAME__BODY_PROGRESS, &m.base, HEARTH_EVENT_PROGRESS, false);
}

static void look_text(const struct hearth_event *e)
{
    cr_assert_eq(e->text_size, 5u);
    cr_assert_eq(memcmp(e->text, "a\0b\xff\x80", 6), 0, "any bytes, and a NUL behind them");
    cr_assert_eq(e->n_token_ids, 2u);
    cr_assert_eq(e->token_ids[0], 7u);
    cr_assert_eq(e->token_ids[1], 262143u);
}

Test(receive, text)
{
    Hearth__Token m = HEARTH__TOKEN__INIT;
    uint32_t ids[2] = { 7, 262143 };
    uint8_t text[] = { 'a', 0, 'b', 0xff, 0x80 };

    ask(look_text);
    m.id = id;
    m.text.data = text;
    m.text.len = sizeof(text);
    m.token_ids = ids;
    m.n_token_ids = 2;
    expect(HEARTH__SERVER_FRAME__BODY_TOKEN, &m.base, HEARTH_EVENT_TEXT, false);
}

static void look_nothing_text(const struct hearth_event *e)
{
    cr_assert_eq(e->text_size, 0u);
    cr_assert_str_eq(e->text, "");
    cr_assert_eq(e->n_token_ids, 0u);
}

Test(receive, a_token_without_text)
{
    Hearth__Token m = HEARTH__TOKEN__INIT;

    ask(look_nothing_text);
    m.id = id;
    expect(HEARTH__SERVER_FRAME__BODY_TOKEN, &m.base, HEARTH_EVENT_TEXT, false);
}

static void look_call(const struct hearth_event *e)
{
    if (e->type == HEARTH_EVENT_TEXT) {
        cr_assert_eq(e->text_size, 0u);
        cr_assert_eq(e->n_token_ids, 1u);
        return;
    }
    cr_assert_eq(e->type, HEARTH_EVENT_CALL);
    cr_assert_str_eq(e->text, "{\"name\":\"go\",\"arguments\":{}}");
    cr_assert_eq(e->text_size, strlen(e->text));
    cr_assert_eq(e->n_token_ids, 0u);
}

Test(receive, a_call_comes_after_its_last_token)
{
    Hearth__Token m = HEARTH__TOKEN__INIT;
    uint32_t ids[1] = { 9 };
    char call[] = "{\"name\":\"go\",\"arguments\":{}}";

    ask(look_call);
    m.id = id;
    m.token_ids = ids;
    m.n_token_ids = 1;
    m.call.data = (uint8_t *)call;
    m.call.len = strlen(call);
    fake_server_send(&server, HEARTH__SERVER_FRAME__BODY_TOKEN, &m.base);
    fake_server_pump(client, &seen, HEARTH_EVENT_CALL, 1);
    cr_assert_eq(seen.n[HEARTH_EVENT_TEXT], 1);
    fake_server_reply(&server, id);
    fake_server_pump(client, &seen, HEARTH_EVENT_END, 1);
}

Test(receive, text_as_large_as_a_frame_holds)
{
    static uint8_t text[1000000];
    Hearth__Token m = HEARTH__TOKEN__INIT;

    cr_assert_eq(hearth_metrics(client, fake_server_see, &seen, &id), 0);
    fake_server_welcome(&server);
    m.id = id;
    m.text.data = text;
    m.text.len = sizeof(text);
    Hearth__ServerFrame f = HEARTH__SERVER_FRAME__INIT;
    f.body_case = HEARTH__SERVER_FRAME__BODY_TOKEN;
    f.token = &m;
    cr_assert_eq(link_send(&server.link, &f.base, NULL, 0), 0);
    while (seen.n[HEARTH_EVENT_TEXT] == 0) {
        cr_assert_eq(link_flush(&server.link), 0);
        cr_assert_eq(hearth_client_process(client), 0);
    }
}

static void see_done(void *context, const struct hearth_event *e)
{
    fake_server_see(context, e);
    cr_assert_eq(e->type, HEARTH_EVENT_END);
    cr_assert_eq(e->code, 0);
    cr_assert_eq(e->finish, HEARTH_FINISH_LENGTH);
    cr_assert_str_eq(e->level, "e2b");
    cr_assert_str_eq(e->level_reason, "heat");
    cr_assert_str_eq(e->model_name, "gemma");
    const struct hearth_usage *u = e->usage;
    cr_assert(u->prompt_tokens == 1 && u->cached_tokens == 2 && u->output_tokens == 3);
    cr_assert(u->queued_us == 4 && u->first_token_us == 5 && u->total_us == 6);
    cr_assert(u->engine_us == 7 && u->replays == 8 && u->energy_mj == 9);
}

Test(receive, done)
{
    Hearth__Done m = HEARTH__DONE__INIT;
    Hearth__Usage u = HEARTH__USAGE__INIT;

    cr_assert_eq(hearth_metrics(client, see_done, &seen, &id), 0);
    fake_server_welcome(&server);
    m.id = id;
    m.finish = HEARTH__FINISH__FINISH_LENGTH;
    m.level = (char *)(uintptr_t) "e2b";
    m.level_reason = (char *)(uintptr_t) "heat";
    m.model = (char *)(uintptr_t) "gemma";
    u.prompt_tokens = 1;
    u.cached_tokens = 2;
    u.output_tokens = 3;
    u.queued_us = 4;
    u.first_token_us = 5;
    u.total_us = 6;
    u.engine_us = 7;
    u.replays = 8;
    u.energy_mj = 9;
    m.usage = &u;
    fake_server_send(&server, HEARTH__SERVER_FRAME__BODY_DONE, &m.base);
    fake_server_pump(client, &seen, HEARTH_EVENT_END, 1);
}

static void see_usage(void *context, const struct hearth_event *e)
{
    fake_server_see(context, e);
    cr_assert_not_null(e->usage);
    cr_assert_eq(e->usage->total_us, 0u);
}

Test(receive, done_without_usage_has_one_of_zeros)
{
    cr_assert_eq(hearth_metrics(client, see_usage, &seen, &id), 0);
    fake_server_welcome(&server);
    fake_server_done(&server, id, HEARTH__FINISH__FINISH_STOP);
    fake_server_pump(client, &seen, HEARTH_EVENT_END, 1);
}

Test(receive, every_refusal)
{
    for (int code = 0; code <= HEARTH_E_INTERNAL + 1; code++) {
        const bool known = code >= HEARTH_E_PROTOCOL && code <= HEARTH_E_INTERNAL;
        cr_assert_eq(hearth_metrics(client, fake_server_see, &seen, &id), 0);
        if (code == 0) fake_server_welcome(&server);
        fake_server_error(&server, id, code, "why");
        fake_server_pump(client, &seen, HEARTH_EVENT_END, code + 1);
        cr_assert_eq(seen.code, known ? code : HEARTH_E_UNKNOWN);
        cr_assert_str_eq(seen.message, "why");
        cr_assert_eq(seen.retry, 1);
        cr_assert_eq(seen.retry_after_ms, 250u);
        cr_assert_eq(strcmp(hearth_code_name(seen.code), "UNKNOWN") == 0, !known);
    }
    cr_assert_str_eq(hearth_code_name(HEARTH_E_DENIED), "DENIED");
    cr_assert_str_eq(hearth_code_name(HEARTH_E_DISCONNECTED), "DISCONNECTED");
    cr_assert_str_eq(hearth_code_name(0), "UNKNOWN");
}

Test(receive, a_refusal_without_a_sentence_still_has_one)
{
    cr_assert_eq(hearth_metrics(client, fake_server_see, &seen, &id), 0);
    fake_server_welcome(&server);
    fake_server_error(&server, id, HEARTH_E_DENIED, "");
    fake_server_pump(client, &seen, HEARTH_EVENT_END, 1);
    cr_assert(seen.message[0] != '\0');
}

/* ---- replies ---- */

static Hearth__Level level = HEARTH__LEVEL__INIT;
static Hearth__Level *levels[2] = { &level, &level };
static Hearth__Model model = HEARTH__MODEL__INIT, other = HEARTH__MODEL__INIT;
static Hearth__RequestInfo info = HEARTH__REQUEST_INFO__INIT;
static Hearth__RequestInfo *infos[2] = { &info, &info };

static void fill(void)
{
    level.name = (char *)(uintptr_t) "e2b";
    level.cost = 0.5F;
    level.quality = (char *)(uintptr_t) "fair";
    model.name = (char *)(uintptr_t) "gemma";
    model.version = (char *)(uintptr_t) "0123456789abcdef";
    model.sha256 = (char *)(uintptr_t) "0123456789abcdef0123";
    model.size_bytes = UINT64_C(5000000000);
    model.active = model.loaded = 1;
    model.architecture = (char *)(uintptr_t) "gemma3n";
    model.description = (char *)(uintptr_t) "a model";
    model.context = 32768;
    model.prompt_form = (char *)(uintptr_t) "chat";
    model.levels = levels;
    model.n_levels = 2;
    model.layers = 35;
    model.parameters = UINT64_C(6900000000);
    model.types = (char *)(uintptr_t) "Q4_0 210";
    other.name = (char *)(uintptr_t) "other";
    other.levels = levels;
    other.n_levels = 1;
    info.serial = 77;
    info.app = (char *)(uintptr_t) "cluster.service";
    info.uid = 1000;
    info.pid = 4321;
    info.request_class = HEARTH__CLASS__CLASS_BACKGROUND;
    info.state = (char *)(uintptr_t) "parked";
    info.prompt_tokens = 1;
    info.cached_tokens = 2;
    info.prefilled_tokens = 3;
    info.output_tokens = 4;
    info.level = (char *)(uintptr_t) "e4b";
    info.age_us = 5;
    info.engine_us = 6;
    info.replays = 7;
}

static void check_model(const struct hearth_model *m)
{
    cr_assert_str_eq(m->name, "gemma");
    cr_assert_str_eq(m->version, "0123456789abcdef");
    cr_assert_str_eq(m->sha256, "0123456789abcdef0123");
    cr_assert(m->size_bytes == UINT64_C(5000000000) && m->active == 1 && m->loaded == 1);
    cr_assert_str_eq(m->architecture, "gemma3n");
    cr_assert_str_eq(m->description, "a model");
    cr_assert_str_eq(m->prompt_form, "chat");
    cr_assert_str_eq(m->types, "Q4_0 210");
    cr_assert(m->context == 32768 && m->layers == 35 && m->parameters == UINT64_C(6900000000));
    cr_assert_eq(m->n_levels, 2u);
    cr_assert_str_eq(m->levels[1].name, "e2b");
    cr_assert_str_eq(m->levels[1].quality, "fair");
    cr_assert_eq(m->levels[1].cost, 0.5F);
}

static void check_request(const struct hearth_request_info *q)
{
    cr_assert(q->serial == 77 && q->uid == 1000 && q->pid == 4321);
    cr_assert_str_eq(q->app, "cluster.service");
    cr_assert_eq(q->request_class, HEARTH_CLASS_BACKGROUND);
    cr_assert_str_eq(q->state, "parked");
    cr_assert_str_eq(q->level, "e4b");
    cr_assert(q->prompt_tokens == 1 && q->cached_tokens == 2 && q->prefilled_tokens == 3);
    cr_assert(q->output_tokens == 4 && q->age_us == 5 && q->engine_us == 6 && q->replays == 7);
}

static void expect_reply(Hearth__Reply *m, enum hearth_event_type type)
{
    m->id = id;
    expect(HEARTH__SERVER_FRAME__BODY_REPLY, &m->base, type, true);
}

static void look_tokens(const struct hearth_event *e)
{
    cr_assert_eq(e->count, 3u);
    cr_assert_eq(e->n_token_ids, 3u);
    cr_assert_eq(e->token_ids[2], 30u);
}

Test(receive, tokens)
{
    Hearth__Reply m = HEARTH__REPLY__INIT;
    Hearth__Tokens t = HEARTH__TOKENS__INIT;
    uint32_t ids[3] = { 10, 20, 30 };

    ask(look_tokens);
    t.count = 3;
    t.ids = ids;
    t.n_ids = 3;
    m.body_case = HEARTH__REPLY__BODY_TOKENS;
    m.tokens = &t;
    expect_reply(&m, HEARTH_EVENT_TOKENS);
}

static void look_metrics(const struct hearth_event *e)
{
    cr_assert_str_eq(e->text, "hearth_up 1\n");
    cr_assert_eq(e->text_size, 12u);
}

Test(receive, metrics)
{
    Hearth__Reply m = HEARTH__REPLY__INIT;
    Hearth__Metrics t = HEARTH__METRICS__INIT;

    ask(look_metrics);
    t.prometheus = (char *)(uintptr_t) "hearth_up 1\n";
    m.body_case = HEARTH__REPLY__BODY_METRICS;
    m.metrics = &t;
    expect_reply(&m, HEARTH_EVENT_METRICS);
}

static void look_models(const struct hearth_event *e)
{
    cr_assert_eq(e->n_models, 2u);
    check_model(&e->models[0]);
    cr_assert_str_eq(e->models[1].name, "other");
    cr_assert_eq(e->models[1].n_levels, 1u);
    cr_assert_str_eq(e->models[1].levels[0].name, "e2b");
    cr_assert_str_eq(e->models[1].types, "");
}

Test(receive, models)
{
    Hearth__Reply m = HEARTH__REPLY__INIT;
    Hearth__Models all = HEARTH__MODELS__INIT;
    Hearth__Model *list[2] = { &model, &other };

    fill();
    ask(look_models);
    all.models = list;
    all.n_models = 2;
    m.body_case = HEARTH__REPLY__BODY_MODELS;
    m.models = &all;
    expect_reply(&m, HEARTH_EVENT_MODELS);
}

static void look_model(const struct hearth_event *e)
{
    cr_assert_eq(e->n_models, 1u);
    check_model(&e->models[0]);
}

Test(receive, a_model_as_a_list_of_one)
{
    Hearth__Reply m = HEARTH__REPLY__INIT;

    fill();
    ask(look_model);
    m.body_case = HEARTH__REPLY__BODY_MODEL;
    m.model = &model;
    expect_reply(&m, HEARTH_EVENT_MODELS);
}

static void look_requests(const struct hearth_event *e)
{
    cr_assert_eq(e->n_requests, 2u);
    check_request(&e->requests[1]);
}

Test(receive, requests)
{
    Hearth__Reply m = HEARTH__REPLY__INIT;
    Hearth__Requests all = HEARTH__REQUESTS__INIT;

    fill();
    ask(look_requests);
    all.requests = infos;
    all.n_requests = 2;
    m.body_case = HEARTH__REPLY__BODY_REQUESTS;
    m.requests = &all;
    expect_reply(&m, HEARTH_EVENT_REQUESTS);
}

static void fill_status(Hearth__Status *s)
{
    fill();
    s->id = id;
    s->state = HEARTH__STATE__STATE_READY;
    s->version = (char *)(uintptr_t) "0.1.0";
    s->uptime_us = 1;
    s->model = &model;
    s->clients = 2;
    s->queued = 3;
    s->running = 4;
    s->parked = 5;
    s->served = 6;
    s->refused = 7;
    s->worker_restarts = 8;
    s->sandbox = (char *)(uintptr_t) "seccomp";
    s->kernels = (char *)(uintptr_t) "avx2";
    s->threads = 9;
    s->rss_bytes = 10;
    s->rss_anon_bytes = 11;
    s->kv_pages_used = 12;
    s->kv_pages_total = 13;
    s->prefill_tok_s = 14;
    s->decode_tok_s = 15;
    s->level = (char *)(uintptr_t) "best";
    s->level_reason = (char *)(uintptr_t) "cool";
    s->pressure = (char *)(uintptr_t) "none";
    s->last_error = (char *)(uintptr_t) "was down";
    s->load_us = 16;
    s->requests = infos;
    s->n_requests = 2;
    s->tokens_in = 17;
    s->tokens_cached = 18;
    s->tokens_out = 19;
    s->read_gb_s = 20;
    s->weights = (char *)(uintptr_t) "mapped";
    s->energy_mj = 21;
    s->power_w = 22;
    s->temperature_c = 23;
    s->temperature_limit_c = 24;
    s->power_supply = (char *)(uintptr_t) "mains";
    s->models_path = (char *)(uintptr_t) "/models";
}

static void look_status(const struct hearth_event *e)
{
    const struct hearth_status *s = e->status;

    cr_assert_eq(s->state, HEARTH_STATE_READY);
    cr_assert_str_eq(s->version, "0.1.0");
    check_model(s->model);
    cr_assert(s->uptime_us == 1 && s->clients == 2 && s->queued == 3 && s->running == 4);
    cr_assert(s->parked == 5 && s->served == 6 && s->refused == 7 && s->worker_restarts == 8);
    cr_assert_str_eq(s->sandbox, "seccomp");
    cr_assert_str_eq(s->kernels, "avx2");
    cr_assert(s->threads == 9 && s->rss_bytes == 10 && s->rss_anon_bytes == 11);
    cr_assert(s->kv_pages_used == 12 && s->kv_pages_total == 13);
    cr_assert(s->prefill_tok_s == 14 && s->decode_tok_s == 15);
    cr_assert_str_eq(s->level, "best");
    cr_assert_str_eq(s->level_reason, "cool");
    cr_assert_str_eq(s->pressure, "none");
    cr_assert_str_eq(s->last_error, "was down");
    cr_assert(s->load_us == 16 && s->tokens_in == 17 && s->tokens_cached == 18);
    cr_assert(s->tokens_out == 19 && s->read_gb_s == 20);
    cr_assert_str_eq(s->weights, "mapped");
    cr_assert(s->energy_mj == 21 && s->power_w == 22);
    cr_assert(s->temperature_c == 23 && s->temperature_limit_c == 24);
    cr_assert_str_eq(s->power_supply, "mains");
    cr_assert_str_eq(s->models_path, "/models");
    cr_assert_eq(s->n_requests, 2u);
    check_request(&s->requests[0]);
}

Test(receive, status)
{
    Hearth__Reply m = HEARTH__REPLY__INIT;
    Hearth__Status s = HEARTH__STATUS__INIT;

    ask(look_status);
    fill_status(&s);
    m.body_case = HEARTH__REPLY__BODY_STATUS;
    m.status = &s;
    expect_reply(&m, HEARTH_EVENT_STATUS);
}

Test(receive, the_status_of_a_subscription_without_an_end)
{
    Hearth__Status s = HEARTH__STATUS__INIT;

    ask(look_status);
    fill_status(&s);
    for (int i = 1; i <= 3; i++) {
        fake_server_send(&server, HEARTH__SERVER_FRAME__BODY_STATUS_EVENT, &s.base);
        fake_server_pump(client, &seen, HEARTH_EVENT_STATUS, i);
    }
    cr_assert_eq(seen.n[HEARTH_EVENT_END], 0);
    cr_assert_eq(looked, 3);
}

static void look_idle(const struct hearth_event *e)
{
    cr_assert_null(e->status->model);
    cr_assert_eq(e->status->n_requests, 0u);
    cr_assert_str_eq(e->status->last_error, "");
}

Test(receive, status_without_a_model)
{
    Hearth__Status s = HEARTH__STATUS__INIT;

    ask(look_idle);
    s.id = id;
    expect(HEARTH__SERVER_FRAME__BODY_STATUS_EVENT, &s.base, HEARTH_EVENT_STATUS, false);
}
