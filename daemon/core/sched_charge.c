/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a step cost, and what follows: charges, progress, measured costs, the debt to lower classes.
 *
 * The model of a step is took = decode_step_ns + tokens * prefill_tok_ns. Steps that only prefill teach the second, steps that
 * only decode the first; a mixed one teaches the second, with the first taken as known for as many sequences. If the first is out of
 * date, the error goes to the second, and the sum, which is what the planner bounds, is still right.
 */
#include <math.h>
#include "daemon/core/sched.h"
#include "daemon/core/sched_state.h"

enum {
    LEARN_TOKENS = 1024, /* memory of the prefill cost: several chunks, some seconds */
    LEARN_LEAST =
        8, /* fewer tokens cost what it takes to read the weights: they say little of more */
};
#define LONGEST_STEPS 1024.0 /* for about so many steps the longest one is remembered */
#define LEARN_STEPS                                                                                \
    256.0 /* memory of what one more sequence costs: that changes with the model, hardly with the weather */

struct sum {
    double prefilled, decoded; /* tokens of the step */
};

static double decoded_of(const struct sched_done *d)
{
    return d->prefilled == 0 ? d->decoded : 0;
}

/* decode_step_ns is the recent mean; how it depends on the number of sequences is a line through many steps, by least squares. */
static void learn_decode(struct sched *s, double n, double took_ns)
{
    const double keep = 1 - 1 / LEARN_STEPS;
    const bool first = !(s->decode_step_ns > 0);

    s->decode_step_ns += first ? took_ns : (took_ns - s->decode_step_ns) / 8;
    s->decode.recent_n += first ? n : (n - s->decode.recent_n) / 8;
    s->decode.weight = s->decode.weight * keep + 1;
    s->decode.n = s->decode.n * keep + n;
    s->decode.nn = s->decode.nn * keep + n * n;
    s->decode.ns = s->decode.ns * keep + took_ns;
    s->decode.n_ns = s->decode.n_ns * keep + n * took_ns;
    const double mean = s->decode.n / s->decode.weight;
    const double var = s->decode.nn / s->decode.weight - mean * mean;
    if (var < 0.01) return; /* always the same number: it says nothing new */
    const double cov = s->decode.n_ns / s->decode.weight - mean * s->decode.ns / s->decode.weight;
    s->decode.each_ns = fmax(cov / var, 0);
}

double sched_answers_ns(const struct sched *s, double n)
{
    const double mean_n = fmax(s->decode.recent_n, 1);
    /* Sequences that share a sweep cost no more than apart. */
    const double each_ns = fmin(fmax(s->decode.each_ns, 0), s->decode_step_ns / mean_n);

    return n > 0 && s->decode_step_ns > 0 ? s->decode_step_ns + (n - mean_n) * each_ns : 0;
}

double sched_state_cautious_ns(const struct sched *s, double n)
{
    if (!(n > 0)) return 0;
    /* A whole chunk of prompt reads all weights, too: no answer's step costs more. */
    if (!(s->decode_step_ns > 0)) return s->config.chunk_max * s->prefill_tok_ns;
    if (s->decode.each_ns < 0 && n > s->decode.recent_n)
        return s->decode_step_ns * n / fmax(s->decode.recent_n, 1);
    return sched_answers_ns(s, n);
}

static void learn(struct sched *s, const struct sum *sum, double took_ns)
{
    double ns = took_ns;

    if (sum->prefilled == 0) {
        if (sum->decoded > 0) learn_decode(s, sum->decoded, took_ns);
        return;
    }
    if (sum->decoded > 0) {
        if (!(s->decode_step_ns > 0)) {
            if (s->prefill_tok_ns > 0)
                learn_decode(s, sum->decoded,
                             fmax(took_ns - sum->prefilled * s->prefill_tok_ns, 1));
            return;
        }
        ns = fmax(took_ns - sched_answers_ns(s, sum->decoded), 0);
    }
    const bool few = sum->prefilled < LEARN_LEAST;
    if (few && s->learn_tokens > 0 && !s->learn_few) return;
    if (!few && s->learn_few) s->learn_ns = s->learn_tokens = 0;
    s->learn_few = few;
    s->learn_ns += ns;
    s->learn_tokens += sum->prefilled;
    s->prefill_tok_ns = fmax(s->learn_ns / s->learn_tokens, 1);
    while (s->learn_tokens > LEARN_TOKENS) {
        s->learn_ns /= 2;
        s->learn_tokens /= 2;
    }
}

/* What a prompt's and an answer's token of the step cost. */
static void price(const struct sched *s, const struct sum *sum, double took_ns,
                  double *ret_prefilled, double *ret_decoded)
{
    const double even_ns = took_ns / fmax(sum->prefilled + sum->decoded, 1);

    *ret_prefilled = *ret_decoded = even_ns;
    if (sum->prefilled == 0 || sum->decoded == 0 || !(s->prefill_tok_ns > 0)) return;
    *ret_prefilled = fmin(s->prefill_tok_ns, even_ns);
    *ret_decoded = (took_ns - *ret_prefilled * sum->prefilled) / sum->decoded;
}

static void progress(struct sched_req *r, const struct sched_done *d)
{
    if (!sched_state_holds(r)) return;
    const uint32_t left = r->given_tokens - r->prefilled_tokens;
    if (sched_state_prefills(r)) r->prefilled_tokens += d->prefilled < left ? d->prefilled : left;
    r->output_tokens += d->decoded;
    r->pages = d->pages;
}

/* Lower classes that waited are owed their part of the step, less what they got. */
static void settle(struct sched *s, const uint64_t *charged, uint64_t took_ns)
{
    const bool alone = s->alone;
    const int64_t most = 5 * (int64_t)SCHED_SLICE_NS, least = -(int64_t)SCHED_SLICE_NS;

    s->rests = false;
    for (int c = 0; c < SCHED_CLASSES; c++) {
        if (c >= s->top || !s->waits[c]) {
            s->owed_ns[c] = 0;
            s->turn[c] = false;
            continue;
        }
        int64_t owed = s->owed_ns[c] + (int64_t)(took_ns / 100 * SCHED_SHARE_PERCENT);
        owed -= (int64_t)charged[c];
        s->owed_ns[c] = owed > most ? most : owed < least ? least : owed;
        if (alone && charged[c] > 0) s->rests = true; /* the next step is the higher class's */
        if (owed <= 0) s->turn[c] = false;
    }
}

void sched_charge(struct sched *s, const struct sched_done *done, size_t n, uint64_t took_ns)
{
    uint64_t charged[SCHED_CLASSES] = { 0 }, paid = 0;
    double prefilled_ns, decoded_ns, due = 0, all = 0;
    struct sum sum = { 0 };

    if (n == 0) return;
    if (took_ns > SCHED_TOOK_MAX_NS) took_ns = SCHED_TOOK_MAX_NS;
    for (size_t i = 0; i < n; i++) {
        sum.prefilled += done[i].prefilled;
        sum.decoded += decoded_of(&done[i]);
    }
    price(s, &sum, (double)took_ns, &prefilled_ns, &decoded_ns);
    const bool idle = sum.prefilled + sum.decoded == 0; /* all starved: in equal parts */
    all = idle ? (double)n : sum.prefilled * prefilled_ns + sum.decoded * decoded_ns;
    for (size_t i = 0; i < n; i++) {
        struct sched_req *r = done[i].req;
        due += idle ? 1 : done[i].prefilled * prefilled_ns + decoded_of(&done[i]) * decoded_ns;
        /* Whole nanoseconds of the running sum, so that no rounding adds up; the last gets the rest. */
        uint64_t upto = all > 0 ? (uint64_t)((double)took_ns * fmin(due / all, 1)) : 0;
        if (i + 1 == n || upto > took_ns) upto = took_ns;
        const uint64_t charge = upto - paid;
        paid = upto;
        r->engine_ns += charge;
        r->app->vtime[r->class] += (double)charge / r->app->weight;
        charged[r->class] += charge;
        progress(r, &done[i]);
    }
    if (s->abandoned >= 0 && charged[s->abandoned] > 0) s->abandoned = -1;
    learn(s, &sum, (double)took_ns);
    s->longest_ns = fmax((double)took_ns, s->longest_ns * (1 - 1 / LONGEST_STEPS));
    settle(s, charged, took_ns);
}
