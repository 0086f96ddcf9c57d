/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fdpass.h"
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/err.h"

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * FDPASS_MAX)];
};

ssize_t fdpass_send(int sock, const void *bytes, size_t n, const int *fds, size_t n_fds)
{
    union control c;
    struct iovec v = { .iov_base = (void *)(size_t)bytes, .iov_len = n };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

    assert(n > 0 && n_fds <= FDPASS_MAX);
    if (n_fds > 0) {
        memset(&c, 0, sizeof(c));
        m.msg_control = c.bytes;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
        memcpy(CMSG_DATA(h), fds, sizeof(int) * n_fds);
    }
    ssize_t r;
    do
        r = sendmsg(sock, &m, MSG_NOSIGNAL);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

ssize_t fdpass_recv(int sock, void *bytes, size_t n, int *fds, size_t *ret_n_fds)
{
    union control c;
    struct iovec v = { .iov_base = bytes, .iov_len = n };
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = c.bytes, .msg_controllen = sizeof(c.bytes)
    };
    size_t n_fds = 0;
    ssize_t r;

    do
        r = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
    while (r < 0 && errno == EINTR);
    if (r < 0) return -errno;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) continue;
        size_t k = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        assert(n_fds + k <= FDPASS_MAX); /* the control buffer holds no more */
        memcpy(fds + n_fds, CMSG_DATA(h), k * sizeof(int));
        n_fds += k;
    }
    if (m.msg_flags & MSG_CTRUNC) {
        while (n_fds > 0)
            (void)close(fds[--n_fds]);
        return err_raise(-EPROTO);
    }
    *ret_n_fds = n_fds;
    return r;
}
