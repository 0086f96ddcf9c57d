/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/json_out.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "cli/out.h"
#include "cli/printable.h"

json_t *json_out_text(const char *text, size_t n)
{
    CLEANUP(freep) char *valid = malloc(3 * n + 1); /* U+FFFD has three bytes */
    size_t used = 0;
    uint32_t c;

    if (!valid) return NULL;
    for (size_t i = 0; i < n;) {
        const size_t size = printable_utf8(text + i, n - i, &c);
        memcpy(valid + used, size ? text + i : "\xef\xbf\xbd", size ? size : 3);
        used += size ? size : 3;
        i += size ? size : 1;
    }
    return json_stringn(valid, used);
}

json_t *json_out_string(const char *text)
{
    return json_out_text(text, text ? strlen(text) : 0);
}

json_t *json_out_call(const char *text, size_t n)
{
    json_t *const call = json_loadb(text, n, 0, NULL);

    return call ? call : json_out_text(text, n);
}

json_t *json_out_ids(const uint32_t *ids, size_t n)
{
    json_t *const array = json_array();

    for (size_t i = 0; array && i < n; i++) {
        if (json_array_append_new(array, json_integer(ids[i])) == 0) continue;
        json_decref(array);
        return NULL;
    }
    return array;
}

json_t *json_out_seed(uint64_t seed)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRIu64, seed);
    return json_string(text);
}

/* Rates are float32; more digits than they have would be noise. NaN and infinity have no form in JSON. */
static json_t *real(float value)
{
    char text[32];

    if (!isfinite(value)) return json_null();
    (void)snprintf(text, sizeof(text), "%.6g", (double)value);
    return json_real(strtod(text, NULL));
}

static json_t *number(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

json_t *json_out_usage(const struct hearth_usage *u)
{
    return json_pack("{so so so so so so so so so}", "prompt_tokens", number(u->prompt_tokens),
                     "cached_tokens", number(u->cached_tokens), "output_tokens",
                     number(u->output_tokens), "queued_us", number(u->queued_us), "first_token_us",
                     number(u->first_token_us), "total_us", number(u->total_us), "engine_us",
                     number(u->engine_us), "replays", number(u->replays), "energy_mj",
                     number(u->energy_mj));
}

static json_t *levels(const struct hearth_model *m)
{
    json_t *const array = json_array();

    for (size_t i = 0; array && i < m->n_levels; i++) {
        const struct hearth_level *const l = &m->levels[i];
        json_t *const row = json_pack("{so so so}", "name", json_out_string(l->name), "cost",
                                      real(l->cost), "quality", json_out_string(l->quality));
        if (row && json_array_append_new(array, row) == 0) continue;
        json_decref(array);
        return NULL;
    }
    return array;
}

json_t *json_out_model(const struct hearth_model *m)
{
    return json_pack(
        "{so so so so sb sb so so so so so so so so}", "name", json_out_string(m->name), "version",
        json_out_string(m->version), "sha256", json_out_string(m->sha256), "size_bytes",
        number(m->size_bytes), "active", m->active, "loaded", m->loaded, "architecture",
        json_out_string(m->architecture), "description", json_out_string(m->description), "context",
        number(m->context), "prompt_form", json_out_string(m->prompt_form), "levels", levels(m),
        "layers", number(m->layers), "parameters", number(m->parameters), "types",
        json_out_string(m->types));
}

json_t *json_out_request(const struct hearth_request_info *q)
{
    return json_pack(
        "{so so so so so so so so so so so so so so so}", "serial", number(q->serial), "app",
        json_out_string(q->app), "uid", number(q->uid), "pid", number(q->pid), "class",
        json_string(json_out_class(q->request_class)), "state", json_out_string(q->state),
        "prompt_tokens", number(q->prompt_tokens), "cached_tokens", number(q->cached_tokens),
        "prefilled_tokens", number(q->prefilled_tokens), "output_tokens", number(q->output_tokens),
        "level", json_out_string(q->level), "age_us", number(q->age_us), "engine_us",
        number(q->engine_us), "replays", number(q->replays), "energy_mj", number(q->energy_mj));
}

static json_t *requests(const struct hearth_request_info *q, size_t n)
{
    json_t *const array = json_array();

    for (size_t i = 0; array && i < n; i++) {
        json_t *const row = json_out_request(&q[i]);
        if (row && json_array_append_new(array, row) == 0) continue;
        json_decref(array);
        return NULL;
    }
    return array;
}

json_t *json_out_status(const struct hearth_status *s)
{
    json_t *const state = json_pack(
        "{so so so so so so so so so so so so so}", "state", json_string(json_out_state(s->state)),
        "version", json_out_string(s->version), "uptime_us", number(s->uptime_us), "model",
        s->model ? json_out_model(s->model) : json_null(), "load_us", number(s->load_us),
        "last_error", json_out_string(s->last_error), "level", json_out_string(s->level),
        "level_reason", json_out_string(s->level_reason), "pressure", json_out_string(s->pressure),
        "sandbox", json_out_string(s->sandbox), "kernels", json_out_string(s->kernels), "threads",
        number(s->threads), "requests", requests(s->requests, s->n_requests));
    json_t *const numbers = json_pack(
        "{so so so so so so so so so so so so so so so so so}", "clients", number(s->clients),
        "queued", number(s->queued), "running", number(s->running), "parked", number(s->parked),
        "served", number(s->served), "refused", number(s->refused), "worker_restarts",
        number(s->worker_restarts), "rss_bytes", number(s->rss_bytes), "rss_anon_bytes",
        number(s->rss_anon_bytes), "kv_pages_used", number(s->kv_pages_used), "kv_pages_total",
        number(s->kv_pages_total), "prefill_tok_s", real(s->prefill_tok_s), "decode_tok_s",
        real(s->decode_tok_s), "tokens_in", number(s->tokens_in), "tokens_cached",
        number(s->tokens_cached), "tokens_out", number(s->tokens_out), "read_gb_s",
        real(s->read_gb_s));
    json_t *const machine = json_pack(
        "{so so so so so so so}", "weights", json_out_string(s->weights), "energy_mj",
        number(s->energy_mj), "power_w", real(s->power_w), "temperature_c", real(s->temperature_c),
        "temperature_limit_c", real(s->temperature_limit_c), "power_supply",
        json_out_string(s->power_supply), "models_path", json_out_string(s->models_path));
    const bool ok = state && numbers && machine && json_object_update(state, numbers) == 0 &&
                    json_object_update(state, machine) == 0;

    json_decref(numbers);
    json_decref(machine);
    if (ok) return state;
    json_decref(state);
    return NULL;
}

json_t *json_out_error(const char *code, const char *message, bool retry, uint32_t retry_after_ms)
{
    return json_pack("{so so sb so}", "code", json_out_string(code), "message",
                     json_out_string(message), "retry", (int)retry, "retry_after_ms",
                     number(retry_after_ms));
}

static json_t *models(const struct hearth_model *m, size_t n)
{
    json_t *const array = json_array();

    for (size_t i = 0; array && i < n; i++) {
        json_t *const row = json_out_model(&m[i]);
        if (row && json_array_append_new(array, row) == 0) continue;
        json_decref(array);
        return NULL;
    }
    return array;
}

static json_t *end(const struct hearth_event *e)
{
    if (e->code != 0)
        return json_pack(
            "{ss so}", "event", "end", "error",
            json_out_error(hearth_code_name(e->code), e->message, e->retry, e->retry_after_ms));
    return json_pack("{ss ss so so so so}", "event", "end", "finish", json_out_finish(e->finish),
                     "level", json_out_string(e->level), "level_reason",
                     json_out_string(e->level_reason), "model", json_out_string(e->model_name),
                     "usage", e->usage ? json_out_usage(e->usage) : json_null());
}

json_t *json_out_event(const struct hearth_event *e)
{
    switch (e->type) {
    case HEARTH_EVENT_QUEUED:
        return json_pack("{ss so so so so}", "event", "queued", "position", number(e->position),
                         "wait_ms", number(e->wait_ms), "level", json_out_string(e->level),
                         "level_reason", json_out_string(e->level_reason));
    case HEARTH_EVENT_STARTED:
        return json_pack("{ss so so so}", "event", "started", "prompt_tokens",
                         number(e->prompt_tokens), "cached_tokens", number(e->cached_tokens),
                         "seed", json_out_seed(e->seed));
    case HEARTH_EVENT_PROGRESS:
        return json_pack("{ss so so so}", "event", "progress", "what", json_out_string(e->what),
                         "done", number(e->done), "total", number(e->total));
    case HEARTH_EVENT_TEXT:
        return json_pack("{ss so so}", "event", "text", "text",
                         json_out_text(e->text, e->text_size), "ids",
                         json_out_ids(e->token_ids, e->n_token_ids));
    case HEARTH_EVENT_STATUS:
        return json_pack("{ss so}", "event", "status", "status",
                         e->status ? json_out_status(e->status) : json_null());
    case HEARTH_EVENT_MODELS:
        return json_pack("{ss so}", "event", "models", "models", models(e->models, e->n_models));
    case HEARTH_EVENT_REQUESTS:
        return json_pack("{ss so}", "event", "requests", "requests",
                         requests(e->requests, e->n_requests));
    case HEARTH_EVENT_TOKENS:
        return json_pack("{ss so so}", "event", "tokens", "count", number(e->count), "ids",
                         json_out_ids(e->token_ids, e->n_token_ids));
    case HEARTH_EVENT_METRICS:
        return json_pack("{ss so}", "event", "metrics", "prometheus",
                         json_out_text(e->text, e->text_size));
    case HEARTH_EVENT_CALL:
        return json_pack("{ss so}", "event", "call", "call", json_out_call(e->text, e->text_size));
    case HEARTH_EVENT_END:
        return end(e);
    }
    return json_pack("{ss}", "event", "unknown"); /* of a later version of the library */
}

const char *json_out_finish(enum hearth_finish finish)
{
    static const char *const names[] = { "unknown", "stop", "length", "cancelled", "bad call" };

    return names[(size_t)finish < sizeof(names) / sizeof(names[0]) ? finish : 0];
}

const char *json_out_state(enum hearth_state state)
{
    static const char *const names[] = { "no model", "unloaded", "loading",
                                         "ready",    "crashed",  "draining" };

    return (size_t)state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}

const char *json_out_class(enum hearth_class request_class)
{
    static const char *const names[] = { "default", "background", "interactive", "realtime" };

    return (size_t)request_class < sizeof(names) / sizeof(names[0]) ? names[request_class]
                                                                    : "unknown";
}

int json_out_print(json_t *value)
{
    CLEANUP(freep) char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

    json_decref(value);
    if (!text) {
        out_error("not enough memory for the answer");
        return 1;
    }
    out_text(text, strlen(text));
    out_text("\n", 1);
    return out_flush();
}
