/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/out.h"

static char *printed(const struct out_table *t)
{
    char *text = NULL;
    size_t size;
    FILE *const f = open_memstream(&text, &size);

    cr_assert(f);
    cr_assert_eq(out_table_print(t, f, OUT_BOLD), 0);
    (void)fclose(f);
    return text;
}

Test(out, table_columns_are_as_wide_as_their_contents)
{
    struct out_table t = { 0 };

    out_table_columns(&t, "NAME SIZE> STATE");
    out_table_cell(&t, "gemma3-270m");
    out_table_cell(&t, "%d", 7);
    out_table_cell(&t, "active");
    out_table_cell(&t, "x");
    out_table_cell(&t, "1234567");
    out_table_cell(&t, "%s", "");
    char *const text = printed(&t);
    cr_assert_str_eq(text, "NAME            SIZE  STATE\n"
                           "gemma3-270m        7  active\n"
                           "x            1234567  -\n");
    free(text);
    out_table_deinit(&t);
}

Test(out, table_counts_columns_not_bytes)
{
    struct out_table t = { 0 };

    if (!setlocale(LC_CTYPE, "C.UTF-8")) cr_skip_test("this system has no C.UTF-8");
    out_table_columns(&t, "A B");
    out_table_cell(&t, "caf\xc3\xa9");
    out_table_cell(&t, "x");
    out_table_cell(&t, "\xe6\x97\xa5\xe6\x9c\xac"); /* two characters of two columns */
    out_table_cell(&t, "y");
    char *const text = printed(&t);
    cr_assert_str_eq(text, "A     B\ncaf\xc3\xa9  x\n\xe6\x97\xa5\xe6\x9c\xac  y\n");
    free(text);
    out_table_deinit(&t);
}

Test(out, text_is_cut_between_characters_at_the_edge_of_the_screen)
{
    if (!setlocale(LC_CTYPE, "C.UTF-8")) cr_skip_test("this system has no C.UTF-8");
    cr_assert_eq(out_fit("abc", 3, 2), 2);
    cr_assert_eq(out_fit("abc", 3, 9), 3);
    cr_assert_eq(out_fit("abc", 3, 0), 0);
    cr_assert_eq(out_fit("\xe6\x97\xa5\xe6\x9c\xac", 6, 3), 3, "half a wide character is none");
    cr_assert_eq(out_fit("\xff\xff", 2, 1), 1);
}

Test(out, table_cells_cannot_drive_the_terminal)
{
    struct out_table t = { 0 };

    out_table_columns(&t, "APP N");
    out_table_cell(&t, "%s", "\033[2Jx\ny");
    out_table_cell(&t, "1");
    char *const text = printed(&t);
    cr_assert_str_eq(text, "APP        N\n^[[2Jx^Jy  1\n");
    free(text);
    out_table_deinit(&t);
}

Test(out, table_has_a_maximum_of_rows)
{
    struct out_table t = { 0 };

    out_table_columns(&t, "N>");
    for (int i = 0; i < OUT_COLUMNS_MAX * OUT_ROWS_MAX + 9; i++)
        out_table_cell(&t, "%d", i);
    cr_assert_eq(t.n_cells, (size_t)OUT_COLUMNS_MAX * OUT_ROWS_MAX);
    out_table_deinit(&t);
    cr_assert_eq(t.n_cells, 0);
}

Test(out, sizes_for_people)
{
    char buf[16];

    cr_assert_str_eq(out_bytes(buf, sizeof(buf), 0), "0 B");
    cr_assert_str_eq(out_bytes(buf, sizeof(buf), 999), "999 B");
    cr_assert_str_eq(out_bytes(buf, sizeof(buf), 1000), "1.0 kB");
    cr_assert_str_eq(out_bytes(buf, sizeof(buf), 253115392), "253 MB");
    cr_assert_str_eq(out_bytes(buf, sizeof(buf), 2710000000), "2.7 GB");
    cr_assert_str_eq(out_bytes(buf, sizeof(buf), 999999999), "1.0 GB",
                     "rounding reaches the next unit");
    cr_assert_str_eq(out_bytes(buf, sizeof(buf), UINT64_MAX), "18 EB");
}

Test(out, times_for_people)
{
    char buf[32];

    cr_assert_str_eq(out_time(buf, sizeof(buf), 310000), "0.31 s");
    cr_assert_str_eq(out_time(buf, sizeof(buf), 12400000), "12 s");
    cr_assert_str_eq(out_time(buf, sizeof(buf), 185000000), "3 min 5 s");
    cr_assert_str_eq(out_time(buf, sizeof(buf), UINT64_C(7800000000)), "2 h 10 min");
    cr_assert_str_eq(out_time(buf, sizeof(buf), UINT64_C(352800000000)), "4 d 2 h");
    cr_assert_str_eq(out_about(buf, sizeof(buf), 200), "200 ms");
    cr_assert_str_eq(out_about(buf, sizeof(buf), 2001), "3 s");
    cr_assert_str_eq(out_about(buf, sizeof(buf), 240001), "5 min");
    cr_assert_str_eq(out_about(buf, sizeof(buf), 7200000), "2 h");
}

Test(out, colours_follow_the_option_and_no_color)
{
    (void)setenv("TERM", "xterm", 1);
    (void)unsetenv("NO_COLOR");
    out_init("always");
    cr_assert_str_eq(out_style(stdout, OUT_BOLD), "\033[1m");
    out_init("never");
    cr_assert_str_eq(out_style(stdout, OUT_BOLD), "");
    (void)setenv("NO_COLOR", "1", 1);
    out_init("always");
    cr_assert(out_has_color(stderr), "the option is nearer than the environment");
    out_init("auto");
    cr_assert_not(out_has_color(stderr));
    cr_assert_str_eq(out_style(NULL, OUT_RED), "", "only stdout and stderr have colours");
}
