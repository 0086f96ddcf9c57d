/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/core/rate.h: events per second over the last seconds. A value, owns nothing. */
#pragma once
#include <stdint.h>

enum { RATE_SECONDS = 8 };

struct rate {
    uint64_t second[RATE_SECONDS]; /* which second (CLOCK_MONOTONIC) a slot counts */
    uint64_t n[RATE_SECONDS];
};

/** rate_add() - @n events at @now_ns, which never goes back. */
void rate_add(struct rate *r, uint64_t n, uint64_t now_ns);
/** rate_per_s() - mean over the last RATE_SECONDS - 1 whole seconds and the current one. */
double rate_per_s(const struct rate *r, uint64_t now_ns);
