/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/gemma3n/ple.h: the per-layer-embedding table stays in the file. A token needs one row of 4 to 17 KB, which is read
 * with pread() into a buffer of the step: the table never counts as resident memory, and slow storage stalls in a
 * read that can be measured, not in a page fault.
 */
#pragma once
#include <stdint.h>
#include "engine/format/gguf.h"

struct ple {
    int fd;          /* of the model file, owned */
    uint64_t offset; /* of the table in the file */
    enum quant_type type;
    uint32_t rows; /* ids from here on use row 0 */
    uint32_t row_values;
    size_t row_bytes;
};

/** ple_init() - @fd is duplicated. Return: 0, -errno of dup. */
int ple_init(struct ple *p, int fd, const struct gguf_tensor *table, uint32_t rows);
/** ple_deinit() - harmless on a struct whose fd is -1. */
void ple_deinit(struct ple *p);

/** ple_read() - the blocks of the row of token @id to @out: [row_bytes]. Return: 0; -EIO (short file); -errno of pread. */
int ple_read(const struct ple *p, uint32_t id, uint8_t *out);
