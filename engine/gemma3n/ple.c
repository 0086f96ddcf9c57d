/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/gemma3n/ple.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/err.h"

static ssize_t file_read(void *context, void *out, size_t n, uint64_t at)
{
    const struct ple *p = context;

    return pread(p->fd, out, n, (off_t)at);
}

static void file_ask(void *context, uint64_t at, size_t n)
{
    const struct ple *p = context;

    (void)posix_fadvise(p->fd, (off_t)at, (off_t)n, POSIX_FADV_WILLNEED);
}

int ple_init(struct ple *p, int fd, const struct gguf_tensor *table, uint32_t rows,
             const struct ple_ops *ops)
{
    const struct ple_ops file = { file_read, file_ask, p };
    const int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (own < 0) return err_raise(-errno);
    *p = (struct ple){ .fd = own,
                       .ops = ops ? *ops : file,
                       .offset = table->offset,
                       .type = table->type,
                       .rows = rows,
                       .row_values = (uint32_t)table->dims[0] };
    p->row_bytes = quant_row_bytes(p->type, p->row_values);
    p->slot = calloc(PLE_CACHE_ROWS, sizeof(*p->slot));
    p->cached = calloc(PLE_CACHE_ROWS, p->row_bytes);
    if (p->slot && p->cached) return 0;
    ple_deinit(p);
    return err_raise(-ENOMEM);
}

void ple_deinit(struct ple *p)
{
    if (p->fd >= 0) (void)close(p->fd);
    free(p->slot);
    free(p->cached);
    *p = (struct ple){ .fd = -1 };
}

/* ---- the cache: a list by use and a hash table over the same slots ---- */

/* 2^32 / golden ratio (Knuth, The Art of Computer Programming, 6.4): its top bits are spread. */
static uint32_t hash(uint32_t row)
{
    _Static_assert(PLE_BUCKETS == 1 << 10, "as many as the hash has");
    return (row * UINT32_C(2654435761)) >> 22;
}

/* Return: the slot that has @row, + 1; 0: none. */
static uint16_t find(const struct ple *p, uint32_t row)
{
    uint16_t s = p->bucket[hash(row)];

    while (s && p->slot[s - 1].row != row)
        s = p->slot[s - 1].next;
    return s;
}

static void unlink_use(struct ple *p, uint16_t s)
{
    const struct ple_slot *x = &p->slot[s - 1];

    if (x->newer)
        p->slot[x->newer - 1].older = x->older;
    else
        p->newest = x->older;
    if (x->older)
        p->slot[x->older - 1].newer = x->newer;
    else
        p->oldest = x->newer;
}

static void link_newest(struct ple *p, uint16_t s)
{
    p->slot[s - 1].newer = 0;
    p->slot[s - 1].older = p->newest;
    if (p->newest)
        p->slot[p->newest - 1].newer = s;
    else
        p->oldest = s;
    p->newest = s;
}

/* A slot to be filled: an unused one, or the one that was not used for the longest time. */
static uint16_t take_slot(struct ple *p)
{
    if (p->n_slots < PLE_CACHE_ROWS) return ++p->n_slots;
    const uint16_t s = p->oldest;
    uint16_t *at = &p->bucket[hash(p->slot[s - 1].row)];

    while (*at != s)
        at = &p->slot[*at - 1].next;
    *at = p->slot[s - 1].next;
    unlink_use(p, s);
    return s;
}

static void remember(struct ple *p, uint32_t row, const uint8_t *bytes)
{
    const uint16_t s = take_slot(p);
    uint16_t *bucket = &p->bucket[hash(row)];

    p->slot[s - 1].row = row;
    p->slot[s - 1].next = *bucket;
    *bucket = s;
    link_newest(p, s);
    memcpy(p->cached + (size_t)(s - 1) * p->row_bytes, bytes, p->row_bytes);
}

/* ---- rows ---- */

static uint32_t row_of(const struct ple *p, uint32_t id)
{
    return id < p->rows ? id : 0;
}

void ple_ask(const struct ple *p, uint32_t id)
{
    const uint32_t row = row_of(p, id);

    if (!find(p, row))
        p->ops.ask(p->ops.context, p->offset + row * (uint64_t)p->row_bytes, p->row_bytes);
}

int ple_read(struct ple *p, uint32_t id, uint8_t *out)
{
    const uint32_t row = row_of(p, id);
    const uint64_t at = p->offset + row * (uint64_t)p->row_bytes;
    const uint16_t s = find(p, row);

    if (s) {
        memcpy(out, p->cached + (size_t)(s - 1) * p->row_bytes, p->row_bytes);
        unlink_use(p, s);
        link_newest(p, s);
        return 0;
    }
    for (size_t n = 0; n < p->row_bytes;) {
        const ssize_t r = p->ops.read(p->ops.context, out + n, p->row_bytes - n, at + n);
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return err_raise(-errno);
        if (r == 0) return err_raise(-EIO);
        n += (size_t)r;
    }
    remember(p, row, out);
    return 0;
}
