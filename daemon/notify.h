/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/notify.h: what the service manager wants to know, and the sockets that it opened for us (sd_notify(3),
 * sd_listen_fds(3)). notify_none.c stands for it where libsystemd is absent. Nothing happens when no manager listens.
 */
#pragma once
#include <stdint.h>

/** notify_ready() - the socket answers. */
void notify_ready(void);
/** notify_reloading() - SIGHUP: the configuration is being read; notify_ready() ends it. */
void notify_reloading(void);
/** notify_stopping() - no new requests are taken. */
void notify_stopping(void);
/** notify_status() - one line for `systemctl status`, cut after 255 bytes; sent only when it differs from the last one. */
void notify_status(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** notify_extend() - starting, loading or stopping takes @usec longer. */
void notify_extend(uint64_t usec);
/** notify_watchdog() - alive. */
void notify_watchdog(void);
/** notify_watchdog_usec() - how often to call notify_watchdog() [us]: half of the manager's patience, as it advises; 0: never. */
uint64_t notify_watchdog_usec(void);
/** notify_listen_fd() - the listening Unix stream socket that the manager passed, now the caller's: non-blocking, close-on-exec. To be called once, at
 * start: it takes the variables out of the environment. Return: fd, -1 (none), -EINVAL (it passed something else, or more than one). */
int notify_listen_fd(void);
