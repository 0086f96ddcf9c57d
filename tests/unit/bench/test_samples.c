/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include "bench/samples.h"

/* What samples_print() writes; for free(). */
static char *printed(struct samples *s)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    cr_assert_not_null(f);
    samples_print(s, f);
    (void)fclose(f);
    return text;
}

Test(samples, are_shown_in_milliseconds)
{
    struct samples s = { 0 };

    for (int i = 1000; i > 0; i--)
        cr_assert_eq(samples_add(&s, i * 1e-3), 0);
    char *text = printed(&s);
    json_t *j = samples_json(&s);
    cr_assert_str_eq(text, "     500     900     990    1000");
    cr_assert_eq(strlen(text), strlen(SAMPLES_HEADING) + 1);
    cr_assert_float_eq(json_real_value(json_object_get(j, "p99")), 990, 1e-9);
    cr_assert_eq(json_integer_value(json_object_get(j, "n")), 1000);
    json_decref(j);
    free(text);
    samples_deinit(&s);
    cr_assert_eq(s.n, 0);
}

Test(samples, without_any_are_a_dash_and_null)
{
    struct samples s = { 0 };
    char *text = printed(&s);
    json_t *j = samples_json(&s);

    cr_assert_str_eq(text, "       -       -       -       -");
    cr_assert(json_is_null(json_object_get(j, "max")));
    cr_assert(isnan(samples_quantile(&s, 0.5)));
    json_decref(j);
    free(text);
    samples_deinit(&s);
}
