/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/listen.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "daemon/lock.h"

enum { BACKLOG = 128 };

static int failed(struct reason *why, const char *what, const char *path, int error)
{
    reason_set(why, "%s %s: %s", what, path, strerror(error));
    return LISTEN_E_FAILED;
}

/* The folder of the socket: /run/hearth for a service started by hand, or one of the user's. */
static int make_folder(const char *path, const char *group, struct reason *why)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');

    (void)snprintf(folder, sizeof(folder), "%.*s", (int)(slash ? slash - path : 0), path);
    if (!folder[0] || access(folder, F_OK) == 0) return 0;
    if (mkdir(folder, group[0] ? 0755 : 0700) == 0) return 0;
    return failed(why, "making the socket's folder", folder, errno);
}

static int take_lock(const char *path, struct reason *why, int *ret)
{
    char lock[PATH_MAX];

    (void)snprintf(lock, sizeof(lock), "%s.lock", path);
    CLEANUP(closep) int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return failed(why, "opening the lock", lock, errno);
    const int r = lock_soon(fd);
    if (r == -EWOULDBLOCK) {
        reason_set(why,
                   "another hearthd is running on %s: stop it, or give this one another socket",
                   path);
        return LISTEN_E_TAKEN;
    }
    if (r < 0) return failed(why, "locking", lock, -r);
    *ret = TAKE_FD(fd);
    return 0;
}

/* Is there something else than a socket that nobody listens on? */
static int clear_path(const struct sockaddr_un *a, struct reason *why)
{
    struct stat st;

    if (lstat(a->sun_path, &st) != 0)
        return errno == ENOENT ? 0 : failed(why, "looking at", a->sun_path, errno);
    if (!S_ISSOCK(st.st_mode)) {
        reason_set(
            why, "%s exists and is no socket: move it away, or choose another path for the socket",
            a->sun_path);
        return LISTEN_E_FAILED;
    }
    CLEANUP(closep) int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0) return failed(why, "making a socket for", a->sun_path, errno);
    if (connect(probe, (const struct sockaddr *)a, sizeof(*a)) == 0 || errno == EAGAIN) {
        reason_set(why,
                   "another program listens on %s: stop it, or choose another path for the socket",
                   a->sun_path);
        return LISTEN_E_TAKEN;
    }
    return unlink(a->sun_path) == 0 ? 0
                                    : failed(why, "removing the old socket", a->sun_path, errno);
}

static int set_owner(const char *path, const char *group, struct reason *why)
{
    const struct group *g = group[0] ? getgrnam(group) : NULL;

    if (group[0] && !g) {
        reason_set(why,
                   "there is no group '%s' to own the socket %s: make it (systemd-sysusers does), "
                   "or see group in hearthd.conf(5)",
                   group, path);
        return LISTEN_E_FAILED;
    }
    if (g && chown(path, (uid_t)-1, g->gr_gid) != 0)
        return failed(why, "giving the socket to its group", path, errno);
    return chmod(path, g ? 0660 : 0600) == 0 ? 0 : failed(why, "setting the mode of", path, errno);
}

int listen_open(const char *path, const char *group, struct reason *why, int *ret_fd, int *ret_lock)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    CLEANUP(closep) int fd = -1;
    CLEANUP(closep) int lock = -1;

    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    int r = make_folder(path, group, why);
    if (r == 0) r = take_lock(path, why, &lock);
    if (r == 0) r = clear_path(&a, why);
    if (r != 0) return r;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const mode_t old = umask(0177); /* nobody else in before owner and mode are set */
    r = fd >= 0 && bind(fd, (const struct sockaddr *)&a, sizeof(a)) == 0 ? 0 : errno;
    (void)umask(old);
    if (r != 0) return failed(why, "making the socket", path, r);
    r = set_owner(path, group, why);
    if (r == 0 && listen(fd, BACKLOG) != 0) r = failed(why, "listening on", path, errno);
    if (r != 0) {
        (void)unlink(path);
        return r;
    }
    *ret_fd = TAKE_FD(fd);
    *ret_lock = TAKE_FD(lock);
    return 0;
}

void listen_close(const char *path, int fd, int lock)
{
    char name[PATH_MAX];

    if (fd < 0) return;
    (void)unlink(path); /* while we hold the lock: it is ours */
    (void)close(fd);
    (void)snprintf(name, sizeof(name), "%s.lock", path);
    (void)unlink(name);
    if (lock >= 0) (void)close(lock);
}
