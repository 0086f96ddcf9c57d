/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything is checked once, in gguf_open(): afterwards each key's value and each tensor's bytes are known to
 * lie inside the mapping, and the functions that read them check types only. A cursor that never passes the
 * end of the file does all the reading; lengths are compared with what is left, never added to a position.
 * Names are found through keyed hashes (base/hash.h), so that no file makes the search for duplicates slow.
 *
 * The mapping is private and read-only. The file must not shrink while it is open: reading a page that is
 * gone is SIGBUS. Files of the model store are never written again, and the worker may die.
 */
#include "engine/format/gguf.h"
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "base/hash.h"
#include "engine/format/gguf_file.h"

#define refuse(why, ...) gguf_file_refuse(why, __VA_ARGS__)
#define NAME_ARGS(name)  ((name).n < 80 ? (int)(name).n : 80), (name).bytes /* for "%.*s" */
enum {
    ALIGNMENT_DEFAULT = 32,
    ALIGNMENT_MIN = 8,     /* GGUF specification: a multiple of 8; so every scalar is aligned */
    KEY_BYTES_MIN = 14,    /* length, one byte of key, type, one byte of value */
    TENSOR_BYTES_MIN = 33, /* length, one byte of name, dimensions, type, offset */
    STRING_BYTES_MIN = 8,
};

const struct gguf_file_type gguf_file_types[GGUF_FILE_TYPES] = {
    [GGUF_U8] = { "u8", 1 },   [GGUF_I8] = { "i8", 1 },       [GGUF_U16] = { "u16", 2 },
    [GGUF_I16] = { "i16", 2 }, [GGUF_U32] = { "u32", 4 },     [GGUF_I32] = { "i32", 4 },
    [GGUF_F32] = { "f32", 4 }, [GGUF_BOOL] = { "bool", 1 },   [GGUF_STRING] = { "string", 0 },
    [GGUF_U64] = { "u64", 8 }, [GGUF_ARRAY] = { "array", 0 }, [GGUF_I64] = { "i64", 8 },
    [GGUF_F64] = { "f64", 8 },
};

/* What ggml calls the types that hearth does not read, for the sentence of the refusal. */
static const char *foreign_type(uint32_t type)
{
    static const char *const names[] = {
        [9] = "Q8_1",    [10] = "Q2_K",    [11] = "Q3_K",  [15] = "Q8_K",   [16] = "IQ2_XXS",
        [17] = "IQ2_XS", [18] = "IQ3_XXS", [19] = "IQ1_S", [20] = "IQ4_NL", [21] = "IQ3_S",
        [22] = "IQ2_S",  [23] = "IQ4_XS",  [24] = "I8",    [25] = "I16",    [26] = "I32",
        [27] = "I64",    [28] = "F64",     [29] = "IQ1_M", [34] = "TQ1_0",  [35] = "TQ2_0",
        [39] = "MXFP4",
    };

    return type < sizeof(names) / sizeof(names[0]) && names[type] ? names[type] : "unknown";
}

/* ---- tables of names ---- */

static int table_init(struct gguf_file_table *t, size_t n_max)
{
    size_t n_slots = 8;

    while (n_slots < 2 * n_max)
        n_slots *= 2;
    t->names = calloc(n_max ? n_max : 1, sizeof(*t->names));
    t->slots = calloc(n_slots, sizeof(*t->slots));
    if (!t->names || !t->slots) return err_raise(-ENOMEM); /* gguf_free() has both */
    t->mask = n_slots - 1;
    t->hash_key = hash_key();
    return 0;
}

static void table_deinit(struct gguf_file_table *t)
{
    free(t->names);
    free(t->slots);
}

/* Add a name with the next index; false if it is there already. */
static bool table_add(struct gguf_file_table *t, struct gguf_string name)
{
    uint32_t *slot = gguf_file_slot(t, name.bytes, name.n);

    if (*slot) return false;
    t->names[t->n++] = name;
    *slot = (uint32_t)t->n;
    return true;
}

/* ---- reading ---- */

static bool are_bools(const uint8_t *bytes, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (bytes[i] > 1) return false;
    return true;
}

/* Read the array value of the key @name. */
static int take_array(struct gguf_file_cursor *c, struct gguf_string name,
                      struct gguf_file_value *v, struct reason *why)
{
    uint32_t type;

    if (!gguf_file_take(c, &type, sizeof(type)) || !gguf_file_take(c, &v->n, sizeof(v->n)))
        return refuse(why, "the file ends inside the array '%.*s'", NAME_ARGS(name));
    if (type == GGUF_ARRAY)
        return refuse(why, "the key '%.*s' is an array of arrays, which no model has",
                      NAME_ARGS(name));
    if (type >= GGUF_FILE_TYPES)
        return refuse(why, "the array '%.*s' has elements of the unknown type %u", NAME_ARGS(name),
                      type);
    if (v->n > GGUF_ARRAY_MAX)
        return refuse(why, "the array '%.*s' announces %llu elements, at most %d are read",
                      NAME_ARGS(name), (unsigned long long)v->n, GGUF_ARRAY_MAX);
    v->element = type;
    v->bytes = c->at;
    const size_t size = type == GGUF_STRING ? STRING_BYTES_MIN : gguf_file_types[type].size;
    if (v->n * size > gguf_file_left(c)) /* below 2^25: no overflow */
        return refuse(why, "the file ends inside the array '%.*s'", NAME_ARGS(name));
    if (type != GGUF_STRING) {
        c->at += v->n * size;
        if (type == GGUF_BOOL && !are_bools(v->bytes, v->n))
            return refuse(why, "the array '%.*s' has a bool that is neither 0 nor 1",
                          NAME_ARGS(name));
        return 0;
    }
    for (uint64_t i = 0; i < v->n; i++) {
        struct gguf_string element;
        if (gguf_file_take_string(c, &element)) continue;
        return refuse(why, "the file ends inside element %llu of the array '%.*s'",
                      (unsigned long long)i, NAME_ARGS(name));
    }
    return 0;
}

/* Read the value of the key @name. */
static int take_value(struct gguf_file_cursor *c, struct gguf_string name,
                      struct gguf_file_value *v, struct reason *why)
{
    uint32_t type;

    if (!gguf_file_take(c, &type, sizeof(type)))
        return refuse(why, "the file ends at the type of the key '%.*s'", NAME_ARGS(name));
    if (type >= GGUF_FILE_TYPES)
        return refuse(why, "the key '%.*s' has a value of the unknown type %u", NAME_ARGS(name),
                      type);
    v->type = type;
    if (type == GGUF_ARRAY) return take_array(c, name, v, why);
    if (type == GGUF_STRING) {
        struct gguf_string text;
        if (!gguf_file_take_string(c, &text))
            return refuse(why, "the file ends inside the value of the key '%.*s'", NAME_ARGS(name));
        v->bytes = (const uint8_t *)text.bytes;
        v->n = text.n;
        return 0;
    }
    v->bytes = c->at;
    v->n = 1;
    if (gguf_file_left(c) < gguf_file_types[type].size)
        return refuse(why, "the file ends inside the value of the key '%.*s'", NAME_ARGS(name));
    c->at += gguf_file_types[type].size;
    if (type == GGUF_BOOL && !are_bools(v->bytes, 1))
        return refuse(why, "the key '%.*s' is a bool of value %u, neither 0 nor 1", NAME_ARGS(name),
                      *v->bytes);
    return 0;
}

static int take_keys(struct gguf *g, struct gguf_file_cursor *c, uint64_t n, struct reason *why)
{
    if (n > GGUF_KEYS_MAX)
        return refuse(why, "the header announces %llu keys, at most %d are read",
                      (unsigned long long)n, GGUF_KEYS_MAX);
    if (n > gguf_file_left(c) / KEY_BYTES_MIN)
        return refuse(why, "the header announces %llu keys, for which the file is too short",
                      (unsigned long long)n);
    int r = table_init(&g->keys, n);
    if (r < 0) return err_pass(r);
    g->values = calloc(n ? n : 1, sizeof(*g->values));
    if (!g->values) return err_raise(-ENOMEM);
    for (uint64_t i = 0; i < n; i++) {
        struct gguf_string name;
        if (!gguf_file_take_string(c, &name))
            return refuse(why, "the file ends inside the name of key %llu", (unsigned long long)i);
        if (name.n == 0) return refuse(why, "key %llu has an empty name", (unsigned long long)i);
        if (name.n > GGUF_KEY_MAX)
            return refuse(why, "key %llu has a name of %zu bytes, at most %d are allowed",
                          (unsigned long long)i, name.n, GGUF_KEY_MAX);
        if (!table_add(&g->keys, name))
            return refuse(why, "the key '%.*s' occurs twice", NAME_ARGS(name));
        r = take_value(c, name, &g->values[i], why);
        if (r != 0) return r;
    }
    return 0;
}

/* Check type and dimensions of @t, and work out its size. */
static int check_shape(struct gguf_tensor *t, uint32_t type, struct reason *why)
{
    const struct quant_info *info = quant_find(type);
    uint64_t values = 1;

    if (!info)
        return refuse(why, "the tensor '%s' has type %u (%s), which hearth does not read", t->name,
                      type, foreign_type(type));
    t->type = type;
    for (uint32_t k = 0; k < t->n_dims; k++) {
        if (t->dims[k] == 0) return refuse(why, "dimension %u of the tensor '%s' is 0", k, t->name);
        if (__builtin_mul_overflow(values, t->dims[k], &values) || values > INT64_MAX)
            return refuse(why, "the dimensions of the tensor '%s' multiply to more than 2^63",
                          t->name);
    }
    if (t->dims[0] % info->block_values != 0)
        return refuse(
            why, "rows of the tensor '%s' have %llu values, which is not a multiple of %u (%s)",
            t->name, (unsigned long long)t->dims[0], info->block_values, info->name);
    if (__builtin_mul_overflow(values / info->block_values, info->block_bytes, &t->size_bytes))
        return refuse(why, "the tensor '%s' has more than 2^64 bytes", t->name);
    return 0;
}

static int take_tensor(struct gguf *g, struct gguf_file_cursor *c, size_t i, struct reason *why)
{
    struct gguf_tensor *t = &g->tensors[i];
    struct gguf_string name;
    uint32_t type;

    if (!gguf_file_take_string(c, &name))
        return refuse(why, "the file ends inside the name of tensor %zu", i);
    if (name.n == 0 || memchr(name.bytes, 0, name.n))
        return refuse(why, "the name of tensor %zu is empty or contains a zero byte", i);
    if (name.n > GGUF_NAME_MAX)
        return refuse(why, "tensor %zu has a name of %zu bytes, at most %d are allowed", i, name.n,
                      GGUF_NAME_MAX);
    memcpy(t->name, name.bytes, name.n);
    if (!table_add(&g->names, name)) return refuse(why, "the tensor '%s' occurs twice", t->name);
    if (!gguf_file_take(c, &t->n_dims, sizeof(t->n_dims)))
        return refuse(why, "the file ends inside the description of the tensor '%s'", t->name);
    if (t->n_dims == 0 || t->n_dims > GGUF_DIMS_MAX)
        return refuse(why, "the tensor '%s' has %u dimensions, it must have 1 to %d", t->name,
                      t->n_dims, GGUF_DIMS_MAX);
    for (int k = 0; k < GGUF_DIMS_MAX; k++)
        t->dims[k] = 1;
    if (!gguf_file_take(c, t->dims, t->n_dims * sizeof(t->dims[0])) ||
        !gguf_file_take(c, &type, sizeof(type)) ||
        !gguf_file_take(c, &t->offset, sizeof(t->offset)))
        return refuse(why, "the file ends inside the description of the tensor '%s'", t->name);
    return check_shape(t, type, why);
}

static int take_tensors(struct gguf *g, struct gguf_file_cursor *c, uint64_t n, struct reason *why)
{
    if (n > GGUF_TENSORS_MAX)
        return refuse(why, "the header announces %llu tensors, at most %d are read",
                      (unsigned long long)n, GGUF_TENSORS_MAX);
    if (n > gguf_file_left(c) / TENSOR_BYTES_MIN)
        return refuse(why, "the header announces %llu tensors, for which the file is too short",
                      (unsigned long long)n);
    int r = table_init(&g->names, n);
    if (r < 0) return err_pass(r);
    g->tensors = calloc(n ? n : 1, sizeof(*g->tensors));
    if (!g->tensors) return err_raise(-ENOMEM);
    for (size_t i = 0; i < n && r == 0; i++)
        r = take_tensor(g, c, i, why);
    return r;
}

/* ---- the data section ---- */

static int by_offset(const void *a, const void *b)
{
    const struct gguf_tensor *const *x = a, *const *y = b;

    return ((*x)->offset > (*y)->offset) - ((*x)->offset < (*y)->offset);
}

static int check_overlaps(const struct gguf *g, struct reason *why)
{
    CLEANUP(freep) const struct gguf_tensor **sorted = calloc(g->names.n + 1, sizeof(*sorted));

    if (!sorted) return err_raise(-ENOMEM);
    for (size_t i = 0; i < g->names.n; i++)
        sorted[i] = &g->tensors[i];
    qsort(sorted, g->names.n, sizeof(*sorted), by_offset);
    for (size_t i = 1; i < g->names.n; i++)
        if (sorted[i]->offset - sorted[i - 1]->offset < sorted[i - 1]->size_bytes)
            return refuse(why, "the tensors '%s' and '%s' overlap", sorted[i - 1]->name,
                          sorted[i]->name);
    return 0;
}

static int read_alignment(const struct gguf *g, uint32_t *ret, struct reason *why)
{
    static const char key[] = "general.alignment";
    const uint32_t i = *gguf_file_slot(&g->keys, key, sizeof(key) - 1);

    *ret = ALIGNMENT_DEFAULT;
    if (!i) return 0;
    const struct gguf_file_value *v = &g->values[i - 1];
    if (v->type != GGUF_U32)
        return refuse(why, "the key '%s' is of type %s, it must be u32", key,
                      gguf_file_types[v->type].name);
    memcpy(ret, v->bytes, sizeof(*ret));
    if (*ret < ALIGNMENT_MIN || (*ret & (*ret - 1)) != 0)
        return refuse(why, "the key '%s' is %u, it must be a power of two from %d on", key, *ret,
                      ALIGNMENT_MIN);
    return 0;
}

/* Turn the tensors' offsets, which count from the end of the header at @end, into those of the file. */
static int place_tensors(struct gguf *g, size_t end, struct reason *why)
{
    uint32_t alignment;
    int r = read_alignment(g, &alignment, why);

    if (r != 0) return r;
    const uint64_t start = ((uint64_t)end + alignment - 1) / alignment * alignment;
    for (size_t i = 0; i < g->names.n; i++) {
        struct gguf_tensor *t = &g->tensors[i];
        if (t->offset % alignment != 0)
            return refuse(why, "the tensor '%s' begins at %llu, which is not a multiple of %u",
                          t->name, (unsigned long long)t->offset, alignment);
        if (start > g->size || t->offset > g->size - start ||
            t->size_bytes > g->size - start - t->offset)
            return refuse(
                why, "the tensor '%s' ends behind the end of the file: the file is cut or it lies",
                t->name);
        t->offset += start;
    }
    return check_overlaps(g, why);
}

/* ---- opening ---- */

static int read_header(struct gguf *g, struct reason *why)
{
    struct gguf_file_cursor c = { g->bytes, g->bytes + g->size };
    char magic[4];
    uint32_t version = 0, n_split;
    uint64_t n_tensors = 0, n_keys = 0;

    if (!gguf_file_take(&c, magic, sizeof(magic)) || memcmp(magic, "GGUF", sizeof(magic)) != 0)
        return refuse(why, "this is not a GGUF file: it does not begin with 'GGUF'");
    if (!gguf_file_take(&c, &version, sizeof(version)) ||
        !gguf_file_take(&c, &n_tensors, sizeof(n_tensors)) ||
        !gguf_file_take(&c, &n_keys, sizeof(n_keys)))
        return refuse(why, "the file ends inside the header");
    if (version != 0 && (version & 0xffff) == 0)
        return refuse(why,
                      "the file has the byte order of another kind of machine (big-endian GGUF)");
    if (version != 2 && version != 3)
        return refuse(why, "the file is GGUF version %u, hearth reads 2 and 3", version);
    int r = take_keys(g, &c, n_keys, why);
    if (r != 0) return r;
    r = gguf_u32(g, "split.count", 1, &n_split, why);
    if (r != 0) return r;
    if (n_split > 1)
        return refuse(why,
                      "the file is one of %u parts of a model ('split.count'): join them first",
                      n_split);
    r = take_tensors(g, &c, n_tensors, why);
    if (r != 0) return r;
    return place_tensors(g, (size_t)(c.at - g->bytes), why);
}

static void gguf_freep(struct gguf **g)
{
    gguf_free(*g);
}

int gguf_open(int fd, struct reason *why, struct gguf **ret)
{
    CLEANUP(gguf_freep) struct gguf *g = NULL;
    struct stat st;

    if (fstat(fd, &st) < 0) return err_raise(-errno);
    if (!S_ISREG(st.st_mode)) return refuse(why, "this is not a regular file");
    if (st.st_size == 0) return refuse(why, "the file is empty");
    g = calloc(1, sizeof(*g));
    if (!g) return err_raise(-ENOMEM);
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) return err_raise(-errno);
    g->bytes = bytes;
    g->size = (size_t)st.st_size;
    int r = read_header(g, why);
    if (r < 0) return err_pass(r);
    if (r > 0) return r;
    *ret = TAKE_PTR(g);
    return 0;
}

struct gguf *gguf_free(struct gguf *g)
{
    if (!g) return NULL;
    if (g->bytes) (void)munmap((void *)(uintptr_t)g->bytes, g->size);
    table_deinit(&g->keys);
    table_deinit(&g->names);
    free(g->values);
    free(g->tensors);
    free(g);
    return NULL;
}

/* ---- tensors ---- */

const void *gguf_data(const struct gguf *g, const struct gguf_tensor *t)
{
    return g->bytes + t->offset;
}

void gguf_release(const struct gguf *g, const struct gguf_tensor *t)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE); /* pages that lie in @t as a whole */
    const uint64_t first = (t->offset + page - 1) / page * page,
                   end = (t->offset + t->size_bytes) / page * page;

    if (first < end)
        (void)madvise((void *)(uintptr_t)(g->bytes + first), end - first, MADV_DONTNEED);
}

uint64_t gguf_position(const struct gguf *g, const void *at)
{
    return (uint64_t)((const uint8_t *)at - (const uint8_t *)g->bytes);
}

uint64_t gguf_size(const struct gguf *g)
{
    return g->size;
}

const struct gguf_tensor *gguf_tensor(const struct gguf *g, const char *name, ...)
{
    char text[GGUF_NAME_MAX + 1];
    va_list args;

    va_start(args, name);
    const int n = vsnprintf(text, sizeof(text), name, args);
    va_end(args);
    if (n < 0 || n > GGUF_NAME_MAX) return NULL;
    const uint32_t i = *gguf_file_slot(&g->names, text, (size_t)n);
    return i ? &g->tensors[i - 1] : NULL;
}

const struct gguf_tensor *gguf_tensors(const struct gguf *g, size_t *ret_n)
{
    *ret_n = g->names.n;
    return g->tensors;
}
