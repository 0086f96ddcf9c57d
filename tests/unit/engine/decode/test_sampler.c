/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "engine/decode/philox.h"
#include "engine/decode/sampler.h"
#include "tests/unit/oom.h"

static const struct sampler_config plain = { .temperature = 1,
                                             .top_p = 1,
                                             .repetition_penalty = 1 };

static uint32_t pick(uint32_t n, const struct sampler_config *c, const float *logits,
                     uint64_t position)
{
    struct sampler *s = NULL;
    uint32_t id = UINT32_MAX;

    cr_assert_eq(sampler_new(n, &s), 0);
    cr_assert_eq(sampler_pick(s, c, logits, NULL, 0, position, &id), 0);
    sampler_free(s);
    return id;
}

/* ---- a slow sampler that sorts everything ---- */

struct entry {
    double weight;
    float logit;
    uint32_t id;
};

static int by_falling_logit(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->logit != y->logit) return x->logit < y->logit ? 1 : -1;
    return x->id > y->id ? 1 : -1;
}

/* What may be drawn, the most probable first. Return: how many. */
static size_t allowed(uint32_t n, const struct sampler_config *c, const float *logits,
                      const uint32_t *recent, size_t n_recent, struct entry *e)
{
    size_t n_left = 0;
    double total = 0, sum = 0;

    for (uint32_t id = 0; id < n; id++) {
        float x = logits[id];
        for (size_t i = n_recent > 64 ? n_recent - 64 : 0; i < n_recent; i++) {
            if (recent[i] != id) continue;
            x = x > 0 ? x / c->repetition_penalty : x * c->repetition_penalty;
            break;
        }
        if (x > -INFINITY) e[n_left++] = (struct entry){ .logit = x, .id = id };
    }
    qsort(e, n_left, sizeof(*e), by_falling_logit);
    if (c->top_k > 0 && c->top_k < n_left) n_left = c->top_k;
    for (size_t i = 0; i < n_left; i++) {
        e[i].weight = exp(((double)e[i].logit - (double)e[0].logit) / (double)c->temperature);
        total += e[i].weight;
    }
    for (size_t i = 0; i < n_left; i++) {
        if (e[i].weight < (double)c->min_p) return i;
        sum += e[i].weight;
        if (c->top_p < 1 && sum >= (double)c->top_p * total) return i + 1;
    }
    return n_left;
}

static uint32_t state = 1;

static float random_float(void)
{
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / 16777216.0f;
}

Test(sampler, draws_what_a_sampler_that_sorts_everything_draws)
{
    enum { N = 300 };
    static const struct sampler_config configs[] = {
        { 1.0f, 0, 1.0f, 0, 1, 1 },       { 1.0f, 64, 0.95f, 0, 1, 2 },
        { 0.7f, 5, 1.0f, 0, 1, 3 },       { 0.7f, 0, 0.9f, 0, 1, 4 },
        { 1.5f, 0, 1.0f, 0.05f, 1, 5 },   { 1.3f, 40, 0.8f, 0.1f, 1.2f, 6 },
        { 0.1f, 0, 0.5f, 0.3f, 1.1f, 7 }, { 2.0f, 1, 1.0f, 0, 1.3f, 8 },
        { 1.0f, 300, 0.99f, 0, 1, 9 },    { 1.0f, 299, 1.0f, 0.001f, 1.5f, 10 },
        { 1.0f, 9999, 0.3f, 0, 1, 11 },
    };
    float logits[N];
    struct entry e[N];
    uint32_t recent[100];
    struct sampler *s = NULL;

    cr_assert_eq(sampler_new(N, &s), 0);
    for (uint64_t round = 0; round < 200; round++) {
        for (int i = 0; i < N; i++) {
            logits[i] = (random_float() - 0.5f) * 16;
            if (round % 3 == 0) logits[i] = rintf(logits[i]); /* ties */
            if (i % 50 == 7) logits[i] = round % 2 ? NAN : -INFINITY;
        }
        for (int i = 0; i < 100; i++)
            recent[i] = (uint32_t)(random_float() * N);
        for (size_t k = 0; k < sizeof(configs) / sizeof(configs[0]); k++) {
            const struct sampler_config *c = &configs[k];
            uint32_t id;
            cr_assert_eq(sampler_pick(s, c, logits, recent, 100, round, &id), 0);
            const size_t n = allowed(N, c, logits, recent, 100, e);
            size_t at = 0;
            while (at < n && e[at].id != id)
                at++;
            cr_assert_lt(at, n, "config %zu: %u is not allowed", k, id);
            if (c->top_k == 0 && c->top_p == 1) continue; /* drawn in another order */
            double total = 0, sum = 0;
            for (size_t i = 0; i < n; i++)
                total += e[i].weight;
            for (at = 0;
                 at + 1 < n && (sum += e[at].weight) <= philox_uniform(c->seed, round) * total;
                 at++)
                ;
            cr_assert_eq(id, e[at].id, "config %zu, round %u", k, (unsigned)round);
        }
    }
    sampler_free(s);
}

Test(sampler, at_temperature_0_takes_the_largest_and_of_equals_the_lowest_id)
{
    const float logits[] = { 1, 5, -2, 5, 4.99f };
    struct sampler_config c = plain;

    c.temperature = 0;
    for (uint64_t i = 0; i < 20; i++)
        cr_assert_eq(pick(5, &c, logits, i), 1u);
    const float zeros[] = { -0.0f, 0.0f, -0.0f };
    cr_assert_eq(pick(3, &c, zeros, 0), 0u, "the zeros are equal");
    c.top_k = 3, c.top_p = 0.1f, c.min_p = 0.5f;
    cr_assert_eq(pick(5, &c, logits, 1), 1u, "the other filters do nothing");
}

Test(sampler, frequencies_are_the_softmax_of_the_logits)
{
    enum { N = 8, DRAWS = 40000 };
    static const float logits[N] = { 2, 1.5f, 1, 0.5f, 0, -0.5f, -1, -3 };
    static const struct {
        float temperature;
        uint32_t top_k;
        float top_p, min_p;
        unsigned left; /* tokens that are possible */
    } cases[] = {
        { 1, 0, 1, 0, 8 },    { 0.7f, 0, 1, 0, 8 }, { 2, 5, 1, 0, 5 },
        { 1, 0, 0.8f, 0, 4 }, { 1, 0, 1, 0.3f, 3 }, { 1, 4, 0.9f, 0.1f, 4 },
    };
    struct sampler *s = NULL;

    cr_assert_eq(sampler_new(N, &s), 0);
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        const struct sampler_config c = {
            cases[k].temperature, cases[k].top_k, cases[k].top_p, cases[k].min_p, 1, 1000 + k
        };
        unsigned count[N] = { 0 };
        double p[N], total = 0, chi2 = 0;
        for (uint64_t i = 0; i < DRAWS; i++) {
            uint32_t id;
            cr_assert_eq(sampler_pick(s, &c, logits, NULL, 0, i, &id), 0);
            count[id]++;
        }
        for (unsigned i = 0; i < cases[k].left; i++)
            total += p[i] = exp((double)logits[i] / (double)c.temperature);
        for (unsigned i = 0; i < N; i++) {
            if (i >= cases[k].left) {
                cr_assert_eq(count[i], 0u, "case %zu: token %u", k, i);
                continue;
            }
            const double want = DRAWS * p[i] / total;
            chi2 += (count[i] - want) * (count[i] - want) / want;
        }
        cr_assert_lt(chi2, 24.3, "case %zu: chi2 %g (7 degrees of freedom: p = 0.001)", k, chi2);
    }
    sampler_free(s);
}

Test(sampler, the_same_seed_and_position_draw_the_same_whatever_was_drawn_before)
{
    enum { N = 100 };
    float logits[N];
    struct sampler_config c = { 1, 50, 0.95f, 0, 1, 77 };
    uint32_t forward[50], id;
    struct sampler *s = NULL;
    unsigned differ = 0;

    for (int i = 0; i < N; i++)
        logits[i] = random_float() * 3;
    cr_assert_eq(sampler_new(N, &s), 0);
    for (uint64_t i = 0; i < 50; i++)
        cr_assert_eq(sampler_pick(s, &c, logits, NULL, 0, i, &forward[i]), 0);
    for (uint64_t i = 50; i-- > 0;) {
        cr_assert_eq(sampler_pick(s, &c, logits, NULL, 0, i, &id), 0);
        cr_assert_eq(id, forward[i]);
        cr_assert_eq(pick(N, &c, logits, i), forward[i]);
    }
    c.seed = 78;
    for (uint64_t i = 0; i < 50; i++)
        differ += pick(N, &c, logits, i) != forward[i];
    cr_assert_gt(differ, 25u, "another seed draws others");
    sampler_free(s);
}

Test(sampler, penalises_each_recent_token_once)
{
    const float logits[] = { 4, 3, -1, -1.5f };
    struct sampler_config c = plain;
    struct sampler *s = NULL;
    uint32_t id;

    c.temperature = 0;
    c.repetition_penalty = 1.3f;
    cr_assert_eq(sampler_new(4, &s), 0);
    cr_assert_eq(sampler_pick(s, &c, logits, (const uint32_t[]){ 0, 0, 0 }, 3, 0, &id), 0);
    cr_assert_eq(id, 0u, "4 / 1.3 > 3: once");
    c.repetition_penalty = 1.5f;
    cr_assert_eq(sampler_pick(s, &c, logits, (const uint32_t[]){ 0, 7, UINT32_MAX }, 3, 0, &id), 0);
    cr_assert_eq(id, 1u, "4 / 1.5 < 3; unknown ids are no matter");
    sampler_forbid(s, 0);
    sampler_forbid(s, 1);
    cr_assert_eq(sampler_pick(s, &c, logits, NULL, 0, 0, &id), 0);
    cr_assert_eq(id, 2u);
    c.repetition_penalty = 2;
    cr_assert_eq(sampler_pick(s, &c, logits, (const uint32_t[]){ 2, 0 }, 2, 0, &id), 0);
    cr_assert_eq(id, 3u, "a negative logit is multiplied; a forbidden token stays forbidden");
    cr_assert_eq(sampler_pick(s, &c, logits, NULL, 0, 0, &id), 0);
    cr_assert_eq(id, 2u, "and nothing of it remains");
    sampler_free(s);
}

Test(sampler, the_penalty_looks_back_64_tokens)
{
    const float logits[] = { 4, 3 };
    struct sampler_config c = plain;
    struct sampler *s = NULL;
    uint32_t id, recent[65] = { 0 };

    c.temperature = 0;
    c.repetition_penalty = 2;
    for (int i = 1; i < 65; i++)
        recent[i] = 5;
    cr_assert_eq(sampler_new(2, &s), 0);
    cr_assert_eq(sampler_pick(s, &c, logits, recent, 64, 0, &id), 0);
    cr_assert_eq(id, 1u);
    cr_assert_eq(sampler_pick(s, &c, logits, recent, 65, 0, &id), 0);
    cr_assert_eq(id, 0u);
    c.repetition_penalty = 1;
    cr_assert_eq(sampler_pick(s, &c, logits, recent, 64, 0, &id), 0);
    cr_assert_eq(id, 0u);
    sampler_free(s);
}

Test(sampler, never_draws_forbidden_ids_or_ids_behind_the_limit)
{
    enum { N = 130, LIMIT = 129 };
    float logits[N];
    struct sampler *s = NULL;
    uint32_t id;
    static const struct sampler_config configs[] = {
        { 0, 0, 1, 0, 1, 0 }, { 1, 0, 1, 0, 1, 0 }, { 5, 10, 1, 0, 1, 0 }, { 5, 0, 0.9f, 0, 1, 0 }
    };

    for (int i = 0; i < N; i++)
        logits[i] = (float)i * 0.1f;
    cr_assert_eq(sampler_new(LIMIT, &s), 0);
    sampler_forbid(s, 128);
    sampler_forbid(s, 63);
    sampler_forbid(s, 64);
    sampler_forbid(s, LIMIT);
    sampler_forbid(s, UINT32_MAX);
    for (size_t k = 0; k < 4; k++) {
        for (uint64_t i = 0; i < 500; i++) {
            cr_assert_eq(sampler_pick(s, &configs[k], logits, NULL, 0, i, &id), 0);
            cr_assert(id < 128 && id != 63 && id != 64, "%u", id);
        }
    }
    sampler_free(s);
}

Test(sampler, says_when_nothing_is_possible)
{
    static const float none[] = { NAN, -INFINITY, NAN }, some[] = { NAN, -3e38f, -INFINITY };
    static const struct sampler_config configs[] = { { 0, 0, 1, 0, 1, 0 },
                                                     { 1, 0, 1, 0, 1, 0 },
                                                     { 1, 2, 0.9f, 0.1f, 1, 0 },
                                                     { 1, 0, 0.9f, 0, 2, 0 } };
    struct sampler *s = NULL;

    cr_assert_eq(sampler_new(3, &s), 0);
    for (size_t k = 0; k < 4; k++) {
        uint32_t id = 99;
        cr_assert_eq(sampler_pick(s, &configs[k], none, NULL, 0, 0, &id), SAMPLER_E_NOTHING);
        cr_assert_eq(id, 99u);
        cr_assert_eq(sampler_pick(s, &configs[k], some, NULL, 0, 0, &id), 0);
        cr_assert_eq(id, 1u);
    }
    sampler_forbid(s, 1);
    uint32_t id = 99;
    cr_assert_eq(sampler_pick(s, &configs[1], some, NULL, 0, 0, &id), SAMPLER_E_NOTHING);
    sampler_free(s);
    cr_assert_eq(sampler_new(0, &s), 0);
    cr_assert_eq(sampler_pick(s, &configs[1], some, NULL, 0, 0, &id), SAMPLER_E_NOTHING);
    sampler_free(s);
}

Test(sampler, survives_extreme_logits_and_temperatures)
{
    static const float logits[] = { INFINITY, -FLT_MAX, FLT_MAX, 0, -INFINITY, NAN };
    static const float temperatures[] = { 1e-45f, 1e-30f, 1, 1e30f, FLT_MAX };

    for (size_t k = 0; k < 5; k++) {
        struct sampler_config c = plain;
        c.temperature = temperatures[k];
        c.top_p = k % 2 ? 0.9f : 1;
        for (uint64_t i = 0; i < 100; i++) {
            const uint32_t id = pick(6, &c, logits, i);
            if (temperatures[k] < 1e30f)
                cr_assert(id == 0 || id == 2, "infinity counts as the largest number");
            cr_assert_lt(id, 4u);
        }
    }
    struct sampler_config c = plain;
    c.temperature = 1e-45f;
    const float near[] = { 1, 1.0000001f, 0.9f };
    cr_assert_eq(pick(3, &c, near, 0), 1u, "as good as greedy");
}

Test(sampler, top_k_1_and_a_small_top_p_are_greedy)
{
    const float logits[] = { 0.1f, 0.3f, 0.2f };
    struct sampler_config c = plain;

    c.top_k = 1;
    for (uint64_t i = 0; i < 50; i++)
        cr_assert_eq(pick(3, &c, logits, i), 1u);
    c.top_k = 0;
    c.top_p = 1e-6f;
    for (uint64_t i = 0; i < 50; i++)
        cr_assert_eq(pick(3, &c, logits, i), 1u);
}

Test(sampler, refuses_values_out_of_range)
{
    static const struct {
        struct sampler_config c;
        const char *says;
    } bad[] = {
        { { -0.1f, 0, 1, 0, 1, 0 }, "temperature is -0.1" },
        { { NAN, 0, 1, 0, 1, 0 }, "temperature" },
        { { INFINITY, 0, 1, 0, 1, 0 }, "temperature" },
        { { 1, 0, 0, 0, 1, 0 }, "top_p is 0" },
        { { 1, 0, 1.01f, 0, 1, 0 }, "top_p" },
        { { 1, 0, NAN, 0, 1, 0 }, "top_p" },
        { { 1, 0, 1, 1, 1, 0 }, "min_p is 1" },
        { { 1, 0, 1, -0.1f, 1, 0 }, "min_p" },
        { { 1, 0, 1, NAN, 1, 0 }, "min_p" },
        { { 1, 0, 1, 0, 0.9f, 0 }, "repetition_penalty is 0.9" },
        { { 1, 0, 1, 0, NAN, 0 }, "repetition_penalty" },
        { { 1, 0, 1, 0, INFINITY, 0 }, "repetition_penalty" },
    };
    static const struct sampler_config good[] = {
        { 0, 0, 1, 0, 1, 0 }, { 100, UINT32_MAX, 1e-30f, 0.999f, 1e10f, UINT64_MAX }
    };
    struct reason why;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(sampler_check(&bad[i].c, &why), SAMPLER_E_RANGE, "case %zu", i);
        cr_assert_not_null(strstr(why.text, bad[i].says), "%s", why.text);
    }
    for (int i = 0; i < 2; i++)
        cr_assert_eq(sampler_check(&good[i], &why), 0);
}

Test(sampler, making_one_gives_up_cleanly_at_each_allocation)
{
    struct sampler *s = NULL;
    unsigned n = 1;

    OOM_OR_SKIP();
    for (;; n++) {
        oom_fail_at(n);
        const int r = sampler_new(1000, &s);
        if (!oom_happened()) break;
        cr_assert_eq(r, -ENOMEM, "allocation %u", n);
        cr_assert_null(s);
    }
    oom_fail_at(1);
    uint32_t id;
    static float logits[1000];
    const struct sampler_config c = { 1, 0, 0.9f, 0, 1.1f, 0 };
    cr_assert_eq(sampler_pick(s, &c, logits, NULL, 0, 0, &id), 0, "sampling allocates nothing");
    cr_assert_not(oom_happened());
    oom_fail_at(0);
    cr_assert_gt(n, 3u);
    cr_assert_null(sampler_free(s));
    cr_assert_null(sampler_free(NULL));
}
