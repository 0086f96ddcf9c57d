/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/bandwidth.h: how fast this machine reads memory, which is the limit of decoding. Threads sum a buffer that is
 * much larger than the caches, slice by slice, handed out by the engine's own pool: a thread that has lost its core
 * to another program reads less, as it would in the engine.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum {
    BANDWIDTH_MIB_DEFAULT = 512, /* 16 times a last-level cache of 32 MiB */
    BANDWIDTH_MIB_MAX = 65536,
    BANDWIDTH_PASSES_MAX = 64,
};

/**
 * bandwidth_measure() - read a buffer of @mib MiB with @threads threads, @passes times
 * @cpu_time: time of the caller's CPU instead of the clock's, so that a neighbour who takes the core is not counted; only
 * with one thread.
 * @ret: [passes] bytes per second of each pass. The first touch of the buffer is not measured.
 * Return: 0; -ENOMEM; -errno of pthread_create.
 */
int bandwidth_measure(uint32_t threads, uint32_t mib, uint32_t passes, bool cpu_time, double *ret);

/**
 * bandwidth_ask() - the same in a process of its own, so that the buffer does not count as memory of this one
 * Runs "/proc/self/exe bandwidth": only for hearth-bench itself.
 * @ret: median and best of the passes [bytes/s].
 * Return: 0; -errno of starting the process; -EIO: it failed.
 */
int bandwidth_ask(uint32_t threads, uint32_t mib, uint32_t passes, double ret[2]);
