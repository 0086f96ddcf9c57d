/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gguf_make.h: writer of small GGUF files in memory, for tests and fuzzers. It does not check what it is
 * given: the parts may also be appended to by hand, to make files that lie. Out of memory aborts.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "engine/format/gguf.h"

struct gguf_make_bytes {
    uint8_t *bytes; /* [size] owned; the first n are in use */
    size_t n, size;
};

/* The file is: header, keys, tensors, padding to a multiple of 32, data. */
struct gguf_make {
    struct gguf_make_bytes keys, tensors, data;
    uint64_t n_keys, n_tensors;
    uint32_t version; /* 3 */
};

void gguf_make_init(struct gguf_make *m);
void gguf_make_deinit(struct gguf_make *m);

/** gguf_make_small() - begin a file that has a key of every type and three tensors: matrix (f32 [8, 2], 0..15), blk.3.blocks (q8_0 [64]), last (f16 [64]). */
void gguf_make_small(struct gguf_make *m);

/** gguf_make_add() - append bytes to a part. */
void gguf_make_add(struct gguf_make_bytes *to, const void *bytes, size_t n);
void gguf_make_add_u32(struct gguf_make_bytes *to, uint32_t x);
void gguf_make_add_u64(struct gguf_make_bytes *to, uint64_t x);
/** gguf_make_add_string() - length and bytes. */
void gguf_make_add_string(struct gguf_make_bytes *to, const char *bytes, size_t n);

/** gguf_make_key() - begin a key: name and type; its value is for the caller to append to m->keys. */
void gguf_make_key(struct gguf_make *m, const char *key, uint32_t type);
/** gguf_make_scalar() - a whole key; @value: [size] as in the file. */
void gguf_make_scalar(struct gguf_make *m, const char *key, uint32_t type, const void *value,
                      size_t size);
void gguf_make_u32(struct gguf_make *m, const char *key, uint32_t value);
void gguf_make_f32(struct gguf_make *m, const char *key, float value);
void gguf_make_bool(struct gguf_make *m, const char *key, bool value);
void gguf_make_text(struct gguf_make *m, const char *key, const char *value);
/** gguf_make_array() - @n elements of a scalar type; @elements: [n * size]. */
void gguf_make_array(struct gguf_make *m, const char *key, uint32_t type, const void *elements,
                     size_t n, size_t size);
void gguf_make_texts(struct gguf_make *m, const char *key, const struct gguf_string *texts,
                     size_t n);

/** gguf_make_tensor() - a tensor behind those so far; @bytes: [size] its data, NULL: zeros. */
void gguf_make_tensor(struct gguf_make *m, const char *name, uint32_t type, uint32_t n_dims,
                      const uint64_t *dims, const void *bytes, size_t size);
/** gguf_make_tensor_at() - describe a tensor whose data are the caller's affair. */
void gguf_make_tensor_at(struct gguf_make *m, const char *name, uint32_t type, uint32_t n_dims,
                         const uint64_t *dims, uint64_t offset);

/** gguf_make_file() - the whole file, for free(). */
struct gguf_make_bytes gguf_make_file(const struct gguf_make *m);
/** gguf_make_fd() - a memfd with @bytes: [n], for close(). */
int gguf_make_fd(const void *bytes, size_t n);
/** gguf_make_open() - gguf_open() of the file that @m describes. */
int gguf_make_open(const struct gguf_make *m, struct reason *why, struct gguf **ret);
