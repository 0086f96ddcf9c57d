/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>
#include "engine/token/json_bytes.h"

/* Push @text. Return: how many bytes were taken; @ret: what the last push found. */
static size_t push(const char *text, unsigned kinds, enum json_bytes_found *ret)
{
    struct json_bytes j = json_bytes_begin(kinds);

    for (size_t i = 0; text[i]; i++) {
        *ret = json_bytes_push(&j, (uint8_t)text[i]);
        if (*ret != JSON_BYTES_MORE) return i + (*ret == JSON_BYTES_DONE);
    }
    return strlen(text);
}

static bool whole(const char *text, unsigned kinds)
{
    enum json_bytes_found found = JSON_BYTES_NO;
    char more[256];

    if (push(text, kinds, &found) != strlen(text)) return false;
    if (found == JSON_BYTES_DONE) return true;
    (void)snprintf(more, sizeof(more), "%s,", text); /* a number ends before what follows it */
    return push(more, kinds, &found) == strlen(text) && found == JSON_BYTES_BEFORE;
}

Test(json_bytes, takes_every_kind_of_value_and_what_it_takes_is_json)
{
    static const char *const good[] = {
        "\"\"",
        "\"a b\"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\xea\xb0\x80\xf0\x9f\x98\x80\xc3\xa9\"",
        "0",
        "-0",
        "7",
        "-12",
        "123456789012345",
        "0.5",
        "-3.25",
        "1e5",
        "2E-10",
        "1.5e+99",
        "true",
        "false",
        "null",
        "[]",
        "[1,\"a\",[2.5],{}]",
        "{\"a\":1,\"b\":[true,null]}",
        "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]",
    };

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cr_assert(whole(good[i], JSON_BYTES_ANY), "%s", good[i]);
        json_t *read = json_loads(good[i], JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
        cr_assert_not_null(read, "%s", good[i]);
        json_decref(read);
    }
}

Test(json_bytes, stops_at_the_byte_that_cannot_follow)
{
    static const struct {
        const char *text;
        size_t taken;
    } bad[] = {
        { " 1", 0 },
        { "+1", 0 },
        { ".5", 0 },
        { "01", 1 },
        { "-a", 1 },
        { "1..", 2 },
        { "1.e", 2 },
        { "1ee", 2 },
        { "1e+a", 3 },
        { "1e999", 4 },
        { "tru ", 3 },
        { "nul,", 3 },
        { "\"\n", 1 },
        { "\"\\u", 2 },
        { "\"\\x", 2 },
        { "\"\x80", 1 },
        { "\"\xc0", 1 },
        { "\"\xe0\x80", 2 },
        { "\"\xc3,", 2 },
        { "\"\xf5", 1 },
        { "\"\xed\xa0", 2 },
        { "[,", 1 },
        { "[1,]", 3 },
        { "[1}", 2 },
        { "{1", 1 },
        { "{\"a\"}", 4 },
        { "{\"a\":}", 5 },
        { "{\"a\":1,}", 7 },
        { "[ ]", 1 },
        { "1234567890123456", 15 },
        { "123456789012345.", 15 },
        { "[[[[[[[[[[[[[[[[[", 16 },
    };
    enum json_bytes_found found;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(push(bad[i].text, JSON_BYTES_ANY, &found), bad[i].taken, "%s", bad[i].text);
        cr_assert_neq(found, JSON_BYTES_MORE, "%s", bad[i].text);
    }
}

Test(json_bytes, takes_the_wanted_kinds_only)
{
    static const struct {
        const char *text;
        unsigned kinds;
    } of[] = {
        { "\"a\"", JSON_BYTES_STRING }, { "3", JSON_BYTES_INTEGER | JSON_BYTES_NUMBER },
        { "3.5", JSON_BYTES_NUMBER },   { "3e2", JSON_BYTES_NUMBER },
        { "true", JSON_BYTES_BOOLEAN }, { "null", JSON_BYTES_NULL },
        { "[3.5]", JSON_BYTES_ARRAY },  { "{\"a\":3.5}", JSON_BYTES_OBJECT },
    };

    for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++)
        for (unsigned kind = 1; kind < JSON_BYTES_ANY; kind *= 2)
            cr_assert_eq(whole(of[i].text, kind), (of[i].kinds & kind) != 0, "%s, %u", of[i].text,
                         kind);
}
