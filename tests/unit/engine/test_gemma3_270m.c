/* SPDX-License-Identifier: Apache-2.0 */
/* The engine on the real Gemma 3 270M file, with the best kernels of this CPU. Needs HEARTH_GEMMA3_270M. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>
#include "engine/engine.h"
#include "tests/golden/golden.h"

enum { IDS_MAX = 1024 };

static struct engine *engine;
static json_t *expect;

static void open_all(void)
{
    const struct engine_options o = { .context = IDS_MAX };
    struct reason why = { "" };
    char path[512];

    if (!golden_gemma3_270m() || !golden_find("gemma3-270m/expect.json", path, sizeof(path)))
        return;
    const int fd = open(golden_gemma3_270m(), O_RDONLY | O_CLOEXEC);
    cr_assert_eq(engine_open(fd, &o, &why, &engine), 0, "%s", why.text);
    (void)close(fd);
    expect = json_load_file(path, 0, NULL);
}

static void close_all(void)
{
    engine = engine_free(engine);
    json_decref(expect);
}

TestSuite(gemma3_270m, .init = open_all, .fini = close_all);

/* Process @ids; the logits after each go to @each. */
static void feed(struct engine_seq *s, const uint32_t *ids, uint32_t n,
                 void (*each)(void *context, uint32_t i, const float *logits), void *context)
{
    const uint32_t chunk = engine_info(engine)->chunk, vocab = engine_info(engine)->vocab;
    float *logits = malloc((size_t)chunk * vocab * sizeof(float));

    for (uint32_t at = 0; at < n; at += chunk) {
        struct engine_item it = { .seq = s,
                                  .tokens = ids + at,
                                  .n = n - at < chunk ? n - at : chunk,
                                  .level = level_find(engine_levels(engine), ""),
                                  .want = ENGINE_WANT_ALL };
        cr_assert_eq(engine_step(engine, &it, 1, logits), 0);
        for (uint32_t i = 0; i < it.n; i++)
            each(context, at + i, logits + (size_t)i * vocab);
    }
    free(logits);
}

static uint32_t argmax(const float *x)
{
    uint32_t best = 0;

    for (uint32_t i = 1; i < engine_info(engine)->vocab; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

static void keep_argmax(void *context, uint32_t i, const float *logits)
{
    (void)i;
    *(uint32_t *)context = argmax(logits);
}

static uint32_t take(const json_t *a, uint32_t *ids)
{
    for (size_t i = 0; i < json_array_size(a); i++)
        ids[i] = (uint32_t)json_integer_value(json_array_get(a, i));
    return (uint32_t)json_array_size(a);
}

/* Rounding to 8 bits moves logits by less than 0.25: as long as the reference's choices were clearer, ours are the same. */
Test(gemma3_270m, says_what_the_reference_says_where_its_choice_was_clear)
{
    json_t *row;
    size_t i;
    uint32_t checked = 0;

    if (!engine) cr_skip_test("HEARTH_GEMMA3_270M does not name the model file");
    json_array_foreach(json_object_get(expect, "greedy"), i, row)
    {
        const json_t *greedy = json_object_get(row, "greedy"), *gaps = json_object_get(row, "gaps");
        uint32_t ids[IDS_MAX], next = 0;
        struct engine_seq *s = NULL;
        cr_assert_eq(engine_seq_new(engine, &s), 0);
        feed(s, ids, take(json_object_get(row, "ids"), ids), keep_argmax, &next);
        for (size_t k = 0; k < json_array_size(greedy); k++) {
            if (json_number_value(json_array_get(gaps, k)) <= 0.25) break;
            cr_assert_eq(next, (uint32_t)json_integer_value(json_array_get(greedy, k)),
                         "text %zu, token %zu", i, k);
            checked++;
            feed(s, &next, 1, keep_argmax, &next);
        }
        engine_seq_free(s);
    }
    cr_assert_gt(checked, 80u, "most texts begin with clear choices: %u", checked);
}

struct likelihood {
    const uint32_t *ids;
    uint32_t n;
    double sum;
};

static void add_nll(void *context, uint32_t i, const float *logits)
{
    struct likelihood *l = context;
    double sum = 0;

    if (i + 1 >= l->n) return;
    const double top = (double)logits[argmax(logits)];
    for (uint32_t k = 0; k < engine_info(engine)->vocab; k++)
        sum += exp((double)logits[k] - top);
    l->sum -= (double)logits[l->ids[i + 1]] - top - log(sum);
}

Test(gemma3_270m, finds_real_text_as_likely_as_the_reference_does)
{
    const char *name;
    json_t *row;

    if (!engine) cr_skip_test("HEARTH_GEMMA3_270M does not name the model file");
    json_object_foreach(json_object_get(expect, "nll"), name, row)
    {
        uint32_t ids[IDS_MAX];
        struct likelihood l = { .ids = ids, .n = take(json_object_get(row, "ids"), ids) };
        struct engine_seq *s = NULL;
        cr_assert_eq(engine_seq_new(engine, &s), 0);
        feed(s, ids, l.n, add_nll, &l);
        cr_assert_float_eq(l.sum / (l.n - 1), json_number_value(json_object_get(row, "nll_mean")),
                           0.02, "%s: %g", name, l.sum / (l.n - 1));
        engine_seq_free(s);
    }
}
