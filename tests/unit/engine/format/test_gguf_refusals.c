/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are no GGUF, or lie, are refused with a sentence, and nothing is left. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "engine/format/gguf.h"
#include "tests/unit/engine/format/gguf_make.h"

static const uint64_t dims_64[] = { 64 };

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

Test(gguf_refusals, refuses_what_is_no_gguf_file)
{
    refuse_bytes("", 0, "empty");
    refuse_bytes("GGU", 3, "not a GGUF file");
    refuse_bytes("GGML\3\0\0\0", 8, "not a GGUF file");
    refuse_bytes("\x7f"
                 "ELF and more bytes than a header has",
                 37, "not a GGUF file");
}

Test(gguf_refusals, refuses_what_is_no_file)
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

Test(gguf_refusals, reads_version_2_and_3_only)
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

    gguf_make_small(&m);
    m.version = 2;
    cr_assert_eq(gguf_make_open(&m, NULL, &g), 0);
    gguf_free(g);
    gguf_make_deinit(&m);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        gguf_make_small(&m);
        m.version = bad[i].version;
        refuse_made(&m, bad[i].says);
    }
}

Test(gguf_refusals, refuses_a_file_that_is_cut_anywhere)
{
    struct gguf_make m;

    gguf_make_small(&m);
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

Test(gguf_refusals, survives_every_single_wrong_byte)
{
    struct gguf_make m;

    gguf_make_small(&m);
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

Test(gguf_refusals, refuses_counts_that_cannot_be)
{
    struct gguf_make m;

    gguf_make_small(&m);
    m.n_keys = GGUF_KEYS_MAX + 1;
    refuse_made(&m, "announces 10001 keys, at most");
    gguf_make_small(&m);
    m.n_keys = UINT64_MAX;
    refuse_made(&m, "announces 18446744073709551615 keys");
    gguf_make_small(&m);
    m.n_keys = GGUF_KEYS_MAX;
    refuse_made(&m, "announces 10000 keys, for which the file is too short");
    gguf_make_small(&m);
    m.n_tensors = GGUF_TENSORS_MAX + 1;
    refuse_made(&m, "announces 100001 tensors, at most");
    gguf_make_small(&m);
    m.n_tensors = UINT64_MAX;
    refuse_made(&m, "tensors");
    gguf_make_small(&m);
    m.n_tensors = GGUF_TENSORS_MAX;
    refuse_made(&m, "announces 100000 tensors, for which the file is too short");
}

Test(gguf_refusals, refuses_keys_that_are_empty_too_long_or_doubled)
{
    struct gguf_make m;
    char *name = malloc(GGUF_KEY_MAX + 2);
    struct gguf *g = NULL;

    gguf_make_small(&m);
    gguf_make_u32(&m, "", 1);
    refuse_made(&m, "key 18 has an empty name");
    gguf_make_small(&m);
    gguf_make_u32(&m, "a.f32", 1);
    refuse_made(&m, "the key 'a.f32' occurs twice");
    memset(name, 'x', GGUF_KEY_MAX + 1);
    name[GGUF_KEY_MAX + 1] = 0;
    gguf_make_small(&m);
    gguf_make_u32(&m, name, 1);
    refuse_made(&m, "a name of 65536 bytes");
    name[GGUF_KEY_MAX] = 0;
    gguf_make_small(&m);
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

Test(gguf_refusals, refuses_values_of_unknown_types_and_bools_that_are_none)
{
    struct gguf_make m;

    gguf_make_small(&m);
    gguf_make_scalar(&m, "odd", 13, NULL, 8);
    refuse_made(&m, "the key 'odd' has a value of the unknown type 13");
    gguf_make_small(&m);
    gguf_make_scalar(&m, "odd", UINT32_MAX, NULL, 8);
    refuse_made(&m, "the unknown type 4294967295");
    gguf_make_small(&m);
    gguf_make_scalar(&m, "odd", GGUF_BOOL, "\2", 1);
    refuse_made(&m, "the key 'odd' is a bool of value 2");
    gguf_make_small(&m);
    gguf_make_array(&m, "odd", GGUF_BOOL, "\1\0\3", 3, 1);
    refuse_made(&m, "the array 'odd' has a bool");
}

Test(gguf_refusals, refuses_arrays_that_cannot_be)
{
    struct gguf_make m;

    gguf_make_small(&m);
    gguf_make_array(&m, "odd", GGUF_ARRAY, NULL, 1, 24);
    refuse_made(&m, "the key 'odd' is an array of arrays");
    gguf_make_small(&m);
    gguf_make_array(&m, "odd", 77, NULL, 1, 8);
    refuse_made(&m, "the array 'odd' has elements of the unknown type 77");
    for (uint32_t type = GGUF_U8; type <= GGUF_F64; type++) {
        if (type == GGUF_ARRAY) continue;
        static const uint64_t counts[] = { GGUF_ARRAY_MAX + 1ull, UINT64_MAX, UINT64_MAX / 8 + 2,
                                           UINT64_MAX / 4 + 2 };
        for (int i = 0; i < 4; i++) {
            gguf_make_small(&m);
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

Test(gguf_refusals, refuses_an_alignment_that_is_none)
{
    static const uint32_t bad[] = { 0, 1, 4, 24, 33, UINT32_MAX };
    struct gguf_make m;
    struct gguf *g = NULL;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        gguf_make_small(&m);
        gguf_make_u32(&m, "general.alignment", bad[i]);
        refuse_made(&m, "'general.alignment' is");
    }
    gguf_make_small(&m);
    gguf_make_scalar(&m, "general.alignment", GGUF_U64, &(uint64_t){ 32 }, 8);
    refuse_made(&m, "'general.alignment' is of type u64");
    gguf_make_small(&m);
    gguf_make_u32(&m, "general.alignment", 1u << 31);
    refuse_made(&m, "the tensor 'matrix' ends behind the end");
    gguf_make_small(&m);
    gguf_make_u32(&m, "general.alignment", 8);
    cr_assert_eq(gguf_make_open(&m, NULL, &g), 0, "what is aligned to 32 is aligned to 8");
    cr_assert_eq(gguf_tensor(g, "matrix")->offset % 8, 0u);
    gguf_free(g);
    gguf_make_deinit(&m);
}

Test(gguf_refusals, refuses_a_part_of_a_split_model)
{
    struct gguf_make m;
    struct gguf *g = NULL;

    gguf_make_small(&m);
    gguf_make_scalar(&m, "split.count", GGUF_U16, &(uint16_t){ 3 }, 2);
    refuse_made(&m, "one of 3 parts");
    gguf_make_small(&m);
    gguf_make_text(&m, "split.count", "3");
    refuse_made(&m, "'split.count' is of type string");
    gguf_make_small(&m);
    gguf_make_scalar(&m, "split.count", GGUF_U16, &(uint16_t){ 1 }, 2);
    cr_assert_eq(gguf_make_open(&m, NULL, &g), 0);
    gguf_free(g);
    gguf_make_deinit(&m);
}

Test(gguf_refusals, refuses_tensors_with_impossible_names)
{
    struct gguf_make m;
    struct gguf *g = NULL;

    gguf_make_small(&m);
    gguf_make_tensor(&m, "", QUANT_F32, 1, dims_64, NULL, 256);
    refuse_made(&m, "the name of tensor 3 is empty");
    gguf_make_small(&m);
    gguf_make_tensor(&m, "matrix", QUANT_F32, 1, dims_64, NULL, 256);
    refuse_made(&m, "the tensor 'matrix' occurs twice");
    gguf_make_small(&m);
    gguf_make_tensor(&m, "a name of sixty-four bytes, which is one more than a name may have",
                     QUANT_F32, 1, dims_64, NULL, 256);
    refuse_made(&m, "tensor 3 has a name of 66 bytes");
    gguf_make_small(&m);
    gguf_make_tensor(&m, "zero?byte", QUANT_F32, 1, dims_64, NULL, 256);
    *(uint8_t *)memchr(m.tensors.bytes, '?', m.tensors.n) = 0;
    refuse_made(&m, "contains a zero byte");
    gguf_make_small(&m);
    char longest[GGUF_NAME_MAX + 1];
    memset(longest, 'n', GGUF_NAME_MAX);
    longest[GGUF_NAME_MAX] = 0;
    gguf_make_tensor(&m, longest, QUANT_F32, 1, dims_64, NULL, 256);
    cr_assert_eq(gguf_make_open(&m, NULL, &g), 0);
    cr_assert_str_eq(gguf_tensor(g, "%s", longest)->name, longest);
    gguf_free(g);
    gguf_make_deinit(&m);
}

Test(gguf_refusals, names_the_tensor_and_the_type_that_hearth_does_not_read)
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
        gguf_make_small(&m);
        gguf_make_tensor(&m, "odd", bad[i].type, 1, dims_64, NULL, 256);
        refuse_made(&m, bad[i].says);
    }
}

Test(gguf_refusals, refuses_tensors_with_impossible_dimensions)
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

    gguf_make_small(&m);
    gguf_make_tensor(&m, "odd", QUANT_F32, 0, dims, NULL, 256);
    refuse_made(&m, "'odd' has 0 dimensions");
    gguf_make_small(&m);
    gguf_make_tensor(&m, "odd", QUANT_F32, 5, dims, NULL, 256);
    refuse_made(&m, "'odd' has 5 dimensions");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        gguf_make_small(&m);
        gguf_make_tensor(&m, "odd", bad[i].type, bad[i].n, bad[i].dims, NULL, 256);
        refuse_made(&m, bad[i].says);
    }
}

Test(gguf_refusals, refuses_tensors_that_are_misaligned_overlap_or_lie_outside)
{
    struct gguf_make m;
    struct gguf *g = NULL;

    gguf_make_small(&m);
    gguf_make_tensor_at(&m, "odd", QUANT_F32, 1, dims_64, 33);
    refuse_made(&m, "the tensor 'odd' begins at 33, which is not a multiple of 32");
    gguf_make_small(&m);
    gguf_make_tensor_at(&m, "odd", QUANT_F32, 1, (const uint64_t[]){ 1 }, 32);
    refuse_made(&m, "the tensors 'matrix' and 'odd' overlap");
    gguf_make_small(&m);
    gguf_make_tensor_at(&m, "odd", QUANT_F32, 1, (const uint64_t[]){ 1 }, 0);
    refuse_made(&m, "overlap");
    gguf_make_small(&m);
    gguf_make_tensor_at(&m, "odd", QUANT_F32, 1, dims_64, 1 << 20);
    refuse_made(&m, "the tensor 'odd' ends behind the end");
    gguf_make_small(&m);
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

Test(gguf_refusals, finds_each_of_many_tensors_and_the_one_that_occurs_twice)
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

Test(gguf_refusals, a_refusal_shows_no_control_bytes)
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
