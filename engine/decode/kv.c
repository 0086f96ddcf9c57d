/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/decode/kv.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/err.h"

struct kv_pool {
    struct kv_shape shape;
    uint8_t *memory; /* [n_total * page_bytes], mapped */
    size_t page_bytes;
    uint32_t n_total, n_free;
    uint32_t *free; /* [n_total] stack of free page numbers */
    uint32_t *refs; /* [n_total] */
};

static size_t head_bytes(const struct kv_shape *s) /* keys or values of one head in one page */
{
    return (size_t)s->head_size * KERNELS_PAGE * (s->f32 ? 4 : 2);
}

size_t kv_page_bytes(const struct kv_shape *s)
{
    return head_bytes(s) * 2 * s->n_heads;
}

static uint32_t blocks_of(uint32_t length)
{
    return (length + KERNELS_PAGE - 1) / KERNELS_PAGE;
}

uint64_t kv_pages_for(const struct kv_shape *s, uint32_t length, uint32_t chunk)
{
    const uint64_t all = blocks_of(length), seen = ((uint64_t)s->window + chunk) / KERNELS_PAGE + 2;
    uint64_t n = 0;

    for (uint32_t l = 0; l < s->n_layers; l++)
        n += s->sliding[l] && seen < all ? seen : all;
    return n;
}

int kv_pool_new(const struct kv_shape *shape, uint32_t n_pages, struct kv_pool **ret)
{
    struct kv_pool *p = calloc(1, sizeof(*p));
    size_t bytes = 0;

    if (!p) return err_raise(-ENOMEM);
    p->shape = *shape;
    p->page_bytes = kv_page_bytes(shape);
    p->free = calloc(n_pages, sizeof(*p->free));
    p->refs = calloc(n_pages, sizeof(*p->refs));
    void *m = MAP_FAILED;
    if (p->free && p->refs && !__builtin_mul_overflow(p->page_bytes, n_pages, &bytes))
        m = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                 -1, 0);
    if (m == MAP_FAILED) {
        kv_pool_free(p);
        return err_raise(-ENOMEM);
    }
    p->memory = m;
    p->n_total = p->n_free = n_pages;
    for (uint32_t i = 0; i < n_pages; i++)
        p->free[i] = n_pages - 1 - i; /* low numbers first: memory that was used before */
    *ret = p;
    return 0;
}

struct kv_pool *kv_pool_free(struct kv_pool *p)
{
    if (!p) return NULL;
    if (p->memory) (void)munmap(p->memory, p->page_bytes * p->n_total);
    free(p->free);
    free(p->refs);
    free(p);
    return NULL;
}

const struct kv_shape *kv_pool_shape(const struct kv_pool *p)
{
    return &p->shape;
}

uint32_t kv_pool_used(const struct kv_pool *p)
{
    return p->n_total - p->n_free;
}

uint32_t kv_pool_total(const struct kv_pool *p)
{
    return p->n_total;
}

/* The bytes of KV pages [from, to), as far as whole memory pages go. */
static size_t forget(struct kv_pool *p, uint32_t from, uint32_t to)
{
    const size_t unit = (size_t)sysconf(_SC_PAGESIZE);
    const size_t begin = (from * p->page_bytes + unit - 1) / unit * unit,
                 end = to * p->page_bytes / unit * unit;

    if (begin >= end) return 0;
    (void)madvise(p->memory + begin, end - begin,
                  MADV_DONTNEED); /* advice: nothing depends on it */
    return end - begin;
}

uint64_t kv_pool_trim(struct kv_pool *p)
{
    uint64_t sum = 0;

    for (uint32_t from = 0, to; from < p->n_total; from = to + 1) {
        for (to = from; to < p->n_total && p->refs[to] == 0; to++)
            ;
        sum += forget(p, from, to);
    }
    return sum;
}

static uint32_t *entry(const struct kv_table *t, uint32_t layer, uint32_t block)
{
    return &t->page[(size_t)layer * t->n_blocks + block];
}

static void take(struct kv_table *t, uint32_t *at)
{
    struct kv_pool *p = t->pool;

    *at = p->free[--p->n_free];
    assert(p->refs[*at] == 0);
    p->refs[*at] = 1;
    t->n_pages++;
}

static void release(struct kv_table *t, uint32_t *at)
{
    struct kv_pool *p = t->pool;

    if (*at == KV_NO_PAGE) return;
    assert(p->refs[*at] > 0);
    if (--p->refs[*at] == 0) p->free[p->n_free++] = *at;
    *at = KV_NO_PAGE;
    t->n_pages--;
}

int kv_table_init(struct kv_table *t, struct kv_pool *pool, uint32_t context)
{
    const uint32_t n = blocks_of(context);
    const size_t total = (size_t)n * pool->shape.n_layers;

    *t = (struct kv_table){ .pool = pool, .n_blocks = n, .page = malloc(total * sizeof(uint32_t)) };
    if (!t->page) return err_raise(-ENOMEM);
    for (size_t i = 0; i < total; i++)
        t->page[i] = KV_NO_PAGE;
    return 0;
}

void kv_table_deinit(struct kv_table *t)
{
    for (size_t i = 0; t->page && i < (size_t)t->n_blocks * t->pool->shape.n_layers; i++)
        release(t, &t->page[i]);
    free(t->page);
    *t = (struct kv_table){ 0 };
}

int kv_table_extend(struct kv_table *t, uint32_t n)
{
    struct kv_pool *p = t->pool;
    const uint32_t first = t->length / KERNELS_PAGE, end = blocks_of(t->length + n);
    uint32_t need = 0;

    assert(end <= t->n_blocks);
    for (uint32_t l = 0; l < p->shape.n_layers;
         l++) /* count before anything is taken: all or nothing */
        for (uint32_t b = first; b < end; b++) {
            const uint32_t page = *entry(t, l, b);
            need += page == KV_NO_PAGE || p->refs[page] > 1;
        }
    if (need > p->n_free) return KV_E_STARVED;
    for (uint32_t l = 0; l < p->shape.n_layers; l++)
        for (uint32_t b = first; b < end; b++) {
            uint32_t *at = entry(t, l, b), old = *at;
            if (old != KV_NO_PAGE && p->refs[old] == 1) continue;
            take(t, at);
            if (old == KV_NO_PAGE) continue;
            memcpy(p->memory + *at * p->page_bytes, p->memory + old * p->page_bytes,
                   p->page_bytes); /* somebody else reads it */
            release(t, &old);
        }
    return 0;
}

/* The first block that position @next of a sliding layer still sees. */
static uint32_t first_seen(const struct kv_shape *s, uint32_t next)
{
    return next >= s->window ? (next - s->window + 1) / KERNELS_PAGE : 0;
}

void kv_table_advance(struct kv_table *t, uint32_t n)
{
    const struct kv_shape *s = &t->pool->shape;
    const uint32_t keep = first_seen(s, t->length + n);

    t->length += n;
    for (; t->trimmed < keep; t->trimmed++)
        for (uint32_t l = 0; l < s->n_layers; l++)
            if (s->sliding[l]) release(t, entry(t, l, t->trimmed));
}

int kv_table_share(struct kv_table *to, const struct kv_table *from, uint32_t length)
{
    struct kv_pool *p = to->pool;
    const uint32_t seen = first_seen(&p->shape, length);

    assert(to->length == 0 && to->n_pages == 0 && p == from->pool && length <= from->length &&
           blocks_of(length) <= to->n_blocks);
    for (uint32_t l = 0; l < p->shape.n_layers; l++)
        if (p->shape.sliding[l] && from->trimmed > seen) return KV_E_STARVED;
    for (uint32_t l = 0; l < p->shape.n_layers; l++)
        for (uint32_t b = p->shape.sliding[l] ? seen : 0; b < blocks_of(length); b++) {
            const uint32_t page = *entry(from, l, b);
            assert(page != KV_NO_PAGE);
            *entry(to, l, b) = page;
            p->refs[page]++;
            to->n_pages++;
        }
    to->length = length;
    to->trimmed = seen;
    return 0;
}

struct kernels_kv kv_place(const struct kv_table *t, uint32_t layer, uint32_t block, uint32_t head)
{
    const struct kv_pool *p = t->pool;
    const size_t part = head_bytes(&p->shape);
    const uint32_t page = *entry(t, layer, block);

    assert(page < p->n_total);
    uint8_t *k = p->memory + page * p->page_bytes + (size_t)head * 2 * part;
    return (struct kernels_kv){ k, k + part };
}
