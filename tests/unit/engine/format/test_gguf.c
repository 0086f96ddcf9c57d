/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "engine/format/gguf.h"
#include "tests/unit/engine/format/gguf_make.h"
#include "tests/unit/oom.h"

#define TEXT(s)                                                                                    \
    {                                                                                              \
        (s), sizeof(s) - 1                                                                         \
    }

static const uint64_t dims_8x2[] = { 8, 2 }, dims_64[] = { 64 };

/* A file with a key of every type and three tensors. */
static void make_small(struct gguf_make *m)
{
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

static struct gguf *open_small(void)
{
    struct gguf_make m;
    struct gguf *g = NULL;
    struct reason why = { "" };

    make_small(&m);
    cr_assert_eq(gguf_make_open(&m, &why, &g), 0, "%s", why.text);
    gguf_make_deinit(&m);
    return g;
}

/* @m must be refused with a sentence that contains @says. */
static void refuse_made(struct gguf_make *m, const char *says)
{
    struct gguf *g = NULL;
    struct reason why = { "" };

    cr_assert_eq(gguf_make_open(m, &why, &g), GGUF_E_REFUSED, "expected: %s", says);
    cr_assert_not_null(strstr(why.text, says), "'%s' should say '%s'", why.text, says);
    cr_assert_null(g);
    gguf_make_deinit(m);
}

static void refuse_bytes(const void *bytes, size_t n, const char *says)
{
    const int fd = gguf_make_fd(bytes, n);
    struct gguf *g = NULL;
    struct reason why = { "" };

    cr_assert_eq(gguf_open(fd, &why, &g), GGUF_E_REFUSED, "expected: %s", says);
    cr_assert_not_null(strstr(why.text, says), "'%s' should say '%s'", why.text, says);
    cr_assert_null(g);
    (void)close(fd);
}

Test(gguf, reads_back_every_tensor_of_a_file)
{
    struct gguf *g = open_small();
    size_t n;
    const struct gguf_tensor *all = gguf_tensors(g, &n), *t = gguf_tensor(g, "matrix");

    cr_assert_eq(n, 3u);
    cr_assert_str_eq(all[0].name, "matrix");
    cr_assert_str_eq(all[2].name, "last");
    cr_assert_eq(t, &all[0]);
    cr_assert_eq(t->type, QUANT_F32);
    cr_assert_eq(t->n_dims, 2u);
    cr_assert_eq(t->dims[0], 8u);
    cr_assert_eq(t->dims[1], 2u);
    cr_assert_eq(t->dims[2], 1u, "dimensions that are not there are 1");
    cr_assert_eq(t->dims[3], 1u);
    cr_assert_eq(t->size_bytes, 64u);
    const float *matrix = gguf_data(g, t);
    cr_assert_eq((uintptr_t)matrix % 32, 0u);
    for (int i = 0; i < 16; i++)
        cr_assert_eq(matrix[i], (float)i);
    t = gguf_tensor(g, "blk.%d.%s", 3, "blocks");
    cr_assert_eq(t, &all[1]);
    cr_assert_eq(t->size_bytes, 68u);
    cr_assert_eq(gguf_size(g), all[2].offset + all[2].size_bytes);
    cr_assert_null(gguf_tensor(g, "blk.4.blocks"));
    cr_assert_null(gguf_tensor(g, "%s", ""));
    cr_assert_null(gguf_tensor(g, "%0100d", 1), "longer than a name can be");
    cr_assert_null(gguf_free(g));
    cr_assert_null(gguf_free(NULL));
}

Test(gguf, a_released_tensor_remains_readable)
{
    struct gguf_make m;
    struct gguf *g = NULL;
    enum { N = 64 * 1024 };
    float *zeros_but_one = calloc(N, sizeof(float));

    zeros_but_one[N / 2] = 3.0f;
    gguf_make_init(&m);
    gguf_make_tensor(&m, "small", QUANT_F32, 1, dims_64, NULL, 256);
    gguf_make_tensor(&m, "large", QUANT_F32, 1, (const uint64_t[]){ N }, zeros_but_one, N * 4);
    cr_assert_eq(gguf_make_open(&m, NULL, &g), 0);
    gguf_release(g, gguf_tensor(g, "small"));
    gguf_release(g, gguf_tensor(g, "large"));
    cr_assert_eq(((const float *)gguf_data(g, gguf_tensor(g, "large")))[N / 2], 3.0f);
    gguf_free(g);
    gguf_make_deinit(&m);
    free(zeros_but_one);
}

Test(gguf, needs_the_descriptor_only_while_it_opens_and_reads_files_from_disk)
{
    char path[] = "/tmp/hearth-gguf-XXXXXX";
    const int fd = mkstemp(path);
    struct gguf_make m;
    struct gguf *g = NULL;

    make_small(&m);
    struct gguf_make_bytes f = gguf_make_file(&m);
    cr_assert_eq(write(fd, f.bytes, f.n), (ssize_t)f.n);
    cr_assert_eq(gguf_open(fd, NULL, &g), 0);
    (void)close(fd);
    (void)unlink(path);
    cr_assert_eq(((const float *)gguf_data(g, gguf_tensor(g, "matrix")))[15], 15.0f);
    gguf_free(g);
    free(f.bytes);
    gguf_make_deinit(&m);
}

Test(gguf, counts_come_from_any_integer_and_from_integral_floats)
{
    struct gguf *g = open_small();
    struct reason why;
    uint32_t x = 0;

    cr_assert_eq(gguf_u32(g, "a.u8", 1, &x, NULL), 0);
    cr_assert_eq(x, 200u);
    cr_assert_eq(gguf_u32(g, "a.u16", 1, &x, NULL), 0);
    cr_assert_eq(x, 60000u);
    cr_assert_eq(gguf_u32(g, "a.u32", 1, &x, NULL), 0);
    cr_assert_eq(x, 4000000000u);
    cr_assert_eq(gguf_u32(g, "a.i64", 1, &x, NULL), 0);
    cr_assert_eq(x, 77u);
    cr_assert_eq(gguf_u32(g, "a.f32", 1, &x, NULL), 0);
    cr_assert_eq(x, 10u);
    cr_assert_eq(gguf_u32(g, "absent", 5, &x, NULL), 0);
    cr_assert_eq(x, 5u);
    static const char *const bad[][2] = {
        { "a.i8", "is -100" },          { "a.i16", "is -30000" },
        { "a.i32", "is -7" },           { "a.u64", "too large" },
        { "a.f64", "is 0.5" },          { "a.bool", "of type bool" },
        { "a.texts", "of type array" }, { "general.architecture", "of type string" },
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        x = 99;
        cr_assert_eq(gguf_u32(g, bad[i][0], 1, &x, &why), GGUF_E_REFUSED, "%s", bad[i][0]);
        cr_assert_not_null(strstr(why.text, bad[i][0]), "%s", why.text);
        cr_assert_not_null(strstr(why.text, bad[i][1]), "%s", why.text);
        cr_assert_eq(x, 99u, "a refusal leaves the result alone");
    }
    gguf_free(g);
}

Test(gguf, a_float_that_is_no_count_is_refused_as_one)
{
    static const float bad[] = { -1.0f, 1.5f, 4294967296.0f, INFINITY, -INFINITY, NAN };
    uint32_t x = 0;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct gguf_make m;
        struct gguf *g = NULL;
        gguf_make_init(&m);
        gguf_make_f32(&m, "x", bad[i]);
        cr_assert_eq(gguf_make_open(&m, NULL, &g), 0);
        cr_assert_eq(gguf_u32(g, "x", 0, &x, NULL), GGUF_E_REFUSED, "%f", (double)bad[i]);
        gguf_free(g);
        gguf_make_deinit(&m);
    }
}

Test(gguf, numbers_come_from_floats_and_integers)
{
    struct gguf *g = open_small();
    struct reason why;
    float x = 0;

    cr_assert_eq(gguf_f32(g, "a.f32", 1, &x, NULL), 0);
    cr_assert_eq(x, 10.0f);
    cr_assert_eq(gguf_f32(g, "a.f64", 1, &x, NULL), 0);
    cr_assert_eq(x, 0.5f);
    cr_assert_eq(gguf_f32(g, "a.i8", 1, &x, NULL), 0);
    cr_assert_eq(x, -100.0f);
    cr_assert_eq(gguf_f32(g, "a.u64", 1, &x, NULL), 0);
    cr_assert_eq(x, 0x1p40f);
    cr_assert_eq(gguf_f32(g, "absent", 2.5f, &x, NULL), 0);
    cr_assert_eq(x, 2.5f);
    cr_assert_eq(gguf_f32(g, "a.bool", 0, &x, &why), GGUF_E_REFUSED);
    cr_assert_not_null(strstr(why.text, "'a.bool' is of type bool"), "%s", why.text);
    gguf_free(g);
}

Test(gguf, gives_bools_texts_and_whether_a_key_exists)
{
    struct gguf *g = open_small();
    struct reason why;
    struct gguf_string s;
    bool b = false;

    cr_assert_eq(gguf_bool(g, "a.bool", false, &b, NULL), 0);
    cr_assert(b);
    cr_assert_eq(gguf_bool(g, "absent", true, &b, NULL), 0);
    cr_assert(b);
    cr_assert_eq(gguf_bool(g, "a.u8", false, &b, &why), GGUF_E_REFUSED);
    cr_assert_not_null(strstr(why.text, "'a.u8'"));
    cr_assert_eq(gguf_text(g, "general.architecture", &s, NULL), 0);
    cr_assert_eq(s.n, 4u);
    cr_assert_eq(memcmp(s.bytes, "test", 4), 0);
    cr_assert_eq(gguf_text(g, "absent", &s, NULL), 0);
    cr_assert_null(s.bytes);
    cr_assert_eq(gguf_text(g, "a.f32", &s, &why), GGUF_E_REFUSED);
    cr_assert_not_null(strstr(why.text, "'a.f32' is of type f32 where a string"), "%s", why.text);
    cr_assert(gguf_has(g, "a.texts"));
    cr_assert_not(gguf_has(g, "a.text"));
    cr_assert_not(gguf_has(g, ""));
    gguf_free(g);
}

Test(gguf, gives_arrays_of_integers_floats_and_texts)
{
    struct gguf *g = open_small();
    enum gguf_value_type type;
    size_t n;
    uint32_t ints[3];
    float floats[2];
    struct gguf_string texts[3];

    cr_assert_eq(gguf_array_len(g, "a.ints", &n, &type, NULL), 0);
    cr_assert_eq(n, 3u);
    cr_assert_eq(type, GGUF_I32);
    cr_assert_eq(gguf_array_u32(g, "a.ints", ints, 3, NULL), 0);
    cr_assert_eq(ints[0], 3u);
    cr_assert_eq(ints[2], 1u);
    cr_assert_eq(gguf_array_u32(g, "a.bools", ints, 2, NULL), 0);
    cr_assert_eq(ints[0], 1u);
    cr_assert_eq(ints[1], 0u);
    cr_assert_eq(gguf_array_f32(g, "a.floats", floats, 2, NULL), 0);
    cr_assert_eq(floats[1], -2.0f);
    cr_assert_eq(gguf_array_f32(g, "a.doubles", floats, 1, NULL), 0);
    cr_assert_eq(floats[0], 0.25f);
    cr_assert_eq(gguf_array_text(g, "a.texts", texts, 3, NULL), 0);
    cr_assert_eq(texts[1].n, 0u);
    cr_assert_eq(texts[2].n, 6u, "zero bytes are bytes");
    cr_assert_eq(memcmp(texts[2].bytes, "th\0ree", 6), 0);
    cr_assert_eq(gguf_array_len(g, "a.empty", &n, &type, NULL), 0);
    cr_assert_eq(n, 0u);
    cr_assert_eq(type, GGUF_U16);
    cr_assert_eq(gguf_array_u32(g, "a.empty", ints, 0, NULL), 0);
    cr_assert_eq(gguf_array_len(g, "absent", &n, &type, NULL), 0);
    cr_assert_eq(n, 0u);
    cr_assert_eq(gguf_array_u32(g, "absent", ints, 0, NULL), 0);
    gguf_free(g);
}

Test(gguf, refuses_arrays_of_another_type_or_length)
{
    struct gguf *g = open_small();
    struct reason why;
    enum gguf_value_type type;
    size_t n;
    uint32_t ints[4];
    float floats[4];
    struct gguf_string texts[4];

    cr_assert_eq(gguf_array_len(g, "a.u8", &n, &type, &why), GGUF_E_REFUSED);
    cr_assert_not_null(strstr(why.text, "'a.u8' is of type u8 where an array"), "%s", why.text);
    cr_assert_eq(gguf_array_u32(g, "a.ints", ints, 2, &why), GGUF_E_REFUSED);
    cr_assert_not_null(strstr(why.text, "3 elements where 2 are expected"), "%s", why.text);
    cr_assert_eq(gguf_array_u32(g, "absent", ints, 2, &why), GGUF_E_REFUSED);
    cr_assert_not_null(strstr(why.text, "'absent' is missing"), "%s", why.text);
    cr_assert_eq(gguf_array_u32(g, "a.floats", ints, 2, &why), GGUF_E_REFUSED);
    cr_assert_not_null(strstr(why.text, "type f32 where integers"), "%s", why.text);
    cr_assert_eq(gguf_array_u32(g, "a.u8", ints, 1, &why), GGUF_E_REFUSED);
    cr_assert_eq(gguf_array_f32(g, "a.ints", floats, 3, &why), GGUF_E_REFUSED);
    cr_assert_not_null(strstr(why.text, "type i32 where floats"), "%s", why.text);
    cr_assert_eq(gguf_array_f32(g, "absent", floats, 3, &why), GGUF_E_REFUSED);
    cr_assert_eq(gguf_array_text(g, "a.ints", texts, 3, &why), GGUF_E_REFUSED);
    cr_assert_not_null(strstr(why.text, "type i32 where strings"), "%s", why.text);
    cr_assert_eq(gguf_array_text(g, "a.texts", texts, 4, &why), GGUF_E_REFUSED);
    gguf_free(g);
}

Test(gguf, refuses_a_negative_element_where_counts_are_expected)
{
    struct gguf_make m;
    struct gguf *g = NULL;
    struct reason why;
    uint32_t ints[2];

    gguf_make_init(&m);
    gguf_make_array(&m, "x", GGUF_I32, (const int32_t[]){ 1, -1 }, 2, 4);
    cr_assert_eq(gguf_make_open(&m, NULL, &g), 0);
    cr_assert_eq(gguf_array_u32(g, "x", ints, 2, &why), GGUF_E_REFUSED);
    cr_assert_not_null(strstr(why.text, "element 1 of the array 'x'"), "%s", why.text);
    gguf_free(g);
    gguf_make_deinit(&m);
}

Test(gguf, refuses_what_is_no_gguf_file)
{
    refuse_bytes("", 0, "empty");
    refuse_bytes("GGU", 3, "not a GGUF file");
    refuse_bytes("GGML\3\0\0\0", 8, "not a GGUF file");
    refuse_bytes("\x7f"
                 "ELF and more bytes than a header has",
                 37, "not a GGUF file");
}

Test(gguf, refuses_what_is_no_file)
{
    int fds[2];
    struct gguf *g = NULL;
    struct reason why;

    cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
    cr_assert_eq(gguf_open(fds[0], &why, &g), GGUF_E_REFUSED);
    cr_assert_not_null(strstr(why.text, "regular file"));
    (void)close(fds[0]);
    (void)close(fds[1]);
    cr_assert_eq(gguf_open(fds[0], NULL, &g), -EBADF);
    const int fd = open("/tmp", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0) { /* not every file system can */
        cr_assert_eq(write(fd, "GGUF", 4), 4);
        cr_assert_eq(gguf_open(fd, NULL, &g), -EACCES, "a descriptor that cannot read");
        (void)close(fd);
    }
    cr_assert_null(g);
}

Test(gguf, reads_version_2_and_3_only)
{
    static const struct {
        uint32_t version;
        const char *says;
    } bad[] = { { 0, "version 0" },
                { 1, "version 1" },
                { 4, "version 4" },
                { 0x03000000, "byte order" },
                { 0x00020000, "byte order" } };
    struct gguf_make m;
    struct gguf *g = NULL;

    make_small(&m);
    m.version = 2;
    cr_assert_eq(gguf_make_open(&m, NULL, &g), 0);
    gguf_free(g);
    gguf_make_deinit(&m);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        make_small(&m);
        m.version = bad[i].version;
        refuse_made(&m, bad[i].says);
    }
}

Test(gguf, refuses_a_file_that_is_cut_anywhere)
{
    struct gguf_make m;

    make_small(&m);
    struct gguf_make_bytes f = gguf_make_file(&m);
    for (size_t n = 0; n < f.n; n++)
        refuse_bytes(f.bytes, n,
                     n == 0   ? "empty"
                     : n < 4  ? "not a GGUF"
                     : n < 24 ? "header"
                              : "file");
    struct gguf *g = NULL;
    const int fd = gguf_make_fd(f.bytes, f.n);
    cr_assert_eq(gguf_open(fd, NULL, &g), 0, "and the whole is read");
    gguf_free(g);
    (void)close(fd);
    free(f.bytes);
    gguf_make_deinit(&m);
}

Test(gguf, survives_every_single_wrong_byte)
{
    struct gguf_make m;

    make_small(&m);
    struct gguf_make_bytes f = gguf_make_file(&m);
    for (size_t i = 0; i < f.n; i++) {
        static const uint8_t flips[] = { 0x01, 0x80, 0xff };
        for (size_t k = 0; k < sizeof(flips); k++) {
            struct gguf *g = NULL;
            f.bytes[i] ^= flips[k];
            const int fd = gguf_make_fd(f.bytes, f.n), r = gguf_open(fd, NULL, &g);
            cr_assert(r == 0 || r == GGUF_E_REFUSED);
            cr_assert_eq(g != NULL, r == 0);
            gguf_free(g);
            (void)close(fd);
            f.bytes[i] ^= flips[k];
        }
    }
    free(f.bytes);
    gguf_make_deinit(&m);
}

Test(gguf, refuses_counts_that_cannot_be)
{
    struct gguf_make m;

    make_small(&m);
    m.n_keys = GGUF_KEYS_MAX + 1;
    refuse_made(&m, "announces 10001 keys, at most");
    make_small(&m);
    m.n_keys = UINT64_MAX;
    refuse_made(&m, "announces 18446744073709551615 keys");
    make_small(&m);
    m.n_keys = GGUF_KEYS_MAX;
    refuse_made(&m, "announces 10000 keys, for which the file is too short");
    make_small(&m);
    m.n_tensors = GGUF_TENSORS_MAX + 1;
    refuse_made(&m, "announces 100001 tensors, at most");
    make_small(&m);
    m.n_tensors = UINT64_MAX;
    refuse_made(&m, "tensors");
    make_small(&m);
    m.n_tensors = GGUF_TENSORS_MAX;
    refuse_made(&m, "announces 100000 tensors, for which the file is too short");
}

Test(gguf, refuses_keys_that_are_empty_too_long_or_doubled)
{
    struct gguf_make m;
    char *name = malloc(GGUF_KEY_MAX + 2);
    struct gguf *g = NULL;

    make_small(&m);
    gguf_make_u32(&m, "", 1);
    refuse_made(&m, "key 18 has an empty name");
    make_small(&m);
    gguf_make_u32(&m, "a.f32", 1);
    refuse_made(&m, "the key 'a.f32' occurs twice");
    memset(name, 'x', GGUF_KEY_MAX + 1);
    name[GGUF_KEY_MAX + 1] = 0;
    make_small(&m);
    gguf_make_u32(&m, name, 1);
    refuse_made(&m, "a name of 65536 bytes");
    name[GGUF_KEY_MAX] = 0;
    make_small(&m);
    gguf_make_u32(&m, name, 1);
    cr_assert_eq(gguf_make_open(&m, NULL, &g), 0, "the longest name is read");
    cr_assert(gguf_has(g, name));
    gguf_free(g);
    gguf_make_deinit(&m);
    gguf_make_init(&m);
    gguf_make_add_u64(&m.keys, UINT64_MAX);
    gguf_make_add(&m.keys, NULL, 100);
    m.n_keys = 1;
    refuse_made(&m, "inside the name of key 0");
    free(name);
}

Test(gguf, refuses_values_of_unknown_types_and_bools_that_are_none)
{
    struct gguf_make m;

    make_small(&m);
    gguf_make_scalar(&m, "odd", 13, NULL, 8);
    refuse_made(&m, "the key 'odd' has a value of the unknown type 13");
    make_small(&m);
    gguf_make_scalar(&m, "odd", UINT32_MAX, NULL, 8);
    refuse_made(&m, "the unknown type 4294967295");
    make_small(&m);
    gguf_make_scalar(&m, "odd", GGUF_BOOL, "\2", 1);
    refuse_made(&m, "the key 'odd' is a bool of value 2");
    make_small(&m);
    gguf_make_array(&m, "odd", GGUF_BOOL, "\1\0\3", 3, 1);
    refuse_made(&m, "the array 'odd' has a bool");
}

Test(gguf, refuses_arrays_that_cannot_be)
{
    struct gguf_make m;

    make_small(&m);
    gguf_make_array(&m, "odd", GGUF_ARRAY, NULL, 1, 24);
    refuse_made(&m, "the key 'odd' is an array of arrays");
    make_small(&m);
    gguf_make_array(&m, "odd", 77, NULL, 1, 8);
    refuse_made(&m, "the array 'odd' has elements of the unknown type 77");
    for (uint32_t type = GGUF_U8; type <= GGUF_F64; type++) {
        if (type == GGUF_ARRAY) continue;
        static const uint64_t counts[] = { GGUF_ARRAY_MAX + 1ull, UINT64_MAX, UINT64_MAX / 8 + 2,
                                           UINT64_MAX / 4 + 2 };
        for (int i = 0; i < 4; i++) {
            make_small(&m);
            gguf_make_key(&m, "odd", GGUF_ARRAY);
            gguf_make_add_u32(&m.keys, type);
            gguf_make_add_u64(&m.keys, counts[i]);
            refuse_made(&m, "the array 'odd' announces");
        }
        gguf_make_init(&m);
        gguf_make_key(&m, "odd", GGUF_ARRAY);
        gguf_make_add_u32(&m.keys, type);
        gguf_make_add_u64(&m.keys, GGUF_ARRAY_MAX);
        gguf_make_add(&m.keys, NULL, 1000);
        refuse_made(&m, "ends inside the array 'odd'");
    }
    gguf_make_init(&m);
    gguf_make_array(&m, "odd", GGUF_STRING, NULL, 2, 0);
    gguf_make_add_string(&m.keys, "x", 1);
    gguf_make_add_u64(&m.keys, UINT64_MAX);
    refuse_made(&m, "inside element 1 of the array 'odd'");
    gguf_make_init(&m);
    gguf_make_key(&m, "odd", GGUF_STRING);
    gguf_make_add_u64(&m.keys, UINT64_MAX - 7);
    refuse_made(&m, "inside the value of the key 'odd'");
}

Test(gguf, refuses_an_alignment_that_is_none)
{
    static const uint32_t bad[] = { 0, 1, 4, 24, 33, UINT32_MAX };
    struct gguf_make m;
    struct gguf *g = NULL;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        make_small(&m);
        gguf_make_u32(&m, "general.alignment", bad[i]);
        refuse_made(&m, "'general.alignment' is");
    }
    make_small(&m);
    gguf_make_scalar(&m, "general.alignment", GGUF_U64, &(uint64_t){ 32 }, 8);
    refuse_made(&m, "'general.alignment' is of type u64");
    make_small(&m);
    gguf_make_u32(&m, "general.alignment", 1u << 31);
    refuse_made(&m, "the tensor 'matrix' ends behind the end");
    make_small(&m);
    gguf_make_u32(&m, "general.alignment", 8);
    cr_assert_eq(gguf_make_open(&m, NULL, &g), 0, "what is aligned to 32 is aligned to 8");
    cr_assert_eq(gguf_tensor(g, "matrix")->offset % 8, 0u);
    gguf_free(g);
    gguf_make_deinit(&m);
}

Test(gguf, refuses_a_part_of_a_split_model)
{
    struct gguf_make m;
    struct gguf *g = NULL;

    make_small(&m);
    gguf_make_scalar(&m, "split.count", GGUF_U16, &(uint16_t){ 3 }, 2);
    refuse_made(&m, "one of 3 parts");
    make_small(&m);
    gguf_make_text(&m, "split.count", "3");
    refuse_made(&m, "'split.count' is of type string");
    make_small(&m);
    gguf_make_scalar(&m, "split.count", GGUF_U16, &(uint16_t){ 1 }, 2);
    cr_assert_eq(gguf_make_open(&m, NULL, &g), 0);
    gguf_free(g);
    gguf_make_deinit(&m);
}

Test(gguf, refuses_tensors_with_impossible_names)
{
    struct gguf_make m;
    struct gguf *g = NULL;

    make_small(&m);
    gguf_make_tensor(&m, "", QUANT_F32, 1, dims_64, NULL, 256);
    refuse_made(&m, "the name of tensor 3 is empty");
    make_small(&m);
    gguf_make_tensor(&m, "matrix", QUANT_F32, 1, dims_64, NULL, 256);
    refuse_made(&m, "the tensor 'matrix' occurs twice");
    make_small(&m);
    gguf_make_tensor(&m, "a name of sixty-four bytes, which is one more than a name may have",
                     QUANT_F32, 1, dims_64, NULL, 256);
    refuse_made(&m, "tensor 3 has a name of 66 bytes");
    make_small(&m);
    gguf_make_tensor(&m, "zero?byte", QUANT_F32, 1, dims_64, NULL, 256);
    *(uint8_t *)memchr(m.tensors.bytes, '?', m.tensors.n) = 0;
    refuse_made(&m, "contains a zero byte");
    make_small(&m);
    char longest[GGUF_NAME_MAX + 1];
    memset(longest, 'n', GGUF_NAME_MAX);
    longest[GGUF_NAME_MAX] = 0;
    gguf_make_tensor(&m, longest, QUANT_F32, 1, dims_64, NULL, 256);
    cr_assert_eq(gguf_make_open(&m, NULL, &g), 0);
    cr_assert_str_eq(gguf_tensor(g, "%s", longest)->name, longest);
    gguf_free(g);
    gguf_make_deinit(&m);
}

Test(gguf, names_the_tensor_and_the_type_that_hearth_does_not_read)
{
    static const struct {
        uint32_t type;
        const char *says;
    } bad[] = { { 10, "the tensor 'odd' has type 10 (Q2_K)" },
                { 20, "type 20 (IQ4_NL)" },
                { 4, "type 4 (unknown)" },
                { 40, "type 40 (unknown)" },
                { UINT32_MAX, "type 4294967295" } };
    struct gguf_make m;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        make_small(&m);
        gguf_make_tensor(&m, "odd", bad[i].type, 1, dims_64, NULL, 256);
        refuse_made(&m, bad[i].says);
    }
}

Test(gguf, refuses_tensors_with_impossible_dimensions)
{
    static const uint64_t dims[5] = { 32, 1, 1, 1, 1 };
    static const struct {
        enum quant_type type;
        uint32_t n;
        uint64_t dims[4];
        const char *says;
    } bad[] = {
        { QUANT_F32, 1, { 0 }, "dimension 0 of the tensor 'odd' is 0" },
        { QUANT_F32, 4, { 1, 1, 1, 0 }, "dimension 3 of the tensor 'odd' is 0" },
        { QUANT_F32, 2, { 1ull << 32, 1ull << 31 }, "more than 2^63" },
        { QUANT_F32, 2, { 1ull << 32, 1ull << 32 }, "more than 2^63" },
        { QUANT_F32, 3, { 1ull << 32, 1ull << 32, 2 }, "more than 2^63" },
        { QUANT_F32, 1, { 1ull << 63 }, "more than 2^63" },
        { QUANT_F32, 1, { UINT64_MAX }, "more than 2^63" },
        { QUANT_F32, 1, { 1ull << 62 }, "more than 2^64 bytes" },
        { QUANT_F32, 1, { 1ull << 61 }, "behind the end" },
        { QUANT_F16, 1, { (1ull << 63) - 1 }, "behind the end" },
        { QUANT_Q8_0, 1, { 33 }, "33 values, which is not a multiple of 32 (Q8_0)" },
        { QUANT_Q4_K, 2, { 128, 2 }, "128 values, which is not a multiple of 256 (Q4_K)" },
    };
    struct gguf_make m;

    make_small(&m);
    gguf_make_tensor(&m, "odd", QUANT_F32, 0, dims, NULL, 256);
    refuse_made(&m, "'odd' has 0 dimensions");
    make_small(&m);
    gguf_make_tensor(&m, "odd", QUANT_F32, 5, dims, NULL, 256);
    refuse_made(&m, "'odd' has 5 dimensions");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        make_small(&m);
        gguf_make_tensor(&m, "odd", bad[i].type, bad[i].n, bad[i].dims, NULL, 256);
        refuse_made(&m, bad[i].says);
    }
}

Test(gguf, refuses_tensors_that_are_misaligned_overlap_or_lie_outside)
{
    struct gguf_make m;
    struct gguf *g = NULL;

    make_small(&m);
    gguf_make_tensor_at(&m, "odd", QUANT_F32, 1, dims_64, 33);
    refuse_made(&m, "the tensor 'odd' begins at 33, which is not a multiple of 32");
    make_small(&m);
    gguf_make_tensor_at(&m, "odd", QUANT_F32, 1, (const uint64_t[]){ 1 }, 32);
    refuse_made(&m, "the tensors 'matrix' and 'odd' overlap");
    make_small(&m);
    gguf_make_tensor_at(&m, "odd", QUANT_F32, 1, (const uint64_t[]){ 1 }, 0);
    refuse_made(&m, "overlap");
    make_small(&m);
    gguf_make_tensor_at(&m, "odd", QUANT_F32, 1, dims_64, 1 << 20);
    refuse_made(&m, "the tensor 'odd' ends behind the end");
    make_small(&m);
    gguf_make_tensor_at(&m, "odd", QUANT_F32, 1, dims_64, -(uint64_t)32);
    refuse_made(&m, "the tensor 'odd' ends behind the end");
    gguf_make_init(&m);
    gguf_make_tensor_at(&m, "odd", QUANT_F32, 1, dims_64, 0);
    refuse_made(&m, "the tensor 'odd' ends behind the end");

    gguf_make_init(&m); /* in another order and with a gap: neither harms */
    gguf_make_tensor_at(&m, "second", QUANT_F32, 1, dims_64, 512);
    gguf_make_tensor_at(&m, "first", QUANT_F32, 1, dims_64, 0);
    gguf_make_add(&m.data, NULL, 768);
    cr_assert_eq(gguf_make_open(&m, NULL, &g), 0);
    cr_assert_eq(gguf_tensor(g, "second")->offset - gguf_tensor(g, "first")->offset, 512u);
    gguf_free(g);
    gguf_make_deinit(&m);
}

Test(gguf, reads_a_file_without_keys_or_tensors)
{
    struct gguf_make m;
    struct gguf *g = NULL;
    size_t n = 7;
    uint32_t x;

    gguf_make_init(&m);
    cr_assert_eq(gguf_make_open(&m, NULL, &g), 0);
    (void)gguf_tensors(g, &n);
    cr_assert_eq(n, 0u);
    cr_assert_null(gguf_tensor(g, "matrix"));
    cr_assert_eq(gguf_u32(g, "a", 4, &x, NULL), 0);
    cr_assert_eq(x, 4u);
    gguf_free(g);
    gguf_make_deinit(&m);
}

Test(gguf, finds_each_of_many_tensors_and_the_one_that_occurs_twice)
{
    enum { N = 20000 }; /* a search of each against each other would take 2 * 10^8 comparisons */
    struct gguf_make m;
    struct gguf *g = NULL;
    char name[32];

    gguf_make_init(&m);
    gguf_make_add(&m.data, NULL, N * 32);
    for (unsigned i = 0; i < N; i++) {
        (void)snprintf(name, sizeof(name), "blk.%u.w", i);
        gguf_make_tensor_at(&m, name, QUANT_F32, 1, (const uint64_t[]){ 1 }, 32ull * (N - 1 - i));
    }
    cr_assert_eq(gguf_make_open(&m, NULL, &g), 0);
    for (unsigned i = 0; i < N; i++)
        cr_assert_eq(gguf_tensor(g, "blk.%u.w", i)->offset % 32, 0u);
    gguf_free(g);
    gguf_make_tensor_at(&m, "blk.77.w", QUANT_F32, 1, (const uint64_t[]){ 1 }, 32ull * N);
    gguf_make_add(&m.data, NULL, 32);
    refuse_made(&m, "the tensor 'blk.77.w' occurs twice");
}

Test(gguf, a_refusal_shows_no_control_bytes)
{
    struct gguf_make m;
    struct gguf *g = NULL;
    struct reason why;

    gguf_make_init(&m);
    gguf_make_scalar(&m, "a\x1b[31m\nb", 99, NULL, 1);
    cr_assert_eq(gguf_make_open(&m, &why, &g), GGUF_E_REFUSED);
    cr_assert_not_null(strstr(why.text, "'a?[31m?b'"), "%s", why.text);
    gguf_make_deinit(&m);
}

Test(gguf, opening_gives_up_cleanly_at_each_allocation)
{
    struct gguf_make m;
    struct gguf *g = NULL;
    unsigned n = 1;

    OOM_OR_SKIP();
    make_small(&m);
    struct gguf_make_bytes f = gguf_make_file(&m);
    const int fd = gguf_make_fd(f.bytes, f.n);
    for (;; n++) {
        oom_fail_at(n);
        const int r = gguf_open(fd, NULL, &g);
        if (!oom_happened()) break;
        cr_assert_eq(r, -ENOMEM, "allocation %u", n);
        cr_assert_null(g);
    }
    oom_fail_at(0);
    cr_assert_gt(n, 5u);
    gguf_free(g);
    (void)close(fd);
    free(f.bytes);
    gguf_make_deinit(&m);
}
