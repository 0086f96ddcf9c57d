/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "engine/token/json_bytes.h"
#include "engine/token/tools.h"
#include "tests/unit/oom.h"

static struct tools *tools;
static struct reason why;

static void setup(void)
{
    tools = tools_new();
    cr_assert_not_null(tools);
    why = (struct reason){ "" };
}

static void drop(void)
{
    tools = tools_free(tools);
}

static int add(const char *json)
{
    return tools_add(tools, json, strlen(json), &why);
}

static void check_lines(const char *want)
{
    const struct gguf_string got = tools_lines(tools);

    cr_assert_eq(got.n, strlen(want), "%.*s", (int)got.n, got.bytes);
    cr_assert_arr_eq(got.bytes, want, got.n);
}

Test(tools, a_line_has_the_arguments_in_the_order_of_the_schema, .init = setup, .fini = drop)
{
    cr_assert_eq(
        add("{\"name\": \"seat\", \"description\": \"Heat.\", \"parameters\": {\"type\": "
            "\"object\","
            "\"properties\": {\"zone\": {\"type\": \"string\"}, \"level\": {}, \"at\": {}},"
            "\"required\": [\"level\"]}}"),
        0, "%s", why.text);
    cr_assert_eq(add("{\"name\": \"stop\"}"), 0, "%s", why.text);
    cr_assert_eq(add("{\"name\": \"go.1\", \"parameters\": {\"properties\": {\"a\": {}}, "
                     "\"required\": [\"a\"]}}"),
                 0, "%s", why.text);
    check_lines("seat(zone?,level,at?)\nstop()\ngo.1(a)\n");
}

Test(tools, are_sorted_by_name_and_say_what_values_may_be, .init = setup, .fini = drop)
{
    static const struct {
        const char *name;
        bool required;
        unsigned kinds;
        const char *values; /* with commas */
    } want[] = {
        { "any", true, JSON_BYTES_ANY, "" },
        { "n", false, JSON_BYTES_INTEGER, "" },
        { "x", false, JSON_BYTES_NUMBER | JSON_BYTES_NULL, "" },
        { "side", true, JSON_BYTES_STRING, "\"left\",\"r\xc3\xa9\\\"\"" },
        { "one", false, JSON_BYTES_ANY, "3" },
        { "mixed", false, JSON_BYTES_ANY,
          "0.1,0.30000000000000004,1.7976931348623157e308,10,99.7,null" },
    };
    size_t n = 0;

    cr_assert_eq(add("{\"name\": \"b\"}"), 0);
    cr_assert_eq(
        add("{\"name\": \"a\", \"parameters\": {\"properties\": {\"any\": true, \"n\": {\"type\": "
            "\"integer\"}, \"x\": {\"type\": [\"number\", \"null\"]}, \"side\": {\"type\": "
            "\"string\", "
            "\"enum\": [\"r\xc3\xa9\\\"\", \"left\"]}, \"one\": {\"const\": 3}, "
            "\"mixed\": {\"enum\": [null, 99.7, 10, 0.1, 0.30000000000000004, "
            "1.7976931348623157e308]}}, \"required\": "
            "[\"any\", \"side\"]}}"),
        0, "%s", why.text);
    const struct tools_tool *sorted = tools_sorted(tools, &n);
    cr_assert_eq(n, 2);
    cr_assert_str_eq(sorted[0].name, "a");
    cr_assert_str_eq(sorted[1].name, "b");
    cr_assert_eq(sorted[0].n_arguments, sizeof(want) / sizeof(want[0]));
    for (size_t i = 0; i < sorted[0].n_arguments; i++) {
        const struct tools_argument *a = &sorted[0].arguments[i];
        char values[128] = "";
        size_t used = 0;
        for (size_t k = 0; k < a->n_values; k++)
            used += (size_t)snprintf(values + used, sizeof(values) - used, "%s%s", k ? "," : "",
                                     a->values[k]);
        cr_assert_str_eq(a->name, want[i].name);
        cr_assert_eq(a->required, want[i].required, "%s", a->name);
        cr_assert_eq(a->kinds, want[i].kinds, "%s", a->name);
        cr_assert_str_eq(values, want[i].values);
    }
}

Test(tools, what_is_no_tool_is_refused_with_a_reason, .init = setup, .fini = drop)
{
    static const struct {
        const char *json, *word;
    } cases[] = {
        { "", "no JSON" },
        { "{\"name\": \"a\"", "no JSON" },
        { "[]", "'name'" },
        { "{\"name\": 3}", "'name'" },
        { "{\"name\": \"\"}", "no name for a tool" },
        { "{\"name\": \"a b\"}", "no name for a tool" },
        { "{\"name\": \"a(\"}", "no name for a tool" },
        { "{\"name\": \"\\n\"}", "no name for a tool" },
        { "{\"name\": \"a\", \"name\": \"b\"}", "no JSON" },
        { "{\"name\": \"a\", \"parameters\": 1}", "'parameters'" },
        { "{\"name\": \"a\", \"parameters\": {\"properties\": []}}", "'properties'" },
        { "{\"name\": \"a\", \"parameters\": {\"required\": {}}}", "'required'" },
        { "{\"name\": \"a\", \"parameters\": {\"required\": [\"b\"]}}", "'required'" },
        { "{\"name\": \"a\", \"parameters\": {\"properties\": {\"b,c\": {}}}}", "argument" },
        { "{\"name\": \"a\", \"parameters\": {\"properties\": {\"b\": {\"type\": \"text\"}}}}",
          "'type' of 'b'" },
        { "{\"name\": \"a\", \"parameters\": {\"properties\": {\"b\": {\"type\": 3}}}}",
          "'type' of 'b'" },
        { "{\"name\": \"a\", \"parameters\": {\"properties\": {\"b\": {\"type\": []}}}}",
          "'type' of 'b'" },
        { "{\"name\": \"a\", \"parameters\": {\"properties\": {\"b\": {\"type\": [\"null\", "
          "1]}}}}",
          "'type' of 'b'" },
        { "{\"name\": \"a\", \"parameters\": {\"properties\": {\"b\": {\"enum\": []}}}}",
          "'enum' of 'b'" },
        { "{\"name\": \"a\", \"parameters\": {\"properties\": {\"b\": {\"enum\": \"x\"}}}}",
          "'enum' of 'b'" },
        { "{\"name\": \"there\"}", "two tools" },
    };
    size_t n = 0;

    cr_assert_eq(add("{\"name\": \"there\"}"), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        why = (struct reason){ "" };
        cr_assert_eq(add(cases[i].json), TOOLS_E_INVALID, "%s", cases[i].json);
        cr_assert_not_null(strstr(why.text, cases[i].word), "%s: %s", cases[i].json, why.text);
        check_lines("there()\n");
        (void)tools_sorted(tools, &n);
        cr_assert_eq(n, 1);
    }
}

Test(tools, there_is_a_limit_to_each_size, .init = setup, .fini = drop)
{
    char *json = malloc(TOOLS_JSON_MAX + 1);

    cr_assert_not_null(json);
    memset(json, ' ', TOOLS_JSON_MAX + 1);
    memcpy(json, "{\"name\": \"a\"}", 13);
    cr_assert_eq(tools_add(tools, json, TOOLS_JSON_MAX + 1, &why), TOOLS_E_INVALID);
    cr_assert_eq(tools_add(tools, json, TOOLS_JSON_MAX, &why), 0, "%s", why.text);

    size_t n = (size_t)snprintf(json, TOOLS_JSON_MAX, "{\"name\": \"%064d\"}", 0);
    cr_assert_eq(tools_add(tools, json, n, &why), 0, "%s", why.text);
    n = (size_t)snprintf(json, TOOLS_JSON_MAX, "{\"name\": \"%065d\"}", 0);
    cr_assert_eq(tools_add(tools, json, n, &why), TOOLS_E_INVALID);

    n = (size_t)snprintf(json, TOOLS_JSON_MAX,
                         "{\"name\": \"b\", \"parameters\": {\"properties\": {\"a0\": 0");
    for (int i = 1; i <= TOOLS_ARGUMENTS_MAX; i++)
        n += (size_t)snprintf(json + n, TOOLS_JSON_MAX - n, ", \"a%d\": 0", i);
    n += (size_t)snprintf(json + n, TOOLS_JSON_MAX - n, "}}}");
    cr_assert_eq(tools_add(tools, json, n, &why), TOOLS_E_INVALID);
    cr_assert_not_null(strstr(why.text, "arguments"), "%s", why.text);
    free(json);
}

Test(tools, an_argument_may_be_verbatim, .init = setup, .fini = drop)
{
    size_t n;

    cr_assert_eq(
        add("{\"name\": \"a\", \"parameters\": {\"properties\": {\"x\": {\"type\": \"string\", "
            "\"x-verbatim\": false}}}}"),
        0);
    cr_assert_not(tools_verbatim(tools));
    cr_assert_eq(
        add("{\"name\": \"b\", \"parameters\": {\"properties\": {\"x\": 0, \"y\": {\"type\": "
            "\"string\", \"x-verbatim\": true}}}}"),
        0);
    cr_assert(tools_verbatim(tools));
    const struct tools_tool *t = tools_sorted(tools, &n);
    cr_assert_not(t[0].arguments[0].verbatim);
    cr_assert_not(t[1].arguments[0].verbatim);
    cr_assert(t[1].arguments[1].verbatim);
}

Test(tools, verbatim_is_for_free_strings_only, .init = setup, .fini = drop)
{
    static const char *const bad[] = {
        "{\"type\": \"string\", \"x-verbatim\": 1}",
        "{\"type\": \"integer\", \"x-verbatim\": true}",
        "{\"type\": [\"string\", \"null\"], \"x-verbatim\": true}",
        "{\"type\": \"string\", \"enum\": [\"a\"], \"x-verbatim\": true}",
        "{\"x-verbatim\": true}",
    };
    char json[256];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        (void)snprintf(json, sizeof(json),
                       "{\"name\": \"t\", \"parameters\": {\"properties\": {\"place\": %s}}}",
                       bad[i]);
        cr_assert_eq(add(json), TOOLS_E_INVALID, "%s", bad[i]);
        cr_assert_not_null(strstr(why.text, "x-verbatim"), "%s", why.text);
        cr_assert_not_null(strstr(why.text, "'place'"), "%s", why.text);
    }
}

/* Tools with long lines, until there is no more room for them. */
Test(tools, lines_have_a_limit_and_one_that_does_not_fit_leaves_nothing, .init = setup,
     .fini = drop)
{
    static char json[8192];
    size_t n_tools = 0, n;
    int r = 0;

    for (int t = 0; r == 0; t++) {
        const size_t before = tools_lines(tools).n;
        n = (size_t)snprintf(json, sizeof(json),
                             "{\"name\": \"t%d\", \"parameters\": {\"properties\": {\"a\": 0", t);
        for (int i = 0; i < TOOLS_ARGUMENTS_MAX - 1; i++)
            n += (size_t)snprintf(json + n, sizeof(json) - n, ", \"%064d\": 0", i);
        (void)snprintf(json + n, sizeof(json) - n, "}}}");
        r = add(json);
        if (r != 0) cr_assert_eq(tools_lines(tools).n, before);
    }
    cr_assert_eq(r, TOOLS_E_INVALID);
    cr_assert_not_null(strstr(why.text, "too many"), "%s", why.text);
    (void)tools_sorted(tools, &n_tools);
    cr_assert_gt(n_tools, 100);
    cr_assert_leq(tools_lines(tools).n, TOOLS_LINES_MAX);
}

Test(tools, no_allocation_that_fails_leaves_half_a_tool, .init = setup, .fini = drop)
{
    static const char json[] =
        "{\"name\": \"a\", \"parameters\": {\"properties\": {\"x\": {\"enum\": [1, 2]}}}}";
    size_t n = 0;

    OOM_OR_SKIP();
    for (unsigned k = 1;; k++) {
        oom_fail_at(k);
        const int r = add(json);
        const bool happened = oom_happened();
        oom_fail_at(0);
        if (!happened) {
            cr_assert_eq(r, 0);
            cr_assert_gt(k, 4);
            break;
        }
        cr_assert_eq(r, -ENOMEM, "allocation %u", k);
        cr_assert_eq(tools_lines(tools).n, 0);
        (void)tools_sorted(tools, &n);
        cr_assert_eq(n, 0);
    }
}
