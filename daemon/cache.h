/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/cache.h: packed weights on disk, which a worker makes once and later ones map. Files only, like the store: what is in
 * them is the worker's business. Losing any of it costs the time of making it again, so that nothing here fails a model:
 * what does not work is told and gone without.
 *
 *   FOLDER/SHA256-LAYOUT.packed      of the model file with this sha256, for workers with this layout
 *   FOLDER/SHA256-LAYOUT.packed.new  being made, at most one; renamed when the worker says that it is whole and synced
 *
 * One hearthd at a time has the folder open (flock(2)). Files are never reached through a symbolic link, and only those that
 * this user owns alone are used or removed. Other names in the folder are left alone.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/reason.h"
#include "daemon/store.h"

enum { CACHE_E_UNUSABLE = 1 }; /* outcome: there is no cache; the reason says why */

struct cache;

struct cache_files {   /* for one Load */
    int fd;            /* the packed file, read-only, or -1 */
    int new_fd;        /* an empty file for another one, or -1 */
    struct reason why; /* why there is no new_fd, "" if there is one */
};

/**
 * cache_open() - @path is made if it is missing (0700)
 * Return: 0 and @ret; CACHE_E_UNUSABLE (@why: no folder, not writable, in use by another hearthd); -ENOMEM.
 */
int cache_open(const char *path, struct reason *why, struct cache **ret);
/** cache_close() - what is being made is removed. NULL is fine. Return: NULL. */
struct cache *cache_close(struct cache *c);

/**
 * cache_offer() - files for a worker that loads the model with @sha256 and packs with @layout
 * A new file that was being made before is removed, and so is what other layouts have of this model.
 * @c: may be NULL (then there are none, and no reason). @ret: descriptors owned by the caller, close-on-exec.
 */
void cache_offer(struct cache *c, const char *sha256, uint32_t layout, struct cache_files *ret);

/** cache_keep() - the worker says that the new file is whole: from now on it is the one. Return: 0, -errno (there is none; it was removed). */
int cache_keep(struct cache *c);

/** cache_end() - the load is over: a new file that was not kept is removed, and if it was @refused by the worker, so is the one that was offered. NULL is fine. */
void cache_end(struct cache *c, bool refused);

/** cache_tidy() - remove what is of models that are none of @keep: [n], and what a crash left. NULL is fine. */
void cache_tidy(struct cache *c, const struct store_model *keep, size_t n);
/** cache_tidy_store() - remove what is of models that @s does not have any more. NULL is fine. */
void cache_tidy_store(struct cache *c, struct store *s);
