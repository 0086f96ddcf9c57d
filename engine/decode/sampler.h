/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/decode/sampler.h: the next token from the logits. The result is a function of logits, recent tokens,
 * configuration and (seed, position): the same on every machine and whatever was sampled before.
 *
 * The filters, in this order:
 *   1. repetition penalty: the logit x of each token among the last 64 becomes x / penalty if x > 0, else x * penalty
 *      (Keskar et al. 2019, "CTRL", section 4.1; negative logits as in transformers)
 *   2. temperature: x / temperature; 0 is greedy, and filters 3 to 5 do nothing then
 *   3. top-k: the k largest; of equal ones the lower id
 *   4. top-p: of these the fewest that have probability p together, the most probable first (Holtzman et al. 2020)
 *   5. min-p: of these the ones that have at least min_p times the probability of the most probable
 * Then one is drawn from what is left, in proportion. Logits that are NaN or -infinity count as impossible.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/reason.h"

enum { SAMPLER_RECENT = 64 }; /* tokens that the repetition penalty looks back */

enum {
    SAMPLER_E_RANGE =
        1, /* outcome: a value of the configuration makes no sense; the reason names it */
    SAMPLER_E_NOTHING =
        2, /* outcome: no token is possible (all logits NaN or -infinity, or all forbidden) */
};

struct sampler_config {
    float temperature;        /* >= 0; 0: the most probable token */
    uint32_t top_k;           /* 0: no limit */
    float top_p;              /* (0, 1]; 1: no limit */
    float min_p;              /* [0, 1); 0: no limit */
    float repetition_penalty; /* >= 1; 1: none */
    uint64_t seed;
};

/** sampler_check() - whether each value of @c is in its range. Return: 0, SAMPLER_E_RANGE (@why). */
int sampler_check(const struct sampler_config *c, struct reason *why);

struct sampler; /* scratch memory and the tokens that are never sampled; one per thread */

/**
 * sampler_new() - for vocabularies of which the ids [0, n_ids) may be sampled
 * Return: 0 and @ret, owned; -ENOMEM. Later calls allocate nothing.
 */
int sampler_new(uint32_t n_ids, struct sampler **ret);

/** sampler_free() - NULL is fine. Return: NULL. */
struct sampler *sampler_free(struct sampler *s);

/** sampler_forbid() - never sample @id (any; ids from n_ids on are never sampled anyway). */
void sampler_forbid(struct sampler *s, uint32_t id);

/**
 * sampler_pick() - the token at @position
 * @c: checked by sampler_check(). @logits: [n_ids] f32, unchanged. @recent: [n_recent] the tokens before, oldest first;
 * the last SAMPLER_RECENT count. @position: index of the token in its sequence.
 * Return: 0 and @ret; SAMPLER_E_NOTHING.
 */
int sampler_pick(struct sampler *s, const struct sampler_config *c, const float *logits,
                 const uint32_t *recent, size_t n_recent, uint64_t position, uint32_t *ret);
