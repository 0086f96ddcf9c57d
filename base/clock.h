/* SPDX-License-Identifier: Apache-2.0 */
/* base/clock.h: the one clock that durations are measured with. */
#pragma once
#include <stdint.h>
#include <time.h>

#define CLOCK_NS_PER_S  UINT64_C(1000000000)
#define CLOCK_NS_PER_MS UINT64_C(1000000)

/** clock_now_ns() - CLOCK_MONOTONIC [ns]; does not go back and does not fail on Linux. */
static inline uint64_t clock_now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * CLOCK_NS_PER_S + (uint64_t)t.tv_nsec;
}
