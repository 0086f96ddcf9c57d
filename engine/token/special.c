/* SPDX-License-Identifier: Apache-2.0 */
/*
 * There are some 6,000 such tokens of 50 lengths. Instead of searching for each of them, one pass collects the
 * places where two bytes stand that some special token begins with (in prose: line ends), and then each length,
 * the longest first, looks the bytes at the remaining places up in the vocabulary. What is cut out so far is
 * marked byte by byte. Because it is at least as long as what is looked for now, looking at the first and last
 * byte of a place is enough to see an overlap.
 */
#include "engine/token/special.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/err.h"

/* Tokens of one length: which first bytes they have. */
struct length {
    uint64_t first[4];
};

/* The tokens of one kind of search. */
struct set {
    uint64_t
        pairs[65536 / 64]; /* the first two bytes; a one-byte token has all pairs with its byte */
    uint64_t single[4];    /* one-byte tokens */
    struct length lengths[VOCAB_SPECIAL_MAX + 1];
    size_t length_max; /* of the longest, 0: there is none */
};

struct special {
    const struct vocab *v;
    uint32_t guarded;   /* "</s>" or VOCAB_NONE */
    struct set sets[2]; /* user-defined ones; all */
};

static bool has(const uint64_t *bits, unsigned i)
{
    return bits[i / 64] >> i % 64 & 1;
}

static void add(uint64_t *bits, unsigned i)
{
    bits[i / 64] |= UINT64_C(1) << i % 64;
}

/*
 * "</s>" is user-defined in Gemma's files (a tag of HTML), but the end mark of other models, and llama.cpp takes it
 * for one in every file. As there, a text does not make it unless control tokens are asked for.
 */
static bool is_special(const struct special *s, uint32_t id, bool control)
{
    switch (vocab_kind(s->v, id)) {
    case VOCAB_CONTROL:
    case VOCAB_UNKNOWN:
        return control;
    case VOCAB_USER:
        return control || id != s->guarded;
    case VOCAB_NORMAL:
    case VOCAB_UNUSED:
    case VOCAB_BYTE:
        break;
    }
    return false;
}

static void add_token(struct set *set, struct gguf_string text)
{
    const uint8_t *b = (const uint8_t *)text.bytes;

    assert(text.n > 0 && text.n <= VOCAB_SPECIAL_MAX); /* vocab_load() checks it */
    add(set->lengths[text.n].first, b[0]);
    if (text.n > set->length_max) set->length_max = text.n;
    if (text.n >= 2) {
        add(set->pairs, (unsigned)b[0] << 8 | b[1]);
        return;
    }
    add(set->single, b[0]);
    for (unsigned second = 0; second < 256; second++)
        add(set->pairs, (unsigned)b[0] << 8 | second);
}

int special_new(const struct vocab *v, struct special **ret)
{
    struct special *s = calloc(1, sizeof(*s));

    if (!s) return err_raise(-ENOMEM);
    s->v = v;
    s->guarded = vocab_find(v, "</s>", 4);
    for (uint32_t id = 0; id < vocab_size(v); id++)
        for (int control = 0; control < 2; control++)
            if (is_special(s, id, control)) add_token(&s->sets[control], vocab_text(v, id));
    *ret = s;
    return 0;
}

struct special *special_free(struct special *s)
{
    free(s);
    return NULL;
}

void special_scratch_deinit(struct special_scratch *x)
{
    free(x->cuts);
    free(x->candidates);
    free(x->covered);
    *x = (struct special_scratch){ 0 };
}

/* Make *@array hold @n elements of @width bytes; what is in it is kept. */
static int reserve(void *array, size_t *size, size_t n, size_t width)
{
    void **p = array;

    if (n <= *size) return 0;
    void *more = realloc(*p, (n + n / 2) * width);
    if (!more) return err_raise(-ENOMEM);
    *p = more;
    *size = n + n / 2;
    return 0;
}

/* The places where two bytes (at the end: one) stand that a token of @set begins with. */
static int collect(const struct set *set, const uint8_t *text, size_t n, struct special_scratch *x,
                   size_t *ret_n)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++) {
        const bool may = i + 1 < n ? has(set->pairs, (unsigned)text[i] << 8 | text[i + 1])
                                   : has(set->single, text[i]);
        if (!may) continue;
        const int r =
            reserve(&x->candidates, &x->size_candidates, found + 1, sizeof(*x->candidates));
        if (r < 0) return err_pass(r);
        x->candidates[found++] = (uint32_t)i;
    }
    *ret_n = found;
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const struct special_cut *x = a, *y = b;

    return (x->at > y->at) - (x->at < y->at);
}

int special_find(const struct special *s, const char *text, size_t n, bool control,
                 struct special_scratch *x)
{
    const struct set *set = &s->sets[control];
    const uint8_t *bytes = (const uint8_t *)text;
    size_t left = 0;

    x->n_cuts = 0;
    int r = collect(set, bytes, n, x, &left);
    if (r == 0 && left > 0) r = reserve(&x->covered, &x->size_covered, n, 1);
    if (r < 0) return err_pass(r);
    if (left > 0) memset(x->covered, 0, n);
    for (size_t length = n < set->length_max ? n : set->length_max; length > 0 && left > 0;
         length--) {
        const uint64_t *first = set->lengths[length].first;
        size_t kept = 0;
        if (!(first[0] | first[1] | first[2] | first[3])) continue;
        for (size_t i = 0; i < left; i++) {
            const uint32_t at = x->candidates[i];
            if (x->covered[at]) continue; /* and is no candidate any more */
            x->candidates[kept++] = at;
            if (length > n - at || !has(first, bytes[at]) || x->covered[at + length - 1]) continue;
            const uint32_t id = vocab_find(s->v, text + at, length);
            if (id == VOCAB_NONE || !is_special(s, id, control)) continue;
            r = reserve(&x->cuts, &x->size_cuts, x->n_cuts + 1, sizeof(*x->cuts));
            if (r < 0) return err_pass(r);
            x->cuts[x->n_cuts++] =
                (struct special_cut){ .at = at, .n = (uint32_t)length, .id = id };
            memset(x->covered + at, 1, length);
            kept--;
        }
        left = kept;
    }
    if (x->n_cuts > 1) qsort(x->cuts, x->n_cuts, sizeof(*x->cuts), by_place);
    return 0;
}
