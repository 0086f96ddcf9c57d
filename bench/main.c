/* SPDX-License-Identifier: Apache-2.0 */
/* hearth-bench: measures the engine, its kernels, the memory of this machine, and servers under load. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "bench/bandwidth.h"
#include "bench/engine_bench.h"
#include "bench/kernel_bench.h"
#include "bench/options.h"
#include "bench/service.h"
#include "bench/stats.h"

static uint32_t cpus_allowed(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof(set), &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;
}

static int run_bandwidth(const struct options *o)
{
    double x[BANDWIDTH_PASSES_MAX];
    const uint32_t threads = o->threads ? o->threads : cpus_allowed(),
                   n = o->runs < BANDWIDTH_PASSES_MAX ? o->runs : BANDWIDTH_PASSES_MAX;
    const int r = bandwidth_measure(threads, o->mib, n, false, x);

    if (r < 0) return err_pass(r);
    const double best = stats_max(x, n), median = stats_median(x, n);
    if (o->raw)
        (void)printf("%.0f %.0f\n", median, best);
    else if (o->json)
        (void)printf("{\"threads\": %u, \"mib\": %u, \"read_bandwidth_gb_s\": %.3f, "
                     "\"read_bandwidth_best_gb_s\": %.3f}\n",
                     threads, o->mib, median * 1e-9, best * 1e-9);
    else
        (void)printf("%.2f GB/s read by %u threads (best %.2f)\n", median * 1e-9, threads,
                     best * 1e-9);
    return 0;
}

static int run(const struct options *o, struct reason *why)
{
    switch (o->command) {
    case OPTIONS_HELP:
        (void)fputs(options_help(), stdout);
        return 0;
    case OPTIONS_ENGINE:
        return engine_bench_run(o, stdout, why);
    case OPTIONS_KERNELS:
        return kernel_bench_run(o, stdout, why);
    case OPTIONS_BANDWIDTH:
        return run_bandwidth(o);
    case OPTIONS_SERVICE:
        return service_run(o, stdout, why);
    }
    return err_raise(-EINVAL);
}

int main(int argc, char **argv)
{
    struct options o;
    struct reason why = { "" };
    char trace[512];

    if (options_parse(argc, argv, &o, &why) != 0) {
        (void)fprintf(stderr, "hearth-bench: %s\nhearth-bench: see hearth-bench --help\n",
                      why.text);
        return 2;
    }
    const int r = run(&o, &why);
    if (r == 0) return fflush(stdout) == 0 ? 0 : 1;
    (void)fprintf(stderr, "hearth-bench: %s\n", r > 0 ? why.text : err_trace(trace, sizeof(trace)));
    return 1;
}
