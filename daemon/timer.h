/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/timer.h: durations in milliseconds for libevent. */
#pragma once
#include <event2/event.h>
#include <stdint.h>

/** timer_set() - @e fires in @ms from now, also if it was set before; a persistent one then repeats. Return: 0, -1 (memory is short). */
static inline int timer_set(struct event *e, uint64_t ms)
{
    const struct timeval t = { .tv_sec = (time_t)(ms / 1000),
                               .tv_usec = (suseconds_t)(ms % 1000 * 1000) };

    return event_add(e, &t);
}
