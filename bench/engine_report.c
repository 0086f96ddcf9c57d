/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "bench/engine_bench.h"
#include "bench/stats.h"

/* What is derived from the runs. */
struct summary {
    double prefill, decode; /* medians [tokens/s] */
    double prefill_spread, decode_spread;
    double bandwidth, bandwidth_best;    /* [bytes/s] */
    double bytes_per_token, read, share; /* weights [bytes], [bytes/s], and of the bandwidth */
};

static struct summary summarize(const struct options *o, const struct engine_bench *b)
{
    double x[OPTIONS_RUNS_MAX];
    struct summary s = { .bandwidth_best = b->bandwidth_best };
    const size_t bytes = o->runs * sizeof(*x);

    memcpy(x, b->prefill, bytes);
    s.prefill = stats_median(x, o->runs);
    s.prefill_spread = o->prompt_tokens ? stats_spread(x, o->runs) : 0;
    memcpy(x, b->decode, bytes);
    s.decode = stats_median(x, o->runs);
    s.decode_spread = o->gen_tokens ? stats_spread(x, o->runs) : 0;
    memcpy(x, b->bandwidth, bytes);
    s.bandwidth = stats_median(x, o->runs);
    s.bytes_per_token = (double)b->bytes_per_step / o->seqs;
    s.read = s.decode * s.bytes_per_token;
    s.share = s.read / s.bandwidth;
    return s;
}

/* ---- JSON ---- */

/* Numbers are rounded to what they are worth: six digits. */
static json_t *number(double x)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%.6g", x);
    return json_real(strtod(text, NULL));
}

static json_t *numbers(const double *x, uint32_t n, double unit)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < n; i++)
        (void)json_array_append_new(list, number(x[i] / unit));
    return list;
}

static int put(json_t *to, const char *key, json_t *value)
{
    return json_object_set_new(to, key, value);
}

static int put_count(json_t *to, const char *key, uint64_t n)
{
    return put(to, key, json_integer((json_int_t)n));
}

static int put_setting(json_t *j, const struct options *o, const struct engine_bench *b)
{
    int r = put(j, "model", json_string(o->model));

    r |= put(j, "arch", json_string(config_arch_name(b->info->config->arch)));
    r |= put(j, "level", json_string(b->level));
    r |= put(j, "kernels", json_string(b->info->kernels));
    r |= put_count(j, "threads", b->info->threads);
    r |= put_count(j, "chunk", b->info->chunk);
    r |= put_count(j, "context", b->info->context);
    r |= put_count(j, "prompt_tokens", o->prompt_tokens);
    r |= put_count(j, "gen_tokens", o->gen_tokens);
    r |= put_count(j, "depth", o->depth);
    r |= put_count(j, "seqs", o->seqs);
    r |= put_count(j, "runs", o->runs);
    return r;
}

static int put_speed(json_t *j, const struct options *o, const struct engine_bench *b,
                     const struct summary *s)
{
    int r = put(j, "load_s", number(b->load_s));

    if (o->prompt_tokens) {
        r |= put(j, "prefill_tok_s", number(s->prefill));
        r |= put(j, "prefill_runs_tok_s", numbers(b->prefill, o->runs, 1));
    } else {
        r |= put(j, "prefill_tok_s", json_null());
    }
    if (o->gen_tokens) {
        r |= put(j, "decode_tok_s", number(s->decode));
        r |= put(j, "decode_runs_tok_s", numbers(b->decode, o->runs, 1));
        r |= put(j, "weights_gb_s", number(s->read / 1e9));
        r |= put(j, "bandwidth_share", number(s->share));
    } else {
        r |= put(j, "decode_tok_s", json_null());
    }
    r |= put(j, "bytes_per_token", number(s->bytes_per_token));
    r |= put(j, "read_bandwidth_gb_s", number(s->bandwidth / 1e9));
    r |= put(j, "read_bandwidth_best_gb_s", number(s->bandwidth_best / 1e9));
    r |= put(j, "read_bandwidth_runs_gb_s", numbers(b->bandwidth, o->runs, 1e9));
    return r;
}

static int put_memory(json_t *j, const struct engine_bench *b)
{
    int r = put_count(j, "file_bytes", b->file_bytes);

    r |= put_count(j, "weights_bytes", b->info->weights_bytes);
    r |= put_count(j, "rss_peak_bytes", b->after.peak);
    r |= put_count(j, "rss_bytes", b->after.resident);
    r |= put_count(j, "rss_anon_bytes", b->after.anonymous);
    r |= put_count(j, "rss_file_bytes", b->after.file);
    r |= put_count(j, "rss_shared_bytes", b->after.shared);
    r |= put_count(j, "rss_loaded_peak_bytes", b->loaded.peak);
    r |= put_count(j, "rss_loaded_bytes", b->loaded.resident);
    return r;
}

static int report_json(const struct options *o, const struct engine_bench *b,
                       const struct summary *s, FILE *out)
{
    json_t *j = json_object();
    int r = put_setting(j, o, b) | put_speed(j, o, b, s) | put_memory(j, b);

    if (r == 0) r = json_dumpf(j, out, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    json_decref(j);
    if (r != 0) return err_raise(ferror(out) ? -EIO : -ENOMEM);
    return fputc('\n', out) == EOF ? err_raise(-EIO) : 0;
}

/* ---- for people ---- */

static double mb(uint64_t bytes)
{
    return (double)bytes * 1e-6;
}

static void report_text(const struct options *o, const struct engine_bench *b,
                        const struct summary *s, FILE *out)
{
    (void)fprintf(out, "model      %s, %s, level %s, %.0f MB\n", o->model,
                  config_arch_name(b->info->config->arch), b->level, mb(b->file_bytes));
    (void)fprintf(out, "setting    kernels %s, %u threads, steps of at most %u tokens, %u runs\n",
                  b->info->kernels, b->info->threads, b->info->chunk, o->runs);
    (void)fprintf(out, "load       %.3f s\n", b->load_s);
    if (o->prompt_tokens)
        (void)fprintf(out, "prefill    %.2f tokens/s of a prompt of %u (spread %.0f %%)\n",
                      s->prefill, o->prompt_tokens, 100 * s->prefill_spread);
    if (o->gen_tokens) {
        (void)fprintf(out, "decode     %.2f tokens/s, %u tokens behind %u", s->decode,
                      o->gen_tokens, o->depth);
        if (o->seqs > 1) (void)fprintf(out, ", %u sequences together", o->seqs);
        (void)fprintf(out, " (spread %.0f %%)\n", 100 * s->decode_spread);
        (void)fprintf(out, "weights    %.1f MB a token: %.2f GB/s, %.0f %% of the bandwidth\n",
                      s->bytes_per_token * 1e-6, s->read * 1e-9, 100 * s->share);
    }
    (void)fprintf(out, "bandwidth  %.2f GB/s read by %u threads (best %.2f)\n", s->bandwidth * 1e-9,
                  b->info->threads, s->bandwidth_best * 1e-9);
    (void)fprintf(
        out, "memory     peak %.0f MB; now %.0f MB: %.0f anonymous, %.0f of files, %.0f shared\n",
        mb(b->after.peak), mb(b->after.resident), mb(b->after.anonymous), mb(b->after.file),
        mb(b->after.shared));
}

int engine_bench_report(const struct options *o, const struct engine_bench *b, FILE *out)
{
    const struct summary s = summarize(o, b);

    if (o->json) return report_json(o, b, &s, out);
    report_text(o, b, &s, out);
    return ferror(out) ? err_raise(-EIO) : 0;
}
