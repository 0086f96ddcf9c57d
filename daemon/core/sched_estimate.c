/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person who waits is told. An estimate, not a promise: nobody knows how long the answers before it will be. It is
 * made of the mean engine time of a request that ended lately; charges add up to the engine's time, so that many requests before
 * this one take that many means, however they are batched.
 */
#include <math.h>
#include "daemon/core/sched.h"
#include "daemon/core/sched_state.h"

enum { RETRY_UNKNOWN_MS = 1000 };

static uint32_t running_of(const struct sched *s, const struct sched_app *app,
                           enum sched_class class)
{
    uint32_t n = 0;

    LIST_EACH(r, &s->reqs, struct sched_req, node)
    n += r->class == class && r->state == SCHED_RUNNING && (!app || r->app == app);
    return n;
}

/* The key with which @r will ask for a place, when those before it in its app have got theirs. */
static double key_of(const struct sched *s, const struct sched_req *r)
{
    uint32_t n = running_of(s, r->app, r->class);

    LIST_EACH(q, &s->reqs, struct sched_req, node)
    {
        if (q == r) break;
        n += q->app == r->app && q->class == r->class && q->state != SCHED_RUNNING;
    }
    return sched_state_key(r->app, r->class, n);
}

/* Waiting requests of @app that get a place before @r, whose key is @key. */
static uint32_t earlier_of(const struct sched *s, const struct sched_app *app,
                           const struct sched_req *r, double key)
{
    uint32_t at = running_of(s, app, r->class), n = 0;

    LIST_EACH(q, &s->reqs, struct sched_req, node)
    {
        if (q == r || q->app != app || q->class != r->class || q->state == SCHED_RUNNING) continue;
        const double its = sched_state_key(app, r->class, at++);
        if (its > key || (its == key && q->serial > r->serial)) break;
        n++;
    }
    return n;
}

static double prefill_ns(const struct sched *s, const struct sched_req *r)
{
    const double left = sched_state_prompt_left(r);
    const double room_ns = (double)s->config.step_target_ns - s->decode_step_ns;
    const bool shared = running_of(s, NULL, r->class) > (r->state == SCHED_RUNNING);
    const double chunk = fmin(fmax(room_ns / s->prefill_tok_ns, 8), s->config.chunk_max);

    /* Beside others it goes chunk by chunk, each with a token of theirs. */
    return left * s->prefill_tok_ns + (shared ? ceil(left / chunk) : 1) * s->decode_step_ns;
}

static double request_ns(const struct sched *s, const struct sched_req *r)
{
    const uint32_t answer = r->output_max < SCHED_GUESS_TOKENS ? r->output_max : SCHED_GUESS_TOKENS;

    return s->request_ns > 0 ? s->request_ns : prefill_ns(s, r) + answer * s->decode_step_ns;
}

void sched_estimate(const struct sched *s, const struct sched_req *r, uint32_t *ret_position,
                    uint32_t *ret_wait_ms)
{
    uint32_t position = 0, higher = 0, ending = 0;

    if (r->state != SCHED_RUNNING) {
        const double key = key_of(s, r);
        const uint32_t running = running_of(s, NULL, r->class), most = s->config.running_max;
        const uint32_t places = most > running ? most - running : 0;
        for (int c = r->class + 1; c < SCHED_CLASSES; c++)
            higher += s->n_class[c];
        LIST_EACH(app, &s->apps, struct sched_app, node)
        position += earlier_of(s, app, r, key);
        ending = position >= places; /* one that runs has to end first */
        if (higher == 0) position -= position < places ? position : places;
    }
    *ret_position = position + higher;
    *ret_wait_ms = 0;
    /* A load of prompts with one token of answer has no step that only decodes: that cost is then taken for nothing. */
    if (!(s->prefill_tok_ns > 0) || r->output_tokens > 0) return;
    const double ns = (double)(position + higher + ending) * request_ns(s, r) + prefill_ns(s, r);
    *ret_wait_ms = (uint32_t)fmin(ceil(ns / 1e6), UINT32_MAX);
}

uint32_t sched_retry_ms(const struct sched *s)
{
    double least_ns = s->request_ns;
    const bool ended = least_ns > 0;

    if (!(s->prefill_tok_ns > 0 && s->decode_step_ns > 0)) return RETRY_UNKNOWN_MS;
    LIST_EACH(r, &s->reqs, struct sched_req, node)
    {
        if (ended) break; /* otherwise: the one that is nearest to its end */
        const uint32_t left =
            r->output_max > r->output_tokens ? r->output_max - r->output_tokens : 0;
        const double ns = prefill_ns(s, r) + left * s->decode_step_ns;
        if (r->state == SCHED_RUNNING && (least_ns == 0 || ns < least_ns)) least_ns = ns;
    }
    if (!(least_ns > 0)) return RETRY_UNKNOWN_MS;
    return (uint32_t)fmin(fmax(ceil(least_ns / 1e6), SCHED_RETRY_LEAST_MS), SCHED_RETRY_MOST_MS);
}
