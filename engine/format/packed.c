/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/format/packed.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/err.h"

enum { SYNC_BYTES = 64 << 20 }; /* a few seconds on a slow SD card */

struct header {
    char magic[8];
    uint32_t layout, zero;
    uint8_t sha256[PACKED_SHA256];
    uint64_t shapes, data_bytes, data_sum, header_sum;
};

_Static_assert(sizeof(struct header) == 80, "the header has no holes");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "packed files and GGUF are read as they are");

static const char magic[8] = { 'H', 'E', 'A', 'R', 'T', 'H', 'P', 'K' };

/*
 * Four sums side by side, for speed. The constant is odd with about half of its bits set; each step is a bijection of its lane,
 * and so is the end of each lane, so that no single damaged word can go unnoticed.
 */
#define SUM_FACTOR UINT64_C(0x9e3779b97f4a7c15)

void packed_sum_init(struct packed_sum *s)
{
    for (uint64_t i = 0; i < 4; i++)
        s->lane[i] = i * SUM_FACTOR;
}

void packed_sum_add(struct packed_sum *s, const void *bytes, size_t n)
{
    const uint8_t *b = bytes;
    uint64_t word;

    assert(n % 8 == 0);
    for (size_t i = 0; i < n / 8; i++) {
        uint64_t *l = &s->lane[i % 4];
        memcpy(&word, b + 8 * i, 8);
        *l = (*l ^ word) * SUM_FACTOR;
        *l ^= *l >> 29;
    }
}

uint64_t packed_sum_end(const struct packed_sum *s)
{
    uint64_t h = s->lane[0];

    for (int i = 1; i < 4; i++)
        h = ((h << 17 | h >> 47) ^ s->lane[i]) * SUM_FACTOR;
    return h ^ h >> 32;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool packed_sha256(const char *text, uint8_t ret[PACKED_SHA256])
{
    uint8_t out[PACKED_SHA256];

    if (!text || strnlen(text, 2 * PACKED_SHA256 + 1) != 2 * PACKED_SHA256) return false;
    for (size_t i = 0; i < PACKED_SHA256; i++) {
        const int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(ret, out, sizeof(out));
    return true;
}

static uint64_t header_sum(const struct header *h)
{
    struct packed_sum s;

    packed_sum_init(&s);
    packed_sum_add(&s, h, offsetof(struct header, header_sum));
    return packed_sum_end(&s);
}

/* ---- using one ---- */

/* Return: a sentence's end about what is wrong, NULL if nothing is. */
static const char *wrong(const struct header *h, const struct packed_key *key, uint64_t size_bytes)
{
    static const struct header none;

    if (memcmp(h, &none, sizeof(none)) == 0) return "it was not completed";
    if (memcmp(h->magic, magic, sizeof(magic)) != 0) return "it is none";
    if (h->header_sum != header_sum(h)) return "its header is damaged";
    if (h->layout != key->layout) return "it has the layout of another version of hearth";
    if (memcmp(h->sha256, key->sha256, sizeof(h->sha256)) != 0) return "it is of another model";
    if (h->shapes != key->shapes || h->data_bytes != key->data_bytes)
        return "it has matrices of other shapes";
    if (size_bytes != PACKED_DATA_AT + h->data_bytes) return "its size is not what its header says";
    return NULL;
}

/* As many of [n] bytes as there are. Return: how many, -errno. */
static ssize_t read_some(int fd, void *out, size_t n)
{
    size_t got = 0;

    while (got < n) {
        const ssize_t r = pread(fd, (uint8_t *)out + got, n - got, (off_t)got);
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return err_raise(-errno);
        if (r == 0) break;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

/*
 * Map the beginning of a file where a huge page can begin: file systems that keep large pieces of a file together in memory (ext4
 * since Linux 6.16, xfs, tmpfs) then map 2 MiB with one entry, which makes walks through the weights faster.
 * Return: MAP_FAILED (errno).
 */
static void *map_for_huge_pages(int fd, size_t bytes)
{
    const size_t huge = (size_t)2 << 20;
    uint8_t *space = mmap(NULL, bytes + huge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (space == MAP_FAILED) return MAP_FAILED;
    const size_t before = -(uintptr_t)space & (huge - 1);
    uint8_t *m = mmap(space + before, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
    if (m == MAP_FAILED) {
        (void)munmap(space, bytes + huge);
        return MAP_FAILED;
    }
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), end = (bytes + page - 1) & ~(page - 1);
    if (before > 0) (void)munmap(space, before);
    (void)munmap(m + end, huge - before);
    (void)madvise(m, bytes, MADV_HUGEPAGE);
    return m;
}

int packed_map(int fd, const struct packed_key *key, struct reason *why, struct packed *ret)
{
    struct header h;
    struct stat st;

    if (fstat(fd, &st) != 0) return err_raise(-errno);
    const ssize_t n = S_ISREG(st.st_mode) ? read_some(fd, &h, sizeof(h)) : 0;
    if (n < 0) return err_pass((int)n);
    const char *what =
        n < (ssize_t)sizeof(h) ? "it is too short" : wrong(&h, key, (uint64_t)st.st_size);
    if (what) {
        reason_set(why, "the packed file is not used: %s", what);
        return PACKED_E_REFUSED;
    }
    const size_t bytes = PACKED_DATA_AT + (size_t)h.data_bytes;
    void *m = map_for_huge_pages(fd, bytes);
    if (m == MAP_FAILED) return err_raise(-errno);
    *ret = (struct packed){ .data = (const uint8_t *)m + PACKED_DATA_AT,
                            .map = m,
                            .map_bytes = bytes };
    return 0;
}

void packed_unmap(struct packed *p)
{
    if (p->map) (void)munmap(p->map, p->map_bytes);
    *p = (struct packed){ 0 };
}

int packed_verify(const struct packed *p, struct reason *why)
{
    const struct header *h = p->map;
    struct packed_sum sum;

    packed_sum_init(&sum);
    packed_sum_add(&sum, p->data, (size_t)h->data_bytes);
    if (packed_sum_end(&sum) == h->data_sum) return 0;
    reason_set(why, "the packed file is not used: its data is damaged");
    return PACKED_E_REFUSED;
}

/* ---- making one ---- */

static int write_all(int fd, const void *bytes, size_t n, uint64_t at)
{
    size_t put = 0;

    while (put < n) {
        const ssize_t w = pwrite(fd, (const uint8_t *)bytes + put, n - put, (off_t)(at + put));
        if (w < 0 && errno == EINTR) continue;
        if (w <= 0) return err_raise(w < 0 ? -errno : -EIO);
        put += (size_t)w;
    }
    return 0;
}

int packed_write_begin(struct packed_writer *w, int fd, const struct packed_key *key)
{
    struct stat st;

    assert(key->data_bytes % 64 == 0);
    *w = (struct packed_writer){ .fd = fd, .key = *key };
    packed_sum_init(&w->sum);
    if (fstat(fd, &st) != 0) return err_raise(-errno);
    if (!S_ISREG(st.st_mode)) return err_raise(-EINVAL);
    if (ftruncate(fd, 0) != 0) return err_raise(-errno);
    /* to hear of a full disk before the work is done; file systems that cannot reserve say so later */
    if (fallocate(fd, 0, 0, (off_t)(PACKED_DATA_AT + key->data_bytes)) != 0 &&
        errno != EOPNOTSUPP && errno != ENOSYS && errno != EPERM)
        return err_raise(-errno);
    return 0;
}

int packed_write(struct packed_writer *w, const void *bytes, size_t n)
{
    assert(n % 64 == 0 && w->done + n <= w->key.data_bytes);
    const int r = write_all(w->fd, bytes, n, PACKED_DATA_AT + w->done);
    if (r < 0) return err_pass(r);
    packed_sum_add(&w->sum, bytes, n);
    (void)sync_file_range(w->fd, (off_t)(PACKED_DATA_AT + w->done), (off_t)n,
                          SYNC_FILE_RANGE_WRITE); /* begin; only for speed */
    w->done += n;
    if (w->done - w->synced < SYNC_BYTES) return 0;
    w->synced = w->done;
    return fdatasync(w->fd) != 0 ? err_raise(-errno) : 0;
}

int packed_write_end(struct packed_writer *w)
{
    struct header h = { .layout = w->key.layout,
                        .shapes = w->key.shapes,
                        .data_bytes = w->key.data_bytes };

    assert(w->done == w->key.data_bytes);
    memcpy(h.magic, magic, sizeof(h.magic));
    memcpy(h.sha256, w->key.sha256, sizeof(h.sha256));
    h.data_sum = packed_sum_end(&w->sum);
    h.header_sum = header_sum(&h);
    if (fsync(w->fd) != 0) return err_raise(-errno);
    const int r = write_all(w->fd, &h, sizeof(h), 0);
    if (r < 0) return err_pass(r);
    return fsync(w->fd) != 0 ? err_raise(-errno) : 0;
}

void packed_write_abort(struct packed_writer *w)
{
    (void)ftruncate(w->fd, 0);
}
