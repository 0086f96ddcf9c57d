/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine against the expected numbers of the reference implementation (tests/golden/README.md), for each kernel set of
 * this CPU. Tolerances are those of the golden files' makers:
 *   float32 activations and KV   2e-3  (two reference paths differ by 2e-5; rounding grows 35-fold on its way)
 *   f16 KV                       1e-2
 *   8-bit activations            0.3 and mean KL 5e-4 (rounding in blocks of 32 gives 0.08 to 0.12 and 1.3e-4 in the reference)
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/golden/golden.h"
#include "tests/unit/engine/engine_run.h"

/* A build with sanitizers looks for bad accesses, not for numbers: it takes each path once, in a tenth of the time. */
#ifdef SANITIZED
enum { BRIEF = 1 };
#else
enum { BRIEF = 0 };
#endif

enum { IDS_MAX = 512, SETS_MAX = 8 };

struct setup {
    const char *kernels;
    uint32_t threads, chunk;
    bool kv_f32;
};

static json_t *read_json(const char *name)
{
    char path[512];
    json_error_t e;

    if (!golden_find(name, path, sizeof(path))) return NULL;
    json_t *j = json_load_file(path, 0, &e);
    cr_assert_not_null(j, "%s: %s", path, e.text);
    return j;
}

static float *read_floats(const char *folder, const char *name, size_t *ret_n)
{
    char rel[256], path[512];

    (void)snprintf(rel, sizeof(rel), "text/%s/%s", folder, name);
    cr_assert_not_null(golden_find(rel, path, sizeof(path)), "%s", rel);
    FILE *f = fopen(path, "rb");
    (void)fseek(f, 0, SEEK_END);
    *ret_n = (size_t)ftell(f) / sizeof(float);
    rewind(f);
    float *x = malloc(*ret_n * sizeof(float));
    cr_assert_eq(fread(x, sizeof(float), *ret_n, f), *ret_n);
    (void)fclose(f);
    return x;
}

static struct engine *open_model(const char *folder, const char *file, const struct setup *s)
{
    char rel[256], path[512];
    const struct engine_options o = {
        .kernels = s->kernels, .threads = s->threads, .chunk = s->chunk, .kv_f32 = s->kv_f32
    };

    (void)snprintf(rel, sizeof(rel), "text/%s/%s", folder, file);
    cr_assert_not_null(golden_find(rel, path, sizeof(path)), "%s", rel);
    return engine_run_open(path, &o);
}

static uint32_t take_ids(const json_t *array, uint32_t *ids)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        ids[i] = (uint32_t)json_integer_value(json_array_get(array, i));
    return (uint32_t)json_array_size(array);
}

static double kl_row(const float *p, const float *q, uint32_t n)
{
    double sum_p = 0, sum_q = 0, kl = 0;
    const double top_p = (double)p[engine_run_argmax(p, n)],
                 top_q = (double)q[engine_run_argmax(q, n)];

    for (uint32_t i = 0; i < n; i++) {
        sum_p += exp((double)p[i] - top_p);
        sum_q += exp((double)q[i] - top_q);
    }
    for (uint32_t i = 0; i < n; i++) {
        const double lp = (double)p[i] - top_p - log(sum_p), lq = (double)q[i] - top_q - log(sum_q);
        kl += exp(lp) * (lp - lq);
    }
    return kl;
}

static void compare(const float *want, const float *got, uint32_t n, uint32_t vocab, double max_abs,
                    double max_kl, const char *what)
{
    double err = 0, kl = 0;

    for (size_t i = 0; i < (size_t)n * vocab; i++) {
        cr_assert(isfinite(got[i]), "%s", what);
        err = fmax(err, fabs((double)want[i] - (double)got[i]));
    }
    for (uint32_t t = 0; t < n && max_kl > 0; t++)
        kl += kl_row(want + (size_t)t * vocab, got + (size_t)t * vocab, vocab) / n;
    cr_assert(err <= max_abs, "%s: off by %g, allowed %g", what, err, max_abs);
    cr_assert(kl <= max_kl || max_kl == 0, "%s: KL %g, allowed %g", what, kl, max_kl);
}

/*
 * The logits of a prompt, and its greedy tokens where the reference's own choices were never closer than what the rounding
 * may move. The greedy tokens are fed with the prompt: steps of one token give the same bits (below), and each must be
 * the choice of the logits before it.
 */
static void check_prompt(struct engine *e, const struct setup *s, const char *folder,
                         const char *level_name, const json_t *prompt, bool rounded)
{
    uint32_t ids[IDS_MAX];
    const json_t *greedy = json_object_get(prompt, "greedy");
    const uint32_t n = take_ids(json_object_get(prompt, "ids"), ids), vocab = engine_info(e)->vocab,
                   n_greedy = take_ids(greedy, ids + n);
    const struct level *level = level_find(engine_levels(e), level_name);
    const double max_abs = rounded ? 0.3 : s->kv_f32 ? 2e-3 : 1e-2;
    const double gap = rounded ? 0.3 : s->kv_f32 ? 0 : 0.02;
    const bool clear = json_number_value(json_object_get(prompt, "greedy_min_gap")) > gap;
    size_t n_want = 0;
    char what[200];

    (void)snprintf(what, sizeof(what), "%s/%s %s %s", folder,
                   json_string_value(json_object_get(prompt, "name")), s->kernels, level_name);
    cr_assert_not_null(level, "%s", level_name);
    float *want =
              read_floats(folder, json_string_value(json_object_get(prompt, "logits")), &n_want),
          *got = engine_run_logits(e, ids, clear && n_greedy ? n + n_greedy - 1 : n, level);
    cr_assert_eq(n_want, (size_t)n * vocab);
    compare(want, got, n, vocab, max_abs, rounded ? 5e-4 : 0, what);
    for (uint32_t i = 0; i < n_greedy && clear; i++)
        cr_assert_eq(engine_run_argmax(got + (size_t)(n + i - 1) * vocab, vocab), ids[n + i],
                     "%s: greedy token %u", what, i);
    free(want);
    free(got);
}

/* Every other set of this CPU must give the very bits of `auto`: what was compared with the reference holds for them too. */
static void check_same_bits(struct engine *best, const char *folder, const char *file,
                            const json_t *prompt)
{
    const struct kernels *sets[SETS_MAX];
    const size_t n_sets = kernels_list(sets, SETS_MAX);
    uint32_t ids[IDS_MAX];
    const uint32_t n = take_ids(json_object_get(prompt, "ids"), ids);
    float *want = engine_run_logits(best, ids, n, NULL);

    for (size_t k = 1; k + 1 < n_sets; k++) { /* the first is `auto`, the last `c` */
        const struct setup s = { .kernels = sets[k]->name, .threads = 2, .chunk = 64 };
        struct engine *e = open_model(folder, file, &s);
        float *got = engine_run_logits(e, ids, n, NULL);
        cr_assert_eq(memcmp(want, got, (size_t)n * engine_info(e)->vocab * sizeof(float)), 0,
                     "%s/%s: %s is not %s", folder, file, s.kernels, engine_info(best)->kernels);
        free(got);
        engine_free(e);
    }
    free(want);
}

/* f32 and f16 KV with the reference set and the best one; quantised matrices are rounded by the latter. */
static void check_file(const char *folder, const char *file, const json_t *prompts, bool quantised)
{
    static const char *const kernels[] = { "c", "auto" };
    size_t i;
    json_t *prompt;

    for (int k = 0; k < 2; k++)
        for (int f32 = 0; f32 < 2; f32++) {
            if (BRIEF && f32 == k) continue;
            const struct setup s = {
                .kernels = kernels[k], .threads = 2, .chunk = 64, .kv_f32 = f32
            };
            struct engine *e = open_model(folder, file, &s);
            json_array_foreach(prompts, i, prompt)
            {
                if (BRIEF && i > 0) break;
                check_prompt(e, &s, folder, "", prompt, quantised && k == 1);
            }
            if (k == 1 && !f32) check_same_bits(e, folder, file, json_array_get(prompts, 0));
            engine_free(e);
        }
}

static void check_case(const char *folder)
{
    char name[100];

    (void)snprintf(name, sizeof(name), "text/%s/expect.json", folder);
    json_t *j = read_json(name), *files = j ? json_object_get(j, "files") : NULL, *file;
    size_t i;

    if (!j) cr_skip_test("no golden/%s here", name);
    if (!files)
        check_file(folder, json_string_value(json_object_get(j, "file")),
                   json_object_get(j, "prompts"), false);
    json_array_foreach(files, i, file)
        check_file(folder, json_string_value(json_object_get(file, "file")),
                   json_object_get(file, "prompts"), true);
    json_decref(j);
}

Test(golden_text, gemma3n_of_published_shape_in_small)
{
    check_case("n3-basic");
}
Test(golden_text, gemma3n_of_other_sizes)
{
    check_case("n3-wide");
}
Test(golden_text, gemma3n_parent_of_slices)
{
    check_case("n3-slices");
}
Test(golden_text, gemma3n_quantised)
{
    check_case("n3-quant");
}
Test(golden_text, gemma3n_quantised_small)
{
    check_case("n3-quant-small");
}
Test(golden_text, gemma3)
{
    check_case("g3-basic");
}

static struct engine *open_slices(const struct setup *s, const json_t *slices)
{
    struct engine *e = open_model("n3-slices", "model.gguf", s);
    struct reason why = { "" };
    char *levels = json_dumps(json_object_get(slices, "levels"), JSON_COMPACT);

    cr_assert_eq(engine_levels_json(e, levels, strlen(levels), &why), 0, "%s", why.text);
    free(levels);
    return e;
}

Test(golden_text, every_level_gives_the_logits_of_the_sliced_model)
{
    json_t *j = read_json("text/n3-slices/expect.json"), *slices = json_object_get(j, "slices"),
           *prompts, *prompt;
    const char *const kernels[] = { "c", "auto" }, *level;
    size_t i;

    if (!j) cr_skip_test("no golden/text/n3-slices here");
    for (int k = 0; k < 2; k++) {
        const struct setup s = { .kernels = kernels[k], .threads = 2, .chunk = 64, .kv_f32 = true };
        struct engine *e = open_slices(&s, slices);
        json_object_foreach(json_object_get(slices, "prompts"), level, prompts)
            json_array_foreach(prompts, i, prompt)
        {
            if (BRIEF && i > 0) break;
            check_prompt(e, &s, "n3-slices", level, prompt, false);
        }
        engine_free(e);
    }
    json_decref(j);
}

Test(golden_text, the_level_may_change_between_two_tokens)
{
    json_t *j = read_json("text/n3-slices/expect.json"), *slices = json_object_get(j, "slices"),
           *sw, *part;
    const char *const kernels[] = { "c", "auto" };
    size_t i, p;

    if (!j) cr_skip_test("no golden/text/n3-slices here");
    for (int k = 0; k < 2; k++) {
        const struct setup s = { .kernels = kernels[k], .threads = 2, .chunk = 5, .kv_f32 = true };
        struct engine *e = open_slices(&s, slices);
        json_array_foreach(json_object_get(slices, "switches"), i, sw)
        {
            uint32_t ids[IDS_MAX], at = 0;
            const uint32_t n = take_ids(json_object_get(sw, "ids"), ids),
                           vocab = engine_info(e)->vocab;
            size_t n_want;
            float *want = read_floats("n3-slices", json_string_value(json_object_get(sw, "logits")),
                                      &n_want),
                  *got = malloc((size_t)n * vocab * sizeof(float));
            struct engine_seq *seq = engine_run_seq(e);
            json_array_foreach(json_object_get(sw, "plan"), p, part)
            {
                const uint32_t tokens =
                    (uint32_t)json_integer_value(json_object_get(part, "tokens"));
                engine_run_feed(
                    e, seq, ids + at, tokens,
                    level_find(engine_levels(e), json_string_value(json_object_get(part, "level"))),
                    got + (size_t)at * vocab);
                at += tokens;
            }
            compare(want, got, n, vocab, 2e-3, 0, json_string_value(json_object_get(sw, "logits")));
            engine_seq_free(seq);
            free(want);
            free(got);
        }
        engine_free(e);
    }
    json_decref(j);
}

/* ---- inner tensors, to find where an engine departs ---- */

struct inner {
    const char *folder;
    const json_t *tensors;
    int n_seen;
};

/* Row @row of the golden tensor @name, whose rows have @n values from @first on. */
static void check_inner(struct inner *in, const char *name, uint32_t row, size_t first,
                        const float *x, uint32_t n)
{
    const json_t *t = json_object_get(in->tensors, name);
    size_t total, width = 1;

    if (!t) return;
    for (size_t i = 1; i < json_array_size(json_object_get(t, "shape")); i++)
        width *= (size_t)json_integer_value(json_array_get(json_object_get(t, "shape"), i));
    float *want = read_floats(in->folder, json_string_value(json_object_get(t, "file")), &total);
    for (uint32_t i = 0; i < n; i++)
        cr_assert_float_eq(want[row * width + first + i], x[i], 2e-4 * (1 + fabs((double)x[i])),
                           "%s row %u value %zu", name, row, first + i);
    free(want);
    in->n_seen++;
}

static void see(void *context, const char *name, uint32_t layer, uint32_t row, const float *x,
                uint32_t n)
{
    char full[64];

    if (strcmp(name, "per_layer_input") == 0) {
        check_inner(context, "per_layer_inputs", row, (size_t)layer * n, x, n);
    } else if (strncmp(name, "stack", 5) == 0) {
        check_inner(context, "altup_before_layer_0", row, (size_t)(name[5] - '0') * n, x, n);
    } else if (strncmp(name, "altup", 5) == 0) {
        (void)snprintf(full, sizeof(full), "altup_after_layer_%u", layer);
        check_inner(context, full, row, (size_t)(name[5] - '0') * n, x, n);
    } else if (strcmp(name, "embedding") == 0 || strcmp(name, "merged") == 0 ||
               strcmp(name, "final_norm") == 0) {
        check_inner(context, name, row, 0, x, n);
    } else {
        (void)snprintf(full, sizeof(full), "%s_layer_%u", name, layer);
        check_inner(context, full, row, 0, x, n);
    }
}

Test(golden_text, inner_tensors_are_those_of_the_reference)
{
    const char *const folders[] = { "n3-wide", "n3-basic" };

    for (int i = 0; i < 2; i++) {
        char name[100];
        (void)snprintf(name, sizeof(name), "text/%s/expect.json", folders[i]);
        json_t *j = read_json(name), *prompt;
        size_t k;
        if (!j) continue;
        const struct setup s = { .kernels = "c", .threads = 1, .chunk = 64, .kv_f32 = true };
        struct engine *e = open_model(folders[i], "model.gguf", &s);
        struct inner in = { folders[i], json_object_get(j, "inner"), 0 };
        const struct forward_tap tap = { see, &in };
        engine_watch(e, &tap);
        json_array_foreach(json_object_get(j, "prompts"), k, prompt)
        {
            if (strcmp(json_string_value(json_object_get(prompt, "name")),
                       json_string_value(json_object_get(j, "inner_of"))) != 0)
                continue;
            uint32_t ids[IDS_MAX];
            const uint32_t n = take_ids(json_object_get(prompt, "ids"), ids);
            free(engine_run_logits(e, ids, n, NULL));
            cr_assert_geq(in.n_seen, (int)(n * json_object_size(in.tensors)),
                          "every tensor was looked at");
        }
        engine_free(e);
        json_decref(j);
    }
}

/* ---- the promise of determinism ---- */

/* Threads and chunks: each of 1, 2, 3 and 1, 7, all. */
static void check_steady(const char *folder, const char *file, const char *kernels)
{
    enum { N = 47 }; /* beyond a KV page and the window */
    static const uint32_t chunks[] = { N, 7, 1 };
    uint32_t ids[N];
    float *first = NULL;

    for (uint32_t i = 0; i < N; i++)
        ids[i] = 2 + i * 7 % 300;
    for (uint32_t run = 0; run < 9; run += BRIEF ? 4 : 1) {
        const struct setup s = { kernels, 1 + run % 3, chunks[run / 3], false };
        struct engine *e = open_model(folder, file, &s);
        float *got = engine_run_logits(e, ids, N, NULL);
        const size_t bytes = (size_t)N * engine_info(e)->vocab * sizeof(float);
        if (first)
            cr_assert_eq(memcmp(first, got, bytes), 0, "%s/%s %s: %u threads, chunks of %u", folder,
                         file, kernels, s.threads, s.chunk);
        engine_free(e);
        if (first) free(got);
        if (!first) first = got;
    }
    free(first);
}

Test(golden_text, neither_threads_nor_chunks_change_a_bit_of_the_reference_kernels)
{
    check_steady("n3-slices", "model.gguf", "c");
    check_steady("n3-quant-small", "model-q4_0.gguf", "c");
    check_steady("g3-basic", "model.gguf", "c");
}

Test(golden_text, neither_threads_nor_chunks_change_a_bit_of_the_fast_kernels)
{
    check_steady("n3-slices", "model.gguf", "auto");
    check_steady("n3-quant-small", "model-q4_0.gguf", "auto");
    check_steady("n3-quant-small", "model-q5_0.gguf", "auto");
    check_steady("g3-basic", "model.gguf", "auto");
}
