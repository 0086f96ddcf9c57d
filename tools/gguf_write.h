/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tools/gguf_write.h: writer of GGUF v3 files that are too large for memory. Keys and tensors are announced first, into
 * memory; then gguf_write_head() writes them, and the tensors' data follow in the order of their announcement.
 * A failure (memory, disk) is remembered, and the calls after it do nothing: ask gguf_write_end().
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { GGUF_WRITE_ALIGNMENT = 32 };
enum gguf_write_type {
    GGUF_WRITE_U32 = 4,
    GGUF_WRITE_I32 = 5,
    GGUF_WRITE_F32 = 6,
    GGUF_WRITE_BOOL = 7,
    GGUF_WRITE_TEXT = 8
};

struct gguf_write_part {
    uint8_t *bytes; /* [size], the first n are used */
    size_t n, size;
};

struct gguf_write {
    FILE *file; /* borrowed */
    struct gguf_write_part keys, tensors;
    uint64_t n_keys, n_tensors;
    uint64_t data_bytes; /* of the tensors announced so far, each filled up to the alignment */
    uint64_t written;    /* bytes of data */
    int error;           /* 0 or -errno */
};

/** gguf_write_begin() - a writer to @file, borrowed, at its beginning. */
void gguf_write_begin(struct gguf_write *w, FILE *file);
void gguf_write_u32(struct gguf_write *w, const char *key, uint32_t value);
void gguf_write_f32(struct gguf_write *w, const char *key, float value);
void gguf_write_bool(struct gguf_write *w, const char *key, bool value);
void gguf_write_text(struct gguf_write *w, const char *key, const char *value);
/** gguf_write_array() - begin an array of @n elements; its elements are appended with gguf_write_value(). */
void gguf_write_array(struct gguf_write *w, const char *key, enum gguf_write_type type, uint64_t n);
/** gguf_write_value() - append an element as the file has it. @bytes: [n], little-endian. */
void gguf_write_value(struct gguf_write *w, const void *bytes, size_t n);
/** gguf_write_string() - append an element of an array of texts. */
void gguf_write_string(struct gguf_write *w, const char *bytes, size_t n);

/** gguf_write_tensor() - announce a tensor. @type: number of the file format. @dims: [n_dims], fastest first. @bytes: of its data. */
void gguf_write_tensor(struct gguf_write *w, const char *name, uint32_t type, uint32_t n_dims,
                       const uint64_t *dims, uint64_t bytes);
/** gguf_write_head() - write all that was announced; data follow. */
void gguf_write_head(struct gguf_write *w);
/** gguf_write_data() - append to the data of the current tensor. */
void gguf_write_data(struct gguf_write *w, const void *bytes, size_t n);
/** gguf_write_pad() - the current tensor is complete: fill up to the alignment. */
void gguf_write_pad(struct gguf_write *w);
/** gguf_write_end() - release the writer; the file stays open. Return: 0; -errno of the first failure; -EINVAL: the data are not what was announced. */
int gguf_write_end(struct gguf_write *w);
