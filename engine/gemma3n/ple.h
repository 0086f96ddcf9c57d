/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/gemma3n/ple.h: the per-layer-embedding table stays in the file. A token needs one row of 4 to 17 KB, which is read
 * with pread() into a buffer of the step: the table never counts as resident memory, and slow storage stalls in a
 * read that can be measured, not in a page fault.
 *
 * A step first asks for all its rows, so that the storage works on them side by side, then reads them. Rows of tokens that
 * come again and again stay in a small cache, least recently used first out, so that they cost no read even when the
 * kernel needed the page cache for something else. Neither changes a value.
 */
#pragma once
#include <stdint.h>
#include <sys/types.h>
#include "engine/format/gguf.h"

enum { PLE_CACHE_ROWS = 512, PLE_BUCKETS = 1024 }; /* 2 to 9 MB */

struct ple_ops { /* the storage; a test has another one */
    /* as pread(2) on the model file: bytes read, or -1 and errno */
    ssize_t (*read)(void *context, void *out, size_t n, uint64_t at);
    /* @n bytes at @at will be read: begin now if that can be */
    void (*ask)(void *context, uint64_t at, size_t n);
    void *context;
};

struct ple_slot {          /* of the cache; indices are + 1, 0 is none */
    uint32_t row;          /* the table's */
    uint16_t next;         /* in its bucket */
    uint16_t newer, older; /* by use */
};

struct ple {
    int fd; /* of the model file, owned */
    struct ple_ops ops;
    uint64_t offset; /* of the table in the file */
    enum quant_type type;
    uint32_t rows; /* ids from here on use row 0 */
    uint32_t row_values;
    size_t row_bytes;
    struct ple_slot *slot; /* [PLE_CACHE_ROWS], owned */
    uint8_t *cached;       /* [PLE_CACHE_ROWS, row_bytes], owned */
    uint16_t bucket[PLE_BUCKETS], newest, oldest, n_slots;
};

/**
 * ple_init() - rows of @table of the model file @fd, which is duplicated
 * @ops: where rows are read from, borrowed context; NULL: @fd.
 * Return: 0; -ENOMEM; -errno of dup.
 */
int ple_init(struct ple *p, int fd, const struct gguf_tensor *table, uint32_t rows,
             const struct ple_ops *ops);
/** ple_deinit() - harmless on a zeroed struct whose fd is -1. */
void ple_deinit(struct ple *p);

/** ple_ask() - the row of token @id will be read soon: begin now, unless it is in the cache. */
void ple_ask(const struct ple *p, uint32_t id);

/** ple_read() - the blocks of the row of token @id to @out: [row_bytes]. Return: 0; -EIO (short file); -errno of reading. */
int ple_read(struct ple *p, uint32_t id, uint8_t *out);
