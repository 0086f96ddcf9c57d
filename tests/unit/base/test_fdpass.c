/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/fdpass.h"

Test(fdpass, a_descriptor_arrives_with_its_bytes_and_closes_on_exec)
{
    int s[2], pipe_fds[2], got[FDPASS_MAX];
    size_t n_fds = 0;
    char bytes[8];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s), 0);
    cr_assert_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
    cr_assert_eq(fdpass_send(s[0], "abc", 3, &pipe_fds[1], 1), 3);
    cr_assert_eq(fdpass_recv(s[1], bytes, sizeof(bytes), got, &n_fds), 3);
    cr_assert_eq(n_fds, 1u);
    cr_assert_neq(fcntl(got[0], F_GETFD) & FD_CLOEXEC, 0);
    cr_assert_eq(write(got[0], "x", 1), 1);
    cr_assert_eq(read(pipe_fds[0], bytes, 1), 1);
    cr_assert_eq(bytes[0], 'x');
}

Test(fdpass, says_when_there_is_nothing_yet_and_when_the_stream_ended)
{
    int s[2], got[FDPASS_MAX];
    size_t n_fds = 7;
    char bytes[8];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s), 0);
    cr_assert_eq(fdpass_recv(s[1], bytes, sizeof(bytes), got, &n_fds), -EAGAIN);
    (void)close(s[0]);
    cr_assert_eq(fdpass_recv(s[1], bytes, sizeof(bytes), got, &n_fds), 0);
    cr_assert_eq(n_fds, 0u);
    cr_assert_eq(fdpass_send(s[1], "abc", 3, NULL, 0), -EPIPE, "an error, not a signal");
}

Test(fdpass, more_descriptors_than_fit_are_a_protocol_error_and_none_stays_open)
{
    int s[2], many[FDPASS_MAX], got[FDPASS_MAX];
    size_t n_fds = 0;
    char bytes[8];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s), 0);
    for (int i = 0; i < FDPASS_MAX; i++)
        many[i] = s[0];
    /* a peer of our own could not send more than FDPASS_MAX; a hostile one builds its message itself */
    char control[CMSG_SPACE(sizeof(int) * (FDPASS_MAX + 1))] = { 0 };
    struct iovec v = { .iov_base = bytes, .iov_len = 1 };
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
    };
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof(int) * (FDPASS_MAX + 1));
    for (int i = 0; i <= FDPASS_MAX; i++)
        ((int *)(void *)CMSG_DATA(h))[i] = s[0];
    cr_assert_eq(sendmsg(s[0], &m, 0), 1);
    int before = dup(s[0]);
    (void)close(before);
    cr_assert_eq(fdpass_recv(s[1], bytes, sizeof(bytes), got, &n_fds), -EPROTO);
    int after = dup(s[0]);
    cr_assert_eq(before, after, "the descriptors that fitted were closed again");
    cr_assert_eq(fdpass_send(s[0], "abc", 3, many, FDPASS_MAX), 3);
    cr_assert_eq(fdpass_recv(s[1], bytes, sizeof(bytes), got, &n_fds), 3);
    cr_assert_eq(n_fds, (size_t)FDPASS_MAX);
}
