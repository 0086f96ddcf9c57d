/* SPDX-License-Identifier: Apache-2.0 */
/* bench/kernel_bench.h: each kernel alone, on one thread, against the limits of this machine. */
#pragma once
#include <stdio.h>
#include "base/reason.h"
#include "bench/options.h"

enum { KERNEL_BENCH_E_REFUSED = 1 };

/**
 * kernel_bench_run() - time the kernels that @o names, and write the report to @out
 * The limits are the read bandwidth of one thread and its peaks (bench/peak.h). Kernels are timed in CPU time, so that a
 * neighbour who takes the core is not counted; one who fills the caches or the memory's channels is.
 * Return: 0; KERNEL_BENCH_E_REFUSED (@why); -errno.
 */
int kernel_bench_run(const struct options *o, FILE *out, struct reason *why);
