/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sim/report.h"
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include "base/err.h"

static double share(const struct sim *s, uint64_t engine_ns)
{
    return s->engine_ns > 0 ? (double)engine_ns / (double)s->engine_ns : 0;
}

static uint64_t refused(const struct sim_group *g)
{
    uint64_t n = 0;

    for (int i = 0; i < SIM_REFUSALS; i++)
        n += g->n_refused[i];
    return n;
}

/* Engine time for answers that were too late, of all that it worked. */
static double lost(const struct sim *s, const struct sim_group *g)
{
    return s->world.took_ns > 0 ? (double)g->lost_ns / (double)s->world.took_ns : 0;
}

/* ---- for people ---- */

static void refusals(const struct sim *s, FILE *out)
{
    for (size_t i = 0; i < s->scenario->n_groups; i++) {
        const struct sim_group *g = &s->group[i];
        for (int k = 0; k < SIM_REFUSALS; k++)
            if (g->n_refused[k] > 0)
                (void)fprintf(out, "refused  %-16s %8" PRIu64 " %s\n", s->scenario->group[i].name,
                              g->n_refused[k], sim_refusal_name((enum sim_refusal)k));
        if (g->n_promised > 0)
            (void)fprintf(out,
                          "deadline %-16s %8" PRIu64 " taken, %" PRIu64 " kept, %" PRIu64
                          " passed, %" PRIu64 " of them before a token; %.1f %% of the engine "
                          "lost\n",
                          s->scenario->group[i].name, g->n_promised, g->n_promised - g->n_expired,
                          g->n_expired, g->n_unserved, lost(s, g) * 100);
    }
}

void report_table(struct sim *s, FILE *out)
{
    const struct world *w = &s->world;

    (void)fprintf(out, "%-16s %-11s %5s %8s %8s %7s %6s | first token, ms%16s | wait, ms\n",
                  "group", "class", "apps", "sent", "done", "engine", "Jain", "");
    (void)fprintf(out, "%68s %s | %s\n", "|", SAMPLES_HEADING, SAMPLES_HEADING);
    for (size_t i = 0; i < s->scenario->n_groups; i++) {
        const struct scenario_group *c = &s->scenario->group[i];
        struct sim_group *g = &s->group[i];
        (void)fprintf(out, "%-16s %-11s %5u %8" PRIu64 " %8" PRIu64 " %6.1f%% %6.3f |", c->name,
                      scenario_class_name(c->request_class), c->apps, g->n_sent, g->n_done,
                      share(s, g->engine_ns) * 100, g->jain);
        samples_print(&g->first, out);
        (void)fputs(" |", out);
        samples_print(&g->wait, out);
        (void)fputc('\n', out);
    }
    refusals(s, out);
    (void)fprintf(out,
                  "%" PRIu64 " steps, %.1f s of engine time, busy %.0f %%; background had %.1f %%; "
                  "Jain of all apps by weight %.3f\n%" PRIu64 " plans sent, %" PRIu64
                  " evictions, %" PRIu64 " steps abandoned (%.2f s)\n",
                  w->step, (double)w->took_ns * 1e-9, s->busy * 100,
                  share(s, s->class_ns[SCHED_BACKGROUND]) * 100, s->jain, w->n_plans_sent,
                  w->n_evicted, w->n_abandoned, (double)w->abandoned_ns * 1e-9);
    (void)fprintf(out,
                  "charged %" PRIu64 " ns of %" PRIu64 " ns (%" PRIu64
                  " ns nobody's); longest queue %u\n",
                  w->charged_ns, w->took_ns, w->nobodys_ns, s->queue_most);
}

/* ---- for programs ---- */

static json_t *group_json(struct sim *s, size_t i)
{
    const struct scenario_group *c = &s->scenario->group[i];
    struct sim_group *g = &s->group[i];
    json_t *o = json_pack(
        "{s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f}", "name", c->name,
        "class", scenario_class_name(c->request_class), "apps", (int)c->apps, "sent",
        (json_int_t)g->n_sent, "done", (json_int_t)g->n_done, "expired", (json_int_t)g->n_expired,
        "unserved", (json_int_t)g->n_unserved, "promised", (json_int_t)g->n_promised, "broken",
        (json_int_t)g->n_broken, "output_tokens", (json_int_t)g->tokens, "prompt_tokens",
        (json_int_t)g->prompt_tokens, "cached_tokens", (json_int_t)g->cached_tokens, "engine_share",
        share(s, g->engine_ns), "lost_share", lost(s, g));
    json_t *r = json_object();

    for (int k = 0; k < SIM_REFUSALS; k++)
        (void)json_object_set_new(r, sim_refusal_name((enum sim_refusal)k),
                                  json_integer((json_int_t)g->n_refused[k]));
    (void)json_object_set_new(o, "refused", json_integer((json_int_t)refused(g)));
    (void)json_object_set_new(o, "refusals", r);
    (void)json_object_set_new(o, "jain", isnan(g->jain) ? json_null() : json_real(g->jain));
    (void)json_object_set_new(o, "first_token_ms", samples_json(&g->first));
    (void)json_object_set_new(o, "wait_ms", samples_json(&g->wait));
    (void)json_object_set_new(o, "total_ms", samples_json(&g->total));
    return o;
}

int report_json(struct sim *s, FILE *out)
{
    const struct world *w = &s->world;
    json_t *groups = json_array();

    for (size_t i = 0; i < s->scenario->n_groups; i++)
        (void)json_array_append_new(groups, group_json(s, i));
    json_t *o = json_pack(
        "{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:o, s:i}", "groups", groups,
        "steps", (json_int_t)w->step, "engine_ns", (json_int_t)w->took_ns, "charged_ns",
        (json_int_t)w->charged_ns, "nobodys_ns", (json_int_t)w->nobodys_ns, "plans_sent",
        (json_int_t)w->n_plans_sent, "evictions", (json_int_t)w->n_evicted, "abandoned_steps",
        (json_int_t)w->n_abandoned, "abandoned_ns", (json_int_t)w->abandoned_ns, "busy", s->busy,
        "background_share", share(s, s->class_ns[SCHED_BACKGROUND]), "jain_by_weight",
        isnan(s->jain) ? json_null() : json_real(s->jain), "queue_most", (int)s->queue_most);
    if (!o) {
        json_decref(groups);
        return err_raise(-ENOMEM);
    }
    const int r = json_dumpf(o, out, JSON_INDENT(1)) == 0 && fputc('\n', out) != EOF ? 0 : -EIO;
    json_decref(o);
    return r < 0 ? err_raise(r) : 0;
}
