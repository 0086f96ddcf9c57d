/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "daemon/folder.h"
#include "daemon/lock.h"
#include "daemon/store_disk.h"

static void closedirp(DIR **d)
{
    if (*d) (void)closedir(*d);
}

static void storep(struct store **s)
{
    *s = store_close(*s);
}

/* ---- opening ---- */

static int open_root(struct store *s, struct reason *why)
{
    const int r = folder_make(s->path, 0755);

    if (r < 0) {
        errno = -r;
        return store_disk_fail(s, "make the folder", why);
    }
    s->root = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->root < 0) return store_disk_fail(s, "open the folder", why);
    if (lock_soon(s->root) == -EWOULDBLOCK) {
        reason_set(
            why,
            "the models in %.160s are in use by another hearthd; stop it, or set another folder",
            s->path);
        return STORE_E_STORAGE;
    }
    const int swept = store_disk_sweep(s);
    if (swept < 0) {
        errno = -swept;
        return store_disk_fail(s, "clear away unfinished imports", why);
    }
    return 0;
}

int store_open(const char *root, struct reason *why, struct store **ret)
{
    CLEANUP(storep) struct store *s = calloc(1, sizeof(*s));

    if (!s) return err_raise(-ENOMEM);
    s->root = -1;
    const int n = snprintf(s->path, sizeof(s->path), "%s", root);
    if (n <= 0 || (size_t)n >= sizeof(s->path)) {
        reason_set(why, "the path of the models is empty or too long");
        return STORE_E_STORAGE;
    }
    const int r = open_root(s, why);
    if (r < 0) return err_pass(r);
    if (r > 0) return r;
    *ret = TAKE_PTR(s);
    return 0;
}

struct store *store_close(struct store *s)
{
    if (!s) return NULL;
    closep(&s->root);
    free(s);
    return NULL;
}

/* ---- looking ---- */

/* Iterate over the folder that @fd is of (taken). Return: 0 and @ret, -errno. */
static int entries_of(int fd, DIR **ret)
{
    if (fd < 0) return fd;
    *ret = fdopendir(fd);
    if (*ret) return 0;
    const int e = -errno;
    (void)close(fd);
    return e;
}

/* Add the versions of @name to @ret: [*n of STORE_MODELS_MAX]. A folder that vanished meanwhile has none. */
static int add_versions(const struct store *s, const char *name, struct store_model *ret, int *n)
{
    CLEANUP(closedirp) DIR *versions = NULL;
    const int r = entries_of(store_disk_open(s, name, NULL), &versions);

    if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP)
        return 0; /* not there, or not made by a store */
    if (r < 0) return err_raise(r);
    for (const struct dirent *e; *n < STORE_MODELS_MAX && (e = readdir(versions));)
        if (store_disk_is_version(e->d_name) && store_disk_model(s, name, e->d_name, &ret[*n]) == 0)
            ++*n;
    return 0;
}

static int by_name_newest_first(const void *a, const void *b)
{
    const struct store_model *x = a, *y = b;
    const int order = strcmp(x->name, y->name);

    if (order != 0) return order;
    if (x->added_s != y->added_s) return x->added_s > y->added_s ? -1 : 1;
    return strcmp(x->version, y->version);
}

static bool is_at(const struct store_model *m, const char *target)
{
    const size_t n = strlen(m->name);

    return strncmp(target, m->name, n) == 0 && target[n] == '/' &&
           strcmp(target + n + 1, m->version) == 0;
}

static void sort_and_mark(const struct store *s, struct store_model *m, int n)
{
    char active[STORE_DISK_TARGET_SIZE], previous[STORE_DISK_TARGET_SIZE];
    const bool has_active = store_disk_link(s, "active", active);
    const bool has_previous = store_disk_link(s, "previous", previous);

    qsort(m, (size_t)n, sizeof(*m), by_name_newest_first);
    for (int i = 0; i < n; i++) {
        m[i].active = has_active && is_at(&m[i], active);
        m[i].previous = has_previous && !m[i].active && is_at(&m[i], previous);
    }
}

int store_list(struct store *s, struct store_model *ret)
{
    CLEANUP(closedirp) DIR *names = NULL;
    int n = 0, r = entries_of(openat(s->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), &names);

    if (r < 0) return err_raise(r);
    for (const struct dirent *e; (e = readdir(names));) {
        if (store_disk_name(e->d_name, NULL) != 0) continue;
        r = add_versions(s, e->d_name, ret, &n);
        if (r < 0) return err_pass(r);
    }
    sort_and_mark(s, ret, n);
    return n;
}

int store_active(struct store *s, struct store_model *ret)
{
    char target[STORE_DISK_TARGET_SIZE];

    if (!store_disk_link(s, "active", target)) return STORE_E_NOT_FOUND;
    char *slash = strchr(target, '/');
    *slash = 0;
    if (store_disk_model(s, target, slash + 1, ret) != 0) return STORE_E_NOT_FOUND;
    sort_and_mark(s, ret, 1);
    return 0;
}

static int not_found(const char *name, const char *version, struct reason *why)
{
    if (version[0])
        reason_set(why,
                   "there is no version \"%.40s\" of the model %s; `hearthctl model list` shows "
                   "what there is",
                   version, name);
    else
        reason_set(why, "there is no model %s; `hearthctl model list` shows what there is", name);
    return STORE_E_NOT_FOUND;
}

int store_find(struct store *s, const char *name, const char *version, struct reason *why,
               struct store_model *ret)
{
    CLEANUP(freep) struct store_model *all = NULL;
    int n = 0, r = store_disk_name(name, why);

    if (r != 0) return r;
    if (version[0] && !store_disk_is_version(version)) return not_found(name, version, why);
    all = calloc(STORE_MODELS_MAX, sizeof(*all));
    if (!all) return err_raise(-ENOMEM);
    r = add_versions(s, name, all, &n);
    if (r < 0) return err_pass(r);
    sort_and_mark(s, all, n);
    for (int i = 0; i < n; i++)
        if (version[0] == 0 || strcmp(all[i].version, version) == 0) {
            *ret = all[i];
            return 0;
        }
    return not_found(name, version, why);
}

int store_open_model(struct store *s, const struct store_model *m)
{
    struct stat st;

    if (store_disk_name(m->name, NULL) != 0 || !store_disk_is_version(m->version))
        return err_raise(-EINVAL);
    CLEANUP(closep) const int dir = store_disk_open(s, m->name, m->version);
    if (dir < 0) return err_raise(dir);
    CLEANUP(closep)
    int fd = openat(dir, "model.gguf", O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0) return err_raise(-errno);
    if (!S_ISREG(st.st_mode)) return err_raise(-EINVAL);
    return TAKE_FD(fd);
}

/* ---- changing ---- */

int store_activate(struct store *s, const char *name, const char *version, struct reason *why)
{
    char target[STORE_DISK_TARGET_SIZE];
    struct store_model m;
    int r = store_find(s, name, version, why, &m);

    if (r < 0) return err_pass(r);
    if (r > 0 || m.active) return r;
    (void)snprintf(target, sizeof(target), "%.*s/%.*s", STORE_NAME_MAX, m.name, STORE_VERSION_SIZE,
                   m.version);
    r = store_disk_point(s, target, why);
    return r < 0 ? err_pass(r) : r;
}

/* Remove one version. Return: 0; STORE_E_STORAGE (@why); -ENOMEM. */
static int remove_one(const struct store *s, const char *name, const char *version,
                      struct reason *why)
{
    char previous[STORE_DISK_TARGET_SIZE], target[STORE_DISK_TARGET_SIZE];
    const int r = store_disk_discard(s, name, version);

    if (r < 0) {
        errno = -r;
        return store_disk_fail(s, "remove the model", why);
    }
    (void)snprintf(target, sizeof(target), "%.*s/%.*s", STORE_NAME_MAX, name, STORE_VERSION_SIZE,
                   version);
    if (store_disk_link(s, "previous", previous) && strcmp(previous, target) == 0)
        (void)unlinkat(s->root, "previous", 0);
    return 0;
}

int store_remove(struct store *s, const char *name, const char *version, struct reason *why)
{
    CLEANUP(closedirp) DIR *versions = NULL;
    char active[STORE_DISK_TARGET_SIZE], target[STORE_DISK_TARGET_SIZE];
    int n_removed = 0, n_active = 0, r = store_disk_name(name, why);

    if (r != 0) return r;
    r = entries_of(store_disk_open(s, name, NULL), &versions);
    if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP) return not_found(name, version, why);
    if (r < 0) return err_raise(r);
    if (!store_disk_link(s, "active", active)) active[0] = 0;
    for (const struct dirent *e; (e = readdir(versions));) {
        if (!store_disk_is_version(e->d_name) || (version[0] && strcmp(version, e->d_name) != 0))
            continue;
        (void)snprintf(target, sizeof(target), "%.*s/%.*s", STORE_NAME_MAX, name,
                       STORE_VERSION_SIZE, e->d_name);
        if (strcmp(target, active) == 0) {
            n_active++;
            continue;
        }
        r = remove_one(s, name, e->d_name, why);
        if (r < 0) return err_pass(r);
        if (r > 0) return r;
        n_removed++;
    }
    if (n_removed == 0 && n_active > 0) {
        reason_set(why, "the model %s is active; activate another one first, then remove it", name);
        return STORE_E_ACTIVE;
    }
    if (n_removed == 0) return not_found(name, version, why);
    (void)unlinkat(s->root, name, AT_REMOVEDIR); /* if that was the last one */
    return 0;
}
