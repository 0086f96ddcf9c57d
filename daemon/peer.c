/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/peer.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/err.h"

#ifndef SO_PEERPIDFD /* Linux 6.5; these headers may be older */
#define SO_PEERPIDFD 77
#endif

enum {
    CGROUP_TEXT_MAX = 8192
}; /* a path has at most 4096 bytes; v1 has a line for each of some 12 hierarchies */

/* ---- the unit ---- */

/* The component at the start of @path. Return: its size; @ret_rest: what comes after the slash. */
static size_t component(const char *path, const char **ret_rest)
{
    const size_t n = strcspn(path, "/\n");

    *ret_rest = path + n + (path[n] == '/');
    return n;
}

static bool ends_in(const char *name, size_t n, const char *end)
{
    const size_t n_end = strlen(end);

    return n > n_end && memcmp(name + n - n_end, end, n_end) == 0;
}

/* What may be in a unit's name, systemd.unit(5). */
static bool is_unit(const char *name, size_t n)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@";

    return (ends_in(name, n, ".service") || ends_in(name, n, ".scope")) &&
           strspn(name, allowed) >= n;
}

/* Skip slices. Return: the size of the first component that is none; it begins at *@path. */
static size_t after_slices(const char **path)
{
    const char *rest;
    size_t n;

    while ((n = component(*path, &rest)) > 0 && ends_in(*path, n, ".slice"))
        *path = rest;
    return n;
}

/* Is @path, "user.slice/user-UID.slice/user@UID.service...", in the hands of a user's own manager? */
static bool is_user_manager(const char *path, const char *unit, size_t n_unit)
{
    static const char above[] = "user.slice/user-";
    const size_t n_above = sizeof(above) - 1;

    if (strncmp(path, above, n_above) != 0 || n_unit < 6 || memcmp(unit, "user@", 5) != 0)
        return false;
    const size_t n_uid = strspn(path + n_above, "0123456789");
    return n_uid > 0 && strncmp(path + n_above + n_uid, ".slice/", 7) == 0 &&
           n_unit == 5 + n_uid + 8 && memcmp(unit + 5, path + n_above, n_uid) == 0;
}

/* The cgroup's path without its first slash, or NULL. */
static const char *cgroup_path(const char *text)
{
    const char *legacy = NULL;

    for (const char *line = text; line && *line;) {
        if (strncmp(line, "0::/", 4) == 0) return line + 4;
        const char *colon = strchr(line, ':');
        if (colon && strncmp(colon, ":name=systemd:/", 15) == 0) legacy = colon + 15;
        line = strchr(line, '\n');
        if (line) line++;
    }
    return legacy;
}

bool peer_unit(const char *text, char *ret)
{
    const char *path = cgroup_path(text), *rest, *prefix = "";

    if (!path) return false;
    const char *unit = path;
    size_t n = after_slices(&unit);
    if (n > 0 && is_user_manager(path, unit, n)) {
        (void)component(unit, &rest);
        unit = rest;
        n = after_slices(&unit);
        prefix = "user:";
    }
    if (n > 0 &&
        unit[0] == '_') { /* cgroup names that clash with the kernel's get a "_" in front */
        unit++;
        n--;
    }
    if (!is_unit(unit, n) || strlen(prefix) + n >= POLICY_NAME_MAX) return false;
    (void)snprintf(ret, POLICY_NAME_MAX, "%s%.*s", prefix, (int)n, unit);
    return true;
}

/* ---- the process ---- */

/* A small file of procfs as text. Return: its size, < 0 if it cannot be read. */
static ssize_t read_text(int dir, const char *name, char *buf, size_t size)
{
    CLEANUP(closep) const int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    size_t n = 0;
    ssize_t r;

    if (fd < 0) return -errno;
    while (n < size - 1 && (r = read(fd, buf + n, size - 1 - n)) != 0) {
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return -errno;
        n += (size_t)r;
    }
    buf[n] = 0;
    return (ssize_t)n;
}

static void set_program(struct peer *p, char *comm)
{
    comm[strcspn(comm, "\n")] = 0;
    for (char *c = comm; *c; c++)
        if (*c < 0x20 || *c > 0x7e) *c = '?';
    (void)snprintf(p->program, sizeof(p->program), "%.15s", comm);
}

/* A pidfd of the peer. @ret_certain: it is the process that connected. Return: fd, -1. */
static int pidfd_of(int sock, pid_t pid, bool *ret_certain)
{
    int fd = -1;
    socklen_t size = sizeof(fd);

    *ret_certain = getsockopt(sock, SOL_SOCKET, SO_PEERPIDFD, &fd, &size) == 0;
    if (*ret_certain) return fd;
    if (errno != ENOPROTOOPT && errno != EOPNOTSUPP)
        return -1; /* it knows the peer, which is gone */
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* Fill in what procfs says, if the process lives through it. */
static void look_up(int sock, struct peer *p)
{
    char path[32], cgroup[CGROUP_TEXT_MAX], comm[64], unit[POLICY_NAME_MAX];
    bool certain;
    struct stat st;
    CLEANUP(closep) const int pidfd = pidfd_of(sock, (pid_t)p->pid, &certain);

    if (pidfd < 0) return;
    (void)snprintf(path, sizeof(path), "/proc/%u", p->pid);
    CLEANUP(closep) const int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || fstat(dir, &st) < 0) return;
    if (!certain && st.st_uid != p->who.uid && st.st_uid != 0) return;
    if (read_text(dir, "cgroup", cgroup, sizeof(cgroup)) < 0 || !peer_unit(cgroup, unit))
        unit[0] = 0;
    if (read_text(dir, "comm", comm, sizeof(comm)) < 0) comm[0] = 0;
    struct pollfd alive = { .fd = pidfd, .events = POLLIN };
    if (poll(&alive, 1, 0) != 0) return; /* it ended: what was read may be another's */
    memcpy(p->who.unit, unit, sizeof(unit));
    set_program(p, comm);
    p->certain = certain;
}

/* ---- the socket ---- */

/* Primary and supplementary groups. */
static int groups_of(int sock, gid_t primary, struct peer *p)
{
    CLEANUP(freep) gid_t *all = NULL;
    socklen_t size = 0;

    p->who.gid[0] = primary;
    p->who.n_gids = 1;
    if (getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) < 0 && errno != ERANGE)
        return err_raise(-errno);
    if (size == 0) return 0;
    all = calloc(1, size);
    if (!all) return err_raise(-ENOMEM);
    if (getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, all, &size) < 0) return err_raise(-errno);
    for (size_t i = 0; i < size / sizeof(*all); i++) {
        if (all[i] == primary) continue;
        if (p->who.n_gids == POLICY_GROUPS_MAX)
            p->groups_left_out++;
        else
            p->who.gid[p->who.n_gids++] = all[i];
    }
    return 0;
}

int peer_of_socket(int fd, struct peer *ret)
{
    struct ucred cred;
    socklen_t size = sizeof(cred);
    struct peer p;

    memset(&p, 0, sizeof(p));
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0) return err_raise(-errno);
    if (cred.uid == (uid_t)-1)
        return err_raise(-ENOTCONN); /* what the kernel says of a socket that has no peer */
    p.who.uid = cred.uid;
    p.pid = cred.pid > 0 ? (uint32_t)cred.pid : 0;
    const int r = groups_of(fd, cred.gid, &p);
    if (r < 0) return err_pass(r);
    if (p.pid) look_up(fd, &p);
    *ret = p;
    return 0;
}
