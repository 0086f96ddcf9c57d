/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/service.h"
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "bench/samples.h"
#include "bench/stats.h"

struct tally {
    uint64_t sent, answered, code[SERVICE_CODES];
    uint64_t output_tokens, prompt_tokens, cached_tokens;
    struct samples first, total;
};

struct counting {
    const struct scenario *scenario;
    struct tally group[SCENARIO_GROUPS_MAX];
    double *engine_s, *tokens, *fair; /* [n_apps]; fair: engine_s by weight */
    uint32_t n_apps, n_failed;        /* processes that ended with an error */
    double took_s;
};

static const char *const code_names[SERVICE_CODES] = {
    "ok",      "protocol",  "version",  "invalid",  "unsupported", "denied",    "quota",
    "busy",    "no_model",  "too_long", "deadline", "crashed",     "not_found", "exists",
    "storage", "bad_model", "internal", "other",    "cut",         "lost",
};

/* ---- counting ---- */

static int count(struct counting *c, const struct service_record *r)
{
    if (r->group >= c->scenario->n_groups || r->app >= c->n_apps || r->code >= SERVICE_CODES)
        return err_raise(-EPROTO);
    struct tally *g = &c->group[r->group];
    int e = 0;
    g->sent++;
    g->code[r->code]++;
    g->answered += r->code == 0;
    g->output_tokens += r->output_tokens;
    g->prompt_tokens += r->prompt_tokens;
    g->cached_tokens += r->cached_tokens;
    c->engine_s[r->app] += r->engine_s;
    c->fair[r->app] += r->engine_s / c->scenario->group[r->group].weight;
    c->tokens[r->app] += r->output_tokens;
    if (r->first_s >= 0) e = samples_add(&g->first, r->first_s);
    if (e == 0 && r->code == 0) e = samples_add(&g->total, r->total_s);
    return e;
}

/* Records of all apps, until the last one has closed its end. */
static int collect(struct counting *c, int fd)
{
    struct service_record r[64];
    size_t have = 0;
    ssize_t got;

    while ((got = read(fd, (char *)r + have, sizeof(r) - have)) != 0) {
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return err_raise(-errno);
        have += (size_t)got;
        const size_t n = have / sizeof(*r);
        for (size_t i = 0; i < n; i++) {
            const int e = count(c, &r[i]);
            if (e < 0) return err_pass(e);
        }
        have -= n * sizeof(*r);
        memmove(r, r + n, have);
    }
    return 0;
}

/* ---- processes ---- */

static _Noreturn void be_app(struct service_app *a, uint32_t nth)
{
    const struct scenario_group *g = &a->scenario->group[a->group];
    const uid_t uid = g->as_uid + nth;
    char trace[512];

    if (g->as_uid > 0 && (setgroups(0, NULL) != 0 || setresgid(uid, uid, uid) != 0 ||
                          setresuid(uid, uid, uid) != 0)) {
        (void)fprintf(stderr, "hearth-bench: [group %s]: becoming uid %u: %s\n", g->name, uid,
                      strerror(errno));
        _exit(2);
    }
    const int r = service_app_run(a);
    if (r < 0) (void)fprintf(stderr, "hearth-bench: %s\n", err_trace(trace, sizeof(trace)));
    _exit(r < 0);
}

static int start_all(struct counting *c, const struct options *o, int out)
{
    struct service_app a = {
        .scenario = c->scenario, .options = o, .out = out, .begin_ns = clock_now_ns()
    };

    for (a.group = 0; a.group < c->scenario->n_groups; a.group++)
        for (uint32_t i = 0; i < c->scenario->group[a.group].apps; i++, a.app++) {
            a.random = (c->scenario->seed + a.app + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
            const pid_t pid = fork();
            if (pid < 0) return err_raise(-errno);
            if (pid == 0) be_app(&a, i);
        }
    return 0;
}

static void wait_all(struct counting *c)
{
    int status;

    while (wait(&status) > 0 || errno == EINTR)
        c->n_failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

/* ---- the report ---- */

static double sum(const double *x, uint32_t n)
{
    double all = 0;

    for (uint32_t i = 0; i < n; i++)
        all += x[i];
    return all;
}

static json_t *number(double x)
{
    return isnan(x) ? json_null() : json_real(x);
}

static json_t *group_json(struct counting *c, size_t i, uint32_t first_app, double all_engine_s)
{
    const struct scenario_group *g = &c->scenario->group[i];
    struct tally *q = &c->group[i];
    const double *engine_s = c->engine_s + first_app, *tokens = c->tokens + first_app;
    json_t *o = json_object(), *codes = json_object();

    (void)json_object_set_new(o, "name", json_string(g->name));
    (void)json_object_set_new(o, "class", json_string(scenario_class_name(g->request_class)));
    (void)json_object_set_new(o, "apps", json_integer(g->apps));
    (void)json_object_set_new(o, "sent", json_integer((json_int_t)q->sent));
    (void)json_object_set_new(o, "answered", json_integer((json_int_t)q->answered));
    for (size_t k = 1; k < SERVICE_CODES; k++)
        if (q->code[k] > 0)
            (void)json_object_set_new(codes, code_names[k], json_integer((json_int_t)q->code[k]));
    (void)json_object_set_new(o, "errors", codes);
    (void)json_object_set_new(o, "first_token_ms", samples_json(&q->first));
    (void)json_object_set_new(o, "total_ms", samples_json(&q->total));
    (void)json_object_set_new(o, "prompt_tokens", json_integer((json_int_t)q->prompt_tokens));
    (void)json_object_set_new(o, "cached_tokens", json_integer((json_int_t)q->cached_tokens));
    (void)json_object_set_new(o, "output_tokens", json_integer((json_int_t)q->output_tokens));
    (void)json_object_set_new(o, "output_tok_s", number((double)q->output_tokens / c->took_s));
    (void)json_object_set_new(o, "engine_share", number(sum(engine_s, g->apps) / all_engine_s));
    (void)json_object_set_new(o, "jain_engine", number(stats_jain(engine_s, g->apps)));
    (void)json_object_set_new(o, "jain_tokens", number(stats_jain(tokens, g->apps)));
    return o;
}

static int report_json(struct counting *c, FILE *out)
{
    json_t *o = json_object(), *groups = json_array();
    const double all_s = sum(c->engine_s, c->n_apps);
    uint32_t app = 0;

    for (size_t i = 0; i < c->scenario->n_groups; i++) {
        (void)json_array_append_new(groups, group_json(c, i, app, all_s));
        app += c->scenario->group[i].apps;
    }
    (void)json_object_set_new(o, "seconds", json_real(c->took_s));
    (void)json_object_set_new(o, "jain_by_weight", number(stats_jain(c->fair, c->n_apps)));
    (void)json_object_set_new(o, "groups", groups);
    const int r = json_dumpf(o, out, JSON_INDENT(1)) == 0 && fputc('\n', out) != EOF ? 0 : -EIO;
    json_decref(o);
    return r < 0 ? err_raise(r) : 0;
}

static void report_table(struct counting *c, FILE *out)
{
    const double all_s = sum(c->engine_s, c->n_apps);
    uint32_t app = 0;

    (void)fprintf(out,
                  "%-14s %-11s %4s %6s %6s %7s %7s %6s |  first token, ms: p50     p90     p99     "
                  "max | errors\n",
                  "group", "class", "apps", "sent", "done", "tok/s", "engine", "Jain");
    for (size_t i = 0; i < c->scenario->n_groups; i++) {
        const struct scenario_group *g = &c->scenario->group[i];
        struct tally *q = &c->group[i];
        const double *x = all_s > 0 ? c->engine_s + app : c->tokens + app;
        (void)fprintf(
            out, "%-14s %-11s %4u %6" PRIu64 " %6" PRIu64 " %7.1f %6.1f%% %6.3f |        ", g->name,
            scenario_class_name(g->request_class), g->apps, q->sent, q->answered,
            (double)q->output_tokens / c->took_s,
            all_s > 0 ? 100 * sum(c->engine_s + app, g->apps) / all_s : 0, stats_jain(x, g->apps));
        samples_print(&q->first, out);
        (void)fputs(" |", out);
        for (size_t k = 1; k < SERVICE_CODES; k++)
            if (q->code[k] > 0) (void)fprintf(out, " %" PRIu64 " %s", q->code[k], code_names[k]);
        (void)fputc('\n', out);
        app += g->apps;
    }
    if (all_s > 0)
        (void)fprintf(out, "Jain of all apps by weight %.3f\n", stats_jain(c->fair, c->n_apps));
}

/* ---- the whole ---- */

static void counting_free(struct counting *c)
{
    free(c->engine_s);
    free(c->tokens);
    free(c->fair);
    for (size_t i = 0; i < SCENARIO_GROUPS_MAX; i++) {
        samples_deinit(&c->group[i].first);
        samples_deinit(&c->group[i].total);
    }
}

static int play(struct counting *c, const struct options *o)
{
    int ends[2];
    const uint64_t from_ns = clock_now_ns();

    if (pipe(ends) != 0) return err_raise(-errno);
    int r = start_all(c, o, ends[1]);
    (void)close(ends[1]);
    if (r == 0) r = collect(c, ends[0]);
    (void)close(ends[0]); /* if it failed, apps end at their next record */
    wait_all(c);
    c->took_s = fmin((double)(clock_now_ns() - from_ns) * 1e-9, c->scenario->seconds);
    return r < 0 ? err_pass(r) : 0;
}

int service_run(const struct options *o, FILE *out, struct reason *why)
{
    struct scenario s;
    uint64_t clients = 0;
    CLEANUP(counting_free) struct counting c = { .scenario = &s };
    int r = scenario_read(o->scenario, &s, why);

    if (r != 0) return r < 0 ? err_pass(r) : SERVICE_E_REFUSED;
    for (size_t i = 0; i < s.n_groups; i++) {
        c.n_apps += s.group[i].apps;
        clients += (uint64_t)s.group[i].apps * (s.group[i].clients ? s.group[i].clients : 1);
    }
    if (clients > SERVICE_CLIENTS_MAX) {
        reason_set(why, "%s: its groups have %" PRIu64 " clients, at most %d are started",
                   o->scenario, clients, SERVICE_CLIENTS_MAX);
        return SERVICE_E_REFUSED;
    }
    c.engine_s = calloc(c.n_apps, sizeof(*c.engine_s));
    c.tokens = calloc(c.n_apps, sizeof(*c.tokens));
    c.fair = calloc(c.n_apps, sizeof(*c.fair));
    if (!c.engine_s || !c.tokens || !c.fair) return err_raise(-ENOMEM);
    r = play(&c, o);
    if (r < 0) return err_pass(r);
    if (c.n_failed > 0) {
        reason_set(why, "%u of %u apps ended with an error: see above", c.n_failed, c.n_apps);
        return SERVICE_E_REFUSED;
    }
    if (o->json) return report_json(&c, out);
    report_table(&c, out);
    return 0;
}
