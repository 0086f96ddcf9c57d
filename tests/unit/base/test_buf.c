/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include "base/buf.h"

Test(buf, gives_back_what_was_appended_in_order)
{
    struct buf b;

    buf_init(&b, 64);
    cr_assert_eq(buf_append(&b, "hello ", 6), 0);
    cr_assert_eq(buf_append(&b, "world", 5), 0);
    cr_assert_eq(b.n, 11u);
    cr_assert_eq(memcmp(buf_front(&b), "hello world", 11), 0);
    buf_consume(&b, 6);
    cr_assert_eq(memcmp(buf_front(&b), "world", 5), 0);
    buf_deinit(&b);
}

Test(buf, refuses_more_than_its_maximum_and_appends_nothing)
{
    struct buf b;
    uint8_t *place = NULL;

    buf_init(&b, 8);
    cr_assert_eq(buf_append(&b, "12345", 5), 0);
    cr_assert_eq(buf_append(&b, "6789", 4), BUF_E_FULL);
    cr_assert_eq(b.n, 5u);
    cr_assert_eq(buf_reserve(&b, 4, &place), BUF_E_FULL);
    cr_assert_null(place, "an outcome leaves the out-parameter alone");
    cr_assert_eq(buf_append(&b, "678", 3), 0);
    buf_deinit(&b);
}

Test(buf, uses_the_room_in_front_before_it_grows)
{
    struct buf b;

    buf_init(&b, 512);
    char fill[400];
    memset(fill, 'x', sizeof(fill));
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(buf_append(&b, fill, sizeof(fill)), 0);
        buf_consume(&b, sizeof(fill) - 1);
        cr_assert_eq(*buf_front(&b), 'x');
        buf_consume(&b, 1);
    }
    cr_assert_leq(b.size, 512u);
    buf_deinit(&b);
}

Test(buf, an_empty_queue_gives_a_large_block_back)
{
    struct buf b;
    uint8_t *place = NULL;

    buf_init(&b, 1 << 20);
    cr_assert_eq(buf_reserve(&b, 1 << 18, &place), 0);
    buf_commit(&b, 1 << 18);
    buf_consume(&b, 1 << 18);
    cr_assert_eq(b.size, 0u);
}
