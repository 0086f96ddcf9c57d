/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tools/sim/sim.h: play a scenario against the scheduler, quotas and levels of daemon/core in virtual time. What hearthd does
 * around them (refusals, deadlines, retries) is done here in the same order.
 */
#pragma once
#include "bench/samples.h"
#include "bench/scenario.h"
#include "daemon/core/quota.h"
#include "tools/sim/load.h"
#include "tools/sim/world.h"

enum {
    SIM_E_REFUSED = 1,
    SIM_E_BROKEN = 2
}; /* outcomes: the scenario is too big; a rule was broken (both: @why) */

enum sim_refusal {
    SIM_BUSY, /* the queue was full */
    SIM_IN_FLIGHT,
    SIM_QUOTA,    /* of tokens */
    SIM_DEADLINE, /* it could not be met, says the estimate */
    SIM_TOO_LONG, /* more pages than there are, or the app may have */
    SIM_REFUSALS,
};

struct sim_group {
    uint64_t n_sent, n_done, n_refused[SIM_REFUSALS];
    uint64_t n_promised, n_expired,
        n_unserved; /* with a deadline: taken; ended by it; so, without a token */
    uint64_t
        n_broken; /* ended by it, though no higher class came meanwhile but with promises of its own */
    uint64_t lost_ns; /* engine time of those that it ended */
    uint64_t tokens, prompt_tokens, cached_tokens;
    uint64_t engine_ns;                /* while requests came */
    double jain;                       /* of the engine time of its apps; 1: all the same */
    struct samples first, wait, total; /* to the first token; to the first place; to the end */
};

struct sim {
    const struct scenario *scenario; /* borrowed */
    struct world world;
    struct load load;
    struct sim_group group[SCENARIO_GROUPS_MAX];
    struct quota *quota; /* [n_apps] */
    uint32_t *in_flight; /* [n_apps] */
    uint32_t *of_req;    /* [WORLD_REQS_MAX] source of a request */
    bool *warm;          /* [n_apps] its prefix is cached */
    double *fair;        /* [n_apps] engine time by weight, while requests came */
    uint32_t queue_most; /* longest queue */
    double busy;         /* share of the time in which the engine worked */
    double jain;         /* of the engine time of all apps, divided by their weights */
    uint64_t engine_ns, class_ns[SCHED_CLASSES]; /* while requests came */
    bool counted;                                /* these are known */
    int memory;                                  /* -ENOMEM when a sample could not be kept */
};

/**
 * sim_run() - play @s from beginning to end; what is in flight then may end
 * @ret: large; to be freed with sim_deinit(), whatever is returned. The same scenario and seed give the same result.
 * Return: 0; SIM_E_REFUSED, SIM_E_BROKEN (@why); -ENOMEM.
 */
int sim_run(struct sim *ret, const struct scenario *s, uint64_t seed, struct reason *why);
void sim_deinit(struct sim *s);

/** sim_refusal_name() - "busy", ... */
const char *sim_refusal_name(enum sim_refusal r);
