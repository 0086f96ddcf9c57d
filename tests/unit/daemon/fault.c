/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/daemon/fault.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int __real_mkdirat(int dir, const char *name, mode_t mode);
int __real_openat64(int dir, const char *name, int flags, ...);
int __real_renameat(int from, const char *old, int to, const char *new);
int __real_renameat2(int from, const char *old, int to, const char *new, unsigned flags);
int __real_symlinkat(const char *target, int dir, const char *name);
int __real_unlinkat(int dir, const char *name, int flags);
int __real_fchmod(int fd, mode_t mode);
int __real_fsync(int fd);
ssize_t __real_write(int fd, const void *bytes, size_t n);
int __wrap_mkdirat(int dir, const char *name, mode_t mode);
int __wrap_openat64(int dir, const char *name, int flags, ...);
int __wrap_renameat(int from, const char *old, int to, const char *new);
int __wrap_renameat2(int from, const char *old, int to, const char *new, unsigned flags);
int __wrap_symlinkat(const char *target, int dir, const char *name);
int __wrap_unlinkat(int dir, const char *name, int flags);
int __wrap_fchmod(int fd, mode_t mode);
int __wrap_fsync(int fd);
ssize_t __wrap_write(int fd, const void *bytes, size_t n);

static unsigned crash_left, fail_left;
static int fail_error;
static bool fail_on, failing, happened;
static char trace[4096];

void fault_crash_at(unsigned n)
{
    crash_left = n;
}

void fault_fail_at(unsigned n, int error, bool on)
{
    fail_left = n;
    fail_error = error;
    fail_on = on;
    failing = happened = false;
    trace[0] = 0;
}

bool fault_happened(void)
{
    return happened;
}

const char *fault_trace(void)
{
    return trace;
}

/* Does this call fail? */
static bool fails(const char *call)
{
    const size_t used = strlen(trace), n = strlen(call);

    if (used + n + 2 < sizeof(trace)) {
        if (used) trace[used] = ' ';
        memcpy(trace + used + (used > 0), call, n + 1);
    }
    if (crash_left > 0 && --crash_left == 0) _exit(FAULT_EXIT_STATUS);
    bool now = failing && strcmp(call, "unlinkat") != 0;
    if (fail_left > 0 && --fail_left == 0) {
        now = true;
        failing = fail_on;
    }
    if (now) errno = fail_error;
    happened |= now;
    return now;
}

int __wrap_mkdirat(int dir, const char *name, mode_t mode)
{
    return fails("mkdirat") ? -1 : __real_mkdirat(dir, name, mode);
}

int __wrap_openat64(int dir, const char *name, int flags, ...)
{
    va_list args;
    mode_t mode = 0;

    if (!(flags & O_CREAT)) return __real_openat64(dir, name, flags);
    va_start(args, flags);
    mode = va_arg(args, mode_t);
    va_end(args);
    return fails("openat") ? -1 : __real_openat64(dir, name, flags, mode);
}

int __wrap_renameat(int from, const char *old, int to, const char *new)
{
    return fails("renameat") ? -1 : __real_renameat(from, old, to, new);
}

int __wrap_renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
    return fails("renameat2") ? -1 : __real_renameat2(from, old, to, new, flags);
}

int __wrap_symlinkat(const char *target, int dir, const char *name)
{
    return fails("symlinkat") ? -1 : __real_symlinkat(target, dir, name);
}

int __wrap_unlinkat(int dir, const char *name, int flags)
{
    return fails("unlinkat") ? -1 : __real_unlinkat(dir, name, flags);
}

int __wrap_fchmod(int fd, mode_t mode)
{
    return fails("fchmod") ? -1 : __real_fchmod(fd, mode);
}

int __wrap_fsync(int fd)
{
    return fails("fsync") ? -1 : __real_fsync(fd);
}

ssize_t __wrap_write(int fd, const void *bytes, size_t n)
{
    return fails("write") ? -1 : __real_write(fd, bytes, n);
}
