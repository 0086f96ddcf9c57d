/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include "daemon/core/quota.h"

#define S  UINT64_C(1000000000) /* [ns] */
#define MS UINT64_C(1000000)

Test(quota, no_limit_is_never_exhausted)
{
    struct quota q;

    quota_init(&q, 0, 5 * S);
    quota_charge(&q, UINT32_MAX, 5 * S);
    quota_charge(&q, UINT32_MAX, 5 * S);
    cr_assert_eq(quota_check(&q, 5 * S), 0);
    cr_assert_eq(quota_retry_ms(&q, 5 * S), 0);
}

Test(quota, a_full_bucket_is_a_minute_of_tokens)
{
    struct quota q;

    quota_init(&q, 600, 0);
    quota_charge(&q, 599, 0);
    cr_assert_eq(quota_check(&q, 0), 0, "one token is left");
    quota_charge(&q, 1, 0);
    cr_assert_eq(quota_check(&q, 0), QUOTA_E_EXHAUSTED);
    cr_assert_eq(quota_check(&q, 99 * MS), QUOTA_E_EXHAUSTED);
    cr_assert_eq(quota_check(&q, 100 * MS + 1), 0, "10 tokens/s: one is back after 0.1 s");
}

Test(quota, debt_has_to_be_paid_first)
{
    struct quota q;

    quota_init(&q, 60, 0);
    quota_charge(&q, 180, 0); /* 120 more than there were */
    cr_assert_eq(quota_check(&q, 120 * S), QUOTA_E_EXHAUSTED, "the debt is paid, nothing is there");
    cr_assert_eq(quota_check(&q, 121 * S), 0);
    const uint32_t ms = quota_retry_ms(&q, 0);
    cr_assert(ms >= 121000 && ms <= 121001, "%u", ms);
}

Test(quota, retrying_when_told_succeeds)
{
    for (uint32_t rate = 1; rate < 100000; rate = rate * 3 + 1)
        for (uint32_t spent = rate; spent < 20 * rate; spent += rate / 2 + 1) {
            struct quota q;
            quota_init(&q, rate, 17);
            quota_charge(&q, spent, 17);
            const uint32_t ms = quota_retry_ms(&q, 17);
            cr_assert_gt(ms, 0);
            cr_assert_eq(quota_check(&q, 17 + ms * MS), 0, "rate %u, spent %u", rate, spent);
            cr_assert_eq(quota_retry_ms(&q, 17 + ms * MS), 0);
            if (ms > 2)
                cr_assert_eq(quota_check(&q, 17 + (ms - 2) * MS), QUOTA_E_EXHAUSTED,
                             "and not much earlier");
        }
}

Test(quota, idleness_is_saved_up_to_a_minute_only)
{
    struct quota q;

    quota_init(&q, 60, 0);
    quota_charge(&q, 30, 0);
    quota_charge(&q, 59, 86400 * S);
    cr_assert_eq(quota_check(&q, 86400 * S), 0);
    quota_charge(&q, 1, 86400 * S);
    cr_assert_eq(quota_check(&q, 86400 * S), QUOTA_E_EXHAUSTED);
}

Test(quota, the_long_run_is_the_rate)
{
    struct quota q;
    uint64_t spent = 0;

    quota_init(&q, 1200, 0);
    for (uint64_t t = 0; t < 3600 * S; t += S / 4)
        if (quota_check(&q, t) == 0) {
            quota_charge(&q, 90, t);
            spent += 90;
        }
    cr_assert(spent >= 60 * 1200 && spent <= 61 * 1200 + 90, "%lu", (unsigned long)spent);
}

Test(quota, an_absurd_debt_is_a_long_time)
{
    struct quota q;

    quota_init(&q, 1, 0);
    for (int i = 0; i < 100; i++)
        quota_charge(&q, UINT32_MAX, 0);
    cr_assert_eq(quota_retry_ms(&q, 0), UINT32_MAX);
}

Test(quota, another_rate_forgives_nothing)
{
    struct quota q;

    quota_init(&q, 60, 0);
    quota_charge(&q, 80, 0);
    quota_configure(&q, 120, 0);
    quota_charge(&q, 39, 0);
    cr_assert_eq(quota_check(&q, 0), 0, "120 - 80 - 39 = 1");
    quota_charge(&q, 1, 0);
    cr_assert_eq(quota_check(&q, 0), QUOTA_E_EXHAUSTED);
    quota_configure(&q, 30, 0);
    cr_assert_eq(quota_check(&q, 180 * S), QUOTA_E_EXHAUSTED, "90 in debt, 30 a minute");
    cr_assert_eq(quota_check(&q, 183 * S), 0);
    quota_configure(&q, 0, 183 * S);
    cr_assert_eq(quota_check(&q, 183 * S), 0);
    quota_configure(&q, 10, 200 * S);
    quota_charge(&q, 9, 200 * S);
    cr_assert_eq(quota_check(&q, 200 * S), 0, "from no limit: full");
}
