/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "engine/token/tools.h"

static struct buf lines;
static struct reason why;

static void setup(void)
{
    buf_init(&lines, 1 << 16);
    why = (struct reason){ "" };
}

static void drop(void)
{
    buf_deinit(&lines);
}

static int add(const char *json)
{
    return tools_line(json, strlen(json), &lines, &why);
}

static void check_lines(const char *want)
{
    cr_assert_eq(lines.n, strlen(want), "%.*s", (int)lines.n, (const char *)buf_front(&lines));
    cr_assert_arr_eq(buf_front(&lines), want, lines.n);
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
        { "{\"name\": \"there\"}", "two tools" },
    };

    cr_assert_eq(add("{\"name\": \"there\"}"), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        why = (struct reason){ "" };
        cr_assert_eq(add(cases[i].json), TOOLS_E_INVALID, "%s", cases[i].json);
        cr_assert_not_null(strstr(why.text, cases[i].word), "%s: %s", cases[i].json, why.text);
        check_lines("there()\n");
    }
}

Test(tools, there_is_a_limit_to_each_size, .init = setup, .fini = drop)
{
    char *json = malloc(TOOLS_JSON_MAX + 1);

    cr_assert_not_null(json);
    memset(json, ' ', TOOLS_JSON_MAX + 1);
    memcpy(json, "{\"name\": \"a\"}", 13);
    cr_assert_eq(tools_line(json, TOOLS_JSON_MAX + 1, &lines, &why), TOOLS_E_INVALID);
    cr_assert_eq(tools_line(json, TOOLS_JSON_MAX, &lines, &why), 0, "%s", why.text);
    buf_deinit(&lines);

    size_t n = (size_t)snprintf(json, TOOLS_JSON_MAX, "{\"name\": \"%064d\"}", 0);
    cr_assert_eq(tools_line(json, n, &lines, &why), 0, "%s", why.text);
    n = (size_t)snprintf(json, TOOLS_JSON_MAX, "{\"name\": \"%065d\"}", 0);
    cr_assert_eq(tools_line(json, n, &lines, &why), TOOLS_E_INVALID);

    n = (size_t)snprintf(json, TOOLS_JSON_MAX,
                         "{\"name\": \"a\", \"parameters\": {\"properties\": {\"a0\": 0");
    for (int i = 1; i <= TOOLS_ARGUMENTS_MAX; i++)
        n += (size_t)snprintf(json + n, TOOLS_JSON_MAX - n, ", \"a%d\": 0", i);
    n += (size_t)snprintf(json + n, TOOLS_JSON_MAX - n, "}}}");
    cr_assert_eq(tools_line(json, n, &lines, &why), TOOLS_E_INVALID);
    cr_assert_not_null(strstr(why.text, "arguments"), "%s", why.text);
    free(json);

    buf_deinit(&lines);
    buf_init(&lines, 10);
    cr_assert_eq(add("{\"name\": \"a_name_that_has_no_room\"}"), TOOLS_E_INVALID);
    cr_assert_not_null(strstr(why.text, "too many"), "%s", why.text);
}

Test(tools, a_call_must_fit_what_was_offered)
{
    static const char offered[] = "seat(zone?,level,at?)\nstop()\nseat2(a,b)\n";
    static const struct {
        const char *call, *word; /* NULL: fits */
    } cases[] = {
        { "{\"name\":\"seat\",\"arguments\":{\"level\":2}}", NULL },
        { "{\"name\":\"seat\",\"arguments\":{\"at\":\"\",\"level\":2,\"zone\":null}}", NULL },
        { "{\"name\":\"stop\",\"arguments\":{}}", NULL },
        { "{\"name\":\"seat2\",\"arguments\":{\"b\":1,\"a\":2}}", NULL },
        { "{\"name\":\"seat2\",\"arguments\":{\"b\":1}}", "lacks the argument 'a'" },
        { "{\"name\":\"seat2\",\"arguments\":{\"a\":1}}", "lacks the argument 'b'" },
        { "{\"name\":\"seat\",\"arguments\":{\"zone\":\"all\"}}", "lacks the argument 'level'" },
        { "{\"name\":\"seat\",\"arguments\":{\"level\":2,\"lev\":1}}", "'lev'" },
        { "{\"name\":\"stop\",\"arguments\":{\"\":1}}", "''" },
        { "{\"name\":\"sea\",\"arguments\":{}}", "not offered" },
        { "{\"name\":\"\",\"arguments\":{}}", "not offered" },
        { "{\"name\":\"level\",\"arguments\":{}}", "not offered" },
        { "{\"name\":\"stop\",\"arguments\":[]}", "'arguments'" },
        { "{\"name\":\"stop\"}", "'arguments'" },
        { "{\"name\":\"stop\",\"arguments\":{},\"x\":1}", "'arguments'" },
        { "{\"name\":\"stop\",\"arguments\":{}} x", "no JSON" },
        { "", "no JSON" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reason said = { "" };
        const int r =
            tools_call(offered, sizeof(offered) - 1, cases[i].call, strlen(cases[i].call), &said);
        cr_assert_eq(r, cases[i].word ? TOOLS_E_INVALID : 0, "%s: %s", cases[i].call, said.text);
        if (cases[i].word)
            cr_assert_not_null(strstr(said.text, cases[i].word), "%s: %s", cases[i].call,
                               said.text);
    }
    cr_assert_eq(tools_call(NULL, 0, cases[0].call, strlen(cases[0].call), NULL), TOOLS_E_INVALID);
}
