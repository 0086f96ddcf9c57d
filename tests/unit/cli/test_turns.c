/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/turns.h"

static void add(struct turns *t, enum hearth_role role, const char *text)
{
    cr_assert_eq(turns_add(t, role, text, strlen(text)), 0);
}

Test(turns, takes_back_a_question_with_all_that_followed)
{
    struct turns t = { 0 };
    char *text = NULL;

    add(&t, HEARTH_ROLE_USER, "one");
    add(&t, HEARTH_ROLE_MODEL, "1");
    add(&t, HEARTH_ROLE_USER, "two");
    add(&t, HEARTH_ROLE_MODEL, "2");
    cr_assert_eq(turns_take_back(&t, &text), 0);
    cr_assert_str_eq(text, "two");
    cr_assert_eq(t.n, 2);
    cr_assert_eq(turns_take_back(&t, NULL), 0);
    cr_assert_eq(t.n, 0);
    cr_assert_eq(turns_take_back(&t, NULL), TURNS_E_NOTHING);
    free(text);
    turns_clear(&t);
}

Test(turns, has_a_maximum)
{
    struct turns t = { 0 };

    for (int i = 0; i < TURNS_MAX; i++)
        add(&t, HEARTH_ROLE_USER, "x");
    cr_assert_eq(turns_add(&t, HEARTH_ROLE_USER, "x", 1), TURNS_E_FULL);
    cr_assert_eq(t.n, TURNS_MAX);
    turns_clear(&t);
    cr_assert_eq(t.n, 0);
    turns_clear(&t);
}

Test(turns, keeps_bytes_that_are_no_text)
{
    struct turns t = { 0 };

    cr_assert_eq(turns_add(&t, HEARTH_ROLE_USER, "a\0b", 3), 0);
    cr_assert_eq(turns_add(&t, HEARTH_ROLE_MODEL, NULL, 0), 0);
    cr_assert_eq(t.turn[0].size, 3);
    cr_assert_eq(t.turn[0].text[2], 'b');
    cr_assert_str_eq(t.turn[1].text, "");
    turns_clear(&t);
}

Test(turns, goes_into_a_request_with_the_system_text_first)
{
    struct turns t = { 0 };
    struct hearth_request *q = NULL;

    add(&t, HEARTH_ROLE_USER, "hello");
    cr_assert_eq(hearth_request_new(&q), 0);
    cr_assert_eq(turns_build(&t, "be brief", q), 0);
    hearth_request_free(q);
    turns_clear(&t);
}

Test(turns, writes_what_was_said)
{
    struct turns t = { 0 };
    char *text = NULL;
    size_t size;
    FILE *const f = open_memstream(&text, &size);

    add(&t, HEARTH_ROLE_USER, "hello");
    add(&t, HEARTH_ROLE_MODEL, "hi");
    turns_write(&t, "be brief", f);
    (void)fclose(f);
    cr_assert_str_eq(text, "System:\nbe brief\n\nYou:\nhello\n\nModel:\nhi\n\n");
    free(text);
    turns_clear(&t);
}
