/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/store_disk.h: the steps on disk that the store is made of. Internal to store. */
#pragma once
#include <limits.h>
#include "daemon/store.h"

#define STORE_DISK_INCOMING ".incoming-"
enum {
    STORE_DISK_TARGET_SIZE =
        STORE_NAME_MAX + 1 + STORE_VERSION_SIZE + 1, /* "NAME/VERSION" and NUL */
    STORE_DISK_TEMPORARY_SIZE = 128                  /* names that begin with STORE_DISK_INCOMING */
};

struct store {
    int root;
    char path[PATH_MAX]; /* for sentences */
};

/** store_disk_name() - is @name allowed for a model? Return: 0, STORE_E_NAME (@why). */
int store_disk_name(const char *name, struct reason *why);
/** store_disk_is_version() - 16 small hex digits? */
bool store_disk_is_version(const char *version);

/** store_disk_fail() - refuse because of errno. @what: "write the file info". Return: STORE_E_STORAGE (@why), -ENOMEM. */
int store_disk_fail(const struct store *s, const char *what, struct reason *why);

/** store_disk_open() - the folder NAME, or NAME/VERSION if @version is not NULL, without following links. Return: fd, -errno. */
int store_disk_open(const struct store *s, const char *name, const char *version);

/** store_disk_model() - what is in NAME/VERSION; flags are not set. Return: 0 and @ret; STORE_E_NOT_FOUND (not there, or damaged). */
int store_disk_model(const struct store *s, const char *name, const char *version,
                     struct store_model *ret);

/** store_disk_link() - where the link @which ("active", "previous") points. @ret: "NAME/VERSION". Return: true, false (nowhere, or not where a store would point it). */
bool store_disk_link(const struct store *s, const char *which, char ret[STORE_DISK_TARGET_SIZE]);

/** store_disk_temporary() - an unused name. @ret: [STORE_DISK_TEMPORARY_SIZE]. */
void store_disk_temporary(char *ret);

/** store_disk_erase() - delete @name of the root: a file, a link, or a folder with files. Return: 0, -errno. */
int store_disk_erase(const struct store *s, const char *name);

/** store_disk_discard() - take NAME/VERSION away in one step, then delete it. Return: 0 (it is out of sight), -errno (nothing changed). */
int store_disk_discard(const struct store *s, const char *name, const char *version);

/** store_disk_point() - `active` points to @target ("NAME/VERSION"), and `previous` to where it pointed. Return: 0; STORE_E_STORAGE (@why, nothing changed); -ENOMEM. */
int store_disk_point(const struct store *s, const char *target, struct reason *why);

/** store_disk_sweep() - clear away what a crash has left. Return: 0, -errno. */
int store_disk_sweep(const struct store *s);
