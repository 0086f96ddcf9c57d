/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/engine_bench.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "bench/bandwidth.h"

enum { FIRST_TOKENS = 16 }; /* of the run that is not counted */

struct bench {
    const struct options *o;
    struct engine *e;
    const struct level *level;
    uint32_t *tokens; /* [max(prompt, depth, 1)] */
    uint32_t random;
    float *logits; /* [seqs, vocab] */
    struct engine_seq *seq[OPTIONS_SEQS_MAX];
};

static double seconds_since(uint64_t from_ns)
{
    return (double)(clock_now_ns() - from_ns) * 1e-9;
}

/* Any token, the same ones in each program run (Numerical Recipes' linear congruential generator). */
static uint32_t next_token(struct bench *b)
{
    b->random = b->random * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)b->random * vocab_size(engine_vocab(b->e)) >> 32);
}

static int refuse_starved(struct reason *why)
{
    reason_set(why, "the KV cache has no room for so many tokens: use fewer sequences or tokens");
    return ENGINE_BENCH_E_REFUSED;
}

/* The next @n tokens of the prompt for sequence @s, in as few steps as the engine takes. */
static int prefill(struct bench *b, struct engine_seq *s, uint32_t n, struct reason *why)
{
    const uint32_t chunk = engine_info(b->e)->chunk;

    for (uint32_t at = 0; at < n; at += chunk) {
        struct engine_item item = { .seq = s,
                                    .tokens = b->tokens + at,
                                    .n = n - at < chunk ? n - at : chunk,
                                    .level = b->level,
                                    .want = at + chunk < n ? ENGINE_WANT_NONE : ENGINE_WANT_LAST };
        const int r = engine_step(b->e, &item, 1, b->logits);
        if (r < 0) return err_pass(r);
        if (item.starved) return refuse_starved(why);
    }
    return 0;
}

/* @n steps, each a token for each of the sequences. */
static int decode(struct bench *b, uint32_t n, struct reason *why)
{
    struct engine_item items[OPTIONS_SEQS_MAX];
    uint32_t token[OPTIONS_SEQS_MAX];

    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t s = 0; s < b->o->seqs; s++) {
            token[s] = next_token(b);
            items[s] = (struct engine_item){ .seq = b->seq[s],
                                             .tokens = &token[s],
                                             .n = 1,
                                             .level = b->level,
                                             .want = ENGINE_WANT_LAST };
        }
        const int r = engine_step(b->e, items, b->o->seqs, b->logits);
        if (r < 0) return err_pass(r);
        for (uint32_t s = 0; s < b->o->seqs; s++)
            if (items[s].starved) return refuse_starved(why);
    }
    return 0;
}

static void close_seqs(struct bench *b)
{
    for (uint32_t s = 0; s < b->o->seqs; s++)
        b->seq[s] = engine_seq_free(b->seq[s]);
}

static int measure_prefill(struct bench *b, uint32_t n, double *ret, struct reason *why)
{
    int r = engine_seq_new(b->e, &b->seq[0]);

    if (r < 0) return err_pass(r);
    const uint64_t from = clock_now_ns();
    r = prefill(b, b->seq[0], n, why);
    *ret = n / seconds_since(from);
    close_seqs(b);
    return r < 0 ? err_pass(r) : r;
}

static int measure_decode(struct bench *b, uint32_t depth, uint32_t n, double *ret,
                          struct reason *why)
{
    int r = 0;

    for (uint32_t s = 0; s < b->o->seqs && r == 0; s++) {
        r = engine_seq_new(b->e, &b->seq[s]);
        if (r == 0) r = prefill(b, b->seq[s], depth, why);
    }
    const uint64_t from = clock_now_ns();
    if (r == 0) r = decode(b, n, why);
    *ret = (double)n * b->o->seqs / seconds_since(from);
    close_seqs(b);
    return r < 0 ? err_pass(r) : r;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* The run that is not counted: the threads are there, and memory has been touched. */
static int warm_up(struct bench *b, struct reason *why)
{
    double ignored;
    int r = 0;

    if (b->o->prompt_tokens)
        r = measure_prefill(b, smaller(b->o->prompt_tokens, engine_info(b->e)->chunk), &ignored,
                            why);
    if (r == 0 && b->o->gen_tokens)
        r = measure_decode(b, 0, smaller(b->o->gen_tokens, FIRST_TOKENS), &ignored, why);
    return r < 0 ? err_pass(r) : r;
}

static int measure(struct bench *b, struct engine_bench *m, struct reason *why)
{
    const struct options *o = b->o;
    double bandwidth[2] = { 0 };
    int r = warm_up(b, why);

    for (uint32_t i = 0; i < o->runs && r == 0; i++) {
        r = bandwidth_ask(engine_info(b->e)->threads, o->mib, 3, bandwidth);
        m->bandwidth[i] = bandwidth[0];
        if (bandwidth[1] > m->bandwidth_best) m->bandwidth_best = bandwidth[1];
        if (r == 0 && o->prompt_tokens)
            r = measure_prefill(b, o->prompt_tokens, &m->prefill[i], why);
        if (r == 0 && o->gen_tokens)
            r = measure_decode(b, o->depth, o->gen_tokens, &m->decode[i], why);
    }
    if (r == 0) r = memory_now(&m->after);
    return r < 0 ? err_pass(r) : r;
}

/* ---- opening ---- */

/* Bytes that the KV of all sequences may need: an upper bound, sliding windows counted whole. */
static uint64_t kv_bytes(const struct config *c, uint64_t tokens, uint32_t seqs)
{
    return 4 * (tokens + 128) * c->first_shared * c->n_kv_heads * c->head_size *
           seqs; /* k, v: f16 */
}

static int find_level(struct bench *b, struct reason *why)
{
    b->level = level_find(engine_levels(b->e), b->o->level ? b->o->level : "");
    if (b->level) return 0;
    reason_set(why, "the model has no level '%s'", b->o->level);
    return ENGINE_BENCH_E_REFUSED;
}

/* Tokens of the longest sequence. */
static uint32_t longest(const struct options *o)
{
    const uint32_t answer = o->depth + o->gen_tokens;
    const uint32_t most = o->prompt_tokens > answer ? o->prompt_tokens : answer;

    return most > o->context ? most : o->context;
}

/* The engine's default has room for two sequences; for more, the model's sizes are needed before it is opened. */
static int choose_kv(const struct options *o, int fd, struct engine_options *options,
                     struct reason *why)
{
    struct gguf *g = NULL;
    struct config c;

    if (o->seqs <= 2) return 0;
    int r = gguf_open(fd, why, &g);
    if (r == 0) r = config_load(g, why, &c);
    gguf_free(g);
    if (r == 0) options->kv_bytes = kv_bytes(&c, options->context, o->seqs);
    return r < 0 ? err_pass(r) : r;
}

static int open_engine(struct bench *b, int fd, double *ret_s, struct reason *why)
{
    const struct options *o = b->o;
    struct engine_options options = {
        .kernels = o->kernels, .threads = o->threads, .chunk = o->chunk, .context = longest(o)
    };
    int r = choose_kv(o, fd, &options, why);
    const uint64_t from = clock_now_ns();

    if (r == 0) r = engine_open(fd, &options, why, &b->e);
    if (r != 0) return r < 0 ? err_pass(r) : ENGINE_BENCH_E_REFUSED;
    *ret_s = seconds_since(from);
    const struct engine_info *info = engine_info(b->e);
    if (info->context < longest(o)) {
        reason_set(why, "%u tokens do not fit the context of the model, which is %u", longest(o),
                   info->context);
        return ENGINE_BENCH_E_REFUSED;
    }
    if (o->seqs > info->chunk) {
        reason_set(why, "%u sequences do not fit a step of %u tokens: see --chunk", o->seqs,
                   info->chunk);
        return ENGINE_BENCH_E_REFUSED;
    }
    return find_level(b, why);
}

static int prepare(struct bench *b)
{
    const uint32_t n = b->o->prompt_tokens > b->o->depth ? b->o->prompt_tokens : b->o->depth;

    b->tokens = calloc(n ? n : 1, sizeof(*b->tokens));
    b->logits = calloc((size_t)b->o->seqs * engine_info(b->e)->vocab, sizeof(*b->logits));
    if (!b->tokens || !b->logits) return err_raise(-ENOMEM);
    for (uint32_t i = 0; i < n; i++)
        b->tokens[i] = next_token(b);
    return 0;
}

static int run(struct bench *b, struct engine_bench *m, FILE *out, struct reason *why)
{
    CLEANUP(closep) int fd = open(b->o->model, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        reason_set(why, "%s: %s", b->o->model, strerror(errno));
        return ENGINE_BENCH_E_REFUSED;
    }
    int r = open_engine(b, fd, &m->load_s, why);
    if (r != 0) return r < 0 ? err_pass(r) : r;
    m->info = engine_info(b->e);
    m->level = b->level->name;
    m->file_bytes = (uint64_t)st.st_size;
    m->bytes_per_step = engine_level_bytes(b->e, b->level);
    r = prepare(b);
    if (r == 0) r = memory_now(&m->loaded);
    if (r == 0) r = measure(b, m, why);
    if (r == 0) r = engine_bench_report(b->o, m, out);
    return r < 0 ? err_pass(r) : r;
}

int engine_bench_run(const struct options *o, FILE *out, struct reason *why)
{
    CLEANUP(freep) struct engine_bench *m = calloc(1, sizeof(*m));
    struct bench b = { .o = o, .random = 1 };

    if (!m) return err_raise(-ENOMEM);
    const int r = run(&b, m, out, why);
    close_seqs(&b);
    engine_free(b.e);
    free(b.tokens);
    free(b.logits);
    return r < 0 ? err_pass(r) : r;
}
