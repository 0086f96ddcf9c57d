/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "daemon/core/levels.h"

static const struct levels_row rows[] = {
    { "full", 1 }, { "e2b", 0.5 }, { "e2b_tiny", 0.3 }, { "mid", 0.7 }, { "mid2", 0.7 },
};
enum { FULL, E2B, TINY, MID, N = 5 };

static size_t pick(const char *asked, const char *ceiling, struct reason *why)
{
    size_t i = SIZE_MAX;

    cr_assert_eq(levels_pick(asked, rows, N, ceiling, &i, why), 0, "%s", asked);
    return i;
}

Test(levels, are_found_by_their_very_name)
{
    static const struct levels_row table[] = { { "big", 1 }, { "fast", 0.5 }, { "odd", 7 } };

    cr_assert_eq(levels_find(table, 3, "fast"), 1);
    cr_assert_eq(levels_find(table, 3, "best"), SIZE_MAX, "a word, and no row");
    cr_assert_eq(levels_find(table, 0, "big"), SIZE_MAX);
    cr_assert_float_eq(levels_cost(&table[1]), 0.5, 0);
    cr_assert_float_eq(levels_cost(&table[2]), 1, 0, "what is no share counts as all");
}

Test(levels, words_choose_by_cost)
{
    struct reason why;

    cr_assert_eq(pick("", "", &why), FULL);
    cr_assert_eq(pick("auto", "", &why), FULL);
    cr_assert_eq(pick("best", "", &why), FULL);
    cr_assert_eq(pick("fast", "", &why), TINY);
    cr_assert_eq(pick("balanced", "", &why), MID, "the middle is 0.65; of equals the first");
    cr_assert_str_eq(why.text, "");
}

Test(levels, names_choose_their_row)
{
    struct reason why;

    cr_assert_eq(pick("e2b", "", &why), E2B);
    cr_assert_eq(pick("mid2", "auto", &why), 4);
    cr_assert_str_eq(why.text, "");
}

Test(levels, nothing_above_the_ceiling_is_given)
{
    struct reason why;

    cr_assert_eq(pick("best", "mid", &why), MID);
    cr_assert_str_eq(why.text, "an administrator allows no more than mid");
    cr_assert_eq(pick("auto", "e2b", &why), E2B);
    cr_assert_str_eq(why.text, "an administrator allows no more than e2b");
    cr_assert_eq(pick("full", "fast", &why), TINY);
    cr_assert_eq(pick("balanced", "e2b", &why), E2B);
    cr_assert_eq(pick("fast", "e2b", &why), TINY);
    cr_assert_str_eq(why.text, "", "as it was asked");
    cr_assert_eq(pick("mid2", "mid", &why), 4, "costs no more than the ceiling");
    cr_assert_str_eq(why.text, "");
    cr_assert_eq(pick("full", "balanced", &why), MID);
}

Test(levels, a_ceiling_of_another_model_is_none)
{
    struct reason why;

    cr_assert_eq(pick("best", "of-another-model", &why), FULL);
    cr_assert_str_eq(why.text, "");
}

Test(levels, an_unknown_name_is_refused_with_the_names)
{
    struct reason why;
    size_t i = 77;

    cr_assert_eq(levels_pick("E2B", rows, N, "", &i, &why), LEVELS_E_UNKNOWN);
    cr_assert_eq(i, 77, "written on success only");
    cr_assert_str_eq(why.text, "there is no level \"E2B\"; there are auto, fast, balanced, best, "
                               "full, e2b, e2b_tiny, mid, mid2");
}

Test(levels, many_names_and_long_ones_fit_the_sentence)
{
    static char name[64][32], asked[5000];
    static struct levels_row many[64];
    struct reason why;
    size_t i;

    for (int r = 0; r < 64; r++) {
        (void)snprintf(name[r], sizeof(name[r]), "level-with-a-long-name-%02u", (unsigned)r % 100);
        many[r] = (struct levels_row){ name[r], 1 };
    }
    memset(asked, 'x', sizeof(asked) - 1);
    cr_assert_eq(levels_pick(asked, many, 64, "", &i, &why), LEVELS_E_UNKNOWN);
    cr_assert(strlen(why.text) < sizeof(why.text));
    cr_assert(strstr(why.text, "level-with-a-long-name-00"), "%s", why.text);
}

Test(levels, one_row_is_every_level)
{
    static const struct levels_row one[] = { { "full", 1 } };
    static const char *const words[] = { "", "auto", "fast", "balanced", "best", "full" };
    size_t i = 9;

    for (size_t w = 0; w < 6; w++) {
        cr_assert_eq(levels_pick(words[w], one, 1, words[5 - w], &i, NULL), 0);
        cr_assert_eq(i, 0);
    }
}

Test(levels, costs_that_make_no_sense_count_as_the_whole_model)
{
    const struct levels_row odd[] = {
        { "nan", nan("") }, { "half", 0.5 }, { "minus", -3 }, { "big", HUGE_VAL }
    };
    size_t i = 9;

    cr_assert_eq(levels_pick("fast", odd, 4, "", &i, NULL), 0);
    cr_assert_eq(i, 1);
    cr_assert_eq(levels_pick("best", odd, 4, "", &i, NULL), 0);
    cr_assert_eq(i, 0);
    cr_assert_eq(levels_pick("minus", odd, 4, "half", &i, NULL), 0);
    cr_assert_eq(i, 1);
}

/* ---- a share of the way ---- */

Test(levels, a_share_bounds_the_cost)
{
    cr_assert_eq(levels_under(rows, N, FULL, 1), FULL);
    cr_assert_eq(levels_under(rows, N, FULL, 0.75), MID, "0.3 + 0.75 * 0.7 = 0.825");
    cr_assert_eq(levels_under(rows, N, FULL, 0.5), E2B);
    cr_assert_eq(levels_under(rows, N, FULL, 0.25), TINY);
    cr_assert_eq(levels_under(rows, N, FULL, 0), TINY);
    cr_assert_eq(levels_under(rows, N, 4, 0.75), 4, "a row that is cheap enough stays");
    cr_assert_eq(levels_under(rows, 1, FULL, 0), FULL, "there is nothing else");
}

/* ---- deadlines ---- */

#define MS 1e6

/* a token: 1 ms read, 10 ms written, at full cost */
static const struct levels_pace pace = { 1 * MS, 10 * MS, 1 };

static size_t in_time(size_t top, size_t now, double left_ms)
{
    const struct levels_work work = {
        .wait_ns = 100 * MS, .prefill_tokens = 100, .decode_tokens = 40, .left_ns = left_ms * MS
    };

    return levels_in_time(rows, N, top, now, &pace, &work); /* full: 100 + 500 ms */
}

Test(levels, time_grows_with_the_cost)
{
    const struct levels_work work = { .wait_ns = 100 * MS,
                                      .prefill_tokens = 100,
                                      .decode_tokens = 40 };
    const struct levels_pace half = { 1 * MS, 10 * MS, 0.5 }, unknown = { 1 * MS, 0, 1 };

    cr_assert_float_eq(levels_time_ns(&rows[FULL], &pace, &work), 600 * MS, 1);
    cr_assert_float_eq(levels_time_ns(&rows[E2B], &pace, &work), 350 * MS, 1);
    cr_assert_float_eq(levels_time_ns(&rows[FULL], &half, &work), 1100 * MS, 1);
    cr_assert_eq(levels_time_ns(&rows[FULL], &unknown, &work), 0);
}

Test(levels, the_dearest_level_that_is_in_time)
{
    cr_assert_eq(in_time(FULL, FULL, 700), FULL);
    cr_assert_eq(in_time(FULL, FULL, 599), MID);
    cr_assert_eq(in_time(FULL, FULL, 400), E2B);
    cr_assert_eq(in_time(FULL, FULL, 300), TINY);
    cr_assert_eq(in_time(FULL, FULL, 10), TINY, "late in any case: the least late");
    cr_assert_eq(in_time(FULL, FULL, -10), TINY);
    cr_assert_eq(in_time(E2B, E2B, 900), E2B, "never above the top");
    cr_assert_eq(in_time(4, 4, 900), 4, "of equals the one that was asked for");
}

Test(levels, going_up_again_wants_a_reserve)
{
    cr_assert_eq(in_time(FULL, MID, 700), MID);
    cr_assert_eq(in_time(FULL, MID, 901), FULL);
}

Test(levels, without_measurements_nothing_is_lowered)
{
    const struct levels_pace none = { 0 };
    const struct levels_work work = { .decode_tokens = 1000, .left_ns = 1 };

    cr_assert_eq(levels_in_time(rows, N, FULL, FULL, &none, &work), FULL);
}
