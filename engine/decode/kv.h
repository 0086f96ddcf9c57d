/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/decode/kv.h: the KV cache in pages of KERNELS_PAGE positions. All memory is reserved when the pool is made.
 * There are two kinds of layers and a pool of pages for each: full layers keep every position, sliding layers those of their
 * window. A page holds the positions of all layers of its kind. Pages are reference-counted, so that sequences and cached
 * prefixes can share them; a page that is shared is copied before it is written.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "engine/kernels/kernels.h"

enum { KV_FULL, KV_SLIDING, KV_KINDS };
enum { KV_E_STARVED = 1 }; /* outcome: no page is free */
#define KV_NO_PAGE UINT32_MAX

struct kv_shape {
    uint32_t n_layers[KV_KINDS]; /* layers of each kind that have KV of their own */
    uint32_t n_heads, head_size;
    uint32_t window; /* positions that a sliding layer sees, itself included */
    bool f32;        /* f32 instead of f16 */
};

struct kv_pool;

/**
 * kv_pool_new() - reserve @n_pages[kind] pages of each kind
 * The memory is address space until it is used. Return: 0 and @ret, owned; -ENOMEM.
 */
int kv_pool_new(const struct kv_shape *shape, const uint32_t n_pages[KV_KINDS],
                struct kv_pool **ret);
struct kv_pool *kv_pool_free(struct kv_pool *p);

const struct kv_shape *kv_pool_shape(const struct kv_pool *p);
/** kv_page_bytes() - memory of one page of @kind; 0 if the model has no such layer. */
size_t kv_page_bytes(const struct kv_shape *shape, int kind);
/** kv_pool_used() - pages of @kind that somebody holds. */
uint32_t kv_pool_used(const struct kv_pool *p, int kind);
uint32_t kv_pool_total(const struct kv_pool *p, int kind);

/* The pages of one sequence, by position. */
struct kv_table {
    struct kv_pool *pool;
    uint32_t n_max;           /* entries of each page list */
    uint32_t length;          /* positions that have KV */
    uint32_t trimmed;         /* sliding pages below this entry were given back */
    uint32_t *page[KV_KINDS]; /* [n_max] page numbers, KV_NO_PAGE where there is none; owned */
};

/** kv_table_init() - an empty table for sequences of at most @context positions. Return: 0, -ENOMEM. */
int kv_table_init(struct kv_table *t, struct kv_pool *pool, uint32_t context);
/** kv_table_deinit() - give all pages back; harmless on a zeroed table. */
void kv_table_deinit(struct kv_table *t);

/**
 * kv_table_extend() - pages for positions [length, length + n), writable by this table alone
 * A shared page that would be written is copied first. @n: length + n must be within the context.
 * Return: 0; KV_E_STARVED (the table is as before).
 */
int kv_table_extend(struct kv_table *t, uint32_t n);

/** kv_table_advance() - the next @n positions now have KV; sliding pages that no later position sees are given back. */
void kv_table_advance(struct kv_table *t, uint32_t n);

/** kv_table_pages() - pages of @kind that the table holds. */
uint32_t kv_table_pages(const struct kv_table *t, int kind);

/**
 * kv_table_share() - make the empty table @to hold the first @length positions of @from, by reference
 * Sliding pages are taken as far as a continuation at @length needs them. Return: 0; KV_E_STARVED (@from no longer has
 * the sliding pages that a continuation there would need).
 */
int kv_table_share(struct kv_table *to, const struct kv_table *from, uint32_t length);

/**
 * kv_page() - the place of one KV head in one page
 * @kind, @layer: kind and number of the layer among those of its kind. @page: a page number of a table.
 */
struct kernels_kv kv_page(const struct kv_pool *p, int kind, uint32_t page, uint32_t layer,
                          uint32_t head);
