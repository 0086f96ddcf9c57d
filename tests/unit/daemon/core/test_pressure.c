/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <math.h>
#include "base/clock.h"
#include "daemon/core/pressure.h"

static struct machine memory(double some, double full)
{
    return (struct machine){ .memory_some = some, .memory_full = full };
}

/* One update a second, from @from_s on, until the stage changes. Return: when it did; 0: not within a minute. */
static unsigned changes_at(struct pressure *p, struct machine m, unsigned from_s)
{
    for (unsigned s = from_s; s < from_s + 60; s++)
        if (pressure_update(p, &m, s * CLOCK_NS_PER_S)) return s;
    return 0;
}

Test(pressure, stages_come_one_after_the_other_with_time_to_act)
{
    struct pressure p = { 0 };

    cr_assert_eq(changes_at(&p, memory(90, 50), 100), 100, "the first at once");
    cr_assert_eq(p.stage, PRESSURE_CACHE);
    cr_assert_eq(changes_at(&p, memory(90, 50), 101), 102);
    cr_assert_eq(p.stage, PRESSURE_LEVEL);
    cr_assert_eq(changes_at(&p, memory(90, 50), 103), 104);
    cr_assert_eq(p.stage, PRESSURE_UNLOAD);
    cr_assert_eq(changes_at(&p, memory(90, 50), 105), 0, "there is no more");
}

Test(pressure, each_stage_has_its_threshold)
{
    struct pressure p = { 0 };

    cr_assert_eq(changes_at(&p, memory(9.9, 1.9), 100), 0);
    cr_assert_eq(changes_at(&p, memory(10, 0), 200), 200);
    cr_assert_eq(changes_at(&p, memory(19, 4), 300), 0, "CACHE it is");
    cr_assert_eq(changes_at(&p, memory(0, 5), 400), 400, "full counts as well");
    cr_assert_eq(p.stage, PRESSURE_LEVEL);
    cr_assert_eq(changes_at(&p, memory(39, 9), 500), 0);
    cr_assert_eq(changes_at(&p, memory(40, 0), 600), 600);
    cr_assert_eq(p.stage, PRESSURE_UNLOAD);
}

Test(pressure, stages_are_taken_back_after_ten_calm_seconds_each)
{
    struct pressure p = { .stage = PRESSURE_UNLOAD };

    cr_assert_eq(changes_at(&p, memory(21, 0), 100), 0, "more than half of 40");
    cr_assert_eq(changes_at(&p, memory(19, 0), 200), 210);
    cr_assert_eq(p.stage, PRESSURE_LEVEL);
    cr_assert_eq(changes_at(&p, memory(0, 0), 211), 221);
    cr_assert_eq(changes_at(&p, memory(0, 0), 222), 232);
    cr_assert_eq(p.stage, PRESSURE_NONE);
    cr_assert_eq(changes_at(&p, memory(0, 0), 233), 0);
}

Test(pressure, the_first_stage_comes_back_at_once)
{
    struct pressure p = { .stage = PRESSURE_CACHE };

    cr_assert_eq(changes_at(&p, memory(0, 0), 100), 110);
    cr_assert_eq(p.stage, PRESSURE_NONE);
    cr_assert_eq(changes_at(&p, memory(90, 0), 111), 111,
                 "not after the time that stages have to act");
}

Test(pressure, a_moment_of_calm_is_not_enough)
{
    struct pressure p = { .stage = PRESSURE_CACHE };

    for (unsigned s = 100; s < 200; s++) {
        const struct machine m = memory(s % 8 ? 0 : 7, 0);
        cr_assert_not(pressure_update(&p, &m, s * CLOCK_NS_PER_S));
    }
}

Test(pressure, what_is_unknown_is_none)
{
    struct pressure p = { .stage = PRESSURE_CACHE };

    cr_assert_eq(changes_at(&p, memory(MACHINE_UNKNOWN, MACHINE_UNKNOWN), 100), 110);
    cr_assert_eq(changes_at(&p, memory(MACHINE_UNKNOWN, MACHINE_UNKNOWN), 111), 0);
}

Test(pressure, stages_have_names)
{
    cr_assert_str_eq(pressure_name(PRESSURE_NONE), "none");
    cr_assert_str_eq(pressure_name(PRESSURE_CACHE), "cache");
    cr_assert_str_eq(pressure_name(PRESSURE_LEVEL), "level");
    cr_assert_str_eq(pressure_name(PRESSURE_UNLOAD), "unload");
}
