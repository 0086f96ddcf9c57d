/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/lock.h: one hearthd at a time has a socket, a store of models, a cache. */
#pragma once

/**
 * lock_soon() - take the lock of an open file or folder (flock(2)), for as long as @fd is open
 * A hearthd that ended while it started a worker leaves a process that holds its locks until its exec: that is waited for,
 * a second at most.
 * Return: 0; -EWOULDBLOCK: another process keeps it; another negative errno.
 */
int lock_soon(int fd);
