/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/lock.h"
#include "tests/unit/daemon/scratch.h"

TestSuite(lock, .init = scratch_make, .fini = scratch_remove);

static int opened(void)
{
    const int fd = open(scratch_path(""), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    cr_assert_geq(fd, 0);
    return fd;
}

Test(lock, one_at_a_time_has_it)
{
    const int a = opened(), b = opened();

    cr_assert_eq(lock_soon(a), 0);
    cr_assert_eq(lock_soon(a), 0, "it has it already");
    cr_assert_eq(lock_soon(b), -EWOULDBLOCK);
    (void)close(a);
    cr_assert_eq(lock_soon(b), 0);
    (void)close(b);
    cr_assert_eq(lock_soon(b), -EBADF);
}

Test(lock, a_process_that_is_about_to_let_go_of_it_is_waited_for)
{
    const int a = opened(), b = opened();

    cr_assert_eq(lock_soon(a), 0);
    const pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) { /* as a worker before its exec, when hearthd has just ended */
        (void)poll(NULL, 0, 100);
        _exit(0);
    }
    (void)close(a);
    cr_assert_eq(lock_soon(b), 0);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    (void)close(b);
}
