/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/model.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/json_out.h"
#include "cli/out.h"
#include "cli/printable.h"
#include "cli/talk.h"

static const char name_bytes[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

struct answer {
    bool json, wrong, found;
    const char *name; /* of the model that is looked for; NULL: the active one */
    const char *verb; /* "added", for people */
};

char *model_name_of(const char *path, char *buf)
{
    const char *const slash = strrchr(path, '/'), *at = slash ? slash + 1 : path;
    size_t n = strlen(at), used = 0;

    if (n > 5 && strcasecmp(at + n - 5, ".gguf") == 0) n -= 5;
    for (size_t i = 0; i < n && used < MODEL_NAME_MAX; i++) {
        const char c = strchr(name_bytes, at[i]) ? at[i] : '-';
        if (used > 0 || (c != '.' && c != '-')) buf[used++] = c;
    }
    buf[used] = '\0';
    return buf;
}

static void print_list(struct answer *a, const struct hearth_event *e)
{
    struct out_table t = { 0 };
    char size[16];

    if (e->n_models == 0) {
        out_note("no models yet: `hearthctl model add FILE.gguf` brings one");
        return;
    }
    out_table_columns(&t, "NAME VERSION SIZE> ARCH CONTEXT> STATE DESCRIPTION");
    for (size_t i = 0; i < e->n_models; i++) {
        const struct hearth_model *const m = &e->models[i];
        out_table_cell(&t, "%s", m->name);
        out_table_cell(&t, "%s", m->version);
        out_table_cell(&t, "%s", out_bytes(size, sizeof(size), m->size_bytes));
        out_table_cell(&t, "%s", m->architecture);
        out_table_cell(&t, "%" PRIu32, m->context);
        out_table_cell(&t, "%s", m->loaded ? "active, loaded" : m->active ? "active" : "");
        out_table_cell(&t, "%s", m->description);
    }
    a->wrong = out_table_print(&t, stdout, OUT_BOLD) != 0;
    out_table_deinit(&t);
}

static void on_list(void *context, const struct hearth_event *e)
{
    struct answer *const a = context;

    if (e->type != HEARTH_EVENT_MODELS) return;
    if (!a->json) {
        print_list(a, e);
        return;
    }
    json_t *const rows = json_array();
    for (size_t i = 0; rows && i < e->n_models; i++)
        if (json_array_append_new(rows, json_out_model(&e->models[i])) != 0) a->wrong = true;
    a->wrong = json_out_print(rows) != 0 || a->wrong;
}

static void row(const char *name, const char *text)
{
    char safe[512];

    if (text && *text)
        printf("%s%-12s%s  %s\n", out_style(stdout, OUT_BOLD), name, out_style(stdout, OUT_PLAIN),
               printable_copy(safe, sizeof(safe), text));
}

static const char *form_help(const char *form)
{
    if (strcmp(form, "plain") == 0)
        return "plain: a base model without a chat template; hearth asks it in the form \"Q: ... "
               "A:\"";
    return form;
}

static void print_levels(const struct hearth_model *m)
{
    struct out_table t = { 0 };

    if (m->n_levels == 0) return;
    printf("\n");
    out_table_columns(&t, "LEVEL COST> QUALITY");
    for (size_t i = 0; i < m->n_levels; i++) {
        out_table_cell(&t, "%s", m->levels[i].name);
        out_table_cell(&t, "%.0f %%", 100 * (double)m->levels[i].cost);
        out_table_cell(&t, "%s", m->levels[i].quality);
    }
    (void)out_table_print(&t, stdout, OUT_BOLD); /* a missing row is visible */
    out_table_deinit(&t);
}

static void print_info(const struct hearth_model *m)
{
    char text[80], size[16];

    row("name", m->name);
    row("version", m->version);
    row("description", m->description);
    row("state", m->loaded ? "active, loaded" : m->active ? "active" : "stored");
    row("architecture", m->architecture);
    row("size", out_bytes(size, sizeof(size), m->size_bytes));
    if (m->parameters) {
        (void)snprintf(text, sizeof(text), "%" PRIu64 " million in %" PRIu32 " layers",
                       m->parameters / 1000000, m->layers);
        row("parameters", text);
    }
    row("types", m->types);
    (void)snprintf(text, sizeof(text), "%" PRIu32 " tokens", m->context);
    row("context", text);
    row("prompt form", form_help(m->prompt_form ? m->prompt_form : ""));
    row("sha256", m->sha256);
    print_levels(m);
}

static void on_info(void *context, const struct hearth_event *e)
{
    struct answer *const a = context;
    const struct hearth_model *best = NULL;

    if (e->type != HEARTH_EVENT_MODELS) return;
    for (size_t i = 0; i < e->n_models; i++) {
        const struct hearth_model *const m = &e->models[i];
        if (a->name ? strcmp(m->name, a->name) != 0 : !m->active) continue;
        if (!best || m->active) best = m;
    }
    a->found = best != NULL;
    if (!best) return;
    if (a->json)
        a->wrong = json_out_print(json_out_model(best)) != 0;
    else
        print_info(best);
}

int command_model_list(const struct args *args)
{
    CLEANUP(talk_closep) struct talk c = { 0 };
    struct answer a = { .json = args->json };
    uint64_t id = 0;
    int r = talk_open(&c, args);

    if (r != TALK_OK) return r;
    talk_begin(&c, on_list, &a);
    const int sent = hearth_models(c.client, talk_event, &c, &id);
    r = talk_finish(&c, sent, id);
    return r == TALK_OK && (a.wrong || out_flush() != 0) ? TALK_FAILED : r;
}

int command_model_info(const struct args *args)
{
    CLEANUP(talk_closep) struct talk c = { 0 };
    struct answer a = { .json = args->json, .name = args->n_words ? args->words[0] : NULL };
    uint64_t id = 0;
    int r = talk_open(&c, args);

    if (r != TALK_OK) return r;
    talk_begin(&c, on_info, &a);
    const int sent = hearth_models(c.client, talk_event, &c, &id);
    r = talk_finish(&c, sent, id);
    if (r != TALK_OK) return r;
    if (!a.found) {
        const char *const sentence =
            a.name ? "no model has this name; `hearthctl model list` shows them"
                   : "no model is active; `hearthctl model add FILE` brings one";
        out_error("%s", sentence);
        if (a.json)
            (void)json_out_print(
                json_pack("{so}", "error", json_out_error("NOT_FOUND", sentence, false, 0)));
        return TALK_FAILED;
    }
    return a.wrong || out_flush() != 0 ? TALK_FAILED : r;
}

/* Orders whose answer is the one model that they changed. */
static void on_changed(void *context, const struct hearth_event *e)
{
    struct answer *const a = context;

    if (e->type != HEARTH_EVENT_MODELS || e->n_models == 0) return;
    a->found = true;
    if (a->json)
        a->wrong = json_out_print(json_out_model(&e->models[0])) != 0;
    else
        out_note("%s %s is %s", e->models[0].name, e->models[0].version, a->verb);
}

/* After talk_finish(): what is left to say if hearthd did not tell the model. */
static int finish(const struct answer *a, int r)
{
    if (r != TALK_OK || a->found) return r == TALK_OK && a->wrong ? TALK_FAILED : r;
    if (a->json) return json_out_print(json_pack("{ss}", "done", a->verb));
    out_note("%s", a->verb);
    return r;
}

int command_model_add(const struct args *args)
{
    CLEANUP(talk_closep) struct talk c = { 0 };
    struct answer a = { .json = args->json,
                        .verb = args->no_activate ? "added" : "added and active" };
    char derived[MODEL_NAME_MAX + 1];
    const char *const path = args->words[0];
    const char *const name = args->name ? args->name : model_name_of(path, derived);
    struct stat st;
    uint64_t id = 0;

    if (*name == '\0') {
        out_error("no name can be made of %s: give one with --name", path);
        return TALK_USAGE;
    }
    if (args->sha256 && (strlen(args->sha256) != 64 ||
                         args->sha256[strspn(args->sha256, "0123456789abcdefABCDEF")] != '\0')) {
        out_error("--sha256: a hash has 64 hexadecimal digits");
        return TALK_USAGE;
    }
    CLEANUP(closep) const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0) {
        out_error("cannot open %s: %s", path, strerror(errno));
        return TALK_FAILED;
    }
    if (!S_ISREG(st.st_mode)) {
        out_error("%s is no regular file", path);
        return TALK_FAILED;
    }
    int r = talk_open(&c, args);
    if (r != TALK_OK) return r;
    talk_begin(&c, on_changed, &a);
    const int sent =
        hearth_model_add(c.client, name, fd, args->sha256, !args->no_activate, talk_event, &c, &id);
    return finish(&a, talk_finish(&c, sent, id));
}

int command_model_activate(const struct args *args)
{
    CLEANUP(talk_closep) struct talk c = { 0 };
    struct answer a = { .json = args->json, .verb = "active" };
    uint64_t id = 0;
    const int r = talk_open(&c, args);

    if (r != TALK_OK) return r;
    talk_begin(&c, on_changed, &a);
    const int sent = hearth_model_activate(
        c.client, args->words[0], args->n_words > 1 ? args->words[1] : NULL, talk_event, &c, &id);
    return finish(&a, talk_finish(&c, sent, id));
}

int command_model_remove(const struct args *args)
{
    CLEANUP(talk_closep) struct talk c = { 0 };
    struct answer a = { .json = args->json, .verb = "removed" };
    uint64_t id = 0;
    const int r = talk_open(&c, args);

    if (r != TALK_OK) return r;
    talk_begin(&c, on_changed, &a);
    const int sent = hearth_model_remove(
        c.client, args->words[0], args->n_words > 1 ? args->words[1] : NULL, talk_event, &c, &id);
    return finish(&a, talk_finish(&c, sent, id));
}

int command_model_load(const struct args *args)
{
    CLEANUP(talk_closep) struct talk c = { 0 };
    struct answer a = { .json = args->json, .verb = "loaded" };
    uint64_t id = 0;
    const int r = talk_open(&c, args);

    if (r != TALK_OK) return r;
    talk_begin(&c, on_changed, &a);
    const int sent =
        hearth_model_load(c.client, args->n_words ? args->words[0] : NULL, talk_event, &c, &id);
    return finish(&a, talk_finish(&c, sent, id));
}

int command_model_unload(const struct args *args)
{
    CLEANUP(talk_closep) struct talk c = { 0 };
    struct answer a = { .json = args->json, .verb = "unloaded" };
    uint64_t id = 0;
    const int r = talk_open(&c, args);

    if (r != TALK_OK) return r;
    talk_begin(&c, on_changed, &a);
    const int sent = hearth_model_unload(c.client, talk_event, &c, &id);
    return finish(&a, talk_finish(&c, sent, id));
}
