/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How `active` and `previous` change together: a new link is made under a temporary name that says its target, and exchanged with
 * `active` in one step (renameat2(2), RENAME_EXCHANGE). The temporary name then holds the old link, which becomes `previous`.
 * After a crash the store sees which of both it was: a temporary link that points where its name says was never exchanged and is
 * deleted, another one is the old `active` and becomes `previous`. File systems that cannot exchange get `previous` first.
 */
#include "daemon/store_disk.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "daemon/store_info.h"

#define LETTERS_AND_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define NO_LINKS           (O_NOFOLLOW | O_CLOEXEC)

static void closedirp(DIR **d)
{
    if (*d) (void)closedir(*d);
}

/* ---- names ---- */

int store_disk_name(const char *name, struct reason *why)
{
    const size_t n = strlen(name);

    if (n < 1 || n > STORE_NAME_MAX || name[strspn(name, LETTERS_AND_DIGITS "._-")] ||
        !strchr(LETTERS_AND_DIGITS, name[0])) {
        reason_set(why,
                   "a model's name has 1 to %d of A-Z a-z 0-9 . _ - and begins with a letter or "
                   "digit, unlike \"%.80s\"",
                   STORE_NAME_MAX, name);
        return STORE_E_NAME;
    }
    if (strcmp(name, "active") == 0 || strcmp(name, "previous") == 0) {
        reason_set(why, "the name \"%s\" is reserved; take another one for the model", name);
        return STORE_E_NAME;
    }
    return 0;
}

bool store_disk_is_version(const char *version)
{
    return strspn(version, "0123456789abcdef") == STORE_VERSION_SIZE &&
           version[STORE_VERSION_SIZE] == 0;
}

void store_disk_temporary(char *ret)
{
    uint64_t random;

    /* a name only has to be unused: the clock does where chance is not ready */
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random)) {
        struct timespec t;
        (void)clock_gettime(CLOCK_REALTIME, &t);
        random = (uint64_t)t.tv_sec << 30 ^ (uint64_t)t.tv_nsec;
    }
    (void)snprintf(ret, STORE_DISK_TEMPORARY_SIZE, STORE_DISK_INCOMING "%016" PRIx64, random);
}

int store_disk_fail(const struct store *s, const char *what, struct reason *why)
{
    const int e = errno;

    if (e == ENOMEM) return err_raise(-ENOMEM);
    const char *advice =
        e == ENOSPC || e == EDQUOT || e == EFBIG ? "; make room or remove a model" : "";
    reason_set(why, "cannot %s in %.160s: %s%s", what, s->path, strerror(e), advice);
    return STORE_E_STORAGE;
}

/* ---- reading ---- */

int store_disk_open(const struct store *s, const char *name, const char *version)
{
    CLEANUP(closep) int dir = openat(s->root, name, O_RDONLY | O_DIRECTORY | NO_LINKS);

    if (dir < 0) return -errno;
    if (!version) return TAKE_FD(dir);
    const int fd = openat(dir, version, O_RDONLY | O_DIRECTORY | NO_LINKS);
    return fd < 0 ? -errno : fd;
}

int store_disk_model(const struct store *s, const char *name, const char *version,
                     struct store_model *ret)
{
    CLEANUP(closep) const int dir = store_disk_open(s, name, version);
    struct store_model m;
    struct stat st;

    if (dir < 0 || store_info_read(dir, &m) != 0) return STORE_E_NOT_FOUND;
    if (memcmp(m.sha256, version, STORE_VERSION_SIZE) != 0) return STORE_E_NOT_FOUND;
    if (fstatat(dir, "model.gguf", &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
        (uint64_t)st.st_size != m.size_bytes)
        return STORE_E_NOT_FOUND;
    (void)snprintf(m.name, sizeof(m.name), "%s", name);
    (void)snprintf(m.version, sizeof(m.version), "%s", version);
    *ret = m;
    return 0;
}

/* The link @which, wherever it points as long as a store could have made it. */
static bool read_target(int root, const char *which, char ret[STORE_DISK_TARGET_SIZE])
{
    char target[STORE_DISK_TARGET_SIZE + 1];
    const ssize_t n = readlinkat(root, which, target, sizeof(target) - 1);

    if (n < STORE_VERSION_SIZE + 2 || n >= STORE_DISK_TARGET_SIZE) return false;
    target[n] = 0;
    char *slash = target + n - STORE_VERSION_SIZE - 1;
    if (*slash != '/' || !store_disk_is_version(slash + 1)) return false;
    *slash = 0;
    if (store_disk_name(target, NULL) != 0) return false;
    *slash = '/';
    memcpy(ret, target, (size_t)n + 1);
    return true;
}

bool store_disk_link(const struct store *s, const char *which, char ret[STORE_DISK_TARGET_SIZE])
{
    return read_target(s->root, which, ret);
}

/* ---- taking away ---- */

int store_disk_erase(const struct store *s, const char *name)
{
    CLEANUP(closedirp) DIR *entries = NULL;

    if (unlinkat(s->root, name, 0) == 0) return 0;
    if (errno != EISDIR) return -errno;
    CLEANUP(closep) int dir = openat(s->root, name, O_RDONLY | O_DIRECTORY | NO_LINKS);
    if (dir < 0) return -errno;
    entries = fdopendir(dir);
    if (!entries) return -errno;
    (void)TAKE_FD(dir);
    for (const struct dirent *e; (e = readdir(entries));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (unlinkat(dirfd(entries), e->d_name, 0) < 0)
            return -errno; /* a folder: no store made that */
    }
    return unlinkat(s->root, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int store_disk_discard(const struct store *s, const char *name, const char *version)
{
    char temporary[STORE_DISK_TEMPORARY_SIZE];
    CLEANUP(closep) const int dir = store_disk_open(s, name, NULL);

    if (dir < 0) return dir;
    store_disk_temporary(temporary);
    if (renameat(dir, version, s->root, temporary) < 0) return -errno;
    /* erased only when the new name is on disk: a power failure must not bring back half of it */
    const int r = fsync(dir) < 0 ? -errno : store_disk_erase(s, temporary);
    if (r < 0)
        log_warn("removed model takes space until the next start", "file=%s why=%s", temporary,
                 strerror(-r));
    return 0;
}

/* ---- the two links ---- */

static void temporary_of(const char *target, char ret[STORE_DISK_TEMPORARY_SIZE])
{
    (void)snprintf(ret, STORE_DISK_TEMPORARY_SIZE, STORE_DISK_INCOMING "to-%s", target);
    for (char *c = ret; *c; c++)
        if (*c == '/') *c = '+'; /* in no name */
}

/* A link to @target under its temporary name, on disk. */
static int make_link(const struct store *s, const char *target,
                     char temporary[STORE_DISK_TEMPORARY_SIZE])
{
    temporary_of(target, temporary);
    (void)unlinkat(s->root, temporary, 0); /* of an attempt before */
    if (symlinkat(target, s->root, temporary) < 0) return -errno;
    return fsync(s->root) < 0 ? -errno : 0;
}

/* Return: 0 (also if `previous` has to wait for the next start), -errno (nothing changed). */
static int exchange(const struct store *s, const char *temporary)
{
    if (renameat2(s->root, temporary, s->root, "active", RENAME_EXCHANGE) < 0) return -errno;
    (void)fsync(s->root); /* the caller's decides; this one keeps the two steps in order */
    if (renameat(s->root, temporary, s->root, "previous") == 0) return 0;
    const int e = -errno;
    if (renameat2(s->root, temporary, s->root, "active", RENAME_EXCHANGE) == 0) return e;
    log_warn("the model before can be rolled back to after the next start", "why=%s", strerror(-e));
    return 0;
}

/* `previous` first: after a crash between the two, it is the same as `active`. */
static int one_by_one(const struct store *s, const char *old, const char *temporary)
{
    char temporary_old[STORE_DISK_TEMPORARY_SIZE];
    int r = make_link(s, old, temporary_old);

    if (r == 0 && renameat(s->root, temporary_old, s->root, "previous") < 0) r = -errno;
    if (r == 0 && fsync(s->root) < 0) r = -errno;
    if (r == 0 && renameat(s->root, temporary, s->root, "active") < 0) r = -errno;
    if (r < 0) (void)unlinkat(s->root, temporary_old, 0);
    return r;
}

int store_disk_point(const struct store *s, const char *target, struct reason *why)
{
    char temporary[STORE_DISK_TEMPORARY_SIZE], old[STORE_DISK_TARGET_SIZE];
    int r = make_link(s, target, temporary);

    if (r == 0 && store_disk_link(s, "active", old)) {
        r = exchange(s, temporary);
        if (r == -EINVAL || r == -ENOSYS || r == -ENOTTY) r = one_by_one(s, old, temporary);
    } else if (r == 0) {
        r = renameat(s->root, temporary, s->root, "active") < 0 ? -errno : 0;
    }
    if (r < 0) {
        (void)unlinkat(s->root, temporary, 0);
        errno = -r;
        return store_disk_fail(s, "activate the model", why);
    }
    /* too late to undo: at worst a power failure brings the old state back */
    if (fsync(s->root) < 0)
        log_warn("activation may not survive a power failure", "why=%s", strerror(errno));
    return 0;
}

/* ---- after a crash ---- */

static int sweep_one(const struct store *s, const char *name)
{
    char target[STORE_DISK_TARGET_SIZE], itself[STORE_DISK_TEMPORARY_SIZE];

    if (strncmp(name, STORE_DISK_INCOMING "to-", sizeof(STORE_DISK_INCOMING "to-") - 1) == 0 &&
        read_target(s->root, name, target)) {
        temporary_of(target, itself);
        if (strcmp(name, itself) != 0)
            return renameat(s->root, name, s->root, "previous") < 0 ? -errno : 0;
    }
    return store_disk_erase(s, name);
}

int store_disk_sweep(const struct store *s)
{
    CLEANUP(closedirp) DIR *entries = NULL;
    CLEANUP(closep) int dir = openat(s->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0) return -errno;
    entries = fdopendir(dir);
    if (!entries) return -errno;
    (void)TAKE_FD(dir);
    for (const struct dirent *e; (e = readdir(entries));) {
        int r = 0;
        if (strncmp(e->d_name, STORE_DISK_INCOMING, sizeof(STORE_DISK_INCOMING) - 1) == 0)
            r = sweep_one(s, e->d_name);
        else if (store_disk_name(e->d_name, NULL) == 0)
            (void)unlinkat(s->root, e->d_name, AT_REMOVEDIR); /* only if it is an empty folder */
        if (r < 0)
            log_warn("unfinished work stays in the store", "file=%s why=%s", e->d_name,
                     strerror(-r));
    }
    return fsync(s->root) < 0 ? -errno : 0;
}
