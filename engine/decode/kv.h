/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/decode/kv.h: the KV cache. A page holds KERNELS_PAGE positions of one layer; all pages are alike and come from one
 * pool, which is reserved when it is made. Full layers keep every position, sliding ones those of their window. Pages
 * are reference-counted, so that sequences and cached prefixes can share them; a shared page is copied before it is written.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "engine/kernels/kernels.h"

enum { KV_LAYERS_MAX = 256 };
enum { KV_E_STARVED = 1 }; /* outcome: no page is free */
#define KV_NO_PAGE UINT32_MAX

struct kv_shape {
    uint32_t n_layers;           /* that make KV */
    bool sliding[KV_LAYERS_MAX]; /* which of them keep a window only */
    uint32_t window;             /* positions that a sliding layer sees, itself included; > 0 */
    uint32_t n_heads, head_size;
    bool f32; /* f32 instead of f16 */
};

struct kv_pool;

/**
 * kv_pool_new() - reserve @n_pages pages
 * The memory is address space until it is used. Return: 0 and @ret, owned; -ENOMEM.
 */
int kv_pool_new(const struct kv_shape *shape, uint32_t n_pages, struct kv_pool **ret);
struct kv_pool *kv_pool_free(struct kv_pool *p);

const struct kv_shape *kv_pool_shape(const struct kv_pool *p);
/** kv_page_bytes() - memory of one page. */
size_t kv_page_bytes(const struct kv_shape *shape);
/** kv_pages_for() - the most pages that one sequence of @length positions holds, when at most @chunk are added at once. */
uint64_t kv_pages_for(const struct kv_shape *shape, uint32_t length, uint32_t chunk);
/** kv_pool_used() - pages that somebody holds. */
uint32_t kv_pool_used(const struct kv_pool *p);
uint32_t kv_pool_total(const struct kv_pool *p);
/** kv_pool_trim() - give the memory of free pages back to the system; they are as usable as before. Return: bytes of whole memory
 * pages that nobody holds now, whether they were in use before or not. */
uint64_t kv_pool_trim(struct kv_pool *p);

/* The pages of one sequence: block b of a layer has positions [b * KERNELS_PAGE, (b + 1) * KERNELS_PAGE). */
struct kv_table {
    struct kv_pool *pool;
    uint32_t n_blocks; /* entries of each layer's list */
    uint32_t length;   /* positions that have KV */
    uint32_t trimmed;  /* sliding layers gave back the blocks below this one */
    uint32_t n_pages;  /* that it holds */
    uint32_t *page; /* [n_layers][n_blocks] page numbers, KV_NO_PAGE where there is none; owned */
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

/**
 * kv_table_share() - make the empty table @to hold the first @length positions of @from, by reference
 * Sliding layers are shared as far as a continuation at @length sees them. Return: 0; KV_E_STARVED (@from no longer has
 * the sliding pages that a continuation there would see).
 */
int kv_table_share(struct kv_table *to, const struct kv_table *from, uint32_t length);

/** kv_place() - where one KV head of one block of layer @layer is kept; the table must have a page there. */
struct kernels_kv kv_place(const struct kv_table *t, uint32_t layer, uint32_t block, uint32_t head);
