/* SPDX-License-Identifier: Apache-2.0 */
/* What may stand in a call: every beginning that is taken can be ended, and what was ended is JSON that fits its schema. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "engine/token/call_form.h"

static const char *const offered[] = {
    ("{\"name\": \"seat\", \"parameters\": {\"properties\": {\"zone\": {\"enum\": [\"left\", "
     "\"lefty\", \"rear\"]}, \"level\": {\"type\": \"integer\"}, \"at\": {\"type\": \"string\"}}, "
     "\"required\": [\"level\"]}}"),
    "{\"name\": \"stop\"}",
    "{\"name\": \"stop2\", \"parameters\": {\"properties\": {\"now\": {\"type\": \"boolean\"}}}}",
    ("{\"name\": \"fan\", \"parameters\": {\"properties\": {\"n\": {\"enum\": [3, 30, 4.5]}, "
     "\"no\": {}}, \"required\": [\"n\"]}}"),
    ("{\"name\": \"call\", \"parameters\": {\"properties\": {\"to\": {\"type\": \"string\", "
     "\"x-verbatim\": true}, \"why\": {\"type\": \"string\", \"x-verbatim\": true}}, "
     "\"required\": [\"to\"]}}"),
};

static const char conversation[] = "say \"hi\" to\nSora Kim \xea\xb0\x80\xeb\x82\x98";

static struct tools *tools;
static struct verbatim *said;

static void setup(void)
{
    struct reason why = { "" };

    tools = tools_new();
    for (size_t i = 0; i < sizeof(offered) / sizeof(offered[0]); i++)
        cr_assert_eq(tools_add(tools, offered[i], strlen(offered[i]), &why), 0, "%s", why.text);
    cr_assert_eq(verbatim_new(conversation, sizeof(conversation) - 1, &said), 0);
}

static void drop(void)
{
    tools = tools_free(tools);
    said = verbatim_free(said);
}

/* How many bytes of @text are taken. */
static size_t taken(const char *text, bool *ret_done)
{
    struct call_form f = call_form_begin(tools, said);
    size_t n = 0;

    while (text[n] && call_form_push(&f, (uint8_t)text[n]))
        n++;
    *ret_done = call_form_done(&f);
    return n;
}

Test(call_form, takes_calls_that_fit_what_was_offered, .init = setup, .fini = drop)
{
    static const char *const good[] = {
        "{\"name\":\"seat\",\"arguments\":{\"level\":2}}\n",
        "{\"name\":\"seat\",\"arguments\":{\"zone\":\"left\",\"level\":2}}\n",
        ("{\"name\":\"seat\",\"arguments\":{\"zone\":\"lefty\",\"level\":-12,\"at\":\"7:30 "
         "\xea\xb0\x80\"}}\n"),
        "{\"name\":\"seat\",\"arguments\":{\"level\":0,\"at\":\"\"}}\n",
        "{\"name\":\"stop\",\"arguments\":{}}\n",
        "{\"name\":\"stop2\",\"arguments\":{}}\n",
        "{\"name\":\"stop2\",\"arguments\":{\"now\":false}}\n",
        "{\"name\":\"fan\",\"arguments\":{\"n\":3}}\n",
        "{\"name\":\"fan\",\"arguments\":{\"n\":30,\"no\":[1,{\"a\":null}]}}\n",
        "{\"name\":\"fan\",\"arguments\":{\"n\":4.5,\"no\":1.25}}\n",
        "{\"name\":\"call\",\"arguments\":{\"to\":\"Sora Kim\"}}\n",
        "{\"name\":\"call\",\"arguments\":{\"to\":\"\xeb\x82\x98\",\"why\":\"\\\"hi\\\" "
        "to\\nSo\"}}\n",
        "{\"name\":\"call\",\"arguments\":{\"to\":\"\"}}\n",
    };
    bool done;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cr_assert_eq(taken(good[i], &done), strlen(good[i]), "%s", good[i]);
        cr_assert(done, "%s", good[i]);
    }
}

Test(call_form, stops_at_the_byte_that_does_not_fit, .init = setup, .fini = drop)
{
    static const struct {
        const char *text, *after; /* what is taken */
    } bad[] = {
        { " {", "" },
        { "{\"name\": ", "{\"name\":" },
        { "{\"name\":\"sea\"", "{\"name\":\"sea" },
        { "{\"name\":\"x", "{\"name\":\"" },
        { "{\"name\":\"stop3", "{\"name\":\"stop" },
        { "{\"name\":\"stop\",\"arguments\":{\"", "{\"name\":\"stop\",\"arguments\":{" },
        { "{\"name\":\"seat\",\"arguments\":{}", "{\"name\":\"seat\",\"arguments\":{" },
        { "{\"name\":\"seat\",\"arguments\":{\"at", "{\"name\":\"seat\",\"arguments\":{\"" },
        { "{\"name\":\"seat\",\"arguments\":{\"zone\":\"left\"}",
          "{\"name\":\"seat\",\"arguments\":{\"zone\":\"left\"" },
        { "{\"name\":\"seat\",\"arguments\":{\"zone\":\"mid",
          "{\"name\":\"seat\",\"arguments\":{\"zone\":\"" },
        { "{\"name\":\"seat\",\"arguments\":{\"zone\":\"le\"",
          "{\"name\":\"seat\",\"arguments\":{\"zone\":\"le" },
        { "{\"name\":\"seat\",\"arguments\":{\"level\":2.",
          "{\"name\":\"seat\",\"arguments\":{\"level\":2" },
        { "{\"name\":\"seat\",\"arguments\":{\"level\":\"2",
          "{\"name\":\"seat\",\"arguments\":{\"level\":" },
        { "{\"name\":\"seat\",\"arguments\":{\"level\":2,\"level",
          "{\"name\":\"seat\",\"arguments\":{\"level\":2,\"" },
        { "{\"name\":\"seat\",\"arguments\":{\"level\":2,\"at\":\"\"}},",
          "{\"name\":\"seat\",\"arguments\":{\"level\":2,\"at\":\"\"}}" },
        { "{\"name\":\"seat\",\"arguments\":{\"level\":2,\"at\":\"\",",
          "{\"name\":\"seat\",\"arguments\":{\"level\":2,\"at\":\"\"" },
        { "{\"name\":\"fan\",\"arguments\":{\"n\":31", "{\"name\":\"fan\",\"arguments\":{\"n\":3" },
        { "{\"name\":\"fan\",\"arguments\":{\"n\":4}", "{\"name\":\"fan\",\"arguments\":{\"n\":4" },
        { "{\"name\":\"call\",\"arguments\":{\"to\":\"Soraya",
          "{\"name\":\"call\",\"arguments\":{\"to\":\"Sora" },
        { "{\"name\":\"call\",\"arguments\":{\"to\":\"Kim Sora",
          "{\"name\":\"call\",\"arguments\":{\"to\":\"Kim " },
        { "{\"name\":\"call\",\"arguments\":{\"to\":\"hi\" to",
          "{\"name\":\"call\",\"arguments\":{\"to\":\"hi\"" },
        { "{\"name\":\"stop\",\"arguments\":{}}\n\n", "{\"name\":\"stop\",\"arguments\":{}}\n" },
    };
    bool done;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_eq(taken(bad[i].text, &done), strlen(bad[i].after), "%s", bad[i].text);
}

Test(call_form, without_texts_a_verbatim_argument_is_any, .init = setup, .fini = drop)
{
    bool done;

    said = verbatim_free(said);
    (void)taken("{\"name\":\"call\",\"arguments\":{\"to\":\"Sara\"}}\n", &done);
    cr_assert(done);
}

/* A tool of @name, [n_sorted] of them. */
static const struct tools_tool *find(const char *name)
{
    size_t n;
    const struct tools_tool *t = tools_sorted(tools, &n);

    for (size_t i = 0; i < n; i++)
        if (strcmp(t[i].name, name) == 0) return &t[i];
    return NULL;
}

static const struct tools_argument *argument(const struct tools_tool *t, const char *name)
{
    size_t i = 0;

    while (strcmp(t->arguments[i].name, name) != 0)
        i++;
    return &t->arguments[i];
}

static void check_fits(const char *text, size_t n)
{
    json_t *call = json_loadb(text, n, 0, NULL), *v;
    const char *key;

    cr_assert_not_null(call, "%.*s", (int)n, text);
    const struct tools_tool *t = find(json_string_value(json_object_get(call, "name")));
    json_t *arguments = json_object_get(call, "arguments");
    cr_assert_not_null(t, "%.*s", (int)n, text);
    cr_assert_eq(json_object_size(call), 2);
    size_t known = 0;
    for (size_t i = 0; i < t->n_arguments; i++) {
        v = json_object_get(arguments, t->arguments[i].name);
        cr_assert(v || !t->arguments[i].required, "%.*s", (int)n, text);
        known += v != NULL;
    }
    cr_assert_eq(known, json_object_size(arguments));
    json_object_foreach(arguments, key, v)
    {
        const struct tools_argument *a = argument(t, key);
        if (a->verbatim) cr_assert_not_null(strstr(conversation, json_string_value(v)), "%s", key);
    }
    json_decref(call);
}

/* Bytes at random among those that may follow: there is always one, and the end comes. */
Test(call_form, whatever_may_follow_ends_as_a_call_that_fits, .init = setup, .fini = drop)
{
    enum { CALLS = 3000, BYTES_MAX = 4096 };
    static char text[BYTES_MAX];
    uint32_t seed = 1;
    size_t ended = 0;

    for (int c = 0; c < CALLS; c++) {
        struct call_form f = call_form_begin(tools, said);
        size_t n = 0;
        while (!call_form_done(&f) && n < BYTES_MAX) {
            uint8_t may[256];
            size_t n_may = 0;
            for (int b = 0; b < 256; b++) {
                struct call_form next = f;
                if (call_form_push(&next, (uint8_t)b)) may[n_may++] = (uint8_t)b;
            }
            cr_assert_gt(n_may, 0, "nothing may follow %.*s", (int)n, text);
            seed = seed * 1664525 + 1013904223;
            /* a text or a list that could go on ends now and then */
            uint8_t byte = may[(seed >> 16) % n_may];
            const char *ends = "\"}]";
            if (seed >> 28 < 6)
                for (size_t i = 0; i < n_may; i++)
                    if (strchr(ends, may[i]) && may[i]) byte = may[i];
            if (c % 3 == 0) /* long numbers */
                for (size_t i = 0; i < n_may; i++)
                    if (may[i] >= '0' && may[i] <= '9' && seed >> 27 & 3) byte = may[i];
            cr_assert(call_form_push(&f, byte));
            text[n++] = (char)byte;
        }
        if (!call_form_done(&f)) continue;
        ended++;
        check_fits(text, n - 1);
    }
    cr_assert_gt(ended, CALLS * 9 / 10, "%zu of %d ended", ended, (int)CALLS);
}
