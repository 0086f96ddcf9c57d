/* SPDX-License-Identifier: Apache-2.0 */
#include "client-lib/view.h"
#include <errno.h>
#include <stdlib.h>
#include "base/err.h"

void view_deinit(struct view *v)
{
    free(v->models);
    free(v->levels);
    free(v->requests);
    *v = (struct view){ 0 };
}

int view_models(struct view *v, Hearth__Model *const *models, size_t n)
{
    size_t n_levels = 0, at = 0;

    for (size_t i = 0; i < n; i++)
        n_levels += models[i]->n_levels;
    v->models = calloc(n + 1, sizeof(*v->models));
    v->levels = calloc(n_levels + 1, sizeof(*v->levels));
    if (!v->models || !v->levels) return err_raise(-ENOMEM);
    for (size_t i = 0; i < n; i++) {
        const Hearth__Model *m = models[i];
        v->models[i] = (struct hearth_model){
            .name = m->name,
            .version = m->version,
            .sha256 = m->sha256,
            .size_bytes = m->size_bytes,
            .active = m->active,
            .loaded = m->loaded,
            .architecture = m->architecture,
            .description = m->description,
            .context = m->context,
            .prompt_form = m->prompt_form,
            .n_levels = m->n_levels,
            .levels = v->levels + at,
            .layers = m->layers,
            .parameters = m->parameters,
            .types = m->types,
        };
        for (size_t k = 0; k < m->n_levels; k++)
            v->levels[at++] = (struct hearth_level){ .name = m->levels[k]->name,
                                                     .cost = m->levels[k]->cost,
                                                     .quality = m->levels[k]->quality };
    }
    return 0;
}

int view_requests(struct view *v, Hearth__RequestInfo *const *requests, size_t n)
{
    v->requests = calloc(n + 1, sizeof(*v->requests));
    if (!v->requests) return err_raise(-ENOMEM);
    for (size_t i = 0; i < n; i++) {
        const Hearth__RequestInfo *q = requests[i];
        v->requests[i] = (struct hearth_request_info){
            .serial = q->serial,
            .app = q->app,
            .uid = q->uid,
            .pid = q->pid,
            .request_class = (enum hearth_class)q->request_class,
            .state = q->state,
            .prompt_tokens = q->prompt_tokens,
            .cached_tokens = q->cached_tokens,
            .prefilled_tokens = q->prefilled_tokens,
            .output_tokens = q->output_tokens,
            .level = q->level,
            .age_us = q->age_us,
            .engine_us = q->engine_us,
            .replays = q->replays,
            .energy_mj = q->energy_mj,
        };
    }
    return 0;
}

int view_status(struct view *v, const Hearth__Status *s)
{
    int r = view_requests(v, s->requests, s->n_requests);

    if (r == 0 && s->model) r = view_models(v, &s->model, 1);
    if (r < 0) return err_pass(r);
    v->status = (struct hearth_status){
        .state = (enum hearth_state)s->state,
        .version = s->version,
        .uptime_us = s->uptime_us,
        .model = s->model ? v->models : NULL,
        .clients = s->clients,
        .queued = s->queued,
        .running = s->running,
        .parked = s->parked,
        .served = s->served,
        .refused = s->refused,
        .worker_restarts = s->worker_restarts,
        .sandbox = s->sandbox,
        .kernels = s->kernels,
        .threads = s->threads,
        .rss_bytes = s->rss_bytes,
        .rss_anon_bytes = s->rss_anon_bytes,
        .kv_pages_used = s->kv_pages_used,
        .kv_pages_total = s->kv_pages_total,
        .prefill_tok_s = s->prefill_tok_s,
        .decode_tok_s = s->decode_tok_s,
        .level = s->level,
        .level_reason = s->level_reason,
        .pressure = s->pressure,
        .last_error = s->last_error,
        .load_us = s->load_us,
        .n_requests = s->n_requests,
        .requests = v->requests,
        .tokens_in = s->tokens_in,
        .tokens_cached = s->tokens_cached,
        .tokens_out = s->tokens_out,
        .read_gb_s = s->read_gb_s,
        .weights = s->weights,
        .energy_mj = s->energy_mj,
        .power_w = s->power_w,
        .temperature_c = s->temperature_c,
        .temperature_limit_c = s->temperature_limit_c,
        .power_supply = s->power_supply,
        .models_path = s->models_path,
    };
    return 0;
}

struct hearth_usage view_usage(const Hearth__Usage *u)
{
    if (!u) return (struct hearth_usage){ 0 };
    return (struct hearth_usage){
        .prompt_tokens = u->prompt_tokens,
        .cached_tokens = u->cached_tokens,
        .output_tokens = u->output_tokens,
        .queued_us = u->queued_us,
        .first_token_us = u->first_token_us,
        .total_us = u->total_us,
        .engine_us = u->engine_us,
        .replays = u->replays,
        .energy_mj = u->energy_mj,
    };
}
