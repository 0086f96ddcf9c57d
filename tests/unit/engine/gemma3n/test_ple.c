/* SPDX-License-Identifier: Apache-2.0 */
/* Rows from a storage that gives a few bytes at a time, is interrupted, fails, and writes down what it was asked. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "engine/gemma3n/ple.h"

enum { ROWS = 2000, VALUES = 64, AT = 100 };

static struct {
    size_t at_once; /* bytes of one read */
    unsigned n_reads, n_asks;
    unsigned interrupt; /* every so many reads */
    int error;          /* of all reads */
    uint64_t ends;      /* the file */
} storage;

static uint8_t byte_at(uint64_t at)
{
    return (uint8_t)(at * 7 >> 2 ^ at >> 9);
}

static ssize_t storage_read(void *context, void *out, size_t n, uint64_t at)
{
    uint8_t *b = out;

    (void)context;
    storage.n_reads++;
    errno = storage.error ? storage.error : EINTR;
    if (storage.error) return -1;
    if (storage.interrupt && storage.n_reads % storage.interrupt == 0) return -1;
    if (n > storage.at_once) n = storage.at_once;
    if (storage.ends && at + n > storage.ends) n = at < storage.ends ? storage.ends - at : 0;
    for (size_t i = 0; i < n; i++)
        b[i] = byte_at(at + i);
    return (ssize_t)n;
}

static void storage_ask(void *context, uint64_t at, size_t n)
{
    (void)context;
    cr_assert_eq((at - AT) % n, 0, "a row as a whole");
    storage.n_asks++;
}

static const struct ple_ops ops = { storage_read, storage_ask, NULL };
static const struct gguf_tensor table = {
    .type = QUANT_Q8_0, .n_dims = 2, .dims = { VALUES, ROWS, 1, 1 }, .offset = AT
};
static struct ple p;
static uint8_t row[4096];

static void init(void)
{
    memset(&storage, 0, sizeof(storage));
    storage.at_once = SIZE_MAX;
    cr_assert_eq(ple_init(&p, 0, &table, ROWS, &ops), 0);
    cr_assert_eq(p.row_bytes, 68);
}

static void fini(void)
{
    ple_deinit(&p);
    ple_deinit(&p);
}

TestSuite(ple, .init = init, .fini = fini);

static void read_row(uint32_t id, uint32_t expected)
{
    memset(row, 0xee, sizeof(row));
    cr_assert_eq(ple_read(&p, id, row), 0);
    for (size_t i = 0; i < p.row_bytes; i++)
        cr_assert_eq(row[i], byte_at(AT + expected * p.row_bytes + i), "row %u byte %zu", id, i);
    cr_assert_eq(row[p.row_bytes], 0xee);
}

Test(ple, reads_the_row_of_a_token_and_row_0_for_ids_behind_the_table)
{
    read_row(0, 0);
    read_row(7, 7);
    read_row(ROWS - 1, ROWS - 1);
    read_row(ROWS, 0);
    read_row(UINT32_MAX, 0);
}

Test(ple, puts_together_what_slow_storage_gives_in_pieces)
{
    storage.at_once = 3;
    storage.interrupt = 4;
    read_row(5, 5);
    cr_assert_gt(storage.n_reads, 68 / 3);
}

Test(ple, a_row_that_was_read_is_not_read_or_asked_for_again)
{
    read_row(9, 9);
    read_row(9, 9);
    ple_ask(&p, 9);
    cr_assert_eq(storage.n_reads, 1);
    cr_assert_eq(storage.n_asks, 0);
    ple_ask(&p, 10);
    cr_assert_eq(storage.n_asks, 1);
}

Test(ple, the_row_that_was_not_used_for_the_longest_time_is_forgotten_first)
{
    for (uint32_t i = 0; i < PLE_CACHE_ROWS; i++)
        read_row(i, i);
    read_row(0, 0); /* used again */
    read_row(PLE_CACHE_ROWS, PLE_CACHE_ROWS);
    storage.n_reads = 0;
    read_row(0, 0);
    read_row(2, 2);
    cr_assert_eq(storage.n_reads, 0);
    read_row(1, 1);
    cr_assert_eq(storage.n_reads, 1, "1 was the oldest");
}

Test(ple, rows_are_right_whatever_the_cache_went_through)
{
    uint32_t x = 1;

    for (int i = 0; i < 20000; i++) {
        x = x * UINT32_C(1664525) + UINT32_C(1013904223);
        const uint32_t id = (x >> 16) % ((x >> 8 & 1) ? ROWS : 600);
        read_row(id, id);
    }
    cr_assert_lt(storage.n_reads, 20000);
}

Test(ple, a_failure_is_passed_on_and_nothing_of_it_stays)
{
    storage.error = EIO;
    cr_assert_eq(ple_read(&p, 3, row), -EIO);
    storage.error = ENODEV;
    cr_assert_eq(ple_read(&p, 3, row), -ENODEV);
    storage.error = 0;
    storage.ends = AT + 3 * 68 + 20; /* the file was cut */
    cr_assert_eq(ple_read(&p, 3, row), -EIO);
    storage.ends = 0;
    read_row(3, 3);
    storage.error = EIO;
    read_row(3, 3); /* and now it is in the cache */
}

Test(ple, reads_the_model_file_itself)
{
    char name[] = "/tmp/hearth-ple-XXXXXX";
    const int fd = mkstemp(name);
    struct ple file;

    cr_assert_geq(fd, 0);
    (void)unlink(name);
    for (uint64_t at = 0; at < AT + 4 * 68; at++) {
        const uint8_t b = byte_at(at);
        cr_assert_eq(pwrite(fd, &b, 1, (off_t)at), 1);
    }
    cr_assert_eq(ple_init(&file, fd, &table, ROWS, NULL), 0);
    (void)close(fd);
    ple_ask(&file, 3);
    cr_assert_eq(ple_read(&file, 3, row), 0);
    cr_assert_eq(row[67], byte_at(AT + 4 * 68 - 1));
    cr_assert_eq(ple_read(&file, 4, row), -EIO, "the file ends before it");
    ple_deinit(&file);
    cr_assert_eq(ple_init(&file, -1, &table, ROWS, NULL), -EBADF);
}
