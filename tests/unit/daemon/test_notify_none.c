/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "daemon/notify.h"
#include "tests/unit/daemon/scratch.h"

Test(notify_none, nobody_is_told_and_nothing_is_passed, .init = scratch_make,
     .fini = scratch_remove)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    const int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    char pid[16], text[64];

    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", scratch_path("notify"));
    cr_assert_eq(bind(manager, (void *)&a, sizeof(a)), 0);
    (void)setenv("NOTIFY_SOCKET", a.sun_path, 1);
    (void)setenv("WATCHDOG_USEC", "1000000", 1);
    (void)snprintf(pid, sizeof(pid), "%d", getpid());
    (void)setenv("LISTEN_PID", pid, 1);
    (void)setenv("LISTEN_FDS", "1", 1);
    notify_ready();
    notify_reloading();
    notify_stopping();
    notify_status("%d", 1);
    notify_extend(1);
    notify_watchdog();
    cr_assert_eq(recv(manager, text, sizeof(text), 0), -1);
    cr_assert_eq(errno, EAGAIN);
    cr_assert_eq(notify_watchdog_usec(), 0);
    cr_assert_eq(notify_listen_fd(), -1);
    (void)close(manager);
}
