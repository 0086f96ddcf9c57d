/* SPDX-License-Identifier: Apache-2.0 */
/* A build without libsystemd: nobody is told, and no socket is passed. */
#include "daemon/notify.h"

void notify_ready(void)
{
}

void notify_reloading(void)
{
}

void notify_stopping(void)
{
}

void notify_status(const char *format, ...)
{
    (void)format;
}

void notify_extend(uint64_t usec)
{
    (void)usec;
}

void notify_watchdog(void)
{
}

uint64_t notify_watchdog_usec(void)
{
    return 0;
}

int notify_listen_fd(void)
{
    return -1;
}
