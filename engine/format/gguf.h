/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/format/gguf.h: reader of GGUF version 2 and 3, the container that models are published in. The
 * file is mapped from a descriptor and is not trusted: every offset, count, string, product and
 * alignment is checked before it is used, and a file that lies is refused with a sentence that names
 * the key or tensor. Keys and tensors that nobody asks for are allowed.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/reason.h"
#include "engine/format/quant.h"

enum { GGUF_E_REFUSED = 1 }; /* outcome: the file is not what it should be; the reason says what */

enum {
    GGUF_DIMS_MAX = 4,
    GGUF_KEYS_MAX = 10000,     /* published files have about 40 */
    GGUF_TENSORS_MAX = 100000, /* published files have below 1000 */
    GGUF_NAME_MAX = 63,        /* bytes of a tensor's name (ggml) */
    GGUF_KEY_MAX = 65535,      /* bytes of a key (GGUF specification) */
    GGUF_ARRAY_MAX = 1 << 22,  /* elements: a vocabulary has 2^18 */
};

enum gguf_value_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
};

/* Bytes inside the mapping, not terminated. */
struct gguf_string {
    const char *bytes;
    size_t n;
};

struct gguf_tensor {
    char name[GGUF_NAME_MAX + 1];
    enum quant_type type;
    uint32_t n_dims;              /* 1..4 */
    uint64_t dims[GGUF_DIMS_MAX]; /* fastest first; unused ones are 1 */
    uint64_t offset;              /* in the file */
    uint64_t size_bytes;          /* rows are contiguous: quant_row_bytes(type, dims[0]) each */
};

struct gguf; /* an open file: immutable, may be read by many threads */

/**
 * gguf_open() - map and check a file
 * @fd: borrowed, may be closed afterwards; must be a regular file or memfd open for reading, which
 * does not shrink while it is mapped (reading what is gone is SIGBUS).
 * Return: 0 and @ret, owned; GGUF_E_REFUSED (@why); -ENOMEM; -errno of fstat or mmap.
 */
int gguf_open(int fd, struct reason *why, struct gguf **ret);

/** gguf_free() - unmap and free. NULL is fine. Return: NULL. */
struct gguf *gguf_free(struct gguf *g);

/** gguf_data() - the first byte of @t, a tensor of @g: [t->size_bytes], aligned as the file says, to 8 at least. */
const void *gguf_data(const struct gguf *g, const struct gguf_tensor *t);

/** gguf_release() - tell the kernel that the pages of @t are not needed soon; they remain readable. */
void gguf_release(const struct gguf *g, const struct gguf_tensor *t);

/** gguf_position() - where in the file @at is, a byte that gguf_data() gave. */
uint64_t gguf_position(const struct gguf *g, const void *at);

/** gguf_size() - bytes of the file. */
uint64_t gguf_size(const struct gguf *g);

/** gguf_tensor() - the tensor named @name (printf format), or NULL. Constant time. */
const struct gguf_tensor *gguf_tensor(const struct gguf *g, const char *name, ...)
    __attribute__((format(printf, 2, 3)));

/** gguf_tensors() - all tensors in the order of the file: [*ret_n], owned by @g. */
const struct gguf_tensor *gguf_tensors(const struct gguf *g, size_t *ret_n);

/* Values by key. Each returns 0, GGUF_E_REFUSED when the key has another type or its value does not fit
 * (@why names the key), and for a key that is absent the default. */

/** gguf_u32() - any integer type, or a float with an integral value (published files write counts as f32). */
int gguf_u32(const struct gguf *g, const char *key, uint32_t absent, uint32_t *ret,
             struct reason *why);
/** gguf_f32() - a float or any integer. NaN and infinities are given as they are. */
int gguf_f32(const struct gguf *g, const char *key, float absent, float *ret, struct reason *why);
/** gguf_bool() - a bool. */
int gguf_bool(const struct gguf *g, const char *key, bool absent, bool *ret, struct reason *why);
/** gguf_text() - a string, inside the mapping; @ret->bytes is NULL when the key is absent. */
int gguf_text(const struct gguf *g, const char *key, struct gguf_string *ret, struct reason *why);
/** gguf_has() - true if the key exists, with any type. */
bool gguf_has(const struct gguf *g, const char *key);

/* Arrays. A key that is absent counts as an array of 0 elements; a wrong @n is refused like a wrong type, and
 * @out may then have been written in part. */

/** gguf_array_len() - elements of the array @key; 0 with *ret_type = GGUF_U8 when absent. */
int gguf_array_len(const struct gguf *g, const char *key, size_t *ret_n,
                   enum gguf_value_type *ret_type, struct reason *why);
/** gguf_array_u32() - all elements, integers or bool, as u32: @out [n], n must be the array's length. Negative values are refused. */
int gguf_array_u32(const struct gguf *g, const char *key, uint32_t *out, size_t n,
                   struct reason *why);
/** gguf_array_f32() - all elements, which must be floats: @out [n]. */
int gguf_array_f32(const struct gguf *g, const char *key, float *out, size_t n, struct reason *why);
/** gguf_array_text() - all elements, which must be strings: @out [n], inside the mapping. */
int gguf_array_text(const struct gguf *g, const char *key, struct gguf_string *out, size_t n,
                    struct reason *why);
