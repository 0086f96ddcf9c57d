/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/core/pressure.h: what hearth gives up when memory is short, in stages. Each stage includes those before it, begins only when
 * the one before it was not enough, and is taken back when the pressure is gone. Decisions only.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "daemon/core/machine.h"

enum pressure_stage {
    PRESSURE_NONE,
    PRESSURE_CACHE, /* cached prefixes are dropped, none are kept */
    PRESSURE_LEVEL, /* ... and the governor allows the cheapest level only: the fewest weights are touched */
    PRESSURE_UNLOAD, /* ... and a model that nobody uses is unloaded */
};

struct pressure {
    enum pressure_stage stage;
    uint64_t moved_ns; /* when it changed last */
    uint64_t calm_ns;  /* since when pressure is below what the stage needs, 0: it is not */
};

/**
 * pressure_update() - look at pressure stall information, about once a second
 * A stage is entered at PSI avg10 some >= 10, 20, 40 % or full >= 2, 5, 10 %, two seconds after the one before at the earliest; it is left when
 * both are below half of that for ten seconds. Unknown pressure is none. @now_ns: never goes back. Return: true if the stage changed.
 */
bool pressure_update(struct pressure *p, const struct machine *m, uint64_t now_ns);

/** pressure_name() - "none", "cache", "level", "unload"; static. */
const char *pressure_name(enum pressure_stage stage);
