/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inih reads the file; each setting has one row in a table. Strict where inih is not: a setting that is unknown, given twice, or
 * out of range ends the reading; inih goes on after an error and then tells the line of the first one.
 */
#include "bench/scenario.h"
#include <errno.h>
#include <ini.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"

enum kind { KIND_NUMBER, KIND_REAL, KIND_RANGE, KIND_CLASS, KIND_BOOL, KIND_NAME, KIND_SEED };
enum where { IN_RUN, IN_MACHINE, IN_GROUP, IN_LEVELS };

#define RUN(member)   IN_RUN, offsetof(struct scenario, member)
#define CPU(member)   IN_MACHINE, offsetof(struct scenario, member)
#define GROUP(member) IN_GROUP, offsetof(struct scenario_group, member)

static const struct setting {
    const char *name;
    enum kind kind;
    enum where where;
    size_t offset;
    double min, max;
} settings[] = {
    { "seconds", KIND_REAL, RUN(seconds), 0.1, 1e7 },
    { "seed", KIND_SEED, RUN(seed), 0, 0 },
    { "running", KIND_NUMBER, CPU(running), 1, 64 },
    { "queue", KIND_NUMBER, CPU(queue), 1, 1024 },
    { "chunk", KIND_NUMBER, CPU(chunk), 1, 4096 },
    { "pages", KIND_NUMBER, CPU(pages), 1, 1e9 },
    { "page-tokens", KIND_NUMBER, CPU(page_tokens), 1, 4096 },
    { "layers", KIND_NUMBER, CPU(layers), 1, 256 },
    { "step-target-ms", KIND_REAL, CPU(step_target_ms), 0.1, 60000 },
    { "decode-ms", KIND_REAL, CPU(decode_ms), 0.001, 60000 },
    { "sequence-ms", KIND_REAL, CPU(sequence_ms), 0, 60000 },
    { "prefill-ms", KIND_REAL, CPU(prefill_ms), 0.001, 60000 },
    { "waits", KIND_BOOL, CPU(waits), 0, 0 },
    { "noise", KIND_REAL, CPU(noise), 0, 0.95 },
    { "abandons", KIND_BOOL, CPU(abandons), 0, 0 },
    { "apps", KIND_NUMBER, GROUP(apps), 1, 4096 },
    { "clients", KIND_NUMBER, GROUP(clients), 1, 1024 },
    { "rate", KIND_REAL, GROUP(rate), 1e-6, 1e5 },
    { "think-s", KIND_REAL, GROUP(think_s), 0, 1e6 },
    { "class", KIND_CLASS, GROUP(request_class), 0, 0 },
    { "weight", KIND_NUMBER, GROUP(weight), 1, 1000 },
    { "requests", KIND_NUMBER, GROUP(requests), 1, 1e9 },
    { "prompt", KIND_RANGE, GROUP(prompt), 1, 1e6 },
    { "output", KIND_RANGE, GROUP(output), 1, 1e6 },
    { "prefix", KIND_NUMBER, GROUP(prefix), 0, 1e6 },
    { "deadline-ms", KIND_NUMBER, GROUP(deadline_ms), 1, 4e9 },
    { "in-flight", KIND_NUMBER, GROUP(in_flight), 1, 65536 },
    { "tokens-per-minute", KIND_NUMBER, GROUP(tokens_per_minute), 1, 1e9 },
    { "kv-pages", KIND_NUMBER, GROUP(kv_pages), 1, 1e9 },
    { "as-uid", KIND_NUMBER, GROUP(as_uid), 1, 4e9 },
    { "start-s", KIND_REAL, GROUP(start_s), 0, 1e7 },
    { "duration-s", KIND_REAL, GROUP(duration_s), 0.001, 1e7 },
    { "level", KIND_NAME, GROUP(level), 0, 0 },
};
enum { N_SETTINGS = sizeof(settings) / sizeof(settings[0]) };
static const char *const classes[] = { "background", "interactive", "realtime" };

struct reading {
    struct scenario *s;
    struct scenario_group *group; /* of the section that is read */
    struct reason why;
    uint64_t given[SCENARIO_GROUPS_MAX + 1]; /* bits of settings; the last: of run and machine */
};

const char *scenario_class_name(uint32_t request_class)
{
    return classes[request_class];
}

void scenario_default(struct scenario *ret)
{
    *ret = (struct scenario){ .seconds = 60,
                              .seed = 1,
                              .running = 8,
                              .queue = 64,
                              .chunk = 128,
                              .pages = 1024,
                              .page_tokens = 32,
                              .layers = 18,
                              .step_target_ms = 40,
                              .decode_ms = 10,
                              .sequence_ms = 1,
                              .prefill_ms = 0.5,
                              .waits = true,
                              .abandons = true };
}

/* ---- values ---- */

static bool take_real(const struct setting *t, const char *text, char **ret_end, double *ret)
{
    errno = 0;
    *ret = strtod(text, ret_end);
    return errno == 0 && *ret_end != text && isfinite(*ret) && *ret >= t->min && *ret <= t->max &&
           strspn(text, "0123456789.e") == strlen(text);
}

static bool take_number(const struct setting *t, const char *text, uint32_t *ret)
{
    char *end;
    double x;

    if (!take_real(t, text, &end, &x) || *end || strspn(text, "0123456789") != strlen(text))
        return false;
    *ret = (uint32_t)x;
    return true;
}

static bool take_range(const struct setting *t, const char *text, struct scenario_range *ret)
{
    const char *dots = strstr(text, "..");
    char first[16] = "";

    if (!dots) {
        if (!take_number(t, text, &ret->least)) return false;
        ret->most = ret->least;
        return true;
    }
    if (dots - text >= (ptrdiff_t)sizeof(first)) return false;
    memcpy(first, text, (size_t)(dots - text));
    return take_number(t, first, &ret->least) && take_number(t, dots + 2, &ret->most) &&
           ret->least <= ret->most;
}

static bool take_class(const char *text, uint32_t *ret)
{
    for (uint32_t i = 0; i < 3; i++)
        if (strcmp(text, classes[i]) == 0) {
            *ret = i;
            return true;
        }
    return false;
}

static bool take_bool(const char *text, bool *ret)
{
    *ret = strcmp(text, "yes") == 0;
    return *ret || strcmp(text, "no") == 0;
}

static bool take_name(const char *text, char ret[SCENARIO_NAME_MAX])
{
    if (!text[0] || strlen(text) >= SCENARIO_NAME_MAX) return false;
    (void)snprintf(ret, SCENARIO_NAME_MAX, "%s", text);
    return true;
}

static bool take_seed(const char *text, uint64_t *ret)
{
    char *end;

    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0 && !*end && text[0] >= '0' && text[0] <= '9';
}

static bool take(const struct setting *t, const char *text, void *at, struct reason *why)
{
    char *end;

    switch (t->kind) {
    case KIND_NUMBER:
        if (take_number(t, text, at)) return true;
        reason_set(why, "%s is a whole number from %.0f to %.0f, not \"%s\"", t->name, t->min,
                   t->max, text);
        return false;
    case KIND_REAL:
        if (take_real(t, text, &end, at) && !*end) return true;
        reason_set(why, "%s is a number from %g to %g, not \"%s\"", t->name, t->min, t->max, text);
        return false;
    case KIND_RANGE:
        if (take_range(t, text, at)) return true;
        reason_set(why, "%s is a number of tokens, or LEAST..MOST, not \"%s\"", t->name, text);
        return false;
    case KIND_CLASS:
        if (take_class(text, at)) return true;
        reason_set(why, "class is background, interactive or realtime, not \"%s\"", text);
        return false;
    case KIND_BOOL:
        if (take_bool(text, at)) return true;
        reason_set(why, "%s is yes or no, not \"%s\"", t->name, text);
        return false;
    case KIND_NAME:
        if (take_name(text, at)) return true;
        reason_set(why, "%s is a name of at most %d bytes, not \"%s\"", t->name,
                   SCENARIO_NAME_MAX - 1, text);
        return false;
    case KIND_SEED:
        if (take_seed(text, at)) return true;
        reason_set(why, "seed is a whole number, not \"%s\"", text);
        return false;
    }
    return false;
}

/* ---- sections ---- */

static bool enter_group(struct reading *r, const char *name)
{
    struct scenario *s = r->s;

    for (size_t i = 0; i < s->n_groups; i++)
        if (strcmp(s->group[i].name, name) == 0) {
            r->group = &s->group[i];
            return true;
        }
    if (s->n_groups == SCENARIO_GROUPS_MAX) {
        reason_set(&r->why, "there are more than %d groups", SCENARIO_GROUPS_MAX);
        return false;
    }
    struct scenario_group g = {
        .apps = 1, .request_class = 1, .weight = 100, .prompt = { 200, 200 }, .output = { 64, 64 }
    };
    if (!take_name(name, g.name)) {
        reason_set(&r->why, "a group has a name of 1 to %d bytes: [group NAME]",
                   SCENARIO_NAME_MAX - 1);
        return false;
    }
    s->group[s->n_groups] = g;
    r->group = &s->group[s->n_groups++];
    return true;
}

static bool enter(struct reading *r, const char *section, enum where *ret)
{
    if (strncmp(section, "group ", 6) == 0) {
        *ret = IN_GROUP;
        return enter_group(r, section + 6 + strspn(section + 6, " \t"));
    }
    *ret = strcmp(section, "run") == 0       ? IN_RUN
           : strcmp(section, "machine") == 0 ? IN_MACHINE
                                             : IN_LEVELS;
    if (*ret != IN_LEVELS || strcmp(section, "levels") == 0) return true;
    reason_set(&r->why, "there is no section [%s]; there are run, machine, levels, group NAME",
               section);
    return false;
}

static bool add_level(struct reading *r, const char *name, const char *text)
{
    static const struct setting cost = { .min = 0.001, .max = 1 };
    struct scenario *s = r->s;
    struct scenario_level l = { "", 0 };
    char *end;

    for (size_t i = 0; i < s->n_levels; i++)
        if (strcmp(s->level[i].name, name) == 0) {
            reason_set(&r->why, "level %s is there twice", name);
            return false;
        }
    if (s->n_levels == SCENARIO_LEVELS_MAX || !take_name(name, l.name) ||
        !take_real(&cost, text, &end, &l.cost) || *end) {
        reason_set(&r->why, "a level is NAME = COST, a number from 0.001 to 1; at most %d of them",
                   SCENARIO_LEVELS_MAX);
        return false;
    }
    s->level[s->n_levels++] = l;
    return true;
}

static bool set(struct reading *r, enum where where, const char *name, const char *value)
{
    uint64_t *given = &r->given[where == IN_GROUP ? r->group - r->s->group : SCENARIO_GROUPS_MAX];

    for (size_t i = 0; i < N_SETTINGS; i++) {
        const struct setting *t = &settings[i];
        if (t->where != where || strcmp(t->name, name) != 0) continue;
        if (*given >> i & 1) {
            reason_set(&r->why, "%s is given twice", name);
            return false;
        }
        *given |= UINT64_C(1) << i;
        char *base = where == IN_GROUP ? (char *)r->group : (char *)r->s;
        return take(t, value, base + t->offset, &r->why);
    }
    char list[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < N_SETTINGS && used < sizeof(list); i++)
        if (settings[i].where == where)
            used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "",
                                     settings[i].name);
    reason_set(&r->why, "there is no setting \"%s\" here; there are %s", name, list);
    return false;
}

/* inih's handler. Return: as inih wants it, 0 for an error. */
static int on_setting(void *user, const char *section, const char *name, const char *value)
{
    struct reading *r = user;
    enum where where;

    if (r->why.text[0]) return 0;
    if (!enter(r, section, &where)) return 0;
    return where == IN_LEVELS ? add_level(r, name, value) : set(r, where, name, value);
}

/* ---- what only makes sense together ---- */

static bool check_group(const struct scenario *s, const struct scenario_group *g,
                        struct reason *why)
{
    bool level = !g->level[0] || s->n_levels == 0;

    for (size_t i = 0; i < s->n_levels; i++)
        level |= strcmp(s->level[i].name, g->level) == 0;
    for (size_t i = 0; i < 4; i++)
        level |= strcmp((const char *[]){ "auto", "fast", "balanced", "best" }[i], g->level) == 0;
    if (g->clients == 0 && !(g->rate > 0))
        reason_set(why, "[group %s] needs clients (one request after the other) or rate", g->name);
    else if (g->clients > 0 && g->rate > 0)
        reason_set(why, "[group %s] has clients and rate: give one of them", g->name);
    else if (g->prefix >= g->prompt.least)
        reason_set(why, "[group %s] has a prefix of %u tokens, its prompts have %u", g->name,
                   g->prefix, g->prompt.least);
    else if (!level)
        reason_set(why, "[group %s] asks for level %s, which [levels] does not have", g->name,
                   g->level);
    else
        return true;
    return false;
}

static int finish(struct reading *r, const char *name, int line, struct scenario *ret,
                  struct reason *why)
{
    const struct scenario *s = r->s;
    struct reason what = { "" };

    if (line > 0) {
        reason_set(why, "%s:%d: %s", name, line,
                   r->why.text[0] ? r->why.text
                                  : "this is not a setting; write NAME = VALUE, after a [section]");
        return SCENARIO_E_REFUSED;
    }
    if (line == -2) return err_raise(-ENOMEM);
    if (s->n_groups == 0) reason_set(&what, "it has no [group NAME], so nothing is asked");
    for (size_t i = 0; i < s->n_groups && !what.text[0]; i++)
        (void)check_group(s, &s->group[i], &what);
    if (what.text[0]) {
        reason_set(why, "%s: %s", name, what.text);
        return SCENARIO_E_REFUSED;
    }
    *ret = *s;
    return 0;
}

int scenario_parse(const char *text, const char *name, struct scenario *ret, struct reason *why)
{
    struct scenario s;
    struct reading r = { .s = &s };

    scenario_default(&s);
    return finish(&r, name, ini_parse_string(text, on_setting, &r), ret, why);
}

int scenario_read(const char *path, struct scenario *ret, struct reason *why)
{
    struct scenario s;
    struct reading r = { .s = &s };
    FILE *f = fopen(path, "re");

    if (!f) {
        reason_set(why, "%s: cannot be read: %s", path, strerror(errno));
        return SCENARIO_E_REFUSED;
    }
    scenario_default(&s);
    const int line = ini_parse_file(f, on_setting, &r);
    const bool failed = ferror(f) != 0;
    (void)fclose(f);
    if (failed) {
        reason_set(why, "%s: cannot be read: is it a file?", path);
        return SCENARIO_E_REFUSED;
    }
    return finish(&r, path, line, ret, why);
}
