/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/format/packed.h: a packed file: the matrices of one model as the kernels want them, so that a start maps them instead
 * of making them. It can be made again at any time and is only for the build and machine that made it (little endian).
 *
 *   0     header, 80 bytes: magic "HEARTHPK"; u32 layout; u32 0; sha256 of the model file, 32 bytes; u64 shapes; u64 bytes of the
 *         data; u64 sum of the data; u64 sum of the header before this field. Zeros up to 4096.
 *   4096  data: the packed matrices one after the other, each on a multiple of 64, in the order of weights_each()
 *
 * The header is written last, when the data has been synced: a file whose making was interrupted has zeros there and is not
 * taken. The file must not shrink while it is mapped (reading what is gone is SIGBUS); its bytes are numbers to the kernels,
 * never sizes or positions, so that a file that lies makes wrong numbers and nothing worse.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/reason.h"

enum { PACKED_DATA_AT = 4096, PACKED_SHA256 = 32 };
enum {
    PACKED_E_REFUSED = 1
}; /* outcome: not the packed file that was asked for; the reason says why */

struct packed_key {                /* which packed file is meant; all must be the same */
    uint32_t layout;               /* version of the layout of a matrix */
    uint8_t sha256[PACKED_SHA256]; /* of the model file */
    uint64_t shapes;               /* sum over types and shapes of the matrices, in their order */
    uint64_t data_bytes;           /* a multiple of 64 */
};

struct packed {          /* a mapped file */
    const uint8_t *data; /* [data_bytes], read-only, shared with everybody who maps the file */
    void *map;           /* NULL: none */
    size_t map_bytes;
};

struct packed_sum { /* a checksum: finds damage, not forgery */
    uint64_t lane[4];
};

void packed_sum_init(struct packed_sum *s);
/** packed_sum_add() - continue over @bytes: [n], n a multiple of 32, the last time of 8. */
void packed_sum_add(struct packed_sum *s, const void *bytes, size_t n);
/** packed_sum_end() - the sum of all that was added; more may be added. */
uint64_t packed_sum_end(const struct packed_sum *s);

/** packed_sha256() - the 64 hex digits of @text as bytes. Return: true; false (something else; @ret is then unchanged). */
bool packed_sha256(const char *text, uint8_t ret[PACKED_SHA256]);

/**
 * packed_map() - map the file behind @fd if it is the one that @key means and whole
 * @fd: open for reading, borrowed; may be closed afterwards. Header and size are checked; the data is not read.
 * Return: 0 and @ret, for packed_unmap(); PACKED_E_REFUSED (@why); -ENOMEM; -errno of reading or mapping.
 */
int packed_map(int fd, const struct packed_key *key, struct reason *why, struct packed *ret);
/** packed_unmap() - harmless on a zeroed struct. */
void packed_unmap(struct packed *p);

/** packed_verify() - read all of the data and compare its sum with the header's. Return: 0, PACKED_E_REFUSED (@why). */
int packed_verify(const struct packed *p, struct reason *why);

struct packed_writer { /* a file that is being made */
    int fd;
    struct packed_key key;
    uint64_t done, synced; /* bytes of the data */
    struct packed_sum sum;
};

/**
 * packed_write_begin() - empty the file behind @fd and reserve its space
 * @fd: a regular file, open for reading and writing, borrowed.
 * Return: 0; -ENOSPC and the like; another -errno (-EINVAL: no regular file).
 */
int packed_write_begin(struct packed_writer *w, int fd, const struct packed_key *key);

/**
 * packed_write() - append @bytes: [n], n a multiple of 64
 * What was written is handed to the disk as it comes and waited for every 64 MiB, so that neither memory fills with it nor the
 * end takes minutes. Return: 0, -errno.
 */
int packed_write(struct packed_writer *w, const void *bytes, size_t n);

/** packed_write_end() - all data has been written: sync it, then write the header and sync that. Return: 0 (the file is whole), -errno. */
int packed_write_end(struct packed_writer *w);

/** packed_write_abort() - something failed: the file is empty again, so that it takes no space. */
void packed_write_abort(struct packed_writer *w);
