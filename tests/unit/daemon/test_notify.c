/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/notify.h"
#include "tests/unit/daemon/scratch.h"

static int manager;

/* A service manager that listens. */
static void listen_as_manager(void)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    scratch_make();
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", scratch_path("notify"));
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    cr_assert_eq(bind(manager, (void *)&a, sizeof(a)), 0);
    (void)setenv("NOTIFY_SOCKET", a.sun_path, 1);
}

static void stop_listening(void)
{
    (void)close(manager);
    scratch_remove();
}

static void hears(const char *expect)
{
    char text[1024];
    const ssize_t n = recv(manager, text, sizeof(text) - 1, 0);

    cr_assert_gt(n, 0, "nothing was sent, expected %s", expect);
    text[n] = 0;
    cr_assert_str_eq(text, expect);
}

static void hears_nothing(void)
{
    char text[1024];

    cr_assert_eq(recv(manager, text, sizeof(text), 0), -1);
    cr_assert_eq(errno, EAGAIN);
}

TestSuite(notify, .init = listen_as_manager, .fini = stop_listening);

Test(notify, each_message_is_the_one_of_the_manual)
{
    notify_ready();
    hears("READY=1");
    notify_stopping();
    hears("STOPPING=1");
    notify_watchdog();
    hears("WATCHDOG=1");
    notify_extend(5000000);
    hears("EXTEND_TIMEOUT_USEC=5000000");
}

Test(notify, reloading_tells_the_time)
{
    char text[256] = "";
    uint64_t usec = 0;

    notify_reloading();
    cr_assert_gt(recv(manager, text, sizeof(text) - 1, 0), 0);
    cr_assert_eq(sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%" SCNu64, &usec), 1, "%s", text);
    cr_assert_gt(usec, 0);
}

Test(notify, a_status_is_sent_when_it_changes)
{
    notify_status("%d requests", 3);
    hears("STATUS=3 requests");
    notify_status("%d requests", 3);
    hears_nothing();
    notify_status("%d requests", 4);
    hears("STATUS=4 requests");
}

Test(notify, a_status_is_one_line)
{
    notify_status("a\nMAINPID=1");
    hears("STATUS=a MAINPID=1");
}

Test(notify, a_long_status_is_cut)
{
    char text[1000], expect[300];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    notify_status("%s", text);
    (void)snprintf(expect, sizeof(expect), "STATUS=%.255s", text);
    hears(expect);
}

Test(notify, without_a_manager_nothing_happens)
{
    (void)unsetenv("NOTIFY_SOCKET");
    notify_ready();
    notify_status("x");
    hears_nothing();
    (void)setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1);
    notify_ready();
    hears_nothing();
}

Test(notify, the_watchdog_wants_to_be_fed_twice_in_its_time)
{
    char pid[16];

    cr_assert_eq(notify_watchdog_usec(), 0);
    (void)setenv("WATCHDOG_USEC", "30000000", 1);
    cr_assert_eq(notify_watchdog_usec(), 15000000);
    (void)snprintf(pid, sizeof(pid), "%d", getpid() + 1);
    (void)setenv("WATCHDOG_PID", pid, 1);
    cr_assert_eq(notify_watchdog_usec(), 0, "meant for another process");
    (void)unsetenv("WATCHDOG_PID");
    (void)setenv("WATCHDOG_USEC", "soon", 1);
    cr_assert_eq(notify_watchdog_usec(), 0);
}

/* ---- sockets; systemd passes them as descriptors 3 and up, so these run in processes of their own ---- */

enum { NONE = 100, INVALID, WRONG, BROKEN }; /* exit statuses; less: the descriptor */

static void pass(const char *n)
{
    char pid[16];

    (void)snprintf(pid, sizeof(pid), "%d", getpid());
    (void)setenv("LISTEN_PID", pid, 1);
    (void)setenv("LISTEN_FDS", n, 1);
}

static void put(int fd, int want)
{
    if (fd < 0 || dup2(fd, want) != want) _exit(BROKEN);
}

static void listen_at(int want)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s%d", scratch_path("sock"), want);
    if (bind(fd, (void *)&a, sizeof(a)) < 0 || listen(fd, 1) < 0) _exit(BROKEN);
    put(fd, want);
}

static int take(void)
{
    const int r = notify_listen_fd();

    return r == -1 ? NONE : r == -EINVAL ? INVALID : r < 0 ? WRONG : r;
}

/* What @body returns in a process of its own. */
static int apart(int (*body)(void))
{
    int status;
    const pid_t child = fork();

    if (child == 0) _exit(body());
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int nothing_passed(void)
{
    return take();
}

static int passed_to_another(void)
{
    listen_at(3);
    pass("1");
    (void)setenv("LISTEN_PID", "1", 1);
    return take();
}

Test(notify, without_a_passed_socket_there_is_none)
{
    cr_assert_eq(apart(nothing_passed), NONE);
    cr_assert_eq(apart(passed_to_another), NONE);
}

static int passed(void)
{
    listen_at(3);
    pass("1");
    const int r = take();
    if (!(fcntl(3, F_GETFL) & O_NONBLOCK) || !(fcntl(3, F_GETFD) & FD_CLOEXEC)) return WRONG;
    if (getenv("LISTEN_FDS")) return WRONG; /* children must not take it for theirs */
    return take() == NONE ? r : WRONG;
}

Test(notify, a_listening_socket_is_taken_once)
{
    cr_assert_eq(apart(passed), 3);
}

static int a_file(void)
{
    put(open("/dev/null", O_RDONLY), 3);
    pass("1");
    return take();
}

static int datagrams(void)
{
    put(socket(AF_UNIX, SOCK_DGRAM, 0), 3);
    pass("1");
    return take();
}

static int not_listening(void)
{
    put(socket(AF_UNIX, SOCK_STREAM, 0), 3);
    pass("1");
    return take();
}

static int two(void)
{
    listen_at(3);
    listen_at(4);
    pass("2");
    return take();
}

static int garbage(void)
{
    pass("many");
    return take();
}

Test(notify, anything_else_that_was_passed_is_refused)
{
    cr_assert_eq(apart(a_file), INVALID);
    cr_assert_eq(apart(datagrams), INVALID);
    cr_assert_eq(apart(not_listening), INVALID);
    cr_assert_eq(apart(two), INVALID);
    cr_assert_eq(apart(garbage), INVALID);
}
