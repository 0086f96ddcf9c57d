/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include "cli/nearest.h"

static const char *const names[] = { "ask", "chat", "status", "model list", "model load", "top" };
enum { N = sizeof(names) / sizeof(names[0]) };

Test(nearest, counts_edits_and_swaps)
{
    cr_assert_eq(nearest_distance("", ""), 0);
    cr_assert_eq(nearest_distance("", "abc"), 3);
    cr_assert_eq(nearest_distance("abc", ""), 3);
    cr_assert_eq(nearest_distance("kitten", "sitting"), 3);
    cr_assert_eq(nearest_distance("status", "sttaus"), 1, "a swap of neighbours is one edit");
    cr_assert_eq(nearest_distance("ca", "abc"), 3, "no edits inside a swap");
}

Test(nearest, words_that_are_too_long_are_far_from_all)
{
    char word[NEAREST_WORD_MAX + 1];

    memset(word, 'a', NEAREST_WORD_MAX);
    word[NEAREST_WORD_MAX] = '\0';
    cr_assert_eq(nearest_distance(word, word), NEAREST_WORD_MAX);
    cr_assert_null(nearest_of(word, names, N));
    word[NEAREST_WORD_MAX - 1] = '\0';
    cr_assert_eq(nearest_distance(word, word), 0);
}

Test(nearest, finds_what_was_meant)
{
    cr_assert_str_eq(nearest_of("statsu", names, N), "status");
    cr_assert_str_eq(nearest_of("stat", names, N), "status", "a beginning is near");
    cr_assert_str_eq(nearest_of("cht", names, N), "chat");
    cr_assert_str_eq(nearest_of("model lsit", names, N), "model list");
    cr_assert_str_eq(nearest_of("model lod", names, N), "model load");
}

Test(nearest, finds_nothing_where_nothing_is_near)
{
    cr_assert_null(nearest_of("", names, N));
    cr_assert_null(nearest_of("frobnicate", names, N));
    cr_assert_null(nearest_of("zz", names, N));
    cr_assert_null(nearest_of("x", names, N));
    cr_assert_null(nearest_of("ask", names, 0));
}
