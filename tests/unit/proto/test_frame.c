/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <hearth.pb-c.h>
#include <stdlib.h>
#include <string.h>
#include "proto/frame.h"

Test(frame, a_header_that_was_written_is_read_back)
{
    uint8_t bytes[FRAME_HEADER_SIZE + 3] = { 0 };
    struct frame_header h;

    frame_header_write(bytes, 3, 2);
    cr_assert_eq(frame_parse(bytes, sizeof(bytes), &h, NULL), 0);
    cr_assert_eq(h.body_size, 3u);
    cr_assert_eq(h.n_fds, 2u);
}

Test(frame, asks_for_more_until_header_and_body_are_whole)
{
    uint8_t bytes[FRAME_HEADER_SIZE + 5] = { 0 };
    struct frame_header h;

    frame_header_write(bytes, 5, 0);
    for (size_t n = 0; n < sizeof(bytes); n++)
        cr_assert_eq(frame_parse(bytes, n, &h, NULL), FRAME_E_MORE, "%zu bytes", n);
}

Test(frame, refuses_garbage_at_the_first_wrong_byte)
{
    uint8_t good[FRAME_HEADER_SIZE], bad[FRAME_HEADER_SIZE];
    struct frame_header h;
    struct reason why;
    const struct {
        size_t at;
        uint8_t value;
        const char *says;
    } cases[] = { { 0, 'G', "byte 0" },
                  { 1, '2', "byte 1" },
                  { 2, FRAME_FDS_MAX + 1, "descriptors" },
                  { 3, 1, "byte 3" },
                  { 7, 1, "at most 1048576" } };

    frame_header_write(good, 0, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memcpy(bad, good, sizeof(bad));
        bad[cases[i].at] = cases[i].value;
        cr_assert_eq(frame_parse(bad, cases[i].at + 1, &h, &why), FRAME_E_GARBAGE);
        cr_assert_not_null(strstr(why.text, cases[i].says), "%s", why.text);
    }
}

Test(frame, unpacks_a_message_and_refuses_bytes_that_are_none)
{
    Hearth__Hello hello = HEARTH__HELLO__INIT;
    uint8_t bytes[64];
    ProtobufCMessage *m = NULL;
    struct reason why = { "" };

    hello.version_max = 7;
    const size_t n = hearth__hello__pack(&hello, bytes);
    cr_assert_eq(frame_unpack(&hearth__hello__descriptor, bytes, n, &m, &why), 0);
    cr_assert_eq(((Hearth__Hello *)(void *)m)->version_max, 7u);
    m = frame_unpacked_free(m);
    cr_assert_null(m);
    cr_assert_eq(
        frame_unpack(&hearth__hello__descriptor, (const uint8_t *)"\xff\xff\xff", 3, &m, &why),
        FRAME_E_GARBAGE);
    cr_assert_not_null(strstr(why.text, "Hello"));
    cr_assert_null(m);
}

Test(frame, a_small_frame_cannot_claim_much_memory)
{
    /* ModelList replies: each empty Model costs two bytes here and over a hundred unpacked */
    const size_t n = FRAME_BODY_MAX;
    uint8_t *bytes = calloc(1, n);
    ProtobufCMessage *m = NULL;

    for (size_t i = 0; i < n; i += 2)
        bytes[i] = 1 << 3 | 2; /* field 1, length-delimited, empty */
    cr_assert_eq(frame_unpack(&hearth__models__descriptor, bytes, n, &m, NULL), FRAME_E_GARBAGE);
    free(bytes);
}
