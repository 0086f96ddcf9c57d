/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include "engine/format/packed.h"

enum { DATA = 64 * 100 };

static uint8_t data[DATA];
static int fd;
static struct reason why;
static struct packed p;
static struct packed_key key;

static int new_fd(void)
{
    const int f = memfd_create("packed", MFD_CLOEXEC);

    cr_assert_geq(f, 0);
    return f;
}

static void init(void)
{
    for (size_t i = 0; i < DATA; i++)
        data[i] = (uint8_t)(i * i >> 3);
    key = (struct packed_key){ .layout = 3, .shapes = 77, .data_bytes = DATA };
    memset(key.sha256, 0xa5, sizeof(key.sha256));
    why.text[0] = '\0';
    p = (struct packed){ 0 };
    fd = new_fd();
}

static void fini(void)
{
    packed_unmap(&p);
    (void)close(fd);
}

TestSuite(packed, .init = init, .fini = fini);

static void write_it(void)
{
    struct packed_writer w;

    cr_assert_eq(packed_write_begin(&w, fd, &key), 0);
    cr_assert_eq(packed_write(&w, data, 64), 0);
    cr_assert_eq(packed_write(&w, data + 64, DATA - 64), 0);
    cr_assert_eq(packed_write_end(&w), 0);
}

static void refused(const struct packed_key *k, const char *text)
{
    why.text[0] = '\0';
    cr_assert_eq(packed_map(fd, k, &why, &p), PACKED_E_REFUSED, "%s", text);
    cr_assert_not_null(strstr(why.text, text), "'%s' has no '%s'", why.text, text);
    cr_assert_null(p.map, "a refusal leaves its object alone");
}

static void flip(off_t at)
{
    uint8_t b = 0;

    cr_assert_eq(pread(fd, &b, 1, at), 1);
    b ^= 4;
    cr_assert_eq(pwrite(fd, &b, 1, at), 1);
}

Test(packed, gives_back_what_was_written)
{
    write_it();
    cr_assert_eq(packed_map(fd, &key, &why, &p), 0, "%s", why.text);
    cr_assert_eq(memcmp(p.data, data, DATA), 0);
    cr_assert_eq((uintptr_t)p.data % 64, 0);
    cr_assert_eq(packed_verify(&p, &why), 0);
}

Test(packed, is_written_over_what_the_file_had)
{
    key.data_bytes = 64;
    struct packed_writer w;
    cr_assert_eq(packed_write_begin(&w, fd, &key), 0);
    cr_assert_eq(packed_write(&w, data, 64), 0);
    cr_assert_eq(packed_write_end(&w), 0);
    key.data_bytes = DATA;
    write_it();
    cr_assert_eq(packed_map(fd, &key, &why, &p), 0, "%s", why.text);
}

Test(packed, is_not_taken_when_its_making_was_interrupted)
{
    struct packed_writer w;

    refused(&key, "too short"); /* nothing was written */
    cr_assert_eq(packed_write_begin(&w, fd, &key), 0);
    refused(&key, "not completed");
    cr_assert_eq(packed_write(&w, data, DATA), 0);
    refused(&key, "not completed");
    packed_write_abort(&w);
    struct stat st;
    cr_assert_eq(fstat(fd, &st), 0);
    cr_assert_eq(st.st_size, 0, "what failed takes no space");
}

Test(packed, is_refused_for_another_model_layout_or_shape)
{
    struct packed_key k = key;

    write_it();
    k.sha256[31] ^= 1;
    refused(&k, "of another model");
    k = key;
    k.layout++;
    refused(&k, "another version");
    k = key;
    k.shapes++;
    refused(&k, "other shapes");
    k = key;
    k.data_bytes += 64;
    refused(&k, "other shapes");
}

Test(packed, is_refused_when_its_size_is_wrong)
{
    write_it();
    cr_assert_eq(ftruncate(fd, PACKED_DATA_AT + DATA - 1), 0);
    refused(&key, "its size");
    cr_assert_eq(ftruncate(fd, PACKED_DATA_AT + DATA + 1), 0);
    refused(&key, "its size");
    cr_assert_eq(ftruncate(fd, 79), 0);
    refused(&key, "too short");
}

Test(packed, is_refused_when_any_byte_of_its_header_changed)
{
    write_it();
    for (off_t at = 0; at < 80; at++) {
        flip(at);
        refused(&key, at < 8 ? "it is none" : "header is damaged");
        flip(at);
    }
    cr_assert_eq(packed_map(fd, &key, &why, &p), 0, "%s", why.text);
}

Test(packed, verify_finds_any_damaged_byte)
{
    write_it();
    cr_assert_eq(packed_map(fd, &key, &why, &p), 0);
    for (off_t at = 0; at < DATA; at += 61) {
        flip(PACKED_DATA_AT + at);
        cr_assert_eq(packed_verify(&p, &why), PACKED_E_REFUSED, "byte %ld", (long)at);
        flip(PACKED_DATA_AT + at);
    }
    cr_assert_not_null(strstr(why.text, "data is damaged"));
    cr_assert_eq(packed_verify(&p, &why), 0);
}

Test(packed, verify_finds_words_that_changed_places)
{
    memset(data, 0, sizeof(data));
    data[0] = 1;
    write_it();
    cr_assert_eq(packed_map(fd, &key, &why, &p), 0);
    cr_assert_eq(pwrite(fd, "\0\0\0\0\0\0\0\0\1", 9, PACKED_DATA_AT), 9);
    cr_assert_eq(packed_verify(&p, &why), PACKED_E_REFUSED);
}

Test(packed, writing_says_that_the_disk_is_full)
{
    const struct rlimit most = { 8192, 8192 };
    const struct sigaction ignore = { .sa_handler = SIG_IGN };
    struct packed_writer w;

    (void)close(fd);
    fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    (void)sigaction(SIGXFSZ, &ignore, NULL);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &most), 0);
    cr_assert_eq(packed_write_begin(&w, fd, &key), -EFBIG, "room is reserved at the beginning");
    /* and where it cannot be reserved: the device that is always full */
    const int full = open("/dev/full", O_RDWR | O_CLOEXEC);
    cr_assert_geq(full, 0);
    w.fd = full;
    cr_assert_eq(packed_write(&w, data, 4096), -ENOSPC);
    (void)close(full);
}

Test(packed, takes_regular_files_only)
{
    struct packed_writer w;
    int pipes[2];

    cr_assert_eq(pipe2(pipes, O_CLOEXEC), 0);
    cr_assert_eq(packed_write_begin(&w, pipes[1], &key), -EINVAL);
    cr_assert_eq(packed_map(pipes[0], &key, &why, &p), PACKED_E_REFUSED);
    cr_assert_eq(packed_write_begin(&w, -1, &key), -EBADF);
    cr_assert_eq(packed_map(-1, &key, &why, &p), -EBADF);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
}

Test(packed, reads_sha256_as_64_small_hex_digits)
{
    char text[66] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    uint8_t out[PACKED_SHA256] = { 9 };

    cr_assert(packed_sha256(text, out));
    cr_assert_eq(out[0], 0x01);
    cr_assert_eq(out[31], 0xef);
    out[0] = 9;
    text[63] = 'G';
    cr_assert_not(packed_sha256(text, out));
    text[63] = '\0';
    cr_assert_not(packed_sha256(text, out));
    text[63] = '0';
    text[64] = '0';
    cr_assert_not(packed_sha256(text, out));
    cr_assert_not(packed_sha256("", out));
    cr_assert_not(packed_sha256(NULL, out));
    cr_assert_eq(out[0], 9);
}
