/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tools and a call, with a zero byte between them; the call is the last, and the last of the tools what was said. Of what was taken as
 * tools each can be called, with all of its arguments; and a call that was taken to its end is JSON that names one of them, with
 * verbatim values that were said.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "engine/token/call_form.h"
#include "engine/token/call_json.h"
#include "tests/fuzz/fuzz.h"

static void push(struct call_form *f, const char *text)
{
    for (; *text; text++)
        if (!call_form_push(f, (uint8_t)*text)) abort();
}

/* A value of one of the kinds, the simplest. */
static const char *value_of(unsigned kinds)
{
    static const char *const simple[] = { "\"\"", "0", "0", "true", "null", "[]", "{}" };
    size_t i = 0;

    while (!(kinds >> i & 1))
        i++;
    return simple[i];
}

static void call_all(const struct tools *tools, const struct tools_tool *t)
{
    struct call_form f = call_form_begin(tools, NULL);

    push(&f, "{\"name\":\"");
    push(&f, t->name);
    push(&f, "\",\"arguments\":{");
    for (size_t i = 0; i < t->n_arguments; i++) {
        const struct tools_argument *a = &t->arguments[i];
        push(&f, i > 0 ? ",\"" : "\"");
        push(&f, a->name);
        push(&f, "\":");
        push(&f, a->n_values > 0 ? a->values[a->n_values - 1] : value_of(a->kinds));
    }
    push(&f, "}}\n");
    if (!call_form_done(&f)) abort();
}

/* What is to be verbatim was said. */
static void check_values(const struct tools *tools, const json_t *call, const char *said,
                         size_t n_said)
{
    const char *name = json_string_value(json_object_get(call, "name"));
    size_t n_tools;
    const struct tools_tool *t = tools_sorted(tools, &n_tools);

    while (strcmp(t->name, name) != 0)
        t++;
    for (size_t i = 0; i < t->n_arguments; i++) {
        const json_t *v = json_object_get(json_object_get(call, "arguments"), t->arguments[i].name);
        if (t->arguments[i].verbatim && v &&
            !memmem(said, n_said, json_string_value(v), json_string_length(v)))
            abort();
    }
}

/* @said_text: what was said to the model. */
static void take_call(const struct tools *tools, const char *text, size_t n, const char *said_text,
                      size_t n_said)
{
    struct verbatim *said = NULL;
    size_t i = 0;

    if (verbatim_new(said_text, n_said, &said) != 0) abort();
    struct call_form f = call_form_begin(tools, said);

    while (i < n && call_form_push(&f, (uint8_t)text[i]))
        i++;
    verbatim_free(said);
    if (!call_form_done(&f)) return;
    json_t *call = json_loadb(text, i, 0, NULL);
    if (!json_is_string(json_object_get(call, "name"))) abort();
    check_values(tools, call, said_text, n_said);
    json_decref(call);
}

/* A call that is given back has its form, and keeps it. */
static void give_back(const char *text, size_t n)
{
    struct reason why = { "" };
    char *call = NULL, *again = NULL;

    if (call_json(text, n, &call, &why) != 0) {
        if (!why.text[0]) abort();
        return;
    }
    if (strlen(call) <= TOOLS_JSON_MAX && /* numbers may have grown: 1e9 */
        (call_json(call, strlen(call), &again, &why) != 0 || strcmp(call, again) != 0))
        abort();
    free(call);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data, *said = at, *end;
    struct tools *tools = tools_new();
    struct reason why = { "" };
    size_t n = 0;

    if (!tools) abort();
    for (bool good = true; size > 0 && (end = memchr(at, 0, size)) != NULL && good; at = end + 1) {
        size -= (size_t)(end - at) + 1;
        said = at;
        good = tools_add(tools, at, (size_t)(end - at), &why) == 0;
        if (!good && !why.text[0]) abort();
    }
    const struct tools_tool *t = tools_sorted(tools, &n);
    for (size_t i = 0; i < n; i++)
        call_all(tools, &t[i]);
    take_call(tools, at, size, said, at > said ? (size_t)(at - said) - 1 : 0);
    give_back(at, size);
    tools_free(tools);
    return 0;
}
