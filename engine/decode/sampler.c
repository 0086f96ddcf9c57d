/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vocabulary has 262,144 logits, of which few matter: nothing is sorted as a whole. Top-k keeps a heap of the k best,
 * whose root is the worst of them and is compared with each logit; top-p turns the candidates into a heap with the best
 * at its root and takes from it until the probability is reached. Taking one by one also gives them in falling order, in
 * which the draw walks through them; without top-k and top-p it walks in the order of ids, penalised ones last.
 */
#include "engine/decode/sampler.h"
#include <assert.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "engine/decode/fixedexp.h"
#include "engine/decode/philox.h"

struct candidate {
    float logit;
    uint32_t id;
};

struct sampler {
    uint32_t n_ids;
    uint64_t *forbidden,
        *skipped; /* [(n_ids + 63) / 64] bits; skipped: forbidden or recent, during a call */
    struct candidate *candidates; /* [n_ids] */
    size_t n;                     /* candidates in use */
};

int sampler_check(const struct sampler_config *c, struct reason *why)
{
    if (!(c->temperature >= 0 && c->temperature <= FLT_MAX))
        reason_set(why, "temperature is %g, it must be 0 or more", (double)c->temperature);
    else if (!(c->top_p > 0 && c->top_p <= 1))
        reason_set(why, "top_p is %g, it must be above 0 and at most 1", (double)c->top_p);
    else if (!(c->min_p >= 0 && c->min_p < 1))
        reason_set(why, "min_p is %g, it must be from 0 to below 1", (double)c->min_p);
    else if (!(c->repetition_penalty >= 1 && c->repetition_penalty <= FLT_MAX))
        reason_set(why, "repetition_penalty is %g, it must be 1 or more",
                   (double)c->repetition_penalty);
    else
        return 0;
    return SAMPLER_E_RANGE;
}

static size_t n_words(uint32_t n_ids)
{
    return ((size_t)n_ids + 63) / 64;
}

static void sampler_freep(struct sampler **s)
{
    sampler_free(*s);
}

int sampler_new(uint32_t n_ids, struct sampler **ret)
{
    CLEANUP(sampler_freep) struct sampler *s = calloc(1, sizeof(*s));

    if (!s) return err_raise(-ENOMEM);
    s->n_ids = n_ids;
    s->forbidden = calloc(n_words(n_ids) + 1, sizeof(*s->forbidden));
    s->skipped = calloc(n_words(n_ids) + 1, sizeof(*s->skipped));
    s->candidates = calloc((size_t)n_ids + 1, sizeof(*s->candidates));
    if (!s->forbidden || !s->skipped || !s->candidates) return err_raise(-ENOMEM);
    *ret = TAKE_PTR(s);
    return 0;
}

struct sampler *sampler_free(struct sampler *s)
{
    if (!s) return NULL;
    free(s->forbidden);
    free(s->skipped);
    free(s->candidates);
    free(s);
    return NULL;
}

void sampler_forbid(struct sampler *s, uint32_t id)
{
    if (id >= s->n_ids) return;
    s->forbidden[id / 64] |= UINT64_C(1) << id % 64;
    s->skipped[id / 64] |= UINT64_C(1) << id % 64;
}

static bool is_forbidden(const struct sampler *s, uint32_t id)
{
    return id >= s->n_ids || (s->forbidden[id / 64] >> id % 64 & 1);
}

/* ---- heaps of candidates ---- */

static bool better(struct candidate a, struct candidate b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

/* Put @x where it belongs in the heap c[0 .. n), of which place @i is free. @best: the best is at the root, else the worst. */
static void sift(struct candidate *c, size_t n, size_t i, struct candidate x, bool best)
{
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && better(c[child + 1], c[child]) == best) child++;
        if (better(x, c[child]) == best) break;
        c[i] = c[child];
    }
    c[i] = x;
}

static void make_heap(struct candidate *c, size_t n, bool best)
{
    for (size_t i = n / 2; i-- > 0;)
        sift(c, n, i, c[i], best);
}

/* ---- collecting ---- */

/* Consider a logit for the @limit best. */
static void consider(struct sampler *s, size_t limit, float logit, uint32_t id)
{
    if (!(logit > -INFINITY)) return; /* NaN too */
    const struct candidate x = { .logit = logit < FLT_MAX ? logit : FLT_MAX, .id = id };
    if (s->n < limit) {
        s->candidates[s->n++] = x;
        if (s->n == limit) make_heap(s->candidates, s->n, false);
    } else if (better(x, s->candidates[0])) {
        sift(s->candidates, s->n, 0, x, false);
    }
}

/* A loop that compilers turn into vector instructions. */
static bool any_above(const float *x, uint32_t n, float limit)
{
    unsigned any = 0;

    for (uint32_t i = 0; i < n; i++)
        any |= x[i] > limit;
    return any;
}

/* The ids whose bit in s->skipped is 0. */
static void collect_ids(struct sampler *s, size_t limit, const float *logits)
{
    for (uint32_t first = 0; first < s->n_ids; first += 64) {
        const uint32_t end = s->n_ids - first < 64 ? s->n_ids : first + 64;
        const uint64_t skipped = s->skipped[first / 64];
        /* of equals the first is better, so only what is above the worst of the best can matter */
        if (s->n == limit && !any_above(logits + first, end - first, s->candidates[0].logit))
            continue;
        for (uint32_t id = first; id < end; id++)
            if (!(skipped >> (id - first) & 1)) consider(s, limit, logits[id], id);
    }
}

/* Fill s->candidates with the @limit best after the penalty, in no particular order. */
static void collect(struct sampler *s, const struct sampler_config *c, size_t limit,
                    const float *logits, const uint32_t *recent, size_t n_recent)
{
    uint32_t penalised[SAMPLER_RECENT];
    size_t n = 0;

    s->n = 0;
    for (size_t i = 0; c->repetition_penalty > 1 && i < n_recent; i++) {
        const uint32_t id = recent[i];
        if (id >= s->n_ids || (s->skipped[id / 64] >> id % 64 & 1))
            continue; /* forbidden, or here already */
        s->skipped[id / 64] |= UINT64_C(1) << id % 64;
        penalised[n++] = id;
    }
    collect_ids(s, limit, logits);
    for (size_t i = 0; i < n; i++) {
        const uint32_t id = penalised[i];
        const float x = logits[id];
        consider(s, limit, x > 0 ? x / c->repetition_penalty : x * c->repetition_penalty, id);
        s->skipped[id / 64] &= ~(UINT64_C(1) << id % 64);
        assert(!is_forbidden(s, id));
    }
}

/* ---- drawing ---- */

/* Probability of a logit, up to a factor: 1 for @max. */
static double weight(const struct sampler_config *c, float logit, float max)
{
    return fixedexp(((double)logit - (double)max) / (double)c->temperature);
}

/*
 * Take the best candidates from s->candidates until top-p or min-p ends it; the taken ones end up in falling order at
 * the end of the array, the best last. Return: how many.
 */
static size_t take_best(struct sampler *s, const struct sampler_config *c, float max)
{
    struct candidate *all = s->candidates;
    double total = 0, taken = 0;
    size_t left = s->n;

    for (size_t i = 0; i < s->n; i++)
        total += weight(c, all[i].logit, max);
    make_heap(all, left, true);
    while (left > 0) {
        const struct candidate x = all[0];
        const double w = weight(c, x.logit, max);
        if (w < (double)c->min_p) break;
        left--;
        sift(all, left, 0, all[left], true);
        all[left] = x;
        taken += w;
        if (c->top_p < 1 && taken >= (double)c->top_p * total) break;
    }
    return s->n - left;
}

/* Drop what is improbable, keep the order. Return: how many are left. */
static size_t keep_probable(struct sampler *s, const struct sampler_config *c, float max)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->n; i++)
        if (weight(c, s->candidates[i].logit, max) >= (double)c->min_p)
            s->candidates[kept++] = s->candidates[i];
    return kept;
}

/* One of the @n candidates, walking from @first by @step. */
static uint32_t draw(const struct sampler_config *c, const struct candidate *first, ptrdiff_t step,
                     size_t n, float max, double uniform)
{
    double total = 0, sum = 0;
    uint32_t id = first->id;

    for (size_t i = 0; i < n; i++)
        total += weight(c, first[(ptrdiff_t)i * step].logit, max);
    for (size_t i = 0; i < n && sum <= uniform * total; i++) {
        const struct candidate x = first[(ptrdiff_t)i * step];
        const double w = weight(c, x.logit, max);
        if (w > 0) id = x.id;
        sum += w;
    }
    return id;
}

int sampler_pick(struct sampler *s, const struct sampler_config *c, const float *logits,
                 const uint32_t *recent, size_t n_recent, uint64_t position, uint32_t *ret)
{
    const size_t skip = n_recent > SAMPLER_RECENT ? n_recent - SAMPLER_RECENT : 0;
    const bool greedy = c->temperature == 0, limited = c->top_k > 0 && c->top_k < s->n_ids;
    const size_t limit = greedy ? 1 : limited ? c->top_k : (size_t)s->n_ids + 1;

    collect(s, c, limit, logits, recent ? recent + skip : NULL, n_recent - skip);
    if (s->n == 0) return SAMPLER_E_NOTHING;
    if (greedy) {
        *ret = s->candidates[0].id;
        return 0;
    }
    struct candidate best = s->candidates[0];
    for (size_t i = 1; i < s->n; i++)
        if (better(s->candidates[i], best)) best = s->candidates[i];
    const double uniform = philox_uniform(c->seed, position);
    if (limited || c->top_p < 1) {
        const size_t n = take_best(s, c, best.logit);
        *ret = draw(c, &s->candidates[s->n - 1], -1, n, best.logit, uniform);
    } else {
        const size_t n = keep_probable(s, c, best.logit);
        *ret = draw(c, s->candidates, 1, n, best.logit, uniform);
    }
    return 0;
}
