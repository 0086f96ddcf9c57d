/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/decode/kv.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/err.h"

struct pages {
    uint8_t *memory;   /* [n_total * page_bytes], mapped */
    size_t page_bytes; /* 0: the model has no layer of this kind */
    uint32_t n_total, n_free;
    uint32_t *free; /* [n_total] stack of free page numbers */
    uint32_t *refs; /* [n_total] */
};

struct kv_pool {
    struct kv_shape shape;
    struct pages kind[KV_KINDS];
};

static size_t head_bytes(const struct kv_shape *s) /* keys or values of one head in one page */
{
    return (size_t)s->head_size * KERNELS_PAGE * (s->f32 ? 4 : 2);
}

size_t kv_page_bytes(const struct kv_shape *s, int kind)
{
    return head_bytes(s) * 2 * s->n_heads * s->n_layers[kind];
}

static int pages_init(struct pages *g, size_t page_bytes, uint32_t n)
{
    size_t bytes = 0;

    if (page_bytes == 0) return 0;
    g->free = calloc(n, sizeof(*g->free));
    g->refs = calloc(n, sizeof(*g->refs));
    if (!g->free || !g->refs || __builtin_mul_overflow(page_bytes, n, &bytes))
        return err_raise(-ENOMEM);
    void *m = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    if (m == MAP_FAILED) return err_raise(-ENOMEM);
    g->memory = m;
    g->page_bytes = page_bytes;
    g->n_total = g->n_free = n;
    for (uint32_t i = 0; i < n; i++)
        g->free[i] = n - 1 - i; /* low numbers first: memory that was used before */
    return 0;
}

int kv_pool_new(const struct kv_shape *shape, const uint32_t n_pages[KV_KINDS],
                struct kv_pool **ret)
{
    struct kv_pool *p = calloc(1, sizeof(*p));

    if (!p) return err_raise(-ENOMEM);
    p->shape = *shape;
    for (int k = 0; k < KV_KINDS; k++) {
        const int r = pages_init(&p->kind[k], kv_page_bytes(shape, k), n_pages[k]);
        if (r == 0) continue;
        kv_pool_free(p);
        return err_pass(r);
    }
    *ret = p;
    return 0;
}

struct kv_pool *kv_pool_free(struct kv_pool *p)
{
    if (!p) return NULL;
    for (int k = 0; k < KV_KINDS; k++) {
        struct pages *g = &p->kind[k];
        if (g->memory) (void)munmap(g->memory, g->page_bytes * g->n_total);
        free(g->free);
        free(g->refs);
    }
    free(p);
    return NULL;
}

const struct kv_shape *kv_pool_shape(const struct kv_pool *p)
{
    return &p->shape;
}

uint32_t kv_pool_used(const struct kv_pool *p, int kind)
{
    return p->kind[kind].n_total - p->kind[kind].n_free;
}

uint32_t kv_pool_total(const struct kv_pool *p, int kind)
{
    return p->kind[kind].n_total;
}

static uint32_t take(struct pages *g)
{
    const uint32_t page = g->free[--g->n_free];

    assert(g->refs[page] == 0);
    g->refs[page] = 1;
    return page;
}

static void release(struct pages *g, uint32_t *page)
{
    if (*page == KV_NO_PAGE) return;
    assert(g->refs[*page] > 0);
    if (--g->refs[*page] == 0) g->free[g->n_free++] = *page;
    *page = KV_NO_PAGE;
}

int kv_table_init(struct kv_table *t, struct kv_pool *pool, uint32_t context)
{
    const uint32_t n = (context + KERNELS_PAGE - 1) / KERNELS_PAGE;

    *t = (struct kv_table){ .pool = pool, .n_max = n };
    for (int k = 0; k < KV_KINDS; k++) {
        t->page[k] = malloc(n * sizeof(uint32_t));
        if (!t->page[k]) {
            kv_table_deinit(t);
            return err_raise(-ENOMEM);
        }
        for (uint32_t i = 0; i < n; i++)
            t->page[k][i] = KV_NO_PAGE;
    }
    return 0;
}

void kv_table_deinit(struct kv_table *t)
{
    for (int k = 0; k < KV_KINDS; k++) {
        for (uint32_t i = 0; t->page[k] && i < t->n_max; i++)
            release(&t->pool->kind[k], &t->page[k][i]);
        free(t->page[k]);
    }
    *t = (struct kv_table){ 0 };
}

uint32_t kv_table_pages(const struct kv_table *t, int kind)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < t->n_max; i++)
        n += t->page[kind][i] != KV_NO_PAGE;
    return n;
}

int kv_table_extend(struct kv_table *t, uint32_t n)
{
    const uint32_t first = t->length / KERNELS_PAGE,
                   end = (t->length + n + KERNELS_PAGE - 1) / KERNELS_PAGE;

    assert(end <= t->n_max);
    for (int k = 0; k < KV_KINDS; k++) { /* count before anything is taken: all or nothing */
        const struct pages *g = &t->pool->kind[k];
        uint32_t need = 0;
        if (g->page_bytes == 0) continue;
        for (uint32_t i = first; i < end; i++)
            need += t->page[k][i] == KV_NO_PAGE || g->refs[t->page[k][i]] > 1;
        if (need > g->n_free) return KV_E_STARVED;
    }
    for (int k = 0; k < KV_KINDS; k++) {
        struct pages *g = &t->pool->kind[k];
        if (g->page_bytes == 0) continue;
        for (uint32_t i = first; i < end; i++) {
            uint32_t *at = &t->page[k][i];
            if (*at == KV_NO_PAGE) {
                *at = take(g);
            } else if (g->refs[*at] > 1) { /* somebody else reads it */
                const uint32_t copy = take(g);
                memcpy(g->memory + copy * g->page_bytes, g->memory + *at * g->page_bytes,
                       g->page_bytes);
                release(g, at);
                *at = copy;
            }
        }
    }
    return 0;
}

/* The first sliding page that position @next still sees. */
static uint32_t first_seen(const struct kv_shape *s, uint32_t next)
{
    return next >= s->window ? (next - s->window + 1) / KERNELS_PAGE : 0;
}

void kv_table_advance(struct kv_table *t, uint32_t n)
{
    const uint32_t keep = first_seen(&t->pool->shape, t->length + n);

    t->length += n;
    for (; t->trimmed < keep; t->trimmed++)
        release(&t->pool->kind[KV_SLIDING], &t->page[KV_SLIDING][t->trimmed]);
}

int kv_table_share(struct kv_table *to, const struct kv_table *from, uint32_t length)
{
    const uint32_t end = (length + KERNELS_PAGE - 1) / KERNELS_PAGE,
                   seen = first_seen(&to->pool->shape, length);

    assert(to->length == 0 && to->pool == from->pool && length <= from->length && end <= to->n_max);
    if (from->trimmed > seen && to->pool->kind[KV_SLIDING].page_bytes > 0) return KV_E_STARVED;
    for (int k = 0; k < KV_KINDS; k++) {
        struct pages *g = &to->pool->kind[k];
        for (uint32_t i = k == KV_SLIDING ? seen : 0; i < end && g->page_bytes > 0; i++) {
            assert(from->page[k][i] != KV_NO_PAGE);
            to->page[k][i] = from->page[k][i];
            g->refs[to->page[k][i]]++;
        }
    }
    to->length = length;
    to->trimmed = seen;
    return 0;
}

struct kernels_kv kv_page(const struct kv_pool *p, int kind, uint32_t page, uint32_t layer,
                          uint32_t head)
{
    const struct pages *g = &p->kind[kind];
    const size_t part = head_bytes(&p->shape);

    assert(page < g->n_total);
    uint8_t *k =
        g->memory + page * g->page_bytes + ((size_t)layer * p->shape.n_heads + head) * 2 * part;
    return (struct kernels_kv){ k, k + part };
}
