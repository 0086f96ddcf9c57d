/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include "base/err.h"
#include "base/reason.h"

static int inner(void)
{
    return err_raise(-ENOSPC);
}

static int outer(void)
{
    int r = inner();

    return r < 0 ? err_pass(r) : 0;
}

Test(err, a_trace_names_each_place_that_the_failure_passed)
{
    char text[256];

    cr_assert_eq(outer(), -ENOSPC);
    err_trace(text, sizeof(text));
    cr_assert_not_null(strstr(text, "No space left on device"));
    cr_assert_not_null(strstr(text, "test_err.c"));
    cr_assert_not_null(strstr(text, " < "));
}

Test(err, a_new_failure_starts_a_new_trace)
{
    char text[256];

    (void)outer();
    cr_assert_eq(inner(), -ENOSPC);
    cr_assert_null(strstr(err_trace(text, sizeof(text)), " < "));
}

Test(err, an_outcome_that_nobody_handled_becomes_a_failure)
{
    cr_assert_eq(err_fold(0), 0);
    cr_assert_eq(err_fold(-EIO), -EIO);
    cr_assert_eq(err_fold(3), -ENOTRECOVERABLE);
}

Test(reason, is_safe_to_print_and_marks_what_was_cut)
{
    struct reason r;
    char name[400];

    reason_set(&r, "bad \x1b[31mname\n");
    cr_assert_str_eq(r.text, "bad ?[31mname?");
    memset(name, 'a', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    reason_set(&r, "%s", name);
    cr_assert_str_eq(r.text + strlen(r.text) - 3, "...");
    reason_set(NULL, "nobody asks");
}
