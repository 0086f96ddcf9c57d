/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/prefix.h"
#include <stdlib.h>
#include <string.h>
#include "base/err.h"

struct entry {
    struct list node;
    uint64_t owner;
    struct engine_seq *kv;
    uint32_t *tokens; /* [n] */
    uint32_t n;
    struct seq_span *span; /* [n_spans] levels that processed them */
    uint32_t n_spans;
    bool snapshot; /* made on the way: longer entries do not replace it */
    bool tried;    /* by the prefix_use() that runs: it cannot be shared there */
};

static uint64_t owner_of(const struct seq *s)
{
    return s->shareable ? PREFIX_EVERYBODY : s->owner;
}

static void entry_free(struct entry *e)
{
    engine_seq_free(e->kv);
    free(e->tokens);
    free(e->span);
    free(e);
}

static void drop(struct prefix_cache *c, struct entry *e)
{
    list_remove(&e->node);
    c->n--;
    entry_free(e);
}

void prefix_init(struct prefix_cache *c)
{
    list_init(&c->entries);
    c->n = 0;
    c->pages_most = UINT32_MAX;
}

void prefix_deinit(struct prefix_cache *c)
{
    while (prefix_drop(c))
        ;
}

bool prefix_drop(struct prefix_cache *c)
{
    if (list_empty(&c->entries)) return false;
    drop(c, LIST_ENTRY(c->entries.prev, struct entry, node));
    return true;
}

uint32_t prefix_pages(const struct prefix_cache *c)
{
    uint32_t n = 0;

    LIST_EACH(e, &c->entries, struct entry, node)
    n += engine_seq_pages(e->kv);
    return n;
}

static void shrink(struct prefix_cache *c)
{
    while (c->pages_most < UINT32_MAX && prefix_pages(c) > c->pages_most && prefix_drop(c))
        ;
}

void prefix_limit(struct prefix_cache *c, uint32_t pages_most)
{
    c->pages_most = pages_most;
    shrink(c);
}

/* ---- finding ---- */

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* How many of the first @n tokens the two lists of spans process at the same levels. */
static uint32_t same_levels(const struct seq_span *a, uint32_t n_a, const struct seq_span *b,
                            uint32_t n_b, uint32_t n)
{
    uint32_t at = 0;

    for (uint32_t i = 0, k = 0; at < n && i < n_a && k < n_b;) {
        if (a[i].level != b[k].level) break;
        at = least(a[i].end, b[k].end);
        if (a[i].end == at) i++;
        if (b[k].end == at) k++;
    }
    return least(at, n);
}

/* Tokens that @e has of @s, counting from the first. */
static uint32_t common(const struct entry *e, const struct seq *s)
{
    const uint32_t most = least(e->n, s->n - 1);
    uint32_t n = 0;

    while (n < most && e->tokens[n] == s->tokens[n])
        n++;
    return same_levels(e->span, e->n_spans, s->span, s->n_spans, n);
}

/* The entry of the owner of @s that has most of it, without those that were tried. Return: NULL: none is worth it. */
static struct entry *find_best(struct prefix_cache *c, const struct seq *s, uint32_t *ret_n)
{
    struct entry *best = NULL;

    *ret_n = PREFIX_LEAST - 1;
    LIST_EACH(e, &c->entries, struct entry, node)
    {
        const uint32_t n = e->owner == owner_of(s) && !e->tried ? common(e, s) : 0;
        if (n <= *ret_n) continue;
        best = e;
        *ret_n = n;
    }
    return best;
}

uint32_t prefix_use(struct prefix_cache *c, struct seq *s)
{
    uint32_t lost = 0, had = 0, n;
    struct entry *best;

    while (had == 0 && (best = find_best(c, s, &n)) != NULL) {
        best->tried = true;
        if (engine_seq_share(s->kv, best->kv, n) == 0) {
            list_remove(&best->node);
            list_push_front(&c->entries, &best->node);
            had = n;
        } else if (n > lost) {
            lost = n;
        }
    }
    LIST_EACH(e, &c->entries, struct entry, node)
    e->tried = false;
    if (lost > had + PREFIX_LEAST && (lost > s->snapshot_at || s->snapshot_guess)) {
        s->snapshot_at = lost;
        s->snapshot_guess = false;
    }
    if (s->snapshot_at <= had) s->snapshot_at = 0;
    return had;
}

/* ---- keeping ---- */

/* What is the beginning of the new entry serves nobody any more, unless it was made to be one. */
static void drop_shorter(struct prefix_cache *c, const struct entry *longer)
{
    LIST_EACH(e, &c->entries, struct entry, node)
    {
        if (e == longer || e->owner != longer->owner || e->n > longer->n || e->snapshot) continue;
        if (memcmp(e->tokens, longer->tokens, e->n * sizeof(*e->tokens)) != 0) continue;
        if (same_levels(e->span, e->n_spans, longer->span, longer->n_spans, e->n) == e->n)
            drop(c, e);
    }
}

static void add(struct prefix_cache *c, struct entry *e, bool guess)
{
    if (guess)
        list_push_back(&c->entries, &e->node); /* as the least recently used one */
    else
        list_push_front(&c->entries, &e->node);
    c->n++;
    if (!e->snapshot) drop_shorter(c, e);
    if (c->n > PREFIX_ENTRIES_MAX) (void)prefix_drop(c);
    shrink(c);
}

void prefix_keep(struct prefix_cache *c, struct seq *s)
{
    const uint32_t n = engine_seq_length(s->kv);
    struct entry *e = n >= PREFIX_LEAST && !s->unnoted ? calloc(1, sizeof(*e)) : NULL;

    if (!e) return;
    uint32_t *fit = realloc(s->tokens, n * sizeof(*s->tokens));
    *e = (struct entry){ .owner = owner_of(s),
                         .kv = s->kv,
                         .tokens = fit ? fit : s->tokens,
                         .n = n,
                         .span = s->span,
                         .n_spans = s->n_spans };
    s->kv = NULL;
    s->tokens = NULL;
    s->span = NULL;
    s->n_spans = 0;
    add(c, e, false);
}

void prefix_snapshot(struct prefix_cache *c, struct seq *s)
{
    const uint32_t n = engine_seq_length(s->kv);
    struct entry *e = calloc(1, sizeof(*e));

    s->snapshot_at = 0;
    if (!e) return;
    *e = (struct entry){ .owner = owner_of(s), .n = n, .n_spans = s->n_spans, .snapshot = true };
    e->tokens = malloc(n * sizeof(*e->tokens));
    e->span = malloc(s->n_spans * sizeof(*e->span));
    if (!e->tokens || !e->span || engine_seq_new(s->engine, &e->kv) != 0 ||
        engine_seq_share(e->kv, s->kv, n) != 0) {
        entry_free(e);
        return;
    }
    memcpy(e->tokens, s->tokens, n * sizeof(*e->tokens));
    memcpy(e->span, s->span, s->n_spans * sizeof(*e->span));
    add(c, e, s->snapshot_guess);
}
