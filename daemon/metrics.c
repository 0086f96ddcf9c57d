/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/metrics.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/core/pressure.h"

static void put(FILE *f, const char *name, const char *type, const char *help, double value)
{
    (void)fprintf(f, "# HELP hearth_%s %s\n# TYPE hearth_%s %s\nhearth_%s %.15g\n", name, help,
                  name, type, name, value);
}

/* A label's value: backslash, quote and line end are escaped. */
static void put_label(FILE *f, const char *name, const char *value)
{
    (void)fprintf(f, "%s=\"", name);
    for (const char *c = value; *c; c++) {
        if (*c == '\\' || *c == '"') (void)fputc('\\', f);
        if (*c == '\n')
            (void)fputs("\\n", f);
        else
            (void)fputc(*c, f);
    }
    (void)fputc('"', f);
}

/* The machine around the model. */
static void put_machine(FILE *f, const Hearth__Status *s)
{
    unsigned stage = PRESSURE_UNLOAD;

    while (stage > PRESSURE_NONE && strcmp(s->pressure, pressure_name(stage)) != 0)
        stage--;
    put(f, "weights_read_bytes_per_second", "gauge",
        "By steps that only decode, while they ran; over the last seconds.",
        (double)s->read_gb_s * 1e9);
    put(f, "energy_joules_total", "counter",
        "What the machine used during steps; 0 if nothing measures it.",
        (double)s->energy_mj * 1e-3);
    put(f, "level_limited", "gauge", "1 if the governor allows less than the whole model.",
        s->level_reason[0] != '\0');
    put(f, "memory_pressure_stage", "gauge",
        "0: none, 1: no cached prefixes, 2: cheapest level, 3: no idle model.", stage);
    if (!(s->temperature_limit_c > 0)) return;
    put(f, "temperature_celsius", "gauge", "Of the thermal zone that is nearest to its limit.",
        (double)s->temperature_c);
    put(f, "temperature_limit_celsius", "gauge", "Where the kernel slows the machine down.",
        (double)s->temperature_limit_c);
}

char *metrics_text(const Hearth__Status *s)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    if (!f) return NULL;
    put(f, "up_seconds", "counter", "Time since hearthd started.", (double)s->uptime_us * 1e-6);
    put(f, "model_ready", "gauge", "1 if a model is loaded.",
        s->state == HEARTH__STATE__STATE_READY);
    if (s->model) {
        (void)fputs("# HELP hearth_model_info The active model.\n# TYPE hearth_model_info "
                    "gauge\nhearth_model_info{",
                    f);
        put_label(f, "name", s->model->name);
        (void)fputc(',', f);
        put_label(f, "version", s->model->version);
        (void)fputs("} 1\n", f);
    }
    put(f, "clients", "gauge", "Connections.", s->clients);
    put(f, "requests_queued", "gauge", "Requests that wait.", s->queued);
    put(f, "requests_running", "gauge", "Requests in the running set.", s->running);
    put(f, "requests_parked", "gauge", "Requests that were running and hold their KV.", s->parked);
    put(f, "requests_served_total", "counter", "Requests that ended with Done.", (double)s->served);
    put(f, "requests_refused_total", "counter", "Errors that were answered.", (double)s->refused);
    put(f, "tokens_prompt_total", "counter", "Prompt tokens of served requests.",
        (double)s->tokens_in);
    put(f, "tokens_cached_total", "counter", "Of them, found in the prefix cache.",
        (double)s->tokens_cached);
    put(f, "tokens_output_total", "counter", "Tokens of answers.", (double)s->tokens_out);
    put(f, "worker_restarts_total", "counter", "Workers that died or hung.",
        (double)s->worker_restarts);
    put(f, "worker_resident_bytes", "gauge", "Resident memory of the worker.",
        (double)s->rss_bytes);
    put(f, "worker_anonymous_bytes", "gauge", "Of it, anonymous.", (double)s->rss_anon_bytes);
    put(f, "kv_pages_used", "gauge", "KV pages that requests hold.", s->kv_pages_used);
    put(f, "kv_pages", "gauge", "KV pages of the pool.", s->kv_pages_total);
    put(f, "prefill_tokens_per_second", "gauge", "Over the last seconds.",
        (double)s->prefill_tok_s);
    put(f, "decode_tokens_per_second", "gauge", "Over the last seconds.", (double)s->decode_tok_s);
    put_machine(f, s);
    if (fclose(f) == 0) return text;
    free(text);
    return NULL;
}
