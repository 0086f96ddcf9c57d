/* SPDX-License-Identifier: Apache-2.0 */
#include "client-lib/memfile.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/err.h"

enum { NOEXEC_SEAL = 0x8 }; /* MFD_NOEXEC_SEAL of Linux 6.3, which some systems insist on */

int memfile_new(const void *bytes, size_t size)
{
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    const char *at = bytes;
    CLEANUP(closep) int fd = memfd_create("hearth", flags | NOEXEC_SEAL);

    if (fd < 0 && errno == EINVAL) fd = memfd_create("hearth", flags);
    if (fd < 0) return err_raise(-errno);
    while (size > 0) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_raise(-errno);
        at += n;
        size -= (size_t)n;
    }
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) < 0)
        return err_raise(-errno);
    return TAKE_FD(fd);
}
