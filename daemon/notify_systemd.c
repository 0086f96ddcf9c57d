/* SPDX-License-Identifier: Apache-2.0 */
/* Results of sd_notify() are not looked at: a manager that does not listen is not our trouble. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include "base/clock.h"
#include "base/err.h"
#include "daemon/notify.h"

static char last_status[256];

void notify_ready(void)
{
    (void)sd_notify(0, "READY=1");
}

void notify_reloading(void)
{
    /* Type=notify-reload tells this message from an older one by the time in it */
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_now_ns() / 1000);
}

void notify_stopping(void)
{
    (void)sd_notify(0, "STOPPING=1");
}

void notify_status(const char *format, ...)
{
    char line[sizeof(last_status)];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    for (char *c = line; *c; c++)
        if (*c == '\n') *c = ' '; /* a new line would be a new variable */
    if (strcmp(line, last_status) == 0) return;
    memcpy(last_status, line, sizeof(line));
    (void)sd_notifyf(0, "STATUS=%s", line);
}

void notify_extend(uint64_t usec)
{
    (void)sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRIu64, usec);
}

void notify_watchdog(void)
{
    (void)sd_notify(0, "WATCHDOG=1");
}

uint64_t notify_watchdog_usec(void)
{
    uint64_t usec = 0;

    return sd_watchdog_enabled(0, &usec) > 0 ? usec / 2 : 0;
}

int notify_listen_fd(void)
{
    const int n = sd_listen_fds(1), fd = SD_LISTEN_FDS_START;

    if (n < 0) return err_raise(n == -ENOMEM ? n : -EINVAL);
    if (n == 0) return -1;
    if (n > 1 || sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) <= 0) return err_raise(-EINVAL);
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) return err_raise(-EINVAL);
    return fd;
}
