/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tools/sim/world.h: a worker and its requests in virtual time, around the real scheduler. hearth-sim and the tests of the
 * scheduler share it. A step costs decode_ns if something decodes, each_ns for each answer's token, prefill_ns for each
 * prompt's. After each plan the world checks what holds for all plans: pages, places, states, the bound of a step, and
 * that "unchanged" is true; after each step, that the charges add up to its time. What is wrong is kept in `broken`.
 */
#pragma once
#include "base/reason.h"
#include "daemon/core/sched.h"

enum { WORLD_REQS_MAX = 2048, WORLD_APPS_MAX = 8192 };
#define MS  UINT64_C(1000000)
#define SEC (1000 * MS)

struct world_req {
    struct sched_req sched; /* first: a plan's request is one of these */
    uint32_t app, weight, prompt, output, pages_most;
    uint32_t group;       /* the caller's */
    uint64_t deadline_ns; /* 0: none; the caller ends it */
    double cost;          /* of its tokens, against those of the whole model; 0: 1 */
    uint64_t arrived_step, arrived_ns, first_token_ns; /* 0: none yet */
    uint64_t stamp;                                    /* of the newest plan that had it */
    bool used;
    bool promised, disturbed; /* its deadline; a higher class came meanwhile: the caller's */
};

struct world_sent {
    struct sched_req *req;
    uint32_t tokens;
};

struct world;

/* Who uses the world; each may be NULL. */
struct world_hooks {
    /* @r has ended; its place is used again after it */
    void (*ended)(struct world *w, const struct world_req *r);
    /* Until when may the step that ends at @end_ns run? Earlier than @end_ns: it is abandoned then. */
    uint64_t (*cut)(struct world *w, uint64_t end_ns);
    /* A step has ended: let come what came meanwhile, and end what must end, before it is charged. Return: somebody came. */
    bool (*between)(struct world *w);
};

struct world {
    struct sched s;
    struct sched_plan plan;
    struct world_sent sent[SCHED_PLAN_MAX],
        late[SCHED_PLAN_MAX]; /* what the worker has; had before */
    size_t n_sent, n_late;
    bool lags;  /* a plan takes effect one step after it was sent, as between processes */
    bool waits; /* but for one that a newcomer has made: the worker waits for that */
    struct world_req req[WORLD_REQS_MAX];
    uint32_t idle[WORLD_REQS_MAX]; /* [n_idle] unused ones */
    size_t n_idle;
    double decode_ns, each_ns, prefill_ns;
    double noise,
        pace; /* steps take up to that part more or less; what they take this second, 1: as they should */
    uint64_t paced_s; /* the second for which pace was drawn */
    uint32_t layers;  /* places in a step where it can be abandoned */
    uint64_t now_ns, serial, random;
    uint64_t step, took_ns, charged_ns; /* steps run; their sum; what requests were charged */
    uint64_t nobodys_ns;                /* time of steps whose requests had all ended */
    uint64_t n_abandoned, abandoned_ns; /* steps; the time that was lost with them */
    uint64_t app_ns[WORLD_APPS_MAX], app_tokens[WORLD_APPS_MAX], class_ns[SCHED_CLASSES];
    uint64_t stamp; /* of plans */
    uint64_t n_plans_sent, n_evicted, n_ended;
    struct world_hooks hooks;
    void *context;        /* of the hooks */
    struct reason broken; /* the first rule that did not hold; "" if all did */
};

/** world_init() - no requests, a model with @pages, 10 ms + 1 ms a token to decode, 0.5 ms a token to prefill. */
void world_init(struct world *w, const struct sched_config *config, uint32_t pages);
/** world_deinit() - remove all requests. Return: true if every rule held; otherwise w->broken says which did not. */
bool world_deinit(struct world *w) __attribute__((warn_unused_result));
/** world_come() - a request of app number @app comes and is opened at once. Return: NULL if the queue or the world is full. */
struct world_req *world_come(struct world *w, uint32_t app, uint32_t weight, enum sched_class class,
                             uint32_t prompt, uint32_t output, uint32_t pages_most);
/** world_come_with() - the same, with @cached tokens that are there already, at most @quota pages for the app (0: no limit) and @now_ns. */
struct world_req *world_come_with(struct world *w, const struct world_req *like,
                                  enum sched_class class, uint32_t cached, uint32_t quota,
                                  uint64_t now_ns);
/** world_gone() - it is cancelled. */
void world_gone(struct world *w, struct world_req *r);
/** world_plan() - a plan, checked. Return: what sched_plan() returned. */
bool world_plan(struct world *w);
/** world_step() - run a step, charge it, end what has ended, and plan. With nothing to run 1 ms passes. */
void world_step(struct world *w);
/** world_idle() - nothing runs until @until_ns; then let come what comes, and plan. */
void world_idle(struct world *w, uint64_t until_ns);
/** world_planned() - true if @r is in the newest plan. */
bool world_planned(const struct world *w, const struct world_req *r);
/** world_random() - [0, @below), the same in each run. */
uint32_t world_random(struct world *w, uint32_t below);
