/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/engine/format/gguf_make.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALIGNMENT = 32 };

void gguf_make_init(struct gguf_make *m)
{
    *m = (struct gguf_make){ .version = 3 };
}

void gguf_make_deinit(struct gguf_make *m)
{
    free(m->keys.bytes);
    free(m->tensors.bytes);
    free(m->data.bytes);
    gguf_make_init(m);
}

void gguf_make_add(struct gguf_make_bytes *to, const void *bytes, size_t n)
{
    if (to->n + n + 1 > to->size) {
        to->size = 2 * (to->n + n + 1);
        to->bytes = realloc(to->bytes, to->size);
        if (!to->bytes) abort();
    }
    if (n > 0 && bytes) memcpy(to->bytes + to->n, bytes, n);
    if (n > 0 && !bytes) memset(to->bytes + to->n, 0, n);
    to->n += n;
}

void gguf_make_add_u32(struct gguf_make_bytes *to, uint32_t x)
{
    gguf_make_add(to, &x, sizeof(x));
}

void gguf_make_add_u64(struct gguf_make_bytes *to, uint64_t x)
{
    gguf_make_add(to, &x, sizeof(x));
}

void gguf_make_add_string(struct gguf_make_bytes *to, const char *bytes, size_t n)
{
    gguf_make_add_u64(to, n);
    gguf_make_add(to, bytes, n);
}

void gguf_make_key(struct gguf_make *m, const char *key, uint32_t type)
{
    gguf_make_add_string(&m->keys, key, strlen(key));
    gguf_make_add_u32(&m->keys, type);
    m->n_keys++;
}

void gguf_make_scalar(struct gguf_make *m, const char *key, uint32_t type, const void *value,
                      size_t size)
{
    gguf_make_key(m, key, type);
    gguf_make_add(&m->keys, value, size);
}

void gguf_make_u32(struct gguf_make *m, const char *key, uint32_t value)
{
    gguf_make_scalar(m, key, GGUF_U32, &value, sizeof(value));
}

void gguf_make_f32(struct gguf_make *m, const char *key, float value)
{
    gguf_make_scalar(m, key, GGUF_F32, &value, sizeof(value));
}

void gguf_make_bool(struct gguf_make *m, const char *key, bool value)
{
    gguf_make_scalar(m, key, GGUF_BOOL, &(uint8_t){ value }, 1);
}

void gguf_make_text(struct gguf_make *m, const char *key, const char *value)
{
    gguf_make_key(m, key, GGUF_STRING);
    gguf_make_add_string(&m->keys, value, strlen(value));
}

void gguf_make_array(struct gguf_make *m, const char *key, uint32_t type, const void *elements,
                     size_t n, size_t size)
{
    gguf_make_key(m, key, GGUF_ARRAY);
    gguf_make_add_u32(&m->keys, type);
    gguf_make_add_u64(&m->keys, n);
    gguf_make_add(&m->keys, elements, n * size);
}

void gguf_make_texts(struct gguf_make *m, const char *key, const struct gguf_string *texts,
                     size_t n)
{
    gguf_make_array(m, key, GGUF_STRING, NULL, n, 0);
    for (size_t i = 0; i < n; i++)
        gguf_make_add_string(&m->keys, texts[i].bytes, texts[i].n);
}

void gguf_make_tensor_at(struct gguf_make *m, const char *name, uint32_t type, uint32_t n_dims,
                         const uint64_t *dims, uint64_t offset)
{
    gguf_make_add_string(&m->tensors, name, strlen(name));
    gguf_make_add_u32(&m->tensors, n_dims);
    gguf_make_add(&m->tensors, dims, n_dims * sizeof(*dims));
    gguf_make_add_u32(&m->tensors, type);
    gguf_make_add_u64(&m->tensors, offset);
    m->n_tensors++;
}

void gguf_make_tensor(struct gguf_make *m, const char *name, uint32_t type, uint32_t n_dims,
                      const uint64_t *dims, const void *bytes, size_t size)
{
    gguf_make_add(&m->data, NULL, -m->data.n % ALIGNMENT);
    gguf_make_tensor_at(m, name, type, n_dims, dims, m->data.n);
    gguf_make_add(&m->data, bytes, size);
}

struct gguf_make_bytes gguf_make_file(const struct gguf_make *m)
{
    struct gguf_make_bytes f = { NULL, 0, 0 };

    gguf_make_add(&f, "GGUF", 4);
    gguf_make_add_u32(&f, m->version);
    gguf_make_add_u64(&f, m->n_tensors);
    gguf_make_add_u64(&f, m->n_keys);
    gguf_make_add(&f, m->keys.bytes, m->keys.n);
    gguf_make_add(&f, m->tensors.bytes, m->tensors.n);
    if (m->data.n > 0) gguf_make_add(&f, NULL, -f.n % ALIGNMENT);
    gguf_make_add(&f, m->data.bytes, m->data.n);
    return f;
}

int gguf_make_fd(const void *bytes, size_t n)
{
    const int fd = memfd_create("gguf", MFD_CLOEXEC);

    if (fd < 0) abort();
    for (size_t done = 0; done < n;) {
        const ssize_t some = write(fd, (const uint8_t *)bytes + done, n - done);
        if (some <= 0) abort();
        done += (size_t)some;
    }
    return fd;
}

int gguf_make_open(const struct gguf_make *m, struct reason *why, struct gguf **ret)
{
    struct gguf_make_bytes f = gguf_make_file(m);
    const int fd = gguf_make_fd(f.bytes, f.n);
    const int r = gguf_open(fd, why, ret);

    (void)close(fd);
    free(f.bytes);
    return r;
}

#define TEXT(s)                                                                                    \
    {                                                                                              \
        (s), sizeof(s) - 1                                                                         \
    }

void gguf_make_small(struct gguf_make *m)
{
    static const uint64_t dims_8x2[] = { 8, 2 }, dims_64[] = { 64 };
    static const struct gguf_string texts[] = { TEXT("one"), TEXT(""), TEXT("th\0ree") };
    float matrix[16];

    gguf_make_init(m);
    gguf_make_text(m, "general.architecture", "test");
    gguf_make_scalar(m, "a.u8", GGUF_U8, &(uint8_t){ 200 }, 1);
    gguf_make_scalar(m, "a.i8", GGUF_I8, &(int8_t){ -100 }, 1);
    gguf_make_scalar(m, "a.u16", GGUF_U16, &(uint16_t){ 60000 }, 2);
    gguf_make_scalar(m, "a.i16", GGUF_I16, &(int16_t){ -30000 }, 2);
    gguf_make_u32(m, "a.u32", 4000000000u);
    gguf_make_scalar(m, "a.i32", GGUF_I32, &(int32_t){ -7 }, 4);
    gguf_make_f32(m, "a.f32", 10.0f);
    gguf_make_bool(m, "a.bool", true);
    gguf_make_scalar(m, "a.u64", GGUF_U64, &(uint64_t){ 1ull << 40 }, 8);
    gguf_make_scalar(m, "a.i64", GGUF_I64, &(int64_t){ 77 }, 8);
    gguf_make_scalar(m, "a.f64", GGUF_F64, &(double){ 0.5 }, 8);
    gguf_make_texts(m, "a.texts", texts, 3);
    gguf_make_array(m, "a.floats", GGUF_F32, (const float[]){ 1.5f, -2.0f }, 2, 4);
    gguf_make_array(m, "a.doubles", GGUF_F64, (const double[]){ 0.25 }, 1, 8);
    gguf_make_array(m, "a.ints", GGUF_I32, (const int32_t[]){ 3, 0, 1 }, 3, 4);
    gguf_make_array(m, "a.bools", GGUF_BOOL, (const uint8_t[]){ 1, 0 }, 2, 1);
    gguf_make_array(m, "a.empty", GGUF_U16, NULL, 0, 2);
    for (int i = 0; i < 16; i++)
        matrix[i] = (float)i;
    gguf_make_tensor(m, "matrix", QUANT_F32, 2, dims_8x2, matrix, sizeof(matrix));
    gguf_make_tensor(m, "blk.3.blocks", QUANT_Q8_0, 1, dims_64, NULL, 68);
    gguf_make_tensor(m, "last", QUANT_F16, 1, dims_64, NULL, 128);
}
