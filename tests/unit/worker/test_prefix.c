/* SPDX-License-Identifier: Apache-2.0 */
/* The prefix cache on a tiny model: what is found, by whom, and that it changes no answer. */
#include <criterion/criterion.h>
#include <string.h>
#include "tests/unit/worker/seq_run.h"
#include "worker/prefix.h"

#define LONG_TEXT                                                                                  \
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "    \
    "sixteen"

static struct seq_model model;
static struct prefix_cache cache;

static void open_all(void)
{
    seq_run_open(&model, "g3-basic", 512, 64 << 20);
    prefix_init(&cache);
}

static void close_all(void)
{
    prefix_deinit(&cache);
    cr_assert_eq(engine_pages_used(model.engine), 0, "a dropped prefix holds no pages");
    seq_run_close(&model);
}

TestSuite(prefix, .init = open_all, .fini = close_all);

/*
 * Ask as @owner through the cache, keep what was computed. Return: tokens that were found.
 * The window of this model has 16 positions: what goes on where an entry ends finds it, what turns off earlier does not. So the
 * answers that are kept have one token, which is never processed.
 */
static uint32_t ask_as(uint64_t owner, bool shareable, const char *text, struct seq_run_answer *ret)
{
    const struct seq_run_ask ask = { .text = text, .max_tokens = 1 };
    struct seq *q = NULL;

    (void)seq_run_new(&model, &ask, 1, &q, NULL);
    q->owner = owner;
    q->shareable = shareable;
    const uint32_t found = prefix_use(&cache, q);
    seq_run_steps(&model, &q, 1, 16, ret);
    cr_assert_eq(ret->prefilled + found, q->n_prompt, "what was found is not computed again");
    prefix_keep(&cache, q);
    seq_free(q);
    return found;
}

Test(prefix, a_hit_changes_no_answer)
{
    const struct seq_run_ask ask = { .text = LONG_TEXT ", and so on", .max_tokens = 12 };
    struct seq_run_answer cold, warm;
    struct seq *q = NULL;

    seq_run_one(&model, &ask, 16, &cold);
    (void)ask_as(1, false, LONG_TEXT, &warm);
    (void)seq_run_new(&model, &ask, 1, &q, NULL);
    q->owner = 1;
    cr_assert_gt(prefix_use(&cache, q), PREFIX_LEAST);
    seq_run_steps(&model, &q, 1, 16, &warm);
    seq_free(q);
    cr_assert_eq(cold.n, warm.n);
    cr_assert_arr_eq(cold.id, warm.id, cold.n * sizeof(cold.id[0]));
}

Test(prefix, tokens_of_another_level_are_not_taken)
{
    struct seq_run_answer a;
    const struct seq_run_ask ask = { .text = LONG_TEXT ", and", .max_tokens = 1 };
    struct level other = engine_levels(model.engine)->row[0];
    struct seq *q = NULL;

    (void)ask_as(1, false, LONG_TEXT, &a);
    (void)seq_run_new(&model, &ask, 1, &q, NULL);
    q->owner = 1;
    q->span[0].level = &other;
    cr_assert_eq(prefix_use(&cache, q), 0);
    seq_free(q);
}

Test(prefix, nobody_finds_what_another_owner_asked)
{
    struct seq_run_answer a;

    (void)ask_as(1, false, LONG_TEXT, &a);
    cr_assert_eq(ask_as(2, false, LONG_TEXT, &a), 0);
    cr_assert_eq(ask_as(3, true, LONG_TEXT, &a), 0, "shareable prompts do not find private ones");
    cr_assert_gt(ask_as(4, true, LONG_TEXT ", and", &a), 0, "but each other's");
    cr_assert_eq(ask_as(5, false, LONG_TEXT, &a), 0, "and private ones do not find shareable ones");
}

Test(prefix, short_beginnings_are_not_kept)
{
    struct seq_run_answer a;

    (void)ask_as(1, false, "hi", &a);
    cr_assert_eq(cache.n, 0);
}

Test(prefix, what_is_the_beginning_of_a_newer_one_is_dropped)
{
    struct seq_run_answer a;

    (void)ask_as(1, false, LONG_TEXT, &a);
    (void)ask_as(1, false, LONG_TEXT ", and", &a);
    cr_assert_eq(cache.n, 1);
    (void)ask_as(2, false, LONG_TEXT, &a);
    cr_assert_eq(cache.n, 2, "of the same owner only");
}

Test(prefix, the_least_recently_used_goes_first)
{
    struct seq_run_answer a;

    (void)ask_as(1, false, LONG_TEXT, &a);
    (void)ask_as(2, false, LONG_TEXT, &a);
    cr_assert(prefix_drop(&cache));
    cr_assert_eq(ask_as(1, false, LONG_TEXT, &a), 0, "owner 1 asked before owner 2");
    cr_assert_gt(ask_as(2, false, LONG_TEXT ", and", &a), 0);
    while (prefix_drop(&cache))
        ;
    cr_assert_eq(prefix_pages(&cache), 0);
    cr_assert_not(prefix_drop(&cache));
}

Test(prefix, entries_have_a_limit)
{
    struct seq_run_answer a;

    for (uint64_t owner = 1; owner <= PREFIX_ENTRIES_MAX + 2; owner++)
        (void)ask_as(owner, false, LONG_TEXT, &a);
    cr_assert_eq(cache.n, PREFIX_ENTRIES_MAX);
    cr_assert_eq(ask_as(2, false, LONG_TEXT, &a), 0, "the oldest were dropped");
}

Test(prefix, a_snapshot_serves_what_the_window_has_left)
{
    const struct seq_run_ask ask = { .text = LONG_TEXT " " LONG_TEXT " " LONG_TEXT,
                                     .max_tokens = 2 };
    struct seq_run_answer a;
    struct seq *q = NULL;

    (void)seq_run_new(&model, &ask, 1, &q, NULL);
    const uint32_t at = q->n_prompt / 2;
    cr_assert_gt(at, PREFIX_LEAST);
    q->snapshot_at = at;
    while (engine_seq_length(q->kv) < at) {
        struct engine_item item;
        seq_item(q, 16, engine_levels(model.engine)->row, &item);
        cr_assert_leq(engine_seq_length(q->kv) + item.n, at, "a step does not go past the place");
        cr_assert_eq(engine_step(model.engine, &item, 1, NULL), 0);
        seq_processed(q, item.level);
    }
    prefix_snapshot(&cache, q);
    cr_assert_eq(q->snapshot_at, 0);
    seq_run_steps(&model, &q, 1, 16, &a);
    seq_free(q);
    cr_assert_eq(cache.n, 1);
    (void)seq_run_new(&model, &ask, 2, &q, NULL);
    cr_assert_eq(prefix_use(&cache, q), at);
    seq_free(q);
}

Test(prefix, a_snapshot_that_nobody_asked_for_is_the_first_to_go)
{
    const struct seq_run_ask ask = { .text = "zero " LONG_TEXT, .max_tokens = 1 };
    struct seq_run_answer a;
    struct seq *q = NULL;

    (void)ask_as(1, false, LONG_TEXT, &a);
    (void)seq_run_new(&model, &ask, 1, &q, NULL);
    seq_run_steps(&model, &q, 1, 16, &a);
    q->snapshot_guess = true;
    prefix_snapshot(&cache, q);
    seq_free(q);
    cr_assert_eq(cache.n, 2);
    cr_assert(prefix_drop(&cache));
    cr_assert_gt(ask_as(1, false, LONG_TEXT, &a), 0, "the older one is still there");
}

Test(prefix, where_the_window_has_moved_on_a_snapshot_is_asked_for)
{
    struct seq_run_answer a;
    const struct seq_run_ask ask = { .text = LONG_TEXT ", x", .max_tokens = 2 };
    struct seq *q = NULL;

    (void)ask_as(1, false, LONG_TEXT " " LONG_TEXT " " LONG_TEXT " " LONG_TEXT, &a);
    (void)seq_run_new(&model, &ask, 1, &q, NULL);
    q->owner = 1;
    const uint32_t found = prefix_use(&cache, q);
    cr_assert_eq(found, 0, "the window of the long one is elsewhere");
    cr_assert_gt(q->snapshot_at, PREFIX_LEAST);
    seq_free(q);
}

Test(prefix, under_a_limit_the_least_recently_used_are_dropped_and_none_comes_in)
{
    struct seq_run_answer a;

    (void)ask_as(1, false, LONG_TEXT, &a);
    const uint32_t one = prefix_pages(&cache);
    (void)ask_as(1, false, "zero " LONG_TEXT, &a);
    cr_assert_eq(cache.n, 2);
    prefix_limit(&cache, prefix_pages(&cache) - one);
    cr_assert_eq(cache.n, 1);
    cr_assert_eq(ask_as(1, false, LONG_TEXT, &a), 0, "it was the older one");
    prefix_limit(&cache, 0);
    cr_assert_eq(cache.n, 0);
    (void)ask_as(1, false, LONG_TEXT, &a);
    cr_assert_eq(cache.n, 0, "nothing is kept");
    prefix_limit(&cache, UINT32_MAX);
    (void)ask_as(1, false, LONG_TEXT, &a);
    cr_assert_gt(ask_as(1, false, LONG_TEXT, &a), 0, "and all is as before");
}
