/* SPDX-License-Identifier: Apache-2.0 */
/* What a GGUF file has is read back; what is asked of it and is not there is refused. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "engine/format/gguf.h"
#include "tests/unit/engine/format/gguf_make.h"
#include "tests/unit/oom.h"

static const uint64_t dims_64[] = { 64 };

static struct gguf *open_small(void)
{
    struct gguf_make m;
    struct gguf *g = NULL;
    struct reason why = { "" };

    gguf_make_small(&m);
    cr_assert_eq(gguf_make_open(&m, &why, &g), 0, "%s", why.text);
    gguf_make_deinit(&m);
    return g;
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

    gguf_make_small(&m);
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

Test(gguf, opening_gives_up_cleanly_at_each_allocation)
{
    struct gguf_make m;
    struct gguf *g = NULL;
    unsigned n = 1;

    OOM_OR_SKIP();
    gguf_make_small(&m);
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
