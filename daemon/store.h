/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/store.h: the models on disk. Files only: it knows names, versions and what is active, and opens files for others; it
 * never reads a model's bytes.
 *
 *   ROOT/NAME/VERSION/model.gguf   the file; VERSION is the first 16 hex digits of its sha256
 *   ROOT/NAME/VERSION/info         what the import found out (INI)
 *   ROOT/active                    symbolic link to NAME/VERSION, replaced by rename(2)
 *   ROOT/previous                  the one before, for a rollback
 *   ROOT/.incoming-*               an import that is not complete; removed when the store is opened
 *
 * Each step that changes something is one rename after an fsync: a crash leaves the state before it.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/reason.h"

enum { STORE_NAME_MAX = 64, STORE_VERSION_SIZE = 16, STORE_MODELS_MAX = 256 };
enum {
    STORE_E_NAME =
        1, /* outcome: not 1..64 of [A-Za-z0-9._-] beginning with a letter or digit, or reserved (@why) */
    STORE_E_NOT_FOUND = 2, /* outcome: no such model or version (@why) */
    STORE_E_ACTIVE = 3,    /* outcome: it is active and cannot be removed (@why) */
    STORE_E_EXISTS = 4,    /* outcome: this very file is there already under this name */
    STORE_E_STORAGE =
        5, /* outcome: the disk is full, or cannot be read or written (@why says where) */
};

struct store_model { /* texts as the import found them; all end with NUL */
    char name[STORE_NAME_MAX + 1], version[STORE_VERSION_SIZE + 1], sha256[65];
    char architecture[16], description[160], types[160], prompt_form[16];
    uint64_t size_bytes, parameters;
    uint32_t context, layers;
    int64_t added_s; /* seconds since 1970 */
    bool active, previous;
};

struct store;
struct store_import; /* a place for a file that is being added */

/** store_open() - @root is made if it is missing (0755), unfinished imports are removed. Return: 0 and @ret; STORE_E_STORAGE (@why); -ENOMEM. */
int store_open(const char *root, struct reason *why, struct store **ret);
struct store *store_close(struct store *s);

/** store_list() - @ret: [STORE_MODELS_MAX] by name, newest version first; damaged entries are left out. Return: how many, >= 0; -errno. */
int store_list(struct store *s, struct store_model *ret);
/** store_active() - Return: 0 and @ret; STORE_E_NOT_FOUND (none is active). */
int store_active(struct store *s, struct store_model *ret);
/** store_find() - @version: "" for the newest. Return: 0 and @ret; STORE_E_NAME, STORE_E_NOT_FOUND (@why). */
int store_find(struct store *s, const char *name, const char *version, struct reason *why,
               struct store_model *ret);
/** store_open_model() - the model's file for reading (close-on-exec). Return: fd >= 0; -errno. */
int store_open_model(struct store *s, const struct store_model *m);

/** store_import_new() - begin: an empty file. Return: 0 and @ret, owned; STORE_E_NAME, STORE_E_STORAGE (@why); -ENOMEM. */
int store_import_new(struct store *s, const char *name, struct reason *why,
                     struct store_import **ret);
/** store_import_fd() - the empty file, to be written by the worker; borrowed. */
int store_import_fd(const struct store_import *i);
/** store_import_commit() - the file is complete: @m has what was found out (name, version and flags are set here). All but the two newest versions
 * of the name, the active and the previous one are then removed. @i is freed in any case. Return: 0 and *@m complete; STORE_E_EXISTS (and *@m); STORE_E_STORAGE (@why). */
int store_import_commit(struct store_import *i, struct store_model *m, struct reason *why);
/** store_import_abort() - remove what was written; NULL is fine. Return: NULL. */
struct store_import *store_import_abort(struct store_import *i);

/** store_activate() - from now on this one; the one before becomes `previous`. Return: 0, STORE_E_NOT_FOUND, STORE_E_STORAGE (@why). */
int store_activate(struct store *s, const char *name, const char *version, struct reason *why);
/** store_remove() - @version: "" for all of the name that are not active. Return: 0; STORE_E_NAME, STORE_E_NOT_FOUND, STORE_E_ACTIVE, STORE_E_STORAGE (@why). */
int store_remove(struct store *s, const char *name, const char *version, struct reason *why);
