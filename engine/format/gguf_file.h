/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/format/gguf_file.h: what an open GGUF file is made of; private to gguf.c, which fills it, and
 * gguf_values.c, which reads its keys.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/hash.h"
#include "engine/format/gguf.h"

#define gguf_file_refuse(why, ...) (reason_set((why), __VA_ARGS__), GGUF_E_REFUSED)

/* Distinct names and their places. */
struct gguf_file_table {
    struct gguf_string *names; /* [n] */
    uint32_t *slots;           /* [mask + 1] index + 1, 0: free */
    size_t n, mask;
    uint64_t hash_key;
};

struct gguf_file_value {
    enum gguf_value_type type, element; /* element: of an array */
    const uint8_t *bytes;
    uint64_t n; /* bytes of a string, elements of an array */
};

struct gguf {
    const uint8_t *bytes; /* [size] the mapping */
    size_t size;
    struct gguf_file_table keys, names; /* names: of tensors */
    struct gguf_file_value *values;     /* [keys.n] */
    struct gguf_tensor *tensors;        /* [names.n] */
};

struct gguf_file_type {
    const char *name;
    uint8_t size; /* 0: it varies */
};

enum { GGUF_FILE_TYPES = GGUF_F64 + 1 };
extern const struct gguf_file_type gguf_file_types[GGUF_FILE_TYPES]; /* by enum gguf_value_type */

/** gguf_file_slot() - the slot of a name, or the free one where it belongs. */
static inline uint32_t *gguf_file_slot(const struct gguf_file_table *t, const char *bytes, size_t n)
{
    size_t at = hash_bytes(t->hash_key, bytes, n) & t->mask;

    for (; t->slots[at]; at = (at + 1) & t->mask) {
        const struct gguf_string *name = &t->names[t->slots[at] - 1];
        if (name->n == n && memcmp(name->bytes, bytes, n) == 0) break;
    }
    return &t->slots[at];
}

/* A place in the file that never passes its end. */
struct gguf_file_cursor {
    const uint8_t *at, *end;
};

/** gguf_file_left() - bytes from the place to the end. */
static inline size_t gguf_file_left(const struct gguf_file_cursor *c)
{
    return (size_t)(c->end - c->at);
}

/** gguf_file_take() - copy the next @n bytes to @ret; false, and nothing is done, if there are fewer. */
static inline bool gguf_file_take(struct gguf_file_cursor *c, void *ret, size_t n)
{
    if (gguf_file_left(c) < n) return false;
    memcpy(ret, c->at, n);
    c->at += n;
    return true;
}

/** gguf_file_take_string() - the next string, length and bytes; false if it does not end inside the file. */
static inline bool gguf_file_take_string(struct gguf_file_cursor *c, struct gguf_string *ret)
{
    uint64_t n;

    if (!gguf_file_take(c, &n, sizeof(n)) || n > gguf_file_left(c)) return false;
    *ret = (struct gguf_string){ .bytes = (const char *)c->at, .n = n };
    c->at += n;
    return true;
}
