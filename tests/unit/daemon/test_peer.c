/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/peer.h"
#include "tests/unit/oom.h"

/* ---- the unit, from text ---- */

static void is_unit(const char *text, const char *expect)
{
    char unit[POLICY_NAME_MAX] = "unchanged";

    cr_assert(peer_unit(text, unit), "%s", text);
    cr_assert_str_eq(unit, expect);
}

static void is_none(const char *text)
{
    char unit[POLICY_NAME_MAX] = "unchanged";

    cr_assert_not(peer_unit(text, unit), "%s: %s", text, unit);
    cr_assert_str_eq(unit, "unchanged");
}

Test(peer, a_service_of_the_system_is_the_component_after_the_slices)
{
    is_unit("0::/system.slice/nav.service\n", "nav.service");
    is_unit("0::/system.slice/nav.service", "nav.service");
    is_unit("0::/nav.service\n", "nav.service");
    is_unit("0::/system.slice/system-getty.slice/getty@tty1.service\n", "getty@tty1.service");
    is_unit("0::/system.slice/a-b\\x2dc:d_e.service\n", "a-b\\x2dc:d_e.service");
    is_unit("0::/init.scope\n", "init.scope");
    is_unit("0::/user.slice/user-1000.slice/session-3.scope\n", "session-3.scope");
}

Test(peer, what_a_unit_made_below_itself_does_not_count)
{
    is_unit("0::/system.slice/containers.service/payload/nav.service\n", "containers.service");
    is_unit("0::/machine.slice/machine-x.scope/payload/system.slice/nav.service\n",
            "machine-x.scope");
    is_unit("0::/user.slice/user-1000.slice/session-3.scope/nav.service\n", "session-3.scope");
}

Test(peer, units_of_a_users_manager_are_marked)
{
    is_unit("0::/user.slice/user-1000.slice/user@1000.service/app.slice/nav.service\n",
            "user:nav.service");
    is_unit("0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.slice/"
            "app-x@1.service/sub\n",
            "user:app-x@1.service");
    is_unit("0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", "user:init.scope");
    is_none("0::/user.slice/user-1000.slice/user@1000.service\n");
    is_none("0::/user.slice/user-1000.slice/user@1000.service/app.slice\n");
}

Test(peer, only_the_manager_of_that_user_is_a_users_manager)
{
    is_unit("0::/system.slice/user@1000.service/app.slice/nav.service\n", "user@1000.service");
    is_unit("0::/user.slice/user-1000.slice/user@1001.service/nav.service\n", "user@1001.service");
    is_unit("0::/user.slice/user-1000.slice/user@100.service/nav.service\n", "user@100.service");
    is_unit("0::/user.slice/user-.slice/user@.service/nav.service\n", "user@.service");
}

Test(peer, escaped_names_lose_their_escape)
{
    is_unit("0::/system.slice/_cgroup.service\n", "cgroup.service");
}

Test(peer, a_machine_with_both_hierarchies_has_a_unit_too)
{
    is_unit("12:pids:/system.slice/other.service\n1:name=systemd:/system.slice/nav.service\n0::/"
            "system.slice/v2.service\n",
            "v2.service");
    is_unit("2:cpu:/other.service\n1:name=systemd:/system.slice/nav.service\n", "nav.service");
    is_none("2:cpu:/other.service\n1:name=elogind:/3\n");
}

Test(peer, texts_without_a_unit_have_none)
{
    is_none("");
    is_none("\n\n\n");
    is_none("0::/\n");
    is_none("0::");
    is_none("0::nav.service\n");
    is_none("0::/system.slice\n");
    is_none("0::/docker/0123456789abcdef\n");
    is_none("0::/../../nav.service\n");
    is_none("0::/.service\n");
    is_none("0::/system.slice/nav.socket\n");
    is_none("0::/system.slice//nav.service\n");
    is_none("0::/system.slice/na v.service\n");
    is_none("0::/system.slice/na\x1bv.service\n");
    is_none("0::/system.slice/n\xc3\xa4v.service\n");
}

Test(peer, names_that_do_not_fit_are_not_cut)
{
    char text[400], expect[POLICY_NAME_MAX];

    (void)snprintf(text, sizeof(text), "0::/system.slice/%0*d.service\n", POLICY_NAME_MAX - 9, 0);
    (void)snprintf(expect, sizeof(expect), "%0*d.service", POLICY_NAME_MAX - 9, 0);
    is_unit(text, expect);
    (void)snprintf(text, sizeof(text), "0::/system.slice/%0*d.service\n", POLICY_NAME_MAX - 8, 0);
    is_none(text);
    (void)snprintf(text, sizeof(text), "0::/user.slice/user-1.slice/user@1.service/%0*d.service\n",
                   POLICY_NAME_MAX - 9, 0);
    is_none(text);
}

/* ---- a socket ---- */

static int pair[2];

static void connect_both(void)
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

Test(peer, ids_groups_and_program_are_those_of_the_process, .init = connect_both)
{
    struct peer p;
    gid_t groups[POLICY_GROUPS_MAX];
    const int n = getgroups(POLICY_GROUPS_MAX, groups);

    cr_assert_eq(prctl(PR_SET_NAME, "te\x1bst\xff[x]"), 0);
    cr_assert_eq(peer_of_socket(pair[0], &p), 0);
    cr_assert_eq(p.who.uid, geteuid());
    cr_assert_eq(p.pid, (uint32_t)getpid());
    cr_assert_eq(p.who.gid[0], getegid());
    for (int i = 0; i < n; i++) {
        bool found = false;
        for (size_t j = 0; j < p.who.n_gids; j++)
            found |= p.who.gid[j] == groups[i];
        cr_assert(found, "group %u", groups[i]);
    }
    cr_assert_str_eq(p.program, "te?st?[x]");
    cr_assert_eq(p.groups_left_out, 0);
}

Test(peer, the_unit_is_that_of_the_process, .init = connect_both)
{
    char text[8192] = "", unit[POLICY_NAME_MAX] = "";
    struct peer p;
    const int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);

    cr_assert(fd >= 0 && read(fd, text, sizeof(text) - 1) >= 0);
    (void)close(fd);
    if (!peer_unit(text, unit)) unit[0] = 0;
    cr_assert_eq(peer_of_socket(pair[0], &p), 0);
    cr_assert_str_eq(p.who.unit, unit);
}

Test(peer, a_process_that_is_gone_has_no_unit_and_no_program)
{
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct peer p;
    struct sockaddr_un {
        sa_family_t family;
        char path[108];
    } a = { .family = AF_UNIX };
    const int length =
        snprintf(a.path + 1, sizeof(a.path) - 1, "hearth-test-peer-%d", getpid()) + 1;
    const socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, path) + (size_t)length);

    cr_assert_eq(bind(listener, (void *)&a, size), 0);
    cr_assert_eq(listen(listener, 1), 0);
    const pid_t child = fork();
    if (child == 0) {
        const int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        _exit(connect(s, (void *)&a, size) == 0 ? 0 : 1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    const int s = accept(listener, NULL, NULL);
    cr_assert(s >= 0);
    cr_assert_eq(peer_of_socket(s, &p), 0);
    cr_assert_eq(p.who.uid, geteuid(), "what the kernel noted stays");
    cr_assert_eq(p.pid, (uint32_t)child);
    cr_assert_str_eq(p.who.unit, "");
    cr_assert_str_eq(p.program, "");
    cr_assert_not(p.certain);
    (void)close(s);
    (void)close(listener);
}

Test(peer, more_groups_than_fit_are_counted)
{
    gid_t groups[POLICY_GROUPS_MAX + 10];
    struct peer p;

    if (geteuid() != 0) cr_skip_test("needs the right to set groups");
    for (gid_t i = 0; i < POLICY_GROUPS_MAX + 10; i++)
        groups[i] = 60000 + i;
    const pid_t child = fork(); /* socketpair() notes the groups of its caller */
    if (child == 0) {
        if (setgroups(POLICY_GROUPS_MAX + 10, groups) < 0) _exit(77);
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 || peer_of_socket(pair[0], &p) != 0)
            _exit(1);
        if (p.who.n_gids != POLICY_GROUPS_MAX || p.groups_left_out != 11) _exit(2);
        if (p.who.gid[0] != getegid() || p.who.gid[1] != 60000) _exit(3);
        _exit(0);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) cr_skip_test("may not set groups here");
    cr_assert_eq(status, 0);
}

Test(peer, what_is_no_connected_unix_socket_is_a_failure)
{
    struct peer p = { .pid = 7 };
    int pipes[2];
    const int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
              lone = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_eq(pipe2(pipes, O_CLOEXEC), 0);
    cr_assert_eq(peer_of_socket(-1, &p), -EBADF);
    cr_assert_eq(peer_of_socket(pipes[0], &p), -ENOTSOCK);
    cr_assert_lt(peer_of_socket(lone, &p), 0);
    if (tcp >= 0) cr_assert_lt(peer_of_socket(tcp, &p), 0);
    cr_assert_eq(p.pid, 7, "written on success only");
}

Test(peer, running_out_of_memory_is_told, .init = connect_both)
{
    struct peer p = { .pid = 7 };

    OOM_OR_SKIP();
    oom_fail_at(1);
    const int r = peer_of_socket(pair[0], &p);
    const bool happened = oom_happened();
    oom_fail_at(0);
    if (!happened) cr_skip_test("this user has no supplementary groups: nothing is allocated");
    cr_assert_eq(r, -ENOMEM);
    cr_assert_eq(p.pid, 7);
}
