/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine promises beside its numbers, on small models that are made here. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "engine/decode/sampler.h"
#include "engine/engine.h"
#include "tests/unit/engine/engine_run.h"
#include "tests/unit/engine/gemma3n/model_make.h"
#include "tests/unit/oom.h"

static const char *const both[] = { "c", "auto" };

static struct engine *open_made(const struct model_make *s, const struct engine_options *o)
{
    struct reason why = { "" };
    struct engine *e = NULL;
    const int fd = model_make_fd(s);

    cr_assert_eq(engine_open(fd, o, &why, &e), 0, "%s", why.text);
    (void)close(fd);
    return e;
}

static void some_ids(uint32_t *ids, uint32_t n, uint32_t from)
{
    for (uint32_t i = 0; i < n; i++)
        ids[i] = (from + i * 37) % 300;
}

/* ---- files ---- */

Test(engine, refuses_a_model_file_that_is_cut_anywhere)
{
    const struct model_make s = model_make_gemma3n();
    const struct engine_options o = { .kernels = "c", .threads = 1 };
    struct gguf_make_bytes f = model_make_file(&s);
    struct engine *e = open_made(&s, &o);
    size_t n_tensors = 0;
    const struct gguf_tensor *t = gguf_tensors(engine_file(e), &n_tensors);
    const int fd = gguf_make_fd(f.bytes, f.n);

    /* around the beginning and the end of each tensor, and here and there before them */
    for (size_t i = 0; i < n_tensors * 6; i++) {
        const struct gguf_tensor *at = &t[i / 6];
        const uint64_t edge = i % 6 < 3 ? at->offset : at->offset + at->size_bytes;
        const uint64_t cut = edge + i % 3 - 1;
        struct reason why = { "" };
        struct engine *none = NULL;
        cr_assert_eq(ftruncate(fd, (off_t)(cut < f.n ? cut : f.n - 1)), 0);
        cr_assert_eq(engine_open(fd, &o, &why, &none), ENGINE_E_REFUSED, "cut at %zu", (size_t)cut);
        cr_assert_not_null(strstr(why.text, "ends behind the end"), "%s", why.text);
    }
    for (uint64_t cut = 0; cut < t[0].offset; cut += 13) {
        struct reason why = { "" };
        struct engine *none = NULL;
        cr_assert_eq(ftruncate(fd, 0), 0);
        cr_assert_eq(pwrite(fd, f.bytes, cut, 0), (ssize_t)cut);
        cr_assert_eq(engine_open(fd, &o, &why, &none), ENGINE_E_REFUSED, "cut at %zu", (size_t)cut);
        cr_assert(why.text[0] != '\0');
    }
    (void)close(fd);
    engine_free(e);
    free(f.bytes);
}

Test(engine, refuses_a_set_of_kernels_that_this_cpu_does_not_have)
{
    const struct model_make s = model_make_gemma3();
    const struct engine_options o = { .kernels = "abacus" };
    struct reason why = { "" };
    struct engine *e = NULL;
    const int fd = model_make_fd(&s);

    cr_assert_eq(engine_open(fd, &o, &why, &e), ENGINE_E_REFUSED);
    cr_assert_not_null(strstr(why.text, "'abacus'"), "%s", why.text);
    (void)close(fd);
}

Test(engine, refuses_more_tokens_than_the_embedding_has_rows)
{
    struct model_make s = model_make_gemma3n();
    struct reason why = { "" };
    struct engine *e = NULL;

    s.vocab = 64;
    const int fd = model_make_fd(&s);
    cr_assert_eq(engine_open(fd, &(struct engine_options){ .threads = 1 }, &why, &e),
                 ENGINE_E_REFUSED);
    cr_assert_not_null(strstr(why.text, "token_embd.weight"), "%s", why.text);
    (void)close(fd);
}

Test(engine, a_sparse_ffn_counts_with_what_it_reads)
{
    struct model_make s = model_make_gemma3n();

    s.matrices = QUANT_Q8_0;
    struct engine *whole = open_made(&s, &(struct engine_options){ .threads = 1, .kernels = "c" }),
                  *some = open_made(&s, &(struct engine_options){ .threads = 1 });
    const double all = (double)engine_level_bytes(whole, &engine_levels(whole)->row[0]),
                 read = (double)engine_level_bytes(some, &engine_levels(some)->row[0]),
                 ffn =
                     6.0 * 2 * s.ffn * s.d_model * 34 / 32; /* up and down of six layers in Q8_0 */
    cr_assert_gt(read, all - ffn);
    cr_assert_lt(read, all - 0.5 * ffn, "%g of %g, the FFN has %g", read, all, ffn);
    engine_free(whole);
    engine_free(some);
}

Test(engine, takes_the_levels_that_the_file_brings)
{
    struct model_make s = model_make_gemma3n();

    s.levels = "{\"little\": {\"width\": [32, 32, 32, 32, 32, 32], \"skip\": [4]}}";
    struct engine *e = open_made(&s, &(struct engine_options){ .threads = 1 });
    const struct level_table *t = engine_levels(e);
    cr_assert_eq(t->n, 2);
    cr_assert_str_eq(t->row[1].name, "little");
    cr_assert_eq(t->row[1].width[5], 32);
    cr_assert(t->row[1].skip[4]);
    engine_free(e);
}

Test(engine, refuses_a_file_whose_levels_it_cannot_have)
{
    static const struct {
        const char *levels, *says;
    } bad[] = { { "{", "key 'hearth.levels'" },
                { "{\"x\": {\"width\": [32, 32, 32, 32, 32, 32], \"skip\": [0]}}",
                  "level 'x': 'skip' may name only" },
                { "{\"x\": {\"width\": [1]}}", "level 'x'" } };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct model_make s = model_make_gemma3n();
        struct reason why = { "" };
        struct engine *e = NULL;
        s.levels = bad[i].levels;
        const int fd = model_make_fd(&s);
        cr_assert_eq(engine_open(fd, &(struct engine_options){ .threads = 1 }, &why, &e),
                     ENGINE_E_REFUSED);
        cr_assert_not_null(strstr(why.text, bad[i].says), "%s", why.text);
        cr_assert_null(e);
        (void)close(fd);
    }
}

Test(engine, opening_gives_up_cleanly_at_each_allocation)
{
    OOM_OR_SKIP();
    const struct model_make s = model_make_gemma3n();
    const struct engine_options o = { .threads = 2, .chunk = 8, .context = 64 };
    const int fd = model_make_fd(&s);
    struct engine *e = NULL;
    int r = -ENOMEM;

    for (unsigned n = 1; r == -ENOMEM; n++) {
        oom_fail_at(n);
        r = engine_open(fd, &o, NULL, &e);
        oom_fail_at(0);
    }
    cr_assert_eq(r, 0);
    cr_assert_not_null(e);
    engine_free(e);
    (void)close(fd);
}

/* ---- weights that are no numbers ---- */

static void poison(const struct model_make *good, const char *tensor, float value)
{
    struct model_make s = *good;
    uint32_t ids[9], next = 0;
    struct sampler *sampler = NULL;

    s.poisoned = tensor;
    s.poison = value;
    some_ids(ids, 9, 5);
    cr_assert_eq(sampler_new(s.vocab, &sampler), 0);
    for (int k = 0; k < 2; k++) {
        const struct engine_options o = { .kernels = both[k], .threads = 1, .context = 64 };
        struct engine *e = open_made(&s, &o);
        float *logits = engine_run_logits(e, ids, 9, NULL);
        for (int warm = 0; warm < 2; warm++) {
            const struct sampler_config c = {
                .temperature = (float)warm, .top_k = 8, .top_p = 0.9f, .repetition_penalty = 1.1f
            };
            const int r = sampler_pick(sampler, &c, logits + 8 * (size_t)s.vocab, ids, 9, 9, &next);
            cr_assert(r == 0 || r == SAMPLER_E_NOTHING, "%s", tensor);
            cr_assert_lt(next, s.vocab);
        }
        free(logits);
        engine_free(e);
    }
    sampler_free(sampler);
}

static void poison_each(const struct model_make *s)
{
    struct engine *e = open_made(s, &(struct engine_options){ .kernels = "c", .threads = 1 });
    size_t n = 0;
    const struct gguf_tensor *t = gguf_tensors(engine_file(e), &n);

    for (size_t i = 0; i < n; i++) {
        unsigned layer;
        if (sscanf(t[i].name, "blk.%u.", &layer) == 1 && layer != 1 && layer != 2 && layer != 3)
            continue; /* a sliding, a full and a sharing layer stand for the others */
        poison(s, t[i].name, i % 3 == 0 ? INFINITY : NAN);
    }
    engine_free(e);
}

Test(engine, weights_that_are_no_numbers_crash_nothing)
{
    const struct model_make n3 = model_make_gemma3n();
    poison_each(&n3);
}

Test(engine, quantised_weights_that_are_no_numbers_crash_nothing)
{
    struct model_make n3 = model_make_gemma3n(), g3 = model_make_gemma3();
    n3.matrices = g3.matrices = QUANT_Q8_0;
    poison_each(&n3);
    poison_each(&g3);
}

Test(engine, an_embedding_of_nan_leaves_nothing_to_sample)
{
    struct model_make s = model_make_gemma3();
    struct sampler *sampler = NULL;
    const struct sampler_config c = { .temperature = 1, .top_p = 1, .repetition_penalty = 1 };
    uint32_t next = 7;

    s.poisoned = "token_embd.weight";
    s.poison = NAN;
    struct engine *e = open_made(&s, &(struct engine_options){ .kernels = "c", .threads = 1 });
    float *logits = engine_run_logits(e, &(uint32_t){ 2 }, 1, NULL);
    cr_assert_eq(sampler_new(s.vocab, &sampler), 0);
    cr_assert_eq(sampler_pick(sampler, &c, logits, NULL, 0, 1, &next), SAMPLER_E_NOTHING);
    cr_assert_eq(next, 7);
    sampler_free(sampler);
    free(logits);
    engine_free(e);
}

/* ---- batches ---- */

enum { SEQS = 4, TEXT = 24 };

static const char levels[] =
    "{\"odd\": {\"width\": [40, 33, 64, 7, 24, 50]},"
    " \"thin\": {\"width\": [32, 16, 48, 32, 32, 32], \"skip\": [4]},"
    " \"thinner\": {\"width\": [32, 16, 16, 32, 32, 32], \"skip\": [3, 5]}}";
static const char levels_q[] =
    "{\"odd\": {\"width\": [32, 32, 64, 32, 64, 32]},"
    " \"thin\": {\"width\": [32, 32, 64, 32, 32, 32], \"skip\": [4]},"
    " \"thinner\": {\"width\": [32, 32, 32, 32, 32, 32], \"skip\": [3, 5]}}";

struct text { /* of one sequence */
    uint32_t ids[64], n;
    struct engine_seq *s;
    const struct level *level;
    struct sampler_config c;
};

static void begin_texts(struct engine *e, struct text t[SEQS])
{
    static const char *const names[SEQS] = { "", "thin", "odd", "thinner" };

    for (uint32_t i = 0; i < SEQS; i++) {
        t[i] = (struct text){ .n = 3 + 11 * i, .s = engine_run_seq(e) };
        some_ids(t[i].ids, t[i].n, i);
        t[i].level = level_find(engine_levels(e), names[i]);
        t[i].c = (struct sampler_config){ .temperature = 0.8f,
                                          .top_k = 40,
                                          .top_p = 0.95f,
                                          .repetition_penalty = 1.2f,
                                          .seed = 100 + i };
        cr_assert_not_null(t[i].level);
    }
}

/* What follows each prompt: sequences [from, to) share steps; @c: most tokens of one sequence in one step. */
static void write_texts(struct engine *e, struct text *t, uint32_t from, uint32_t to, uint32_t c)
{
    const uint32_t vocab = engine_info(e)->vocab;
    struct sampler *sampler = NULL;
    float *logits = malloc(SEQS * (size_t)vocab * sizeof(float));

    cr_assert_eq(sampler_new(vocab, &sampler), 0);
    for (;;) {
        struct engine_item it[SEQS];
        struct text *who[SEQS];
        uint32_t n = 0, row = 0;
        for (uint32_t i = from; i < to; i++) {
            const uint32_t at = engine_seq_length(t[i].s), left = t[i].n - at;
            if (left == 0) continue;
            who[n] = &t[i];
            it[n++] =
                (struct engine_item){ .seq = t[i].s,
                                      .tokens = t[i].ids + at,
                                      .n = left < c ? left : c,
                                      .level = t[i].level,
                                      .want = left <= c ? ENGINE_WANT_LAST : ENGINE_WANT_NONE };
        }
        if (n == 0) break;
        cr_assert_eq(engine_step(e, it, n, logits), 0);
        for (uint32_t i = 0; i < n; i++) {
            struct text *x = who[i];
            cr_assert(!it[i].starved);
            if (it[i].want == ENGINE_WANT_NONE) continue;
            const float *mine = logits + row++ * (size_t)vocab;
            if (x->n >= TEXT + 3 + 11 * (uint32_t)(x - t)) continue; /* long enough */
            cr_assert_eq(sampler_pick(sampler, &x->c, mine, x->ids, x->n, x->n, &x->ids[x->n]), 0);
            x->n++;
        }
    }
    sampler_free(sampler);
    free(logits);
}

static void check_texts(const struct model_make *s, const char *kernels, const char *table)
{
    struct text first[SEQS], t[SEQS];

    for (uint32_t run = 0; run < 6; run++) {
        const struct engine_options o = {
            .kernels = kernels, .threads = 1 + run % 3, .context = 96, .kv_bytes = 1 << 24
        };
        struct engine *e = open_made(s, &o);
        struct reason why = { "" };
        cr_assert_eq(engine_levels_json(e, table, strlen(table), &why), 0, "%s", why.text);
        begin_texts(e, t);
        if (run == 0) /* alone, a token at a time */
            for (uint32_t i = 0; i < SEQS; i++)
                write_texts(e, t, i, i + 1, 1);
        else
            write_texts(e, t, 0, SEQS, run == 1 ? 1 : run == 2 ? 7 : 31);
        for (uint32_t i = 0; i < SEQS; i++) {
            cr_assert_eq(t[i].n, TEXT + 3 + 11 * i);
            if (run > 0)
                cr_assert_arr_eq(t[i].ids, first[i].ids, t[i].n * sizeof(uint32_t),
                                 "%s: run %u, text %u", kernels, run, i);
            engine_seq_free(t[i].s);
        }
        if (run == 0) memcpy(first, t, sizeof(first));
        cr_assert_eq(engine_pages_used(e), 0);
        engine_free(e);
    }
}

Test(engine, a_seed_gives_the_same_text_for_any_threads_chunks_and_company)
{
    struct model_make n3 = model_make_gemma3n();

    for (int k = 0; k < 2; k++)
        check_texts(&n3, both[k], levels);
    n3.matrices = QUANT_Q8_0;
    for (int k = 0; k < 2; k++)
        check_texts(&n3, both[k], levels_q);
}

Test(engine, company_of_any_level_changes_no_bit_of_the_logits)
{
    const struct model_make s = model_make_gemma3n();

    for (int k = 0; k < 2; k++) {
        struct engine *e = open_made(
            &s, &(struct engine_options){ .kernels = both[k], .threads = 2, .kv_bytes = 1 << 24 });
        struct text t[SEQS];
        struct engine_item it[SEQS];
        const size_t vocab = engine_info(e)->vocab;
        size_t row = 0;

        cr_assert_eq(engine_levels_json(e, levels, strlen(levels), NULL), 0);
        begin_texts(e, t);
        float *all = malloc(4 * 36 * vocab * sizeof(float));
        for (uint32_t i = 0; i < SEQS; i++)
            it[i] = (struct engine_item){ .seq = t[i].s,
                                          .tokens = t[i].ids,
                                          .n = t[i].n,
                                          .level = t[i].level,
                                          .want = ENGINE_WANT_ALL };
        cr_assert_eq(engine_step(e, it, SEQS, all), 0);
        for (uint32_t i = 0; i < SEQS; row += t[i++].n) {
            float *alone = engine_run_logits(e, t[i].ids, t[i].n, t[i].level);
            cr_assert_eq(memcmp(all + row * vocab, alone, t[i].n * vocab * sizeof(float)), 0,
                         "%s: sequence %u", both[k], i);
            free(alone);
            engine_seq_free(t[i].s);
        }
        free(all);
        engine_free(e);
    }
}

/* ---- what is not computed ---- */

struct counted {
    uint32_t rows[16]; /* of each layer */
    uint32_t merged;
};

static void count(void *context, const char *name, uint32_t layer, uint32_t row, const float *x,
                  uint32_t n)
{
    struct counted *c = context;

    (void)row;
    (void)x;
    (void)n;
    if (strcmp(name, "ffn_out") == 0) c->rows[layer]++;
    if (strcmp(name, "final_norm") == 0) c->merged++;
}

Test(engine, layers_that_make_no_kv_run_only_for_wanted_tokens)
{
    const struct model_make s = model_make_gemma3n();
    struct engine *e = open_made(&s, &(struct engine_options){ .threads = 1 });
    const size_t vocab = engine_info(e)->vocab;
    static const uint32_t wanted[] = { 0, 1, 20 };
    uint32_t ids[20];
    float *all = malloc(20 * vocab * sizeof(float)), *last = malloc(vocab * sizeof(float));

    some_ids(ids, 20, 1);
    for (int want = ENGINE_WANT_NONE; want <= ENGINE_WANT_ALL; want++) {
        struct counted c = { 0 };
        const struct forward_tap tap = { count, &c };
        struct engine_seq *seq = engine_run_seq(e);
        struct engine_item it = { .seq = seq,
                                  .tokens = ids,
                                  .n = 20,
                                  .level = level_find(engine_levels(e), ""),
                                  .want = (enum engine_want)want };
        engine_watch(e, &tap);
        cr_assert_eq(engine_step(e, &it, 1, want == ENGINE_WANT_ALL ? all : last), 0);
        engine_watch(e, NULL);
        for (uint32_t l = 0; l < 6; l++)
            cr_assert_eq(c.rows[l], l < 3 ? 20 : wanted[want], "layer %u ran for %u tokens", l,
                         c.rows[l]);
        cr_assert_eq(c.merged, wanted[want]);
        engine_seq_free(seq);
    }
    cr_assert_eq(memcmp(last, all + 19 * vocab, vocab * sizeof(float)), 0, "and it is exact");
    free(all);
    free(last);
    engine_free(e);
}

/* Whether the page at @address is in this process's memory. */
static bool is_mapped(int pagemap, uintptr_t address)
{
    uint64_t entry = 0;

    cr_assert_eq(pread(pagemap, &entry, 8, (off_t)(address / 4096 * 8)), 8);
    return entry >> 63;
}

Test(engine, the_per_layer_embeddings_stay_in_the_file)
{
    enum { AROUND = 1 << 16 }; /* a page fault beside the table may bring as much */
    struct model_make s = model_make_gemma3n();
    uint32_t ids[120];
    size_t n_in = 0;

    s.vocab = 1000;
    for (uint32_t i = 0; i < 120; i++)
        ids[i] = i * 8; /* rows all over the table */
    for (int k = 0; k < 2; k++) {
        struct engine *e =
            open_made(&s, &(struct engine_options){ .kernels = both[k], .threads = 2 });
        const struct gguf *g = engine_file(e);
        const struct gguf_tensor *t = gguf_tensor(g, "per_layer_token_embd.weight");
        const uintptr_t at = (uintptr_t)gguf_data(g, t);
        const int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

        free(engine_run_logits(e, ids, 120, NULL));
        if (pagemap < 0) cr_skip_test("no /proc/self/pagemap");
        cr_assert_gt(t->size_bytes, 8 * AROUND);
        for (uintptr_t p = at + AROUND; p < at + t->size_bytes - AROUND; p += 4096)
            n_in += is_mapped(pagemap, p);
        cr_assert_eq(n_in, 0, "%s: %zu pages of the table are in memory", both[k], n_in);
        const volatile uint8_t touched = *(const uint8_t *)(at + 2 * AROUND);
        (void)touched;
        cr_assert(is_mapped(pagemap, at + 2 * AROUND), "the question can be answered with yes");
        cr_assert_lt(engine_info(e)->weights_bytes, t->size_bytes, "they are not counted either");
        (void)close(pagemap);
        engine_free(e);
    }
}

Test(engine, a_file_that_can_no_longer_be_read_fails_the_step_and_keeps_the_sequence)
{
    const struct model_make s = model_make_gemma3n();
    struct gguf_make_bytes f = model_make_file(&s);
    const int fd = gguf_make_fd(f.bytes, f.n);
    struct engine *e = NULL;
    uint32_t ids[12];

    some_ids(ids, 12, 3);
    cr_assert_eq(engine_open(fd, &(struct engine_options){ .threads = 1 }, NULL, &e), 0);
    float *want = engine_run_logits(e, ids, 12, NULL), *got = malloc(engine_info(e)->vocab * 4);
    engine_free(e); /* another one, which does not have the rows of the last tokens in its cache */
    cr_assert_eq(engine_open(fd, &(struct engine_options){ .threads = 1 }, NULL, &e), 0);
    struct engine_seq *seq = engine_run_seq(e);
    engine_run_feed(e, seq, ids, 8, NULL, NULL);
    const struct gguf_tensor *t = gguf_tensor(engine_file(e), "per_layer_token_embd.weight");
    cr_assert_eq(ftruncate(fd, (off_t)t->offset), 0);
    struct engine_item it = { .seq = seq,
                              .tokens = ids + 8,
                              .n = 4,
                              .level = level_find(engine_levels(e), ""),
                              .want = ENGINE_WANT_LAST };
    cr_assert_eq(engine_step(e, &it, 1, got), -EIO);
    cr_assert_eq(engine_seq_length(seq), 8);
    cr_assert_eq(pwrite(fd, f.bytes + t->offset, f.n - t->offset, (off_t)t->offset),
                 (ssize_t)(f.n - t->offset));
    cr_assert_eq(engine_step(e, &it, 1, got), 0, "and goes on when it can be read again");
    cr_assert_eq(memcmp(got, want + 11 * (size_t)engine_info(e)->vocab,
                        engine_info(e)->vocab * sizeof(float)),
                 0);
    free(want);
    free(got);
    free(f.bytes);
    engine_seq_free(seq);
    engine_free(e);
    (void)close(fd);
}

/* ---- memory of sequences ---- */

Test(engine, sliding_layers_hold_their_window_however_long_the_sequence)
{
    struct model_make s = model_make_gemma3();
    uint32_t ids[1000], early = 0;
    enum { CHUNK = 32, MOST = (16 + CHUNK) / KERNELS_PAGE + 2 }; /* pages of a window of 16 */

    some_ids(ids, 1000, 9);
    s.period = 200; /* no layer is full */
    for (int full = 0; full < 2; full++) {
        struct engine *e = open_made(
            &s, &(struct engine_options){ .threads = 1, .chunk = CHUNK, .context = 1000 });
        struct engine_seq *seq = engine_run_seq(e);
        for (uint32_t at = 0; at < 1000; at += 25) {
            engine_run_feed(e, seq, ids + at, 25, NULL, NULL);
            const uint32_t pages = engine_seq_pages(seq), blocks = (at + 25 + 31) / 32;
            cr_assert_leq(pages, full ? 4 * MOST + 2 * blocks : 6 * MOST);
            cr_assert_leq(pages, engine_pages_for(e, at + 25));
            cr_assert_eq(pages, engine_pages_used(e));
            if (at == 200) early = pages;
        }
        if (full)
            cr_assert_geq(engine_seq_pages(seq), 2u * 32, "the full layers hold all of it");
        else
            cr_assert_leq(engine_seq_pages(seq), early + 6);
        engine_seq_free(seq);
        cr_assert_eq(engine_pages_used(e), 0);
        engine_free(e);
        s.period = 3;
    }
}

Test(engine, a_sequence_without_a_free_page_is_left_out_and_goes_on_later)
{
    const struct model_make s = model_make_gemma3();
    /* room for one full context, the least that there is */
    const struct engine_options o = { .threads = 1, .chunk = 64, .kv_bytes = 1 };
    struct engine *e = open_made(&s, &o);
    struct engine_seq *a = engine_run_seq(e), *b = engine_run_seq(e);
    uint32_t ids[1008];
    const uint32_t vocab = engine_info(e)->vocab;
    float *want, *got = malloc(vocab * sizeof(float));

    some_ids(ids, 1008, 9);
    want = engine_run_logits(e, ids, 60, NULL);
    engine_run_feed(e, a, ids, 1000, NULL, NULL);
    const struct level *level = level_find(engine_levels(e), "");
    struct engine_item it[] = {
        { .seq = b, .tokens = ids, .n = 60, .level = level, .want = ENGINE_WANT_LAST },
        { .seq = a, .tokens = ids + 1000, .n = 8, .level = level, .want = ENGINE_WANT_NONE }
    };
    uint32_t before = engine_pages_used(e);
    cr_assert_eq(engine_step(e, it, 2, got), 0);
    cr_assert(it[0].starved && !it[1].starved);
    cr_assert_eq(engine_seq_length(b), 0);
    cr_assert_eq(engine_seq_length(a), 1008);
    cr_assert_leq(engine_pages_used(e), before);
    engine_seq_free(a);
    cr_assert_eq(engine_step(e, it, 1, got), 0);
    cr_assert(!it[0].starved);
    cr_assert_eq(memcmp(got, want + 59 * (size_t)vocab, vocab * sizeof(float)), 0);
    engine_seq_free(b);
    free(want);
    free(got);
    engine_free(e);
}
