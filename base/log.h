/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/log.h: one line per event on stderr, "<N>event field=value ...", which the journal understands.
 * The libraries (base, proto, engine, client-lib) log at debug only; the programs decide the rest.
 * Prompts, answers, audio and images are never logged at any level: ids, counts and times only.
 */
#pragma once
#include <stdint.h>

/* Levels as in syslog(3); the number is the prefix of the line. */
enum log_level {
    LOG_AT_ERR = 3,
    LOG_AT_WARN = 4,
    LOG_AT_NOTICE = 5,
    LOG_AT_INFO = 6,
    LOG_AT_DEBUG = 7
};

/** log_set_level() - lines above @level are dropped. Default: info. Not thread-safe: call at start. */
void log_set_level(enum log_level level);

/** log_set_plain() - @plain nonzero: no "<N>" prefix, for a person at a terminal. */
void log_set_plain(int plain);

/** log_event() - write one line; @event is a fixed sentence, @format its fields ("uid=%u why=%s"). */
void log_event(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* For events that a client can provoke: at most @burst lines per @period_ns, then one line says how many were dropped. */
struct log_limit {
    uint64_t period_ns, since_ns;
    unsigned burst, n, dropped;
};

/** log_limited() - nonzero if this event may be logged at @now_ns (CLOCK_MONOTONIC). */
int log_limited(struct log_limit *l, uint64_t now_ns);

#define log_err(event, ...)    log_event(LOG_AT_ERR, event, __VA_ARGS__)
#define log_warn(event, ...)   log_event(LOG_AT_WARN, event, __VA_ARGS__)
#define log_notice(event, ...) log_event(LOG_AT_NOTICE, event, __VA_ARGS__)
#define log_info(event, ...)   log_event(LOG_AT_INFO, event, __VA_ARGS__)
#define log_debug(event, ...)  log_event(LOG_AT_DEBUG, event, __VA_ARGS__)
