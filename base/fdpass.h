/* SPDX-License-Identifier: Apache-2.0 */
/* base/fdpass.h: bytes and file descriptors through a Unix socket, SCM_RIGHTS (unix(7)). */
#pragma once
#include <stddef.h>
#include <sys/types.h>

enum { FDPASS_MAX = 16 }; /* descriptors that may travel with one call; more is a protocol error */

/**
 * fdpass_send() - send bytes, and descriptors with their first byte
 * @fds: [n_fds] borrowed; the kernel duplicates them. n_fds <= FDPASS_MAX.
 * Return: bytes sent (> 0, the descriptors are then sent), -EAGAIN, another -errno. No SIGPIPE.
 */
ssize_t fdpass_send(int sock, const void *bytes, size_t n, const int *fds, size_t n_fds);

/**
 * fdpass_recv() - receive bytes and the descriptors that came with them (close-on-exec)
 * @fds: [FDPASS_MAX] receives them, owned by the caller. @ret_n_fds: how many.
 * Return: bytes received, 0 at the end of the stream, -EAGAIN, -EPROTO (the kernel dropped
 * descriptors because more came than fit: those that fit are closed), another -errno.
 */
ssize_t fdpass_recv(int sock, void *bytes, size_t n, int *fds, size_t *ret_n_fds);
