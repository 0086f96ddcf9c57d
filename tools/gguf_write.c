/* SPDX-License-Identifier: Apache-2.0 */
/* Values are written as they lie in memory: a GGUF file is little-endian, and so is every machine that hearth runs on. */
#include "tools/gguf_write.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values are written as they are");

void gguf_write_begin(struct gguf_write *w, FILE *file)
{
    *w = (struct gguf_write){ .file = file };
}

static void append(struct gguf_write *w, struct gguf_write_part *p, const void *bytes, size_t n)
{
    if (w->error) return;
    if (p->size - p->n < n) {
        const size_t size = 2 * (p->size + n) + 4096;
        uint8_t *more = realloc(p->bytes, size);
        if (!more) {
            w->error = -ENOMEM;
            return;
        }
        p->bytes = more;
        p->size = size;
    }
    memcpy(p->bytes + p->n, bytes, n);
    p->n += n;
}

static void append_string(struct gguf_write *w, struct gguf_write_part *p, const char *bytes,
                          uint64_t n)
{
    append(w, p, &n, sizeof(n));
    append(w, p, bytes, n);
}

static void begin_key(struct gguf_write *w, const char *key, uint32_t type)
{
    w->n_keys++;
    append_string(w, &w->keys, key, strlen(key));
    append(w, &w->keys, &type, sizeof(type));
}

void gguf_write_u32(struct gguf_write *w, const char *key, uint32_t value)
{
    begin_key(w, key, GGUF_WRITE_U32);
    append(w, &w->keys, &value, sizeof(value));
}

void gguf_write_f32(struct gguf_write *w, const char *key, float value)
{
    begin_key(w, key, GGUF_WRITE_F32);
    append(w, &w->keys, &value, sizeof(value));
}

void gguf_write_bool(struct gguf_write *w, const char *key, bool value)
{
    begin_key(w, key, GGUF_WRITE_BOOL);
    append(w, &w->keys, &(uint8_t){ value }, 1);
}

void gguf_write_text(struct gguf_write *w, const char *key, const char *value)
{
    begin_key(w, key, GGUF_WRITE_TEXT);
    append_string(w, &w->keys, value, strlen(value));
}

void gguf_write_array(struct gguf_write *w, const char *key, enum gguf_write_type type, uint64_t n)
{
    begin_key(w, key, 9);
    append(w, &w->keys, &(uint32_t){ type }, sizeof(uint32_t));
    append(w, &w->keys, &n, sizeof(n));
}

void gguf_write_value(struct gguf_write *w, const void *bytes, size_t n)
{
    append(w, &w->keys, bytes, n);
}

void gguf_write_string(struct gguf_write *w, const char *bytes, size_t n)
{
    append_string(w, &w->keys, bytes, n);
}

void gguf_write_tensor(struct gguf_write *w, const char *name, uint32_t type, uint32_t n_dims,
                       const uint64_t *dims, uint64_t bytes)
{
    w->n_tensors++;
    append_string(w, &w->tensors, name, strlen(name));
    append(w, &w->tensors, &n_dims, sizeof(n_dims));
    append(w, &w->tensors, dims, n_dims * sizeof(*dims));
    append(w, &w->tensors, &type, sizeof(type));
    append(w, &w->tensors, &w->data_bytes, sizeof(w->data_bytes));
    w->data_bytes +=
        (bytes + GGUF_WRITE_ALIGNMENT - 1) / GGUF_WRITE_ALIGNMENT * GGUF_WRITE_ALIGNMENT;
}

static void put(struct gguf_write *w, const void *bytes, size_t n)
{
    if (w->error || n == 0) return;
    errno = EIO;
    if (fwrite(bytes, 1, n, w->file) != n) w->error = -errno;
}

static void put_zeros_to_alignment(struct gguf_write *w, uint64_t at)
{
    static const uint8_t zeros[GGUF_WRITE_ALIGNMENT];

    put(w, zeros, (GGUF_WRITE_ALIGNMENT - at % GGUF_WRITE_ALIGNMENT) % GGUF_WRITE_ALIGNMENT);
}

void gguf_write_head(struct gguf_write *w)
{
    const uint32_t version = 3;

    put(w, "GGUF", 4);
    put(w, &version, sizeof(version));
    put(w, &w->n_tensors, sizeof(w->n_tensors));
    put(w, &w->n_keys, sizeof(w->n_keys));
    put(w, w->keys.bytes, w->keys.n);
    put(w, w->tensors.bytes, w->tensors.n);
    put_zeros_to_alignment(w, 4 + 4 + 8 + 8 + w->keys.n + w->tensors.n);
}

void gguf_write_data(struct gguf_write *w, const void *bytes, size_t n)
{
    put(w, bytes, n);
    w->written += n;
}

void gguf_write_pad(struct gguf_write *w)
{
    put_zeros_to_alignment(w, w->written);
    w->written =
        (w->written + GGUF_WRITE_ALIGNMENT - 1) / GGUF_WRITE_ALIGNMENT * GGUF_WRITE_ALIGNMENT;
}

int gguf_write_end(struct gguf_write *w)
{
    if (!w->error && w->written != w->data_bytes) w->error = -EINVAL;
    free(w->keys.bytes);
    free(w->tensors.bytes);
    return w->error;
}
