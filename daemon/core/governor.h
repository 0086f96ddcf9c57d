/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/core/governor.h: how large a model the machine can bear now. Heat, battery, memory pressure and waiting apps each have a
 * number of steps by which they lower the ceiling; the largest counts. Decisions only: no files, no clock (time is an argument).
 *
 * Hysteresis: a limit is tightened quickly (each TIGHTEN_S, at once in an emergency) and relaxed slowly, one step at a time, and
 * only when there is a margin. Who has to tighten again soon after it relaxed waits twice as long before it relaxes the
 * next time (up to PATIENCE_MOST_S): where the right level lies between two steps, the governor settles on the lower one
 * and tries the higher one ever more rarely.
 *
 * What it does not look at: deadlines. One that is short concerns the request that has it, levels_in_time() decides about it;
 * if it lowered the ceiling, an app could spoil the answers of all others by asking for the impossible. Nor does it count
 * requests: an app with forty of them waits for itself. It counts apps that wait and have nothing that runs.
 */
#pragma once
#include <stdint.h>
#include "base/reason.h"
#include "daemon/core/machine.h"

enum { GOVERNOR_STEPS = 4 }; /* from the dearest level to the cheapest */

enum governor_cause {
    GOVERNOR_HEAT,
    GOVERNOR_BATTERY,
    GOVERNOR_MEMORY,
    GOVERNOR_QUEUE,
    GOVERNOR_CAUSES
};

struct governor_input {
    struct machine machine;
    bool memory_short; /* pressure_update() wants a lower level */
    uint32_t
        apps_waiting; /* with an interactive or realtime request that waits, and none that runs */
    uint32_t wait_ms; /* longest estimate until one of these has its first token; 0: unknown */
};

struct governor_limit { /* of one cause */
    unsigned steps;     /* 0: none .. GOVERNOR_STEPS: the cheapest level */
    bool relaxed;       /* its last move was up */
    uint64_t moved_ns, patience_ns;
};

struct governor {
    struct governor_limit limit[GOVERNOR_CAUSES];
    uint64_t then_ns;     /* of the last update, 0: none yet */
    double margin_k;      /* to the limit, then; NAN: unknown */
    double slope;         /* how fast it shrinks [K/s] */
    unsigned steps;       /* the largest of all */
    uint64_t switches;    /* how often steps changed */
    struct reason reason; /* why; "" with steps 0 */
};

/** governor_init() - nothing is limited. */
void governor_init(struct governor *g);

/**
 * governor_update() - look at the machine; about once a second while the engine works
 * After a pause of a minute or more, limits whose cause is gone are lifted at once.
 * @now_ns: never goes back. Return: true if the ceiling changed.
 */
bool governor_update(struct governor *g, const struct governor_input *in, uint64_t now_ns);

/** governor_share() - the ceiling: 1 is the dearest level, 0 the cheapest, between them by cost; for levels_under(). */
double governor_share(const struct governor *g);
