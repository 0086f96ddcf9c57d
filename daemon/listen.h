/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/listen.h: the listening socket: from the service manager, or made here. A lock file beside a socket that we make (PATH.lock)
 * tells a second hearthd from a socket that a dead one left behind.
 */
#pragma once
#include <stdbool.h>
#include "base/reason.h"

enum {
    LISTEN_E_TAKEN = 1,  /* outcome: another hearthd has this socket (@why) */
    LISTEN_E_FAILED = 2, /* outcome: the socket cannot be made (@why says what to do) */
};

/**
 * listen_open() - listen on @path; its folder is made if it is missing
 * @group: that may connect (mode 0660), "" for the own user alone (0600). A group that does not exist, or that we may not give the socket to, is an error
 * unless we are a @private_instance.
 * Return: 0 and @ret_fd (non-blocking), @ret_lock (keep it open); LISTEN_E_TAKEN, LISTEN_E_FAILED.
 */
int listen_open(const char *path, const char *group, struct reason *why, int *ret_fd,
                int *ret_lock);
/** listen_close() - close both, and remove the socket. */
void listen_close(const char *path, int fd, int lock);
