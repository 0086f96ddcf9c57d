/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "cli/json_out.h"

/* @value survives a strict reader. Return: what was read, owned. */
static json_t *through_text(json_t *value)
{
    json_error_t error;

    cr_assert(value);
    char *const text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    cr_assert(text);
    json_t *const read =
        json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    cr_assert(read, "%s: %s", error.text, text);
    free(text);
    json_decref(value);
    return read;
}

static void text_becomes(const char *text, size_t n, const char *expected, size_t n_expected)
{
    json_t *const j = through_text(json_out_text(text, n));

    cr_assert_eq(json_string_length(j), n_expected);
    cr_assert_eq(memcmp(json_string_value(j), expected, n_expected), 0);
    json_decref(j);
}

Test(json_out, text_that_is_no_utf8_is_still_valid_json)
{
    text_becomes("a\xff"
                 "b",
                 3,
                 "a\xef\xbf\xbd"
                 "b",
                 5);
    text_becomes("\xe2\x82", 2, "\xef\xbf\xbd\xef\xbf\xbd", 6);
    text_becomes("\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 9);
    text_becomes("\"\\\n\033\0z", 6, "\"\\\n\033\0z", 6);
    text_becomes(NULL, 0, "", 0);
    text_becomes("\xf0\x9f\x98\x80", 4, "\xf0\x9f\x98\x80", 4);
}

Test(json_out, every_pair_of_bytes_is_valid)
{
    char pair[2];

    for (unsigned i = 0; i < 65536;
         i += 7) { /* 7 and 256 have no common divisor: all second bytes occur */
        pair[0] = (char)(i >> 8);
        pair[1] = (char)i;
        json_decref(through_text(json_out_text(pair, 2)));
    }
}

Test(json_out, a_seed_keeps_its_64_bits)
{
    json_t *const j = json_out_seed(UINT64_MAX);

    cr_assert_str_eq(json_string_value(j), "18446744073709551615");
    json_decref(j);
}

Test(json_out, status_has_all_it_was_told_and_survives_null_texts)
{
    const struct hearth_request_info q = { .serial = 9, .app = "evil\xff", .age_us = UINT64_MAX };
    const struct hearth_level level = { "half", 0.5F, NULL };
    const struct hearth_model m = { .name = "m", .active = 1, .n_levels = 1, .levels = &level };
    const struct hearth_status s = { .state = HEARTH_STATE_READY,
                                     .model = &m,
                                     .n_requests = 1,
                                     .requests = &q,
                                     .decode_tok_s = 0.1F,
                                     .prefill_tok_s = NAN,
                                     .tokens_out = 77,
                                     .weights = "mapped from the cache",
                                     .energy_mj = 12,
                                     .temperature_limit_c = 85 };
    json_t *const j = through_text(json_out_status(&s));

    cr_assert_str_eq(json_string_value(json_object_get(j, "state")), "ready");
    cr_assert_eq(json_integer_value(json_object_get(j, "tokens_out")), 77);
    cr_assert_str_eq(json_string_value(json_object_get(j, "weights")), "mapped from the cache");
    cr_assert_eq(json_integer_value(json_object_get(j, "energy_mj")), 12);
    cr_assert_eq(json_real_value(json_object_get(j, "temperature_limit_c")), 85);
    cr_assert_eq(json_real_value(json_object_get(j, "decode_tok_s")), 0.1,
                 "no digits that float32 has not");
    cr_assert(json_is_null(json_object_get(j, "prefill_tok_s")));
    cr_assert_str_eq(json_string_value(json_object_get(j, "version")), "");
    const json_t *const model = json_object_get(j, "model");
    cr_assert(json_is_true(json_object_get(model, "active")));
    cr_assert(json_is_false(json_object_get(model, "loaded")));
    const json_t *const row = json_array_get(json_object_get(model, "levels"), 0);
    cr_assert_str_eq(json_string_value(json_object_get(row, "name")), "half");
    const json_t *const request = json_array_get(json_object_get(j, "requests"), 0);
    cr_assert_eq(json_integer_value(json_object_get(request, "serial")), 9);
    cr_assert_eq(json_integer_value(json_object_get(request, "age_us")), INT64_MAX,
                 "cut, not negative");
    json_decref(j);
}

Test(json_out, status_without_a_model_says_null)
{
    const struct hearth_status s = { .state = HEARTH_STATE_NO_MODEL };
    json_t *const j = through_text(json_out_status(&s));

    cr_assert(json_is_null(json_object_get(j, "model")));
    cr_assert_str_eq(json_string_value(json_object_get(j, "state")), "no model");
    json_decref(j);
}

static const char *event_name(enum hearth_event_type type)
{
    static char name[32];
    const struct hearth_usage usage = { .prompt_tokens = 3 };
    const struct hearth_event e = { .type = type, .usage = &usage, .text = "\xff", .text_size = 1 };
    json_t *const j = through_text(json_out_event(&e));

    (void)snprintf(name, sizeof(name), "%s", json_string_value(json_object_get(j, "event")));
    json_decref(j);
    return name;
}

Test(json_out, every_event_has_a_form)
{
    cr_assert_str_eq(event_name(HEARTH_EVENT_QUEUED), "queued");
    cr_assert_str_eq(event_name(HEARTH_EVENT_STARTED), "started");
    cr_assert_str_eq(event_name(HEARTH_EVENT_PROGRESS), "progress");
    cr_assert_str_eq(event_name(HEARTH_EVENT_TEXT), "text");
    cr_assert_str_eq(event_name(HEARTH_EVENT_STATUS), "status");
    cr_assert_str_eq(event_name(HEARTH_EVENT_MODELS), "models");
    cr_assert_str_eq(event_name(HEARTH_EVENT_REQUESTS), "requests");
    cr_assert_str_eq(event_name(HEARTH_EVENT_TOKENS), "tokens");
    cr_assert_str_eq(event_name(HEARTH_EVENT_METRICS), "metrics");
    cr_assert_str_eq(event_name(HEARTH_EVENT_CALL), "call");
    cr_assert_str_eq(event_name(HEARTH_EVENT_END), "end");
    cr_assert_str_eq(event_name((enum hearth_event_type)99), "unknown");
}

Test(json_out, a_call_is_a_value_and_no_text)
{
    static const char text[] = "{\"name\":\"go\",\"arguments\":{\"n\":2}}";
    const struct hearth_event e = { .type = HEARTH_EVENT_CALL,
                                    .text = text,
                                    .text_size = sizeof(text) - 1 };
    json_t *const j = through_text(json_out_event(&e));
    const json_t *const call = json_object_get(j, "call");

    cr_assert_eq(json_integer_value(json_object_get(json_object_get(call, "arguments"), "n")), 2);
    json_decref(j);
}

Test(json_out, a_refusal_says_code_and_when_to_try_again)
{
    const struct hearth_event e = { .type = HEARTH_EVENT_END,
                                    .code = HEARTH_E_BUSY,
                                    .message = "full",
                                    .retry = 1,
                                    .retry_after_ms = 300 };
    json_t *const j = through_text(json_out_event(&e));
    const json_t *const error = json_object_get(j, "error");

    cr_assert_str_eq(json_string_value(json_object_get(error, "code")), "BUSY");
    cr_assert_str_eq(json_string_value(json_object_get(error, "message")), "full");
    cr_assert(json_is_true(json_object_get(error, "retry")));
    cr_assert_eq(json_integer_value(json_object_get(error, "retry_after_ms")), 300);
    json_decref(j);
}

Test(json_out, names_of_later_versions_are_unknown)
{
    cr_assert_str_eq(json_out_state((enum hearth_state)77), "unknown");
    cr_assert_str_eq(json_out_class((enum hearth_class)77), "unknown");
    cr_assert_str_eq(json_out_finish((enum hearth_finish)77), "unknown");
    cr_assert_str_eq(json_out_finish(HEARTH_FINISH_LENGTH), "length");
    cr_assert_str_eq(json_out_class(HEARTH_CLASS_REALTIME), "realtime");
}
