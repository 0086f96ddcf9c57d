/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: run the checks, print them, say what to do. */
#include "cli/doctor.h"
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/generate.h"
#include "cli/json_out.h"
#include "cli/out.h"
#include "cli/printable.h"
#include "cli/talk.h"

enum { FINDINGS_MAX = 16, ANSWER_MS = 5000 };

struct doctor {
    struct doctor_finding findings[FINDINGS_MAX];
    size_t n;
    uint64_t model_bytes;  /* of an active model that is not loaded */
    char models[PATH_MAX]; /* folder of the store */
};

static struct doctor_finding *next(struct doctor *d)
{
    return &d->findings[d->n < FINDINGS_MAX - 1 ? d->n++ : d->n];
}

static void on_status(void *context, const struct hearth_event *e)
{
    struct doctor *const d = context;

    if (e->type != HEARTH_EVENT_STATUS) return;
    doctor_version(e->status->version, next(d));
    doctor_model(e->status, next(d));
    doctor_worker(e->status, next(d));
    if (e->status->model && !e->status->model->loaded)
        d->model_bytes = e->status->model->size_bytes;
    (void)snprintf(d->models, sizeof(d->models), "%s", e->status->models_path);
}

/* What hearthd says, and what its policy lets this user do. */
static void ask_daemon(struct doctor *d, struct talk *c)
{
    struct doctor_finding *const f = next(d);
    enum hearth_class ceiling = HEARTH_CLASS_DEFAULT;
    uint32_t in_flight = 0;
    int administrator = 0;
    uint64_t id = 0;

    *f = (struct doctor_finding){ .name = "hearthd", .level = DOCTOR_FAIL };
    c->silent = true;
    c->timeout_ms = ANSWER_MS;
    talk_begin(c, on_status, d);
    const int sent = hearth_status(c->client, talk_event, c, &id);
    const int r = talk_finish(c, sent, id);
    if (r != TALK_OK) {
        (void)snprintf(f->text, sizeof(f->text), "%.300s",
                       r == TALK_INTERRUPTED ? "interrupted" : c->end.message);
        (void)snprintf(f->help, sizeof(f->help),
                       "`systemctl status hearthd` and `journalctl -u hearthd` tell more");
        return;
    }
    f->level = DOCTOR_OK;
    (void)hearth_client_info(c->client, NULL, &ceiling, &in_flight, &administrator);
    (void)snprintf(f->text, sizeof(f->text),
                   "answers; you may have %u requests at once, up to class %s%s", in_flight,
                   json_out_class(ceiling),
                   administrator ? ", and administer it" : ", and not administer it");
}

static const char *read_text(const char *path, struct buf *b)
{
    static const char empty[] = "";
    FILE *const f = fopen(path, "re");
    uint8_t *place;
    size_t n = 0;

    buf_init(b, 1 << 16); /* the first CPU of many is enough */
    if (f && buf_reserve(b, b->size_max - 1, &place) == 0) {
        n = fread(place, 1, b->size_max - 1, f);
        buf_commit(b, n);
    }
    if (f) (void)fclose(f);
    return n > 0 && buf_append(b, "", 1) == 0 ? (const char *)buf_front(b) : empty;
}

/* CPUs that this process may run on. */
static uint32_t cpus(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof(set), &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;
}

static void examine(struct doctor *d, struct talk *c)
{
    struct buf text;

    doctor_cpu(read_text("/proc/cpuinfo", &text), next(d));
    buf_deinit(&text);
    doctor_socket(hearth_client_socket(c->client), next(d));
    if (d->findings[d->n - 1].level != DOCTOR_FAIL) ask_daemon(d, c);
    doctor_memory(read_text("/proc/meminfo", &text), d->model_bytes, next(d));
    buf_deinit(&text);
    doctor_speed(cpus(), next(d));
    doctor_pressure("", next(d));
    doctor_disk("", d->models[0] ? d->models : "/var/lib/hearth/models", next(d));
    doctor_sound("", next(d));
    doctor_accelerator("", next(d));
}

static const char *level_name(enum doctor_level level)
{
    static const char *const names[] = { "ok", "warn", "fail" };

    return names[level];
}

static int print_json(const struct doctor *d, bool failed)
{
    json_t *const rows = json_array();

    for (size_t i = 0; rows && i < d->n; i++) {
        const struct doctor_finding *const f = &d->findings[i];
        json_t *const row =
            json_pack("{ss ss so so}", "name", f->name, "level", level_name(f->level), "text",
                      json_out_string(f->text), "help", json_out_string(f->help));
        if (row && json_array_append_new(rows, row) == 0) continue;
        json_decref(rows);
        return json_out_print(NULL);
    }
    return json_out_print(json_pack("{sb so}", "ok", !failed, "checks", rows));
}

static void print(const struct doctor *d)
{
    static const enum out_style styles[] = { OUT_GREEN, OUT_YELLOW, OUT_RED };
    char text[sizeof(d->findings[0].text)];

    for (size_t i = 0; i < d->n; i++) {
        const struct doctor_finding *const f = &d->findings[i];
        printf("%s%-4s%s  %-8s  %s\n", out_style(stdout, styles[f->level]), level_name(f->level),
               out_style(stdout, OUT_PLAIN), f->name, printable_copy(text, sizeof(text), f->text));
        if (f->help[0]) printf("%16s> %s\n", "", printable_copy(text, sizeof(text), f->help));
    }
}

int command_doctor(const struct args *a)
{
    CLEANUP(talk_closep) struct talk c = { 0 };
    struct doctor d = { .n = 0 };
    bool failed = false;
    int r = talk_open(&c, a);

    if (r != TALK_OK) return r;
    examine(&d, &c);
    for (size_t i = 0; i < d.n; i++)
        failed |= d.findings[i].level == DOCTOR_FAIL;
    if (a->json)
        r = print_json(&d, failed);
    else
        print(&d);
    if (c.interrupted) return TALK_INTERRUPTED;
    return failed || r != 0 || out_flush() != 0 ? TALK_FAILED : TALK_OK;
}
