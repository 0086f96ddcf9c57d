/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <math.h>
#include "tools/sim/world.h"

enum { NEVER = 1000000 };
static struct world w;
static const struct sched_config config = {
    .queue_max = 64, .running_max = 4, .step_target_ns = 40 * MS, .chunk_max = 128
};

static struct world_req *come(uint32_t app, enum sched_class class, uint32_t output)
{
    return world_come(&w, app, 100, class, 100, output, 1);
}

static uint32_t position(const struct world_req *r, uint32_t *ret_ms)
{
    uint32_t n, ms;

    sched_estimate(&w.s, &r->sched, &n, &ms);
    if (ret_ms) *ret_ms = ms;
    return n;
}

static void measure(void)
{
    (void)come(63, SCHED_INTERACTIVE, 50);
    world_plan(&w);
    while (w.s.n_reqs > 0)
        world_step(&w);
}

Test(sched_estimate, says_unknown_before_anything_was_measured)
{
    uint32_t ms = 7;

    world_init(&w, &config, 100);
    struct world_req *a = come(0, SCHED_INTERACTIVE, NEVER);
    cr_assert_eq(position(a, &ms), 0);
    cr_assert_eq(ms, 0);
    cr_assert_eq(sched_retry_ms(&w.s), 1000);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_estimate, an_empty_place_means_next_and_the_time_of_the_own_prompt)
{
    uint32_t ms;

    world_init(&w, &config, 100);
    measure();
    struct world_req *a = come(0, SCHED_INTERACTIVE, NEVER);
    cr_assert_eq(position(a, &ms), 0);
    cr_assert_leq(fabs(ms - 61.0), 2, "100 * 0.5 + 11 ms, not %u", ms);
    cr_assert_eq(position(come(1, SCHED_INTERACTIVE, NEVER), NULL), 0,
                 "there is a place for it, too");
    world_plan(&w);
    cr_assert_eq(position(a, NULL), 0);
    world_step(&w);
    world_step(&w);
    cr_assert_eq(position(a, &ms), 0);
    cr_assert_eq(ms, 0, "it has its first token");
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_estimate, knows_that_one_has_to_end_first_and_that_a_prompt_beside_answers_is_slower)
{
    uint32_t alone, beside, full;

    world_init(&w, &config, 100);
    measure(); /* a request takes 0.6 s */
    struct world_req *a = world_come(&w, 9, 100, SCHED_INTERACTIVE, 1000, NEVER, 1);
    cr_assert_eq(position(a, &alone), 0);
    cr_assert_leq(fabs(alone - 511.0), 5, "%u", alone);
    world_gone(&w, a);
    (void)come(0, SCHED_INTERACTIVE, NEVER);
    world_plan(&w);
    a = world_come(&w, 9, 100, SCHED_INTERACTIVE, 1000, NEVER, 1);
    cr_assert_eq(position(a, &beside), 0);
    cr_assert_leq(fabs(beside - (500 + 18 * 11.0)), 10, "18 steps, not %u ms", beside);
    world_gone(&w, a);
    for (uint32_t i = 1; i < 4; i++)
        (void)come(i, SCHED_INTERACTIVE, NEVER);
    world_plan(&w);
    a = world_come(&w, 9, 100, SCHED_INTERACTIVE, 1000, NEVER, 1);
    cr_assert_eq(position(a, &full), 0, "it is the next");
    cr_assert_leq(fabs(full - beside - 600.0), 60, "%u", full);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_estimate, grows_with_the_position_in_the_queue)
{
    struct world_req *r[40];

    world_init(&w, &config, 100);
    measure();
    for (uint32_t i = 0; i < 4; i++)
        (void)come(i, SCHED_INTERACTIVE, NEVER);
    world_plan(&w);
    for (uint32_t i = 0; i < 40; i++)
        r[i] = come(i % 10, SCHED_INTERACTIVE, NEVER);
    world_step(&w);
    uint64_t seen = 0;
    for (int i = 0; i < 40; i++) {
        uint32_t ms;
        const uint32_t n = position(r[i], &ms);
        if (r[i]->sched.state == SCHED_RUNNING) continue;
        cr_assert_lt(n, 40);
        cr_assert_not(seen >> n & 1, "two at position %u", n);
        seen |= UINT64_C(1) << n;
        for (int k = 0; k < 40; k++) {
            uint32_t other_ms;
            if (r[k]->sched.state == SCHED_RUNNING) continue;
            if (position(r[k], &other_ms) > n) cr_assert_gt(other_ms, ms);
        }
    }
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_estimate, is_the_order_in_which_places_are_given)
{
    struct world_req *r[12];
    uint32_t n_before = 0;

    world_init(&w, &config, 100);
    for (uint32_t i = 0; i < 4; i++)
        (void)come(20, SCHED_REALTIME, 30);
    world_plan(&w);
    for (uint32_t i = 0; i < 12; i++)
        r[i] = come(i < 6 ? 0 : i - 5, SCHED_REALTIME, 1);
    for (int i = 0; i < 12; i++)
        if (position(r[i], NULL) < 4) n_before++;
    cr_assert_eq(n_before, 4);
    cr_assert_eq(position(r[0], NULL), 0);
    cr_assert_gt(position(r[1], NULL), 5, "the second of an app comes after the first of each");
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_estimate, a_lower_class_is_behind_all_of_a_higher_one)
{
    world_init(&w, &config, 100);
    (void)come(0, SCHED_INTERACTIVE, NEVER);
    (void)come(1, SCHED_REALTIME, NEVER);
    world_plan(&w);
    cr_assert_eq(position(come(2, SCHED_BACKGROUND, NEVER), NULL), 2);
    cr_assert_eq(position(come(3, SCHED_BACKGROUND, NEVER), NULL), 3, "the places are not for it");
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_estimate, a_full_queue_is_retried_when_a_request_may_have_ended)
{
    world_init(&w, &config, 100);
    (void)come(0, SCHED_INTERACTIVE, 1000);
    (void)come(0, SCHED_INTERACTIVE, 500);
    world_plan(&w);
    for (int i = 0; i < 10; i++)
        world_step(&w);
    cr_assert_leq(fabs(sched_retry_ms(&w.s) - 490 * 11.5), 200, "%u", sched_retry_ms(&w.s));
    measure();
    cr_assert_leq(sched_retry_ms(&w.s), 60000);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
    world_init(&w, &config, 100);
    measure(); /* one of 50 ms + 50 * 11 ms */
    cr_assert_leq(fabs(sched_retry_ms(&w.s) - 600.0), 30);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}
