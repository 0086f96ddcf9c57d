/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/lock.h"
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/file.h>

int lock_soon(int fd)
{
    enum { TRIES = 50, WAIT_MS = 20 };

    for (int i = 1; flock(fd, LOCK_EX | LOCK_NB) != 0; i++) {
        if (errno != EWOULDBLOCK || i == TRIES) return -errno;
        (void)poll(NULL, 0, WAIT_MS);
    }
    return 0;
}
