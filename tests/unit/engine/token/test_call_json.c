/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that apps give back become what the model made, or are refused with a sentence. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "engine/token/call_json.h"
#include "engine/token/tools.h"

Test(call_json, has_the_form_of_a_call_that_was_made)
{
    static const char *const same[][2] = {
        { "{\"name\":\"a\",\"arguments\":{}}", "{\"name\":\"a\",\"arguments\":{}}" },
        { "{\"name\":\"a\",\"arguments\":{\"x\":{\"y\":1,\"y\":2}}}", /* a model may say a member twice */
          "{\"name\":\"a\",\"arguments\":{\"x\":{\"y\":2}}}" },
        { "{\"name\":\"a\",\"arguments\":{\"x\":[0.30000000000000004,1.7976931348623157e308]}}",
          "{\"name\":\"a\",\"arguments\":{\"x\":[0.30000000000000004,1.7976931348623157e308]}}" },
        { " { \"arguments\": { \"y\": 99.7, \"x\": \"\\uac00\\n\" },\n \"name\": \"a.b\" } ",
          "{\"name\":\"a.b\",\"arguments\":{\"y\":99.7,\"x\":\"\xea\xb0\x80\\n\"}}" },
    };

    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        struct reason why = { "" };
        char *got = NULL;
        cr_assert_eq(call_json(same[i][0], strlen(same[i][0]), &got, &why), 0, "%s", why.text);
        cr_assert_str_eq(got, same[i][1]);
        free(got);
    }
}

Test(call_json, refuses_what_no_model_made)
{
    static const char *const bad[][2] = {
        { "", "no JSON" },
        { "{\"name\":\"a\"", "no JSON" },
        { "[]", "'name'" },
        { "{\"arguments\":{}}", "'name'" },
        { "{\"name\":3,\"arguments\":{}}", "'name'" },
        { "{\"name\":\"a b\",\"arguments\":{}}", "'name'" },
        { "{\"name\":\"a\"}", "'arguments'" },
        { "{\"name\":\"a\",\"arguments\":[]}", "'arguments'" },
        { "{\"name\":\"a\",\"arguments\":{},\"id\":1}", "alone" },
    };
    struct reason why = { "" };
    char *got = NULL;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(call_json(bad[i][0], strlen(bad[i][0]), &got, &why), CALL_JSON_E_INVALID, "%s",
                     bad[i][0]);
        cr_assert_not_null(strstr(why.text, bad[i][1]), "%s: %s", bad[i][0], why.text);
    }
    static char large[TOOLS_JSON_MAX + 1];
    memset(large, ' ', sizeof(large));
    cr_assert_eq(call_json(large, sizeof(large), &got, &why), CALL_JSON_E_INVALID);
    cr_assert_not_null(strstr(why.text, "65537"), "%s", why.text);
    cr_assert_null(got);
}
