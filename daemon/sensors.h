/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/sensors.h: reads what the kernel says about the machine: thermal zones, power supplies, pressure stall information,
 * energy counters. Everything is optional: a file that is missing or makes no sense is as if it were not there. What exists is
 * looked up once; values are read anew each time, by the caller's thread, without waiting.
 *
 *   /sys/class/thermal/thermal_zone*   type, temp, trip_point_*_type and _temp. The limit of a zone is its lowest passive trip point;
 *                                      without one the hot one, or 10 K below the critical one; fans' trip points are none
 *   /sys/class/power_supply            type, online, status, capacity, scope (batteries of devices are none of ours)
 *   /proc/pressure/cpu, memory         avg10
 *   /sys/class/powercap/intel-rapl*    energy_uj of packages and dram (files that root alone may read are as if absent)
 *   /sys/class/hwmon/hwmon*            where powercap has none: the first energy1_input, power1_average or power1_input
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "daemon/core/machine.h"

struct sensors;

enum { SENSORS_ZONES_MAX = 64, SENSORS_ENERGY_MAX = 16 };

/** sensors_new() - look what there is. @root: "/", or a folder with sys/ and proc/ of a test. Return: 0 and @ret, owned; -ENOMEM. */
int sensors_new(const char *root, struct sensors **ret);
struct sensors *sensors_free(struct sensors *s);

/** sensors_read() - the machine now. */
void sensors_read(const struct sensors *s, struct machine *ret);

/** sensors_has_energy() - can energy be measured? */
bool sensors_has_energy(const struct sensors *s);
/**
 * sensors_energy_uj() - energy of the machine since the last call [uJ]; the first one begins, and gives 0
 * Counters that wrap around are followed as long as they wrap once between two calls. A meter of power is taken for constant since
 * the last call, for ten seconds at most. @now_ns: CLOCK_MONOTONIC.
 */
uint64_t sensors_energy_uj(struct sensors *s, uint64_t now_ns);

/** sensors_energy_delta() - from @then to @now on a counter that goes from 0 to @most and begins again; @most 0: unknown, then 0 if it went back. */
uint64_t sensors_energy_delta(uint64_t then, uint64_t now, uint64_t most);

/**
 * sensors_pressure_fd() - a descriptor that becomes readable when tasks begin to wait for memory (PSI trigger, 10 % of 2 s)
 * sensors_pressure_clear() makes it wait for the next time. Return: the descriptor, borrowed; -1: this kernel, or @root, has none.
 */
int sensors_pressure_fd(struct sensors *s);
void sensors_pressure_clear(struct sensors *s);
