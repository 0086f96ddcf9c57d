/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include "daemon/core/runs.h"
#include "tests/unit/oom.h"

Test(runs, tokens_of_one_level_are_one_run)
{
    struct runs r = { 0 };

    for (int i = 0; i < 5; i++)
        cr_assert_eq(runs_add(&r, "full"), 0);
    cr_assert_eq(runs_add(&r, "e2b"), 0);
    cr_assert_eq(runs_add(&r, "full"), 0);
    cr_assert_eq(runs_add(&r, "full"), 0);
    cr_assert_eq(r.n, 3);
    cr_assert_eq(r.run[0].n_tokens, 5);
    cr_assert_str_eq(r.run[1].level, "e2b");
    cr_assert_eq(r.run[2].n_tokens, 2);
    runs_deinit(&r);
    cr_assert_eq(r.n, 0);
}

Test(runs, a_name_that_is_too_long_is_cut_and_equal_to_itself)
{
    struct runs r = { 0 };
    const char *name = "a name that has thirty-two bytes, or more";

    (void)runs_add(&r, name);
    (void)runs_add(&r, name);
    cr_assert_eq(r.n, 1);
    cr_assert_eq(strlen(r.run[0].level), RUNS_LEVEL_SIZE - 1);
    runs_deinit(&r);
}

Test(runs, there_is_an_end_to_changes_and_room_for_one_that_is_on_its_way)
{
    struct runs r = { 0 };
    size_t changes = 0;

    while (runs_may_change(&r)) {
        cr_assert_eq(runs_add(&r, changes++ % 2 ? "a" : "b"), 0);
    }
    cr_assert_eq(runs_add(&r, "c"), 0);
    cr_assert_leq(r.n, RUNS_MAX);
    runs_deinit(&r);
}

Test(runs, no_memory_changes_nothing)
{
    struct runs r = { 0 };

    OOM_OR_SKIP();
    oom_fail_at(1);
    cr_assert_eq(runs_add(&r, "full"), -ENOMEM);
    oom_fail_at(0);
    cr_assert_eq(r.n, 0);
}
