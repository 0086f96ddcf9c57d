/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values behind the keys of an open file. That they lie inside the mapping was checked by gguf_open();
 * here only types and ranges are.
 */
#include <assert.h>
#include "engine/format/gguf.h"
#include "engine/format/gguf_file.h"

#define refuse(why, ...) gguf_file_refuse(why, __VA_ARGS__)

static const struct gguf_file_value *find(const struct gguf *g, const char *key)
{
    const uint32_t i = *gguf_file_slot(&g->keys, key, strlen(key));

    return i ? &g->values[i - 1] : NULL;
}

bool gguf_has(const struct gguf *g, const char *key)
{
    return find(g, key) != NULL;
}

/* A number of the file in the widest type of its kind. */
struct number {
    enum { NUMBER_NONE, NUMBER_UNSIGNED, NUMBER_NEGATIVE, NUMBER_FLOAT } kind;
    uint64_t u; /* NUMBER_UNSIGNED */
    int64_t i;  /* NUMBER_NEGATIVE */
    double f;   /* NUMBER_FLOAT */
};

static struct number from_signed(int64_t i)
{
    if (i < 0) return (struct number){ .kind = NUMBER_NEGATIVE, .i = i };
    return (struct number){ .kind = NUMBER_UNSIGNED, .u = (uint64_t)i };
}

#define AS(type)                                                                                   \
    __extension__({                                                                                \
        type as_;                                                                                  \
        memcpy(&as_, bytes, sizeof(as_));                                                          \
        as_;                                                                                       \
    })

/* @type: of a scalar, or of an array's element. @bytes: where it stands. */
static struct number number_at(enum gguf_value_type type, const uint8_t *bytes)
{
    switch (type) {
    case GGUF_U8:
        return (struct number){ .kind = NUMBER_UNSIGNED, .u = *bytes };
    case GGUF_U16:
        return (struct number){ .kind = NUMBER_UNSIGNED, .u = AS(uint16_t) };
    case GGUF_U32:
        return (struct number){ .kind = NUMBER_UNSIGNED, .u = AS(uint32_t) };
    case GGUF_U64:
        return (struct number){ .kind = NUMBER_UNSIGNED, .u = AS(uint64_t) };
    case GGUF_I8:
        return from_signed(AS(int8_t));
    case GGUF_I16:
        return from_signed(AS(int16_t));
    case GGUF_I32:
        return from_signed(AS(int32_t));
    case GGUF_I64:
        return from_signed(AS(int64_t));
    case GGUF_F32:
        return (struct number){ .kind = NUMBER_FLOAT, .f = (double)AS(float) };
    case GGUF_F64:
        return (struct number){ .kind = NUMBER_FLOAT, .f = AS(double) };
    case GGUF_BOOL:
    case GGUF_STRING:
    case GGUF_ARRAY:
        break;
    }
    return (struct number){ .kind = NUMBER_NONE };
}

static int wrong_type(const struct gguf_file_value *v, const char *key, const char *expected,
                      struct reason *why)
{
    return refuse(why, "the key '%.80s' is of type %s where %s is expected", key,
                  gguf_file_types[v->type].name, expected);
}

int gguf_u32(const struct gguf *g, const char *key, uint32_t absent, uint32_t *ret,
             struct reason *why)
{
    const struct gguf_file_value *v = find(g, key);

    if (!v) {
        *ret = absent;
        return 0;
    }
    const struct number x = number_at(v->type, v->bytes);
    switch (x.kind) {
    case NUMBER_NONE:
        return wrong_type(v, key, "a count", why);
    case NUMBER_NEGATIVE:
        return refuse(why, "the key '%.80s' is %lld, a count is expected", key, (long long)x.i);
    case NUMBER_UNSIGNED:
        if (x.u > UINT32_MAX)
            return refuse(why, "the key '%.80s' is %llu, which is too large", key,
                          (unsigned long long)x.u);
        *ret = (uint32_t)x.u;
        return 0;
    case NUMBER_FLOAT:
        if (!(x.f >= 0 && x.f <= UINT32_MAX) || x.f != (double)(uint32_t)x.f)
            return refuse(why, "the key '%.80s' is %g, a count is expected", key, x.f);
        *ret = (uint32_t)x.f;
        return 0;
    }
    return 0;
}

int gguf_f32(const struct gguf *g, const char *key, float absent, float *ret, struct reason *why)
{
    const struct gguf_file_value *v = find(g, key);

    if (!v) {
        *ret = absent;
        return 0;
    }
    const struct number x = number_at(v->type, v->bytes);
    switch (x.kind) {
    case NUMBER_NONE:
        return wrong_type(v, key, "a number", why);
    case NUMBER_NEGATIVE:
        *ret = (float)x.i;
        return 0;
    case NUMBER_UNSIGNED:
        *ret = (float)x.u;
        return 0;
    case NUMBER_FLOAT:
        *ret = (float)x.f;
        return 0;
    }
    return 0;
}

int gguf_bool(const struct gguf *g, const char *key, bool absent, bool *ret, struct reason *why)
{
    const struct gguf_file_value *v = find(g, key);

    if (v && v->type != GGUF_BOOL) return wrong_type(v, key, "a bool", why);
    *ret = v ? *v->bytes == 1 : absent;
    return 0;
}

int gguf_text(const struct gguf *g, const char *key, struct gguf_string *ret, struct reason *why)
{
    const struct gguf_file_value *v = find(g, key);

    if (v && v->type != GGUF_STRING) return wrong_type(v, key, "a string", why);
    *ret =
        v ? (struct gguf_string){ (const char *)v->bytes, v->n } : (struct gguf_string){ NULL, 0 };
    return 0;
}

int gguf_array_len(const struct gguf *g, const char *key, size_t *ret_n,
                   enum gguf_value_type *ret_type, struct reason *why)
{
    const struct gguf_file_value *v = find(g, key);

    if (v && v->type != GGUF_ARRAY) return wrong_type(v, key, "an array", why);
    *ret_n = v ? v->n : 0;
    *ret_type = v ? v->element : GGUF_U8;
    return 0;
}

/* The array @key of @n elements; *ret is NULL when it is absent and @n is 0. */
static int find_array(const struct gguf *g, const char *key, size_t n,
                      const struct gguf_file_value **ret, struct reason *why)
{
    const struct gguf_file_value *v = find(g, key);

    if (!v && n > 0) return refuse(why, "the key '%.80s' is missing", key);
    if (v && v->type != GGUF_ARRAY) return wrong_type(v, key, "an array", why);
    if (v && v->n != n)
        return refuse(why, "the array '%.80s' has %llu elements where %zu are expected", key,
                      (unsigned long long)v->n, n);
    *ret = v;
    return 0;
}

static int wrong_element(const struct gguf_file_value *v, const char *key, const char *expected,
                         struct reason *why)
{
    return refuse(why, "the array '%.80s' has elements of type %s where %s are expected", key,
                  gguf_file_types[v->element].name, expected);
}

int gguf_array_u32(const struct gguf *g, const char *key, uint32_t *out, size_t n,
                   struct reason *why)
{
    const struct gguf_file_value *v;
    int r = find_array(g, key, n, &v, why);

    if (r != 0 || !v) return r;
    if (v->element == GGUF_STRING || v->element == GGUF_F32 || v->element == GGUF_F64)
        return wrong_element(v, key, "integers", why);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *bytes = v->bytes + i * gguf_file_types[v->element].size;
        const struct number x =
            v->element == GGUF_BOOL ? number_at(GGUF_U8, bytes) : number_at(v->element, bytes);
        if (x.kind != NUMBER_UNSIGNED || x.u > UINT32_MAX)
            return refuse(why, "element %zu of the array '%.80s' is negative or too large", i, key);
        out[i] = (uint32_t)x.u;
    }
    return 0;
}

int gguf_array_f32(const struct gguf *g, const char *key, float *out, size_t n, struct reason *why)
{
    const struct gguf_file_value *v;
    int r = find_array(g, key, n, &v, why);

    if (r != 0 || !v) return r;
    if (v->element != GGUF_F32 && v->element != GGUF_F64)
        return wrong_element(v, key, "floats", why);
    for (size_t i = 0; i < n; i++)
        out[i] = (float)number_at(v->element, v->bytes + i * gguf_file_types[v->element].size).f;
    return 0;
}

int gguf_array_text(const struct gguf *g, const char *key, struct gguf_string *out, size_t n,
                    struct reason *why)
{
    const struct gguf_file_value *v;
    int r = find_array(g, key, n, &v, why);

    if (r != 0 || !v) return r;
    if (v->element != GGUF_STRING) return wrong_element(v, key, "strings", why);
    struct gguf_file_cursor c = { v->bytes, g->bytes + g->size };
    for (size_t i = 0; i < n; i++) {
        const bool inside = gguf_file_take_string(&c, &out[i]);
        assert(inside); /* gguf_open() walked over them */
    }
    return 0;
}
