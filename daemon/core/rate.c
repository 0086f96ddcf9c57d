/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/core/rate.h"
#include "base/clock.h"

void rate_add(struct rate *r, uint64_t n, uint64_t now_ns)
{
    const uint64_t second = now_ns / CLOCK_NS_PER_S;
    const unsigned i = (unsigned)(second % RATE_SECONDS);

    if (r->second[i] != second) {
        r->second[i] = second;
        r->n[i] = 0;
    }
    r->n[i] += n;
}

double rate_per_s(const struct rate *r, uint64_t now_ns)
{
    const uint64_t second = now_ns / CLOCK_NS_PER_S;
    const double span =
        (double)(RATE_SECONDS - 1) + (double)(now_ns % CLOCK_NS_PER_S) / (double)CLOCK_NS_PER_S;
    uint64_t sum = 0;

    for (unsigned i = 0; i < RATE_SECONDS; i++)
        if (r->second[i] + RATE_SECONDS > second) sum += r->n[i];
    return (double)sum / span;
}
