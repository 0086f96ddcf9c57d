/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/core/pressure.h"
#include "base/clock.h"

#define STEP_NS (2 * CLOCK_NS_PER_S)  /* a stage's effect takes so long to show */
#define CALM_NS (10 * CLOCK_NS_PER_S) /* the kernel's average covers 10 s */

static const struct {
    const char *name;
    double some, full; /* [%] */
} stages[] = {
    [PRESSURE_NONE] = { "none", 0, 0 },
    [PRESSURE_CACHE] = { "cache", 10, 2 },
    [PRESSURE_LEVEL] = { "level", 20, 5 },
    [PRESSURE_UNLOAD] = { "unload", 40, 10 },
};

static bool at_least(const struct machine *m, enum pressure_stage stage, double part)
{
    return m->memory_some >= part * stages[stage].some ||
           m->memory_full >= part * stages[stage].full; /* false with NAN */
}

bool pressure_update(struct pressure *p, const struct machine *m, uint64_t now_ns)
{
    const enum pressure_stage had = p->stage;

    if (had < PRESSURE_UNLOAD && at_least(m, had + 1, 1)) {
        p->calm_ns = 0;
        if (had == PRESSURE_NONE || now_ns - p->moved_ns >= STEP_NS) p->stage++;
    } else if (had > PRESSURE_NONE && !at_least(m, had, 0.5)) {
        if (p->calm_ns == 0) p->calm_ns = now_ns;
        if (now_ns - p->calm_ns >= CALM_NS) p->stage--;
    } else {
        p->calm_ns = 0;
    }
    if (p->stage == had) return false;
    p->moved_ns = now_ns;
    p->calm_ns = 0;
    return true;
}

const char *pressure_name(enum pressure_stage stage)
{
    return stages[stage].name;
}
