/* SPDX-License-Identifier: Apache-2.0 */
/* bench/engine_bench.h: speed and memory of the engine with one model. */
#pragma once
#include <stdint.h>
#include <stdio.h>
#include "base/reason.h"
#include "bench/memory.h"
#include "bench/options.h"
#include "engine/engine.h"

enum { ENGINE_BENCH_E_REFUSED = 1 };

struct engine_bench {
    const struct engine_info *info; /* of the engine, while it is open */
    const char *level;
    double load_s;
    /* [runs] in the order of the runs; all 0 where that is not measured */
    double prefill[OPTIONS_RUNS_MAX], decode[OPTIONS_RUNS_MAX]; /* tokens per second */
    double bandwidth[OPTIONS_RUNS_MAX]; /* bytes per second, each the median of a few passes */
    double bandwidth_best;              /* of all passes */
    uint64_t bytes_per_step;            /* weights that a step of decoding reads */
    struct memory loaded, after;        /* when the model was open; when all runs were over */
    uint64_t file_bytes;
};

/**
 * engine_bench_run() - measure as @o says, and write the report to @out
 * Each run has a sequence of its own for the prompt, and others for decoding. A first run, of a few tokens, is not
 * counted. The bandwidth is measured before each run, by another process.
 * Return: 0; ENGINE_BENCH_E_REFUSED (@why); -errno.
 */
int engine_bench_run(const struct options *o, FILE *out, struct reason *why);

/** engine_bench_report() - write what was measured. Return: 0; -ENOMEM; -EIO: @out takes no more. */
int engine_bench_report(const struct options *o, const struct engine_bench *b, FILE *out);
