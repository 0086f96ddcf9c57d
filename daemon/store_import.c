/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "daemon/store_disk.h"
#include "daemon/store_info.h"

struct store_import {
    struct store *s;
    char name[STORE_NAME_MAX + 1];
    char temporary[STORE_DISK_TEMPORARY_SIZE]; /* the folder; "" when it is not there (any more) */
    int dir, fd;                               /* the folder; model.gguf in it */
};

static void importp(struct store_import **i)
{
    *i = store_import_abort(*i);
}

struct store_import *store_import_abort(struct store_import *i)
{
    if (!i) return NULL;
    closep(&i->fd);
    closep(&i->dir);
    if (i->temporary[0]) {
        const int r = store_disk_erase(i->s, i->temporary);
        if (r < 0)
            log_warn("aborted import still takes space", "file=%s why=%s", i->temporary,
                     strerror(-r));
    }
    free(i);
    return NULL;
}

/* ---- beginning ---- */

/* All models of the store, to be freed. Return: how many, and @ret; -errno. */
static int list_all(struct store *s, struct store_model **ret)
{
    CLEANUP(freep) struct store_model *all = calloc(STORE_MODELS_MAX, sizeof(*all));

    if (!all) return err_raise(-ENOMEM);
    const int n = store_list(s, all);
    if (n < 0) return err_pass(n);
    *ret = TAKE_PTR(all);
    return n;
}

static int begin(struct store_import *i, struct reason *why)
{
    char name[STORE_DISK_TEMPORARY_SIZE];

    store_disk_temporary(name);
    if (mkdirat(i->s->root, name, 0755) < 0) return store_disk_fail(i->s, "make a folder", why);
    memcpy(i->temporary, name, sizeof(name));
    i->dir = openat(i->s->root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (i->dir < 0) return store_disk_fail(i->s, "open a folder", why);
    i->fd = openat(i->dir, "model.gguf", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (i->fd < 0) return store_disk_fail(i->s, "make a file", why);
    return 0;
}

int store_import_new(struct store *s, const char *name, struct reason *why,
                     struct store_import **ret)
{
    CLEANUP(importp) struct store_import *i = NULL;
    CLEANUP(freep) struct store_model *all = NULL;
    int r = store_disk_name(name, why);

    if (r != 0) return r;
    const int n = list_all(s, &all);
    if (n < 0) return err_pass(n);
    if (n == STORE_MODELS_MAX) {
        reason_set(why, "%s has %d models already; remove one", s->path, n);
        return STORE_E_STORAGE;
    }
    i = calloc(1, sizeof(*i));
    if (!i) return err_raise(-ENOMEM);
    i->s = s;
    i->dir = i->fd = -1;
    (void)snprintf(i->name, sizeof(i->name), "%s", name);
    r = begin(i, why);
    if (r < 0) return err_pass(r);
    if (r > 0) return r;
    *ret = TAKE_PTR(i);
    return 0;
}

int store_import_fd(const struct store_import *i)
{
    return i->fd;
}

/* ---- completing ---- */

/* Is the file what @m says? Return: 0; STORE_E_STORAGE (@why); -EINVAL; -ENOMEM. */
static int check(const struct store_import *i, const struct store_model *m, struct reason *why)
{
    struct stat st;

    if (strnlen(m->sha256, sizeof(m->sha256)) != 64 || strspn(m->sha256, "0123456789abcdef") != 64)
        return err_raise(-EINVAL);
    if (fstat(i->fd, &st) < 0) return store_disk_fail(i->s, "read the file", why);
    return (uint64_t)st.st_size == m->size_bytes ? 0 : err_raise(-EINVAL);
}

/* What is at the place of @m already? Return: 0 (nothing, or something damaged, which is gone then); STORE_E_EXISTS and *@m; STORE_E_STORAGE (@why); -errno. */
static int make_place(const struct store_import *i, struct store_model *m, struct reason *why)
{
    struct store_model there;
    int r = store_find(i->s, m->name, m->version, NULL, &there);

    if (r < 0) return err_pass(r);
    if (r == 0 && strcmp(there.sha256, m->sha256) == 0) {
        *m = there;
        return STORE_E_EXISTS;
    }
    if (r == 0) {
        reason_set(why, "another file has the version %s of %s; remove that one first", m->version,
                   m->name);
        return STORE_E_STORAGE;
    }
    r = store_disk_discard(i->s, m->name, m->version);
    if (r == 0 || r == -ENOENT) return 0;
    errno = -r;
    return store_disk_fail(i->s, "replace a damaged model", why);
}

/* The time, or later than the newest version of the name. */
static int64_t time_of(const struct store_import *i, const struct store_model *m)
{
    struct store_model newest;
    const int64_t now = (int64_t)time(NULL);

    if (store_find(i->s, m->name, "", NULL, &newest) != 0 || newest.added_s < now) return now;
    return newest.added_s < INT64_MAX ? newest.added_s + 1 : newest.added_s;
}

/* All bytes of the import are on disk. */
static int settle(const struct store_import *i, const struct store_model *m, struct reason *why)
{
    if (fchmod(i->fd, 0444) < 0 || fsync(i->fd) < 0)
        return store_disk_fail(i->s, "write the file", why);
    const int r = store_info_write(i->dir, m);
    if (r < 0) {
        errno = -r;
        return store_disk_fail(i->s, "write the file info", why);
    }
    return fsync(i->dir) < 0 ? store_disk_fail(i->s, "write a folder", why) : 0;
}

/* The one step: the folder gets its name. */
static int appear(struct store_import *i, const struct store_model *m, struct reason *why)
{
    if (mkdirat(i->s->root, m->name, 0755) < 0 && errno != EEXIST)
        return store_disk_fail(i->s, "make a folder", why);
    if (fsync(i->s->root) < 0) return store_disk_fail(i->s, "write a folder", why);
    CLEANUP(closep) const int dir = store_disk_open(i->s, m->name, NULL);
    if (dir < 0) {
        errno = -dir;
        return store_disk_fail(i->s, "open the model's folder", why);
    }
    if (renameat(i->s->root, i->temporary, dir, m->version) < 0)
        return store_disk_fail(i->s, "name the model", why);
    /* too late to undo: at worst a power failure takes the import back */
    if (fsync(dir) < 0)
        log_warn("imported model may not survive a power failure", "model=%s why=%s", m->name,
                 strerror(errno));
    i->temporary[0] = 0;
    return 0;
}

/* Old versions go: all but the two newest, the active and the previous one. */
static void prune(struct store *s, const char *name)
{
    CLEANUP(freep) struct store_model *all = NULL;
    const int n = list_all(s, &all);
    int kept = 0;

    for (int i = 0; i < n; i++) {
        if (strcmp(all[i].name, name) != 0 || kept++ < 2 || all[i].active || all[i].previous)
            continue;
        const int r = store_disk_discard(s, name, all[i].version);
        if (r < 0)
            log_warn("old version of a model stays", "model=%s version=%s why=%s", name,
                     all[i].version, strerror(-r));
    }
}

int store_import_commit(struct store_import *import, struct store_model *m, struct reason *why)
{
    CLEANUP(importp) struct store_import *i = import;
    int r = check(i, m, why);

    if (r == 0) {
        store_info_clean(m);
        m->active = m->previous = false;
        (void)snprintf(m->name, sizeof(m->name), "%s", i->name);
        (void)snprintf(m->version, sizeof(m->version), "%.*s", STORE_VERSION_SIZE, m->sha256);
        r = make_place(i, m, why);
    }
    if (r == 0) {
        m->added_s = time_of(i, m);
        r = settle(i, m, why);
    }
    if (r == 0) r = appear(i, m, why);
    if (r < 0) return err_pass(r);
    if (r > 0) return r;
    prune(i->s, i->name);
    return 0;
}
