/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/core/quota.h"
#include <assert.h>

#define MINUTE_NS 60e9

static double level_at(const struct quota *q, uint64_t now_ns)
{
    assert(now_ns >= q->then_ns); /* else the caller is wrong */
    const double level = q->level + q->per_minute * ((double)(now_ns - q->then_ns) / MINUTE_NS);

    return level < q->per_minute ? level : q->per_minute;
}

void quota_init(struct quota *q, uint32_t per_minute, uint64_t now_ns)
{
    *q = (struct quota){ .per_minute = per_minute, .level = per_minute, .then_ns = now_ns };
}

void quota_configure(struct quota *q, uint32_t per_minute, uint64_t now_ns)
{
    const double spent = q->per_minute - level_at(q, now_ns); /* 0 if there was no limit */

    *q = (struct quota){ .per_minute = per_minute,
                         .level = per_minute ? per_minute - spent : 0,
                         .then_ns = now_ns };
}

int quota_check(const struct quota *q, uint64_t now_ns)
{
    return q->per_minute == 0 || level_at(q, now_ns) >= 1 ? 0 : QUOTA_E_EXHAUSTED;
}

void quota_charge(struct quota *q, uint32_t n, uint64_t now_ns)
{
    if (q->per_minute == 0) return;
    q->level = level_at(q, now_ns) - n;
    q->then_ns = now_ns;
}

uint32_t quota_retry_ms(const struct quota *q, uint64_t now_ns)
{
    if (quota_check(q, now_ns) == 0) return 0;
    const double ms = (1 - level_at(q, now_ns)) / q->per_minute * (MINUTE_NS / 1e6);

    /* one more than the whole part: rounded up, and above what rounding in level_at() may take away */
    return ms < UINT32_MAX - 1 ? (uint32_t)ms + 1 : UINT32_MAX;
}
