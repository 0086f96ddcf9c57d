/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/daemon/core/sched_world.h: a worker and its clients in virtual time, for tests of the scheduler. A step costs
 * decode_ns if something decodes, each_ns for each answer's token, prefill_ns for each prompt's. After each plan the
 * world checks what holds for all plans: pages, places, states, the bound of a step, and that "unchanged" is true.
 */
#pragma once
#include "daemon/core/sched.h"

enum { WORLD_REQS_MAX = 512, WORLD_APPS_MAX = 64 };
#define MS  UINT64_C(1000000)
#define SEC (1000 * MS)

struct world_req {
    struct sched_req sched; /* first: a plan's request is one of these */
    uint32_t app, weight, prompt, output, pages_most;
    uint64_t arrived_step, first_token_ns; /* 0: none yet */
    bool used;
};

struct world_sent {
    struct sched_req *req;
    uint32_t tokens;
};

struct world {
    struct sched s;
    struct sched_plan plan;
    struct world_sent sent[SCHED_PLAN_MAX],
        late[SCHED_PLAN_MAX]; /* what the worker has; had before */
    size_t n_sent, n_late;
    bool lags; /* a plan takes effect one step after it was sent, as between processes */
    struct world_req req[WORLD_REQS_MAX];
    double decode_ns, each_ns, prefill_ns;
    uint64_t now_ns, serial, random;
    uint64_t step, took_ns, charged_ns; /* steps run; their sum; what requests were charged */
    uint64_t app_ns[WORLD_APPS_MAX], app_tokens[WORLD_APPS_MAX], class_ns[SCHED_CLASSES];
    uint64_t n_plans_sent, n_evicted, n_ended;
    void (*ended)(struct world *w,
                  const struct world_req *r); /* or NULL; @r is used again after it */
};

/** world_init() - no requests, a model with @pages, 10 ms + 1 ms a token to decode, 0.5 ms a token to prefill. */
void world_init(struct world *w, const struct sched_config *config, uint32_t pages);
/** world_deinit() - remove all requests. */
void world_deinit(struct world *w);
/** world_come() - a request of app number @app comes and is opened at once. Return: NULL if the queue is full. */
struct world_req *world_come(struct world *w, uint32_t app, uint32_t weight, enum sched_class class,
                             uint32_t prompt, uint32_t output, uint32_t pages_most);
/** world_gone() - it is cancelled. */
void world_gone(struct world *w, struct world_req *r);
/** world_plan() - a plan, checked. Return: what sched_plan() returned. */
bool world_plan(struct world *w);
/** world_step() - run a step, charge it, end what has ended, and plan. With nothing to run 1 ms passes. */
void world_step(struct world *w);
/** world_planned() - true if @r is in the newest plan. */
bool world_planned(const struct world *w, const struct world_req *r);
/** world_random() - [0, @below), the same in each run. */
uint32_t world_random(struct world *w, uint32_t below);
