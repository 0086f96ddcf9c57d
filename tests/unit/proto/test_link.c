/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <hearth.pb-c.h>
#include <string.h>
#include <sys/socket.h>
#include "base/cleanup.h"
#include "proto/link.h"

static struct link a, b;

static void connect_both(void)
{
    int s[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
    cr_assert_eq(link_init(&a, s[0], 4 << 20), 0);
    cr_assert_eq(link_init(&b, s[1], 4 << 20), 0);
}

static void hang_up(void)
{
    link_deinit(&a);
    link_deinit(&b);
}

TestSuite(link, .init = connect_both, .fini = hang_up);

static void send_text(const char *text, size_t n, const int *fds, size_t n_fds, int expect)
{
    Hearth__Tokenize t = HEARTH__TOKENIZE__INIT;

    t.text.data = (uint8_t *)(size_t)text;
    t.text.len = n;
    cr_assert_eq(link_send(&a, &t.base, fds, n_fds), expect);
}

/* Receive until a frame is there; the size of its text. */
static size_t receive(struct link_frame *f)
{
    int r;

    while ((r = link_next(&b, f, NULL)) == LINK_E_NONE) {
        cr_assert_eq(link_flush(&a), 0);
        r = link_read(&b);
        cr_assert(r == 0 || r == LINK_E_NONE, "link_read: %d", r);
    }
    cr_assert_eq(r, 0);
    Hearth__Tokenize *t = hearth__tokenize__unpack(NULL, f->size, f->body);
    const size_t n = t->text.len;
    hearth__tokenize__free_unpacked(t, NULL);
    return n;
}

Test(link, frames_arrive_whole_and_in_order)
{
    struct link_frame f;
    static char big[900000];

    send_text("one", 3, NULL, 0, 0);
    send_text(big, sizeof(big), NULL, 0, 0);
    send_text("", 0, NULL, 0, 0);
    cr_assert_eq(receive(&f), 3u);
    cr_assert_eq(receive(&f), sizeof(big));
    cr_assert_eq(receive(&f), 0u);
    cr_assert_eq(link_next(&b, &f, NULL), LINK_E_NONE);
    cr_assert(!link_partial(&b));
}

Test(link, descriptors_stay_with_their_frame)
{
    struct link_frame f;
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC),
        zero_fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
    int both[2] = { null_fd, zero_fd };
    char byte = 1;

    send_text("no descriptor", 13, NULL, 0, 0);
    send_text("two", 3, both, 2, 0);
    send_text("one", 3, &zero_fd, 1, 0);
    (void)close(null_fd);
    (void)close(zero_fd); /* the link sends duplicates */
    cr_assert_eq(receive(&f), 13u);
    cr_assert_eq(f.n_fds, 0u);
    cr_assert_eq(receive(&f), 3u);
    cr_assert_eq(f.n_fds, 2u);
    cr_assert_eq(read(f.fds[0], &byte, 1), 0, "/dev/null is the first");
    cr_assert_eq(read(f.fds[1], &byte, 1), 1);
    link_frame_close(&f);
    cr_assert_eq(receive(&f), 3u);
    cr_assert_eq(f.n_fds, 1u);
    link_frame_close(&f);
}

Test(link, a_frame_that_announces_descriptors_and_brings_none_is_garbage)
{
    struct link_frame f;
    struct reason why = { "" };
    uint8_t header[FRAME_HEADER_SIZE];

    frame_header_write(header, 0, 1);
    cr_assert_eq(write(a.fd, header, sizeof(header)), (ssize_t)sizeof(header));
    cr_assert_eq(link_read(&b), 0);
    cr_assert_eq(link_next(&b, &f, &why), LINK_E_GARBAGE);
    cr_assert_not_null(strstr(why.text, "announces 1"));
}

Test(link, descriptors_without_a_frame_end_in_garbage_not_in_a_leak)
{
    int fds[FDPASS_MAX];
    int r = 0;

    for (int i = 0; i < FDPASS_MAX; i++)
        fds[i] = a.fd;
    cr_assert_eq(fdpass_send(a.fd, "H", 1, fds, FDPASS_MAX), 1);
    cr_assert_eq(fdpass_send(a.fd, "1", 1, fds, 1), 1);
    for (int i = 0; i < 3 && r == 0; i++)
        r = link_read(&b);
    cr_assert_eq(r, LINK_E_GARBAGE);
}

Test(link, a_full_queue_refuses_and_stays_as_it_was)
{
    static char big[1000000];
    struct link_frame f;

    for (int i = 0; i < 4; i++)
        send_text(big, sizeof(big), NULL, 0, 0);
    const size_t before = link_pending(&a);
    send_text(big, sizeof(big), NULL, 0, LINK_E_FULL);
    cr_assert_eq(link_pending(&a), before);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(receive(&f), sizeof(big));
    cr_assert_eq(link_pending(&a), 0u);
}

Test(link, a_message_larger_than_a_frame_is_not_sent)
{
    static char big[FRAME_BODY_MAX];

    send_text(big, sizeof(big), NULL, 0, -EMSGSIZE);
    cr_assert_eq(link_pending(&a), 0u);
}

Test(link, says_when_the_other_end_hung_up_after_giving_what_came_before)
{
    struct link_frame f;

    send_text("last", 4, NULL, 0, 0);
    cr_assert_eq(link_flush(&a), 0);
    link_deinit(&a);
    cr_assert_eq(receive(&f), 4u);
    cr_assert_eq(link_read(&b), LINK_E_CLOSED);
    Hearth__Tokenize t = HEARTH__TOKENIZE__INIT;
    cr_assert_eq(link_send(&b, &t.base, NULL, 0), 0);
    cr_assert_eq(link_flush(&b), LINK_E_CLOSED);
}
