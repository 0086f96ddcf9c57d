/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/cache.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "daemon/folder.h"
#include "daemon/lock.h"

enum { SHA_DIGITS = 64, NAME_SIZE = 100 };
#define PACKED ".packed"
#define NEW    ".packed.new"

struct cache {
    int dir;
    char path[PATH_MAX];  /* for sentences */
    char name[NAME_SIZE]; /* of the file that was offered, "": none */
    char made[NAME_SIZE]; /* of the one that is being made, "": none */
};

static void closedirp(DIR **d)
{
    if (*d) (void)closedir(*d);
}

static void cachep(struct cache **c)
{
    *c = cache_close(*c);
}

/* ---- names ---- */

static bool is_sha256(const char *text)
{
    return strspn(text, "0123456789abcdef") == SHA_DIGITS;
}

/* SHA256-LAYOUT.packed, or the same that is being made? */
static bool is_ours(const char *name)
{
    if (!is_sha256(name) || name[SHA_DIGITS] != '-') return false;
    const char *layout = name + SHA_DIGITS + 1;
    const size_t digits = strspn(layout, "0123456789");
    return digits > 0 && digits <= 10 &&
           (strcmp(layout + digits, PACKED) == 0 || strcmp(layout + digits, NEW) == 0);
}

/* ---- opening ---- */

static int unusable(const struct cache *c, const char *what, int error, struct reason *why)
{
    reason_set(why, "the cache %.160s %s: %s", c->path, what, strerror(error));
    return CACHE_E_UNUSABLE;
}

int cache_open(const char *path, struct reason *why, struct cache **ret)
{
    CLEANUP(cachep) struct cache *c = calloc(1, sizeof(*c));

    if (!c) return err_raise(-ENOMEM);
    c->dir = -1;
    (void)snprintf(c->path, sizeof(c->path), "%s", path);
    const int r = folder_make(path, 0700);
    if (r < 0) return unusable(c, "cannot be made", -r, why);
    c->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->dir < 0) return unusable(c, "cannot be opened", errno, why);
    if (faccessat(c->dir, ".", W_OK | X_OK, AT_EACCESS) != 0)
        return unusable(c, "is not writable", errno, why);
    const int locked = lock_soon(c->dir);
    if (locked < 0)
        return unusable(
            c, locked == -EWOULDBLOCK ? "is in use by another hearthd" : "cannot be locked",
            -locked, why);
    *ret = TAKE_PTR(c);
    return 0;
}

struct cache *cache_close(struct cache *c)
{
    if (!c) return NULL;
    cache_end(c, false);
    closep(&c->dir);
    free(c);
    return NULL;
}

/* ---- files ---- */

/* A regular file of this user, with one name, that nobody else may write. */
static bool is_own(const struct stat *st)
{
    return S_ISREG(st->st_mode) && st->st_uid == geteuid() && st->st_nlink == 1 &&
           (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* Whatever it is: a name of this form in this folder is ours to remove, unless it is somebody else's file. */
static void erase(const struct cache *c, const char *name, const char *why)
{
    struct stat st;

    if (fstatat(c->dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_uid != geteuid()) return;
    if (unlinkat(c->dir, name, 0) == 0)
        log_info("packed weights removed", "file=%s why=\"%s\"", name, why);
    else
        log_warn("packed weights stay", "file=%s why=\"%s\"", name, strerror(errno));
}

/* Remove what is ours and @matches. */
static void sweep(const struct cache *c, bool (*matches)(const void *context, const char *name),
                  const void *context, const char *why)
{
    CLEANUP(closedirp) DIR *entries = NULL;
    CLEANUP(closep) int dir = openat(c->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0 || !(entries = fdopendir(dir))) return;
    (void)TAKE_FD(dir);
    for (const struct dirent *e; (e = readdir(entries));)
        if (is_ours(e->d_name) && matches(context, e->d_name)) erase(c, e->d_name, why);
}

/* The same model in another layout, or what a crash left of it. */
static bool of_another_layout(const void *context, const char *name)
{
    const char *kept = context;

    return strncmp(name, kept, SHA_DIGITS) == 0 && strcmp(name, kept) != 0;
}

static int open_packed(const struct cache *c)
{
    CLEANUP(closep)
    int fd = openat(c->dir, c->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0 && errno == ENOENT) return -1;
    if (fd < 0 || fstat(fd, &st) != 0 || !is_own(&st)) {
        log_warn("packed weights not used", "file=%s why=\"%s\"", c->name,
                 fd < 0 ? strerror(errno) : "it is not a file of this user alone");
        return -1;
    }
    return TAKE_FD(fd);
}

void cache_offer(struct cache *c, const char *sha256, uint32_t layout, struct cache_files *ret)
{
    *ret = (struct cache_files){ .fd = -1, .new_fd = -1 };
    if (!c || !is_sha256(sha256) || sha256[SHA_DIGITS]) return;
    cache_end(c, false);
    (void)snprintf(c->name, sizeof(c->name), "%s-%u" PACKED, sha256, layout);
    sweep(c, of_another_layout, c->name, "another layout");
    ret->fd = open_packed(c);
    (void)snprintf(c->made, sizeof(c->made), "%s-%u" NEW, sha256, layout);
    ret->new_fd = openat(c->dir, c->made, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (ret->new_fd >= 0) return;
    (void)unusable(c, "cannot be written", errno, &ret->why);
    c->made[0] = 0;
}

int cache_keep(struct cache *c)
{
    if (!c || !c->made[0]) return err_raise(-ENOENT);
    if (renameat(c->dir, c->made, c->dir, c->name) != 0) {
        const int r = -errno;
        cache_end(c, false);
        return err_raise(r);
    }
    c->made[0] = 0;
    c->name[0] = 0;      /* what was offered is gone */
    (void)fsync(c->dir); /* at worst a power failure takes the name back */
    return 0;
}

void cache_end(struct cache *c, bool refused)
{
    if (!c) return;
    if (c->made[0]) (void)unlinkat(c->dir, c->made, 0);
    if (c->name[0] && refused) erase(c, c->name, "the worker refused it");
    c->made[0] = c->name[0] = 0;
}

/* ---- models that are gone ---- */

struct kept {
    const struct store_model *model;
    size_t n;
    const char *made;
};

static bool is_stale(const void *context, const char *name)
{
    const struct kept *k = context;
    const size_t n = strlen(name);

    if (strcmp(name + n - strlen(NEW), NEW) == 0) return strcmp(name, k->made) != 0;
    for (size_t i = 0; i < k->n; i++)
        if (strncmp(name, k->model[i].sha256, SHA_DIGITS) == 0) return false;
    return true;
}

void cache_tidy(struct cache *c, const struct store_model *keep, size_t n)
{
    if (!c) return;
    const struct kept k = { keep, n, c->made };
    sweep(c, is_stale, &k, "its model is gone, or it was not completed");
}

void cache_tidy_store(struct cache *c, struct store *s)
{
    CLEANUP(freep) struct store_model *all = c ? calloc(STORE_MODELS_MAX, sizeof(*all)) : NULL;
    const int n = all ? store_list(s, all) : -1;

    if (n >= 0 && n < STORE_MODELS_MAX) /* else there may be more */
        cache_tidy(c, all, (size_t)n);
}
