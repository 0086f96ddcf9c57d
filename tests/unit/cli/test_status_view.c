/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/status_view.h"

static const struct hearth_model model = {
    .name = "gemma3n-E4B-instruct-with-a-very-long-name-of-sixty-four-letters",
    .version = "0123456789abcdef",
    .architecture = "gemma3n"
};

static void head80(const struct hearth_status *s, FILE *f)
{
    status_view_head(s, 80, f);
}

static void head160(const struct hearth_status *s, FILE *f)
{
    status_view_head(s, 160, f);
}

static char *text_of(void (*print)(const struct hearth_status *s, FILE *f),
                     const struct hearth_status *s)
{
    char *text = NULL;
    size_t size;
    FILE *const f = open_memstream(&text, &size);

    cr_assert(f);
    print(s, f);
    (void)fclose(f);
    return text;
}

Test(status_view, head_of_the_live_view_fits_80_columns_and_uses_more)
{
    const struct hearth_status s = { .state = HEARTH_STATE_NO_MODEL,
                                     .version = "0.1.0",
                                     .uptime_us = 3600000000,
                                     .model = &model,
                                     .level = "best",
                                     .level_reason = "the machine is hot: cpu-thermal has 84 of 85 "
                                                     "degrees C, and this sentence goes on",
                                     .temperature_c = 84,
                                     .temperature_limit_c = 85,
                                     .power_supply = "battery, 48 %",
                                     .power_w = 12.34F,
                                     .read_gb_s = 19.3F,
                                     .pressure = "prefixes dropped and more",
                                     .rss_bytes = 1750000000,
                                     .kv_pages_used = 4096,
                                     .kv_pages_total = 4096,
                                     .prefill_tok_s = 1234.5F,
                                     .decode_tok_s = 123.4F };
    char *const text = text_of(head80, &s), *const wide = text_of(head160, &s);
    size_t lines = 0;

    for (const char *at = text; *at; lines++) {
        cr_assert_leq(strcspn(at, "\n"), 80, "%s", at);
        at += strcspn(at, "\n") + 1;
    }
    cr_assert_eq(lines, STATUS_VIEW_HEAD);
    cr_assert(strstr(text, "KV ########## 4096/4096"));
    cr_assert(strstr(text, "limited: the machine is hot"));
    cr_assert_null(strstr(text, "goes on"));
    cr_assert(strstr(wide, "goes on"));
    cr_assert(strstr(wide, "sixty-four-letters"));
    cr_assert(strstr(wide, "84 of 85 deg C  battery, 48 %  12.3 W"));
    free(text);
    free(wide);
}

Test(status_view, says_what_to_do_without_a_model)
{
    const struct hearth_status s = { .state = HEARTH_STATE_NO_MODEL,
                                     .version = "0.1.0",
                                     .last_error = "it is\033 gone" };
    char *const text = text_of(status_view_print, &s);

    cr_assert(strstr(text, "no model: `hearthctl model add FILE` brings one"));
    cr_assert(strstr(text, "it is^[ gone"));
    cr_assert_null(strstr(text, "\nmodel "));
    cr_assert_null(strstr(text, "bandwidth"), "what is not known is not shown");
    free(text);
}

Test(status_view, requests_fit_into_80_columns_up_to_the_last_which_may_be_cut)
{
    const struct hearth_request_info q[2] = {
        { .serial = 123456,
          .app = "navigator-with-a-long-name.service",
          .pid = 4194304,
          .state = "prefill",
          .request_class = HEARTH_CLASS_BACKGROUND,
          .prompt_tokens = 4096,
          .cached_tokens = 100,
          .prefilled_tokens = 300, /* the cached ones are among them */
          .level = "best",
          .age_us = 65000000 },
        { .serial = 7,
          .app = NULL,
          .state = NULL,
          .level = NULL,
          .prompt_tokens = 20,
          .prefilled_tokens = 20 },
    };
    struct out_table t = { 0 };
    char *text = NULL;
    size_t size;
    FILE *const f = open_memstream(&text, &size);

    status_view_requests(&t, q, 2);
    cr_assert_eq(out_table_print(&t, f, OUT_PLAIN), 0);
    (void)fclose(f);
    for (const char *at = text; *at; at += strcspn(at, "\n") + 1)
        cr_assert_leq(strcspn(at, "\n"), 80 + strlen("  4194304"), "%s", at);
    cr_assert(strstr(text, "300/4096"), "cached tokens are read already");
    cr_assert(strstr(text, "background"));
    free(text);
    out_table_deinit(&t);
}

Test(status_view, live_rows_have_speeds_and_what_matters_in_80_columns)
{
    const struct hearth_request_info q[2] = {
        { .serial = 1234,
          .app = "navigation.service",
          .state = "decode",
          .request_class = HEARTH_CLASS_INTERACTIVE,
          .prompt_tokens = 4096,
          .prefilled_tokens = 4096,
          .output_tokens = 1000,
          .level = "e2.54b",
          .age_us = 65000000,
          .energy_mj = 12300 },
        { .serial = 7, .state = "queued", .request_class = HEARTH_CLASS_REALTIME },
    };
    const float tok_s[2] = { 14.25F, 0 };
    struct out_table t = { 0 };
    char *text = NULL;
    size_t size;
    FILE *const f = open_memstream(&text, &size);

    status_view_live(&t, q, tok_s, 2);
    cr_assert_eq(out_table_print(&t, f, OUT_PLAIN), 0);
    (void)fclose(f);
    cr_assert(strstr(text, "14.2"));
    cr_assert(strstr(text, "12.3 J"));
    cr_assert(strstr(text, "real "));
    cr_assert_leq(strstr(text, "ENGINE") - text, 80, "speed and age are on a narrow screen");
    free(text);
    out_table_deinit(&t);
}
