/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker/prefix.h: the prefix cache: KV of sequences that ended, and of long system prompts, kept for requests that begin with the
 * same tokens at the same levels. KV is bit for bit what would be computed again, so a hit changes no answer.
 *
 * Isolation: an entry is found by its owner only. Prompts that policy marks as shareable have an owner of their own in
 * common (PREFIX_EVERYBODY), and find nothing else. So neither contents nor time tell one owner what another one asked.
 *
 * Memory: entries hold pages that no sequence needs. When one does, the least recently used entry is dropped; before that,
 * guesses (seq.snapshot_guess) that were never used.
 */
#pragma once
#include "worker/seq.h"

enum {
    PREFIX_ENTRIES_MAX = 64,
    PREFIX_LEAST = 32, /* tokens: less is computed as fast as it is found */
};
#define PREFIX_EVERYBODY UINT64_MAX

struct prefix_cache {
    struct list entries; /* the most recently used first */
    size_t n;
    uint32_t pages_most; /* that entries may hold */
};

/** prefix_init() - an empty cache. */
void prefix_init(struct prefix_cache *c);
/** prefix_deinit() - drop everything. */
void prefix_deinit(struct prefix_cache *c);

/**
 * prefix_use() - give the new sequence @s the longest beginning that its owner has here
 * At least one token is left to be processed. Where what is there can no longer be shared (sliding windows moved on), s->snapshot_at
 * asks for an entry at that place, so that the next request finds it.
 * Return: tokens that it now has.
 */
uint32_t prefix_use(struct prefix_cache *c, struct seq *s);

/** prefix_keep() - take the KV of @s, which ends; @s is to be freed as usual. Nothing happens if it is too short. */
void prefix_keep(struct prefix_cache *c, struct seq *s);
/** prefix_snapshot() - @s is exactly at s->snapshot_at: keep what it has by reference. Failing is harmless. */
void prefix_snapshot(struct prefix_cache *c, struct seq *s);

/** prefix_limit() - entries hold at most @pages_most pages from now on; UINT32_MAX: as many as there are. */
void prefix_limit(struct prefix_cache *c, uint32_t pages_most);
/** prefix_drop() - drop the least recently used entry. Return: false if there is none. */
bool prefix_drop(struct prefix_cache *c);
/** prefix_pages() - KV pages that entries hold; shared ones count for each. */
uint32_t prefix_pages(const struct prefix_cache *c);
