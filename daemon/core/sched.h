/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/core/sched.h: which requests run in the next step. Decisions only: no sockets, no clock (time is an argument), no
 * model. The caller tells what happened (a request came, was opened, a step took so long) and asks for a plan.
 *
 * The worker repeats the newest plan step after step, so the caller asks for a plan after each event and sends it if
 * sched_plan() says that it changed.
 *
 * Rules (docs/SCHEDULING.md has them with an example):
 *  - Classes: realtime > interactive > background. While a higher class has work, lower ones are parked: they keep their KV
 *    and are left out of the plan. Each lower class that waits is owed SCHED_SHARE_PERCENT of the engine's time, so that it never
 *    starves: when the debt has grown to the cost of a step, one of its requests runs beside the higher class until the debt
 *    is paid or, where that would pay too little (a big batch, no free place), instead of it for one step.
 *  - Within a class, apps share engine time by weight: each app has a virtual time that grows by engine nanoseconds / weight; the
 *    app with the smallest goes first. An app that comes back from idleness starts at the smallest virtual time of the
 *    active ones, so that idleness is not saved up; one that is ahead stays ahead, so that coming and going brings nothing.
 *    Within an app: first come, first served.
 *  - Places of the plan: a place that an app already has counts like SCHED_SLICE_NS of use when the next one is given out. An app that is
 *    ahead of another one with work keeps its first place only, so that forty requests get no more than one.
 *  - A plan never asks for more KV pages than the pool has: each request in it, and each parked one, is
 *    counted with the most that it may need. If a request of a higher class does not fit, the lowest-class, youngest
 *    requests give up their KV (sched_plan.evict); they are computed again later. Within a class an app gives up KV only when it is ahead of
 *    the app that waits by more than SCHED_SLICE_NS and the cost of computing it again, so that each stay brings progress. Requests that hold
 *    nothing do not overtake one of their class that waits for pages.
 *  - A running request stays in the plan until it ends, is parked for a higher class or for fairness: an app that is
 *    ahead of a waiting one of its class by more than SCHED_SLICE_NS gives its place away.
 *  - Promises: a request with a deadline is taken only if it will be done in time (sched_promise()). Within its class it then goes before
 *    those without a promise, the earliest deadline first. As long as there is time to spare, others run beside it; when that is used up,
 *    its class and those below run promises only.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/list.h"

enum sched_class { SCHED_BACKGROUND, SCHED_INTERACTIVE, SCHED_REALTIME, SCHED_CLASSES };

enum {
    SCHED_PLAN_MAX = 64, /* requests of one plan: what one worker step can take */
    SCHED_APP_KEY_MAX = 96,
    SCHED_GUESS_TOKENS = 64, /* of an answer of which nothing is known: a short paragraph */
    SCHED_SHARE_PERCENT =
        6, /* of the engine's time for a class below the highest that has work (promise: at least 5 %) */
};
#define SCHED_SLICE_NS                                                                             \
    UINT64_C(200000000) /* 0.2 s: long against a step, short for a person who waits */

#define SCHED_TOOK_MAX_NS                                                                          \
    UINT64_C(3600000000000) /* an hour: a step that says more is taken for one of an hour */

/* Outcomes: the queue is full; it would not be done in time. */
enum { SCHED_E_FULL = 1, SCHED_E_LATE = 2 };

enum sched_state {
    SCHED_OPENING, /* its length is not known yet */
    SCHED_QUEUED,  /* waits, holds no KV */
    SCHED_RUNNING, /* in the newest plan */
    SCHED_PARKED,  /* left out of the newest plan, holds KV */
};

enum { SCHED_IDLE_APPS_MAX = 64 }; /* apps without requests that are remembered, see sched_app */

/* Whoever shares: a uid or a unit. Lives as long as it has requests, and then until the others have caught up with it. */
struct sched_app {
    struct list node;
    char key[SCHED_APP_KEY_MAX];
    uint32_t weight;
    uint32_t n_requests;
    double vtime[SCHED_CLASSES]; /* [ns / weight] */
    uint32_t pages_committed;    /* pages_most of its running and parked requests */
    /* while a plan is made: */
    struct sched_req *next;   /* the request that takes its next place, NULL: none */
    uint32_t n_placed, n_due; /* places; of them, of promises */
    bool active, stuck;       /* has work in the class; its next request does not fit */
};

/* Embedded in the caller's request, all zero at first; the members are sched's, readable by all, but for pages_quota. */
struct sched_req {
    struct list node;
    struct sched_app *app;
    uint64_t serial; /* unique, rising: the order of arrival */
    enum sched_class class;
    enum sched_state state;
    uint32_t prompt_tokens, cached_tokens; /* known once opened */
    uint32_t prefilled_tokens;             /* of the prompt and of a replay, KV is there */
    uint32_t
        given_tokens; /* prompt and replayed answer: prefill is over when prefilled_tokens reaches it */
    uint32_t output_tokens, output_max; /* made; most */
    uint32_t pages_most, pages;         /* most that it may need; that it holds */
    uint32_t pages_quota; /* most pages that its app may hold at once, 0: no limit; the
                                           caller's, set before sched_opened() */
    bool paused; /* the caller's: nobody takes what it makes; it keeps its KV and is in no plan */
    uint64_t arrived_ns, running_ns; /* CLOCK_MONOTONIC; first time in a plan, 0: not yet */
    uint64_t engine_ns;              /* charged so far */
    uint64_t due_ns; /* CLOCK_MONOTONIC: promised to be done by then; 0: nothing is promised */
    uint32_t
        output_likely; /* tokens that the answer is taken to have, 0: output_max; the caller's */
    double pace_prompt,
        pace_answer; /* what its tokens cost, of what was measured, 0: 1; the caller's */
    /* of the planner: */
    bool placed;           /* has one of the places of its class, kept while a higher class runs */
    bool planned, evicted; /* was in the plan before; loses its KV with this one */
    bool fresh;            /* got a place, but no step yet */
    bool tried;            /* was looked at for a place */
    uint32_t planned_tokens;
    /* of a forecast: */
    struct sched_req *after;
    double prompt_left, answer_left; /* tokens */
    double done_ns,
        charge_ns;  /* when it will have ended, what it will have been charged until then */
    double kept_ns; /* done_ns of the forecast before */
};

struct sched_config {
    uint32_t queue_max;      /* requests at once, in all states */
    uint32_t running_max;    /* in one plan, 1..SCHED_PLAN_MAX */
    uint64_t step_target_ns; /* a step with prefill should take no longer while somebody decodes */
    uint32_t chunk_max;      /* most prefill tokens of one step */
};

struct sched {
    struct sched_config config;
    struct list reqs; /* all, by arrival */
    struct list apps;
    uint32_t n_reqs, n_state[4];
    uint32_t pages_total;            /* 0: no model, nothing is planned */
    uint32_t pages_committed;        /* pages_most of all running and parked requests */
    uint32_t n_class[SCHED_CLASSES]; /* requests in all states */
    int64_t owed_ns[SCHED_CLASSES];  /* engine time that a class below the highest is owed */
    double prefill_tok_ns,
        decode_step_ns; /* measured cost: [ns] per prompt token; of a step that only decodes. 0: not measured */
    double learn_ns, learn_tokens; /* prefill seen lately, prefill_tok_ns is their quotient */
    bool learn_few;    /* a handful of tokens a step, so that it is too much for a chunk */
    double longest_ns; /* of the steps lately */
    struct {
        double weight, n, nn, ns,
            n_ns;        /* of steps that only decode: sums over n sequences and their time */
        double recent_n; /* mean of the steps that decode_step_ns is the mean of */
        double each_ns;  /* what one more sequence costs; < 0: unknown */
    } decode;
    double request_ns; /* engine time of a request, mean of those that ended; 0: none */
    double vtime_floor[SCHED_CLASSES];
    /* of the newest plan: */
    int top;                                        /* its highest class, -1: it is empty */
    size_t n_planned;                               /* requests */
    bool waits[SCHED_CLASSES], turn[SCHED_CLASSES]; /* below the highest: has work; is being paid */
    bool alone, rests; /* those that are paid run instead of the highest class; just did so */
    bool tight
        [SCHED_CLASSES]; /* its promises have no time to spare: nobody else of it, or below, may run */
    int abandoned;       /* class whose step was abandoned and has not been made up for, -1: none */
};

struct sched_entry {
    struct sched_req *req;
    uint32_t prefill_tokens; /* most prompt tokens of one step, >= 1; 1 if its prompt is done */
};

struct sched_plan {
    struct sched_entry entry[SCHED_PLAN_MAX];
    size_t n;
    struct sched_req *evict
        [SCHED_PLAN_MAX]; /* [n_evict] are now SCHED_QUEUED with no pages: their KV must be dropped */
    size_t n_evict;
};

/** sched_init() - no requests. @config: copied; running_max, chunk_max and queue_max >= 1 (asserted). */
void sched_init(struct sched *s, const struct sched_config *config);
/** sched_deinit() - free what it owns. All requests must have been removed. */
void sched_deinit(struct sched *s);
/** sched_configure() - new limits from now on; requests beyond a smaller queue_max stay. */
void sched_configure(struct sched *s, const struct sched_config *config);
/** sched_model() - a model with @pages_total KV pages is ready; 0: none is. Either way all KV is gone: requests go back to
 * SCHED_OPENING, measured costs are forgotten. Virtual times and what was charged stay. */
void sched_model(struct sched *s, uint32_t pages_total);

/**
 * sched_add() - a request came; it is SCHED_OPENING
 * @app_key: who shares. @weight: 1..1000; the newest one counts for the whole app. Return: 0, SCHED_E_FULL, -ENOMEM.
 */
int sched_add(struct sched *s, struct sched_req *r, const char *app_key, uint32_t weight,
              enum sched_class class, uint64_t serial, uint64_t now_ns);
/**
 * sched_opened() - its length is known: SCHED_QUEUED; it must be SCHED_OPENING
 * @given_tokens: prompt and replayed answer. @pages_most: a request that needs more than the pool or its quota has can never run: the caller
 * refuses it; here it waits and hinders nobody.
 */
void sched_opened(struct sched *s, struct sched_req *r, uint32_t prompt_tokens,
                  uint32_t cached_tokens, uint32_t given_tokens, uint32_t output_max,
                  uint32_t pages_most);
/** sched_reopen() - its KV is gone and it has to be opened again: SCHED_OPENING. */
void sched_reopen(struct sched *s, struct sched_req *r);
/** sched_remove() - it ended, in whatever state. Harmless if it was never added or is removed already (r->app is NULL). */
void sched_remove(struct sched *s, struct sched_req *r);

struct sched_done { /* what one step did for one request */
    struct sched_req *req;
    uint32_t prefilled, decoded; /* tokens */
    uint32_t pages;              /* that it holds now */
};
/**
 * sched_charge() - a step took @took_ns: divide it among its requests, learn the costs
 * Each request is charged took_ns in the proportion of its tokens' cost (a prompt token: prefill_tok_ns; an answer's token: what remains
 * of the step divided evenly, which is not less than for a prompt token). The charges add up to @took_ns exactly.
 * A token that comes with the end of a prompt is part of the prefill. A request that holds no KV (evicted or reopened
 * while the step ran) is charged, but what the step made of it does not count: it will be made again.
 */
void sched_charge(struct sched *s, const struct sched_done *done, size_t n, uint64_t took_ns);

/**
 * sched_plan() - what to run from now on; the states of all requests follow it
 * Prefill: while a request of the plan decodes (one that only repays its class does not count), the prompts get so many
 * tokens that the step stays within step_target_ns, but at least 8; otherwise chunk_max. The app with the smallest virtual
 * time takes what it needs first; each other prompt of the plan gets at least 1. The step that makes up for an abandoned one
 * has a quarter of chunk_max at most: who comes while it runs has to wait for its end.
 * An evicted request is SCHED_QUEUED and will be planned again; a caller whose worker has to open it anew calls sched_reopen().
 * Return: true if it differs from the plan before in requests or prefill tokens (or evicts), so that it has to be sent.
 */
bool sched_plan(struct sched *s, uint64_t now_ns, struct sched_plan *ret);

/**
 * sched_urgent() - is @r of a higher class than all that the newest plan has, so that the step that runs should be abandoned for it?
 * Not if a step of that class was abandoned before and none has been completed since: a class that is pushed aside again
 * and again still gets on, step by step. Nor while a lower class has a promise without time to spare.
 */
bool sched_urgent(const struct sched *s, const struct sched_req *r);
/** sched_abandoned() - a step of the newest plan was abandoned: nothing of it counts, and nobody is charged for it. */
void sched_abandoned(struct sched *s);

/**
 * sched_estimate() - when a request will have its first token
 * @ret_position: requests that are served before it (0: next or running). @ret_wait_ms: estimate from measured costs, 0: unknown.
 */
void sched_estimate(const struct sched *s, const struct sched_req *r, uint32_t *ret_position,
                    uint32_t *ret_wait_ms);
/** sched_answers_ns() - what a step costs in which @n answers get a token each, besides prompt tokens; 0: not measured, or none. */
double sched_answers_ns(const struct sched *s, double n);

struct sched_late {
    uint32_t expected_ms; /* from its arrival: when it would be done */
    uint32_t retry_ms;    /* the same may be taken then; 0: never, it takes too long even alone */
};
/**
 * sched_promise() - may @r, which is SCHED_QUEUED, be promised to be done at @due_ns?
 * Yes if a forecast at measured costs says so, with a quarter of the time in reserve: all that goes before it counts (promises of its class
 * that are due earlier, all work of higher classes), its app stays within its share by weight until then, the KV pages of all promises fit at
 * once, and no promise that would be kept without it is missed because of it. The answer counts with output_likely tokens.
 * Return: 0 and @r->due_ns, which stays 0 where costs are not measured yet: it is then one without a promise; SCHED_E_LATE (@ret).
 */
int sched_promise(struct sched *s, struct sched_req *r, uint64_t due_ns, uint64_t now_ns,
                  struct sched_late *ret);
/**
 * sched_keeps() - are all promises of @r's class and below kept if its answer costs @pace from now on?
 * Return: true also where nothing is promised or measured.
 */
bool sched_keeps(struct sched *s, struct sched_req *r, double pace, uint64_t now_ns);
/** sched_retry_ms() - when a place in a full queue may become free; from measured costs, 1000 if unknown. */
uint32_t sched_retry_ms(const struct sched *s);
/** sched_state_name() - "queued" (also opening), "prefill", "decode", "parked". */
const char *sched_state_name(const struct sched_req *r);
