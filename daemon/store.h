/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/store.h: the models on disk. Files only: it knows names, versions and what is active, and opens files for others; it
 * never reads a model's bytes.
 *
 *   ROOT/NAME/VERSION/model.gguf   the file; VERSION is the first 16 hex digits of its sha256
 *   ROOT/NAME/VERSION/info         what the import found out (INI)
 *   ROOT/active                    symbolic link to NAME/VERSION, replaced by rename(2)
 *   ROOT/previous                  the one before, for a rollback
 *   ROOT/.incoming-*               what is not complete: an import, a removal, a change of `active`; cleared when the store is opened
 *
 * Each step that changes something is one rename after an fsync: a crash leaves the state before it, or after it. (Of a change of `active`
 * the one rename exchanges two links, and what is left of it is made up for when the store is opened.)
 *
 * Nothing in ROOT is reached through a symbolic link: the two above are read, compared with what a store writes, and not followed.
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
    int64_t
        added_s; /* seconds since 1970; within a name always later than that of the versions before, whatever the clock did */
    bool active, previous;
};

struct store;
struct store_import; /* a place for a file that is being added */

/**
 * store_open() - @root and the folders above it are made if they are missing (0755), unfinished imports are removed
 * One store at a time has @root open (flock(2)), so that nobody takes another's import for an unfinished one.
 * Return: 0 and @ret; STORE_E_STORAGE (@why, also when @root is in use); -ENOMEM.
 */
int store_open(const char *root, struct reason *why, struct store **ret);
/** store_close() - imports must have ended before. NULL is fine. Return: NULL. */
struct store *store_close(struct store *s);

/** store_list() - @ret: [STORE_MODELS_MAX] by name, newest version first; damaged entries are left out. Return: how many, >= 0; -errno. */
int store_list(struct store *s, struct store_model *ret);
/** store_active() - Return: 0 and @ret; STORE_E_NOT_FOUND (none is active, or it is damaged); -ENOMEM. */
int store_active(struct store *s, struct store_model *ret);
/** store_find() - @version: "" for the newest. Return: 0 and @ret; STORE_E_NAME, STORE_E_NOT_FOUND (@why); -errno. */
int store_find(struct store *s, const char *name, const char *version, struct reason *why,
               struct store_model *ret);
/** store_open_model() - the model's file for reading (close-on-exec). Return: fd >= 0; -errno. */
int store_open_model(struct store *s, const struct store_model *m);

/** store_import_new() - begin: an empty file. Return: 0 and @ret, owned; STORE_E_NAME, STORE_E_STORAGE (@why); -ENOMEM. */
int store_import_new(struct store *s, const char *name, struct reason *why,
                     struct store_import **ret);
/** store_import_fd() - the empty file, open for reading and writing, to be filled by the worker; borrowed. */
int store_import_fd(const struct store_import *i);
/**
 * store_import_commit() - the file is complete: @m has what was found out (name, version, added_s and flags are set here)
 * Control bytes in its texts become '?'. All but the two newest versions of the name, the active and the previous one are then removed.
 * A damaged entry of the same version is replaced. @import is freed in any case.
 * Return: 0 and *@m complete; STORE_E_EXISTS (and *@m as it is there); STORE_E_STORAGE (@why); -EINVAL (@m's sha256 is not 64 small hex digits,
 * or its size is not the file's: whoever found that out is not to be trusted); -ENOMEM.
 */
int store_import_commit(struct store_import *import, struct store_model *m, struct reason *why);
/** store_import_abort() - remove what was written; NULL is fine. Return: NULL. */
struct store_import *store_import_abort(struct store_import *i);

/** store_activate() - from now on this one (@version: "" for the newest); the one before becomes `previous`. Nothing changes if it is active already.
 * Return: 0, STORE_E_NAME, STORE_E_NOT_FOUND, STORE_E_STORAGE (@why); -errno. */
int store_activate(struct store *s, const char *name, const char *version, struct reason *why);
/** store_remove() - @version: "" for all of the name that are not active (STORE_E_ACTIVE if there is no other). Damaged ones too. Return: 0; STORE_E_NAME, STORE_E_NOT_FOUND, STORE_E_ACTIVE, STORE_E_STORAGE (@why); -errno. */
int store_remove(struct store *s, const char *name, const char *version, struct reason *why);
