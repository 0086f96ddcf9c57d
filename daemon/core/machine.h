/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/core/machine.h: what hearthd knows about the machine around it, at one moment. A value; what is not known is MACHINE_UNKNOWN. */
#pragma once
#include <math.h>
#include <stdbool.h>

#define MACHINE_UNKNOWN ((double)NAN) /* isnan() tells */

struct machine {
    char zone[24];          /* the thermal zone that is nearest to its limit, "" if none is known */
    double heat_c, limit_c; /* its temperature, and where the kernel begins to slow down [deg C] */
    bool on_battery;        /* nothing feeds the machine but its battery */
    double battery_percent; /* 0..100 */
    double cpu_some;        /* pressure stall: part of the last 10 s in which a task waited [%] */
    double memory_some, memory_full; /* ... for memory: some task, all of them [%] */
};
