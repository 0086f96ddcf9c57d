/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/kernel_bench.h"
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>
#include <strings.h>
#include "base/clock.h"
#include "base/err.h"
#include "bench/bandwidth.h"
#include "bench/kernel_cases.h"
#include "bench/peak.h"
#include "bench/stats.h"

enum { PASSES = 5 }; /* of the bandwidth */

struct bench {
    const struct options *o;
    const struct kernels *k;
    double bandwidth; /* of one thread [bytes/s] */
    double peak[2];   /* by enum peak_kind [multiply-accumulates/s]; 0: unknown */
    FILE *out;
    json_t *list; /* or NULL: a table */
};

static const enum quant_type types[] = { QUANT_F32,  QUANT_F16,  QUANT_BF16, QUANT_Q4_0,
                                         QUANT_Q4_1, QUANT_Q5_0, QUANT_Q5_1, QUANT_Q8_0,
                                         QUANT_Q4_K, QUANT_Q5_K, QUANT_Q6_K };

static uint64_t cpu_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * CLOCK_NS_PER_S + (uint64_t)t.tv_nsec;
}

/* Seconds of a call: the median of samples, each of so many calls that it takes its part of --ms. */
static double time_call(const struct options *o, const struct kernel_case *c)
{
    double x[OPTIONS_RUNS_MAX];
    const double sample_s = o->ms * 1e-3 / o->runs;
    uint64_t from = cpu_ns();

    c->call(c->context); /* not counted: the first one fills the caches */
    c->call(c->context);
    const double once = (double)(cpu_ns() - from) * 0.5e-9;
    const uint32_t n = sample_s > once ? (uint32_t)fmin(sample_s / fmax(once, 1e-9), 1e6) : 1;
    for (uint32_t i = 0; i < o->runs; i++) {
        from = cpu_ns();
        for (uint32_t k = 0; k < n; k++)
            c->call(c->context);
        x[i] = (double)(cpu_ns() - from) * 1e-9 / n;
    }
    return stats_median(x, o->runs);
}

static void put(json_t *j, const char *key, double x)
{
    (void)json_object_set_new(j, key, isfinite(x) ? json_real(x) : json_null());
}

static void time_case(void *context, const struct kernel_case *c)
{
    struct bench *b = context;
    const double s = time_call(b->o, c), bytes = c->bytes / s, macs = c->macs / s;
    const double of_bandwidth = c->memory ? bytes / b->bandwidth : (double)NAN;
    const double peak = b->peak[c->integer ? PEAK_INT8 : PEAK_F32];
    const double of_peak = c->macs > 0 && peak > 0 ? macs / peak : (double)NAN;

    if (b->list) {
        json_t *j = json_object();
        (void)json_object_set_new(j, "kernel", json_string(c->name));
        put(j, "us", s * 1e6);
        put(j, "gb_s", bytes * 1e-9);
        put(j, "gmac_s", c->macs > 0 ? macs * 1e-9 : (double)NAN);
        put(j, "bandwidth_share", of_bandwidth);
        put(j, "peak_share", of_peak);
        (void)json_array_append_new(b->list, j);
        return;
    }
    (void)fprintf(b->out, "%-24s %11.2f us %8.2f GB/s", c->name, s * 1e6, bytes * 1e-9);
    if (c->memory)
        (void)fprintf(b->out, " %4.0f %%", 100 * of_bandwidth);
    else
        (void)fprintf(b->out, "       ");
    if (c->macs > 0) (void)fprintf(b->out, " %8.2f GMAC/s", macs * 1e-9);
    if (isfinite(of_peak)) (void)fprintf(b->out, " %4.0f %%", 100 * of_peak);
    (void)fputc('\n', b->out);
    (void)fflush(b->out);
}

static bool wanted(const struct options *o, enum quant_type type)
{
    return !o->type || strcasecmp(o->type, quant_find(type)->name) == 0;
}

static int choose(struct bench *b, struct reason *why)
{
    const struct kernels *sets[16];
    const size_t n = kernels_list(sets, 16);
    const char *name = b->o->kernels ? b->o->kernels : "auto";
    bool found = false;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        found |= wanted(b->o, types[i]);
    if (!found) {
        reason_set(why, "'%.40s' is not a type of matrices: q4_0, q6_k, f16, ...", b->o->type);
        return KERNEL_BENCH_E_REFUSED;
    }
    for (size_t i = 0; i < n && !b->k; i++)
        if (strcmp(sets[i]->name, name) == 0 || strcmp(name, "auto") == 0) b->k = sets[i];
    if (b->k) return 0;
    reason_set(why, "kernel set '%.40s' is not known on this CPU: use 'auto' or 'c'", name);
    return KERNEL_BENCH_E_REFUSED;
}

static int run_cases(struct bench *b)
{
    int r = 0;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]) && r == 0; i++)
        if (wanted(b->o, types[i])) r = kernel_cases_matmul(b->k, types[i], time_case, b);
    if (r == 0 && !b->o->type) r = kernel_cases_units(b->k, time_case, b);
    if (r == 0 && !b->o->type) r = kernel_cases_others(b->k, time_case, b);
    return r < 0 ? err_pass(r) : 0;
}

static int finish_json(struct bench *b)
{
    json_t *j = json_object();

    (void)json_object_set_new(j, "kernels", json_string(b->k->name));
    put(j, "read_bandwidth_gb_s", b->bandwidth * 1e-9);
    put(j, "peak_int8_gmac_s", b->peak[0] > 0 ? b->peak[0] * 1e-9 : (double)NAN);
    put(j, "peak_f32_gmac_s", b->peak[1] > 0 ? b->peak[1] * 1e-9 : (double)NAN);
    (void)json_object_set_new(j, "cases", b->list);
    const int r = json_dumpf(j, b->out, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    json_decref(j);
    return r == 0 && fputc('\n', b->out) != EOF ? 0 : err_raise(-EIO);
}

int kernel_bench_run(const struct options *o, FILE *out, struct reason *why)
{
    struct bench b = { .o = o, .out = out };
    double bandwidth[PASSES] = { 0 };
    int r = choose(&b, why);

    if (r == 0) r = bandwidth_measure(1, o->mib, PASSES, true, bandwidth);
    if (r != 0) return r < 0 ? err_pass(r) : r;
    b.bandwidth = stats_max(bandwidth, PASSES);
    b.peak[PEAK_INT8] = peak_macs(b.k->name, PEAK_INT8);
    b.peak[PEAK_F32] = peak_macs(b.k->name, PEAK_F32);
    if (o->json) {
        b.list = json_array();
        if (!b.list) return err_raise(-ENOMEM);
    } else {
        (void)fprintf(out, "kernels %s; one thread reads %.2f GB/s", b.k->name, b.bandwidth * 1e-9);
        if (b.peak[0] > 0)
            (void)fprintf(out, " and multiplies %.1f GMAC/s of 8 bits, %.1f of float32",
                          b.peak[PEAK_INT8] * 1e-9, b.peak[PEAK_F32] * 1e-9);
        (void)fprintf(out, "\n%% are of these; what has none works in the cache\n");
    }
    r = run_cases(&b);
    if (r == 0 && o->json) return finish_json(&b);
    json_decref(b.list);
    return r < 0 ? err_pass(r) : 0;
}
