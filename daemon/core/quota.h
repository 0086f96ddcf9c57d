/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/core/quota.h: token bucket that meters what one app may have computed. What a request costs is known only after it
 * was made, so it is charged then and the bucket may go into debt: the app waits until the debt is paid. What an app gets in
 * the long run is its rate; what it gets at once is at most a minute's worth, and what was running meanwhile.
 */
#pragma once
#include <stdint.h>

enum { QUOTA_E_EXHAUSTED = 1 }; /* outcome: nothing is left; quota_retry_ms() says until when */

struct quota {
    uint32_t per_minute; /* [tokens], 0: no limit */
    double level;        /* [tokens] at then_ns, at most per_minute, < 0: debt */
    uint64_t then_ns;    /* CLOCK_MONOTONIC [ns] */
};

/** quota_init() - make @q a full bucket of @per_minute tokens (0: no limit); it owns nothing and needs no release. */
void quota_init(struct quota *q, uint32_t per_minute, uint64_t now_ns);

/** quota_configure() - another rate from now on: what was spent stays spent, and so does debt. From "no limit": a full bucket. */
void quota_configure(struct quota *q, uint32_t per_minute, uint64_t now_ns);

/** quota_check() - may a request begin? Changes nothing. Return: 0 (at least one token is there), QUOTA_E_EXHAUSTED. */
int quota_check(const struct quota *q, uint64_t now_ns);

/**
 * quota_charge() - @n tokens were computed; never refused
 * Formula: level(t + dt) = min(per_minute, level(t) + per_minute * dt / 60 s) - n. Source: RFC 2697, section 3, with debt.
 */
void quota_charge(struct quota *q, uint32_t n, uint64_t now_ns);

/** quota_retry_ms() - how long until quota_check() returns 0 [ms], rounded up; 0: now. */
uint32_t quota_retry_ms(const struct quota *q, uint64_t now_ns);
