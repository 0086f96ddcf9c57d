/* SPDX-License-Identifier: Apache-2.0 */
/* Pages: who fits, who gives up its KV. */
#include <criterion/criterion.h>
#include "tools/sim/world.h"

enum { NEVER = 1000000 };
static struct world w;

static void begin(uint32_t running_max, uint32_t pages)
{
    const struct sched_config config = {
        .queue_max = 256, .running_max = running_max, .step_target_ns = 40 * MS, .chunk_max = 128
    };

    world_init(&w, &config, pages);
}

static struct world_req *come(uint32_t app, enum sched_class class, uint32_t prompt, uint32_t pages)
{
    return world_come(&w, app, 100, class, prompt, NEVER, pages);
}

static void steps(int n)
{
    for (int i = 0; i < n; i++)
        world_step(&w);
}

static bool evicts(const struct world_req *r)
{
    for (size_t i = 0; i < w.plan.n_evict; i++)
        if (w.plan.evict[i] == &r->sched) return true;
    return false;
}

Test(sched_pick, who_does_not_fit_waits_and_small_ones_do_not_overtake_it)
{
    begin(8, 100);
    struct world_req *a = come(0, SCHED_INTERACTIVE, 10, 60);
    world_plan(&w);
    struct world_req *b = come(0, SCHED_INTERACTIVE, 10, 60);
    struct world_req *c = come(0, SCHED_INTERACTIVE, 10, 10);
    struct world_req *low = come(1, SCHED_BACKGROUND, 10, 10);
    steps(30);
    cr_assert(world_planned(&w, a));
    cr_assert_eq(b->sched.state, SCHED_QUEUED, "60 + 60 > 100");
    cr_assert_eq(c->sched.state, SCHED_QUEUED);
    cr_assert_eq(low->sched.state, SCHED_QUEUED);
    world_gone(&w, a);
    world_plan(&w);
    cr_assert(world_planned(&w, b) && world_planned(&w, c));
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_pick, a_higher_class_takes_the_pages_of_the_lowest_and_youngest_first)
{
    begin(8, 100);
    struct world_req *low1 = come(0, SCHED_BACKGROUND, 10, 30);
    struct world_req *low2 = come(1, SCHED_BACKGROUND, 10, 30);
    struct world_req *low3 = come(2, SCHED_BACKGROUND, 10, 10);
    steps(5);
    struct world_req *mid = come(3, SCHED_INTERACTIVE, 10, 30);
    steps(5);
    cr_assert_eq(w.n_evicted, 0, "30 pages are free");
    const uint32_t made = low3->sched.output_tokens;
    cr_assert_gt(made, 0);
    struct world_req *high = come(4, SCHED_REALTIME, 10, 40);
    world_plan(&w);
    cr_assert(world_planned(&w, high));
    cr_assert_eq(w.plan.n_evict, 2);
    cr_assert(evicts(low3) && evicts(low2), "not the oldest, not the interactive one");
    cr_assert_eq(low1->sched.state, SCHED_PARKED);
    cr_assert_eq(mid->sched.state, SCHED_PARKED);
    cr_assert_eq(low3->sched.state, SCHED_QUEUED);
    cr_assert_eq(low3->sched.pages, 0);
    cr_assert_eq(low3->sched.prefilled_tokens, 0);
    cr_assert_eq(low3->sched.given_tokens, 10 + made, "a replay brings the answer so far");
    cr_assert_not(world_plan(&w), "evicted once");
    world_gone(&w, high);
    world_gone(&w, mid);
    steps(5);
    cr_assert_gt(low3->sched.output_tokens, made, "it goes on");
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_pick, nobody_is_evicted_in_vain)
{
    begin(8, 100);
    struct world_req *high = come(0, SCHED_REALTIME, 10, 80);
    world_plan(&w);
    (void)high;
    struct world_req *low = come(1, SCHED_BACKGROUND, 10, 15);
    for (int i = 0; i < 200 && low->sched.pages == 0; i++)
        world_step(&w);
    cr_assert_eq(low->sched.pages, 15, "it was paid");
    struct world_req *mid = come(2, SCHED_INTERACTIVE, 10, 30); /* 80 stay: no room in any case */
    steps(200);
    cr_assert_eq(w.n_evicted, 0);
    cr_assert_eq(mid->sched.state, SCHED_QUEUED);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_pick, many_small_ones_are_evicted_over_several_plans)
{
    begin(64, 200);
    for (uint32_t i = 0; i < 64; i++)
        (void)come(i, SCHED_BACKGROUND, 1, 1);
    steps(20);
    for (uint32_t i = 0; i < 64; i++)
        (void)come(i, SCHED_INTERACTIVE, 1, 1);
    steps(20);
    struct world_req *high = come(0, SCHED_REALTIME, 1, 200);
    world_plan(&w);
    cr_assert_eq(w.plan.n_evict, SCHED_PLAN_MAX);
    world_plan(&w);
    cr_assert_eq(w.plan.n_evict, 64);
    cr_assert(world_planned(&w, high));
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_pick, an_app_does_not_evict_its_own_requests_of_the_class)
{
    begin(1, 100);
    (void)come(0, SCHED_INTERACTIVE, 10, 60);
    world_plan(&w);
    (void)come(0, SCHED_INTERACTIVE, 10, 60);
    steps(2000);
    cr_assert_eq(w.n_evicted, 0);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_pick, within_a_class_eviction_waits_for_a_slice_and_the_cost_of_it)
{
    begin(8, 100);
    struct world_req *a = come(0, SCHED_INTERACTIVE, 1000, 60); /* 0.5 s to compute again */
    world_plan(&w);
    (void)come(1, SCHED_INTERACTIVE, 10, 60);
    while (w.n_evicted == 0)
        world_step(&w);
    cr_assert(evicts(a));
    cr_assert_gt(a->sched.engine_ns, SCHED_SLICE_NS + 500 * MS);
    cr_assert_lt(a->sched.engine_ns, SCHED_SLICE_NS + 600 * MS);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_pick, a_quota_of_pages_limits_its_app_and_hinders_nobody_else)
{
    struct world_req *a[4];

    begin(8, 100);
    struct world_req *low = come(1, SCHED_BACKGROUND, 10, 40); /* not the app's: it need not go */
    steps(3);
    for (int i = 0; i < 4; i++) {
        a[i] = come(0, SCHED_INTERACTIVE, 10, 20);
        a[i]->sched.pages_quota = 50;
    }
    struct world_req *b = come(1, SCHED_INTERACTIVE, 10, 20);
    steps(20);
    cr_assert_eq(low->sched.pages, 40);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(world_planned(&w, a[i]), i < 2, "%d", i);
    cr_assert(world_planned(&w, b));
    world_gone(&w, a[0]);
    world_plan(&w);
    cr_assert(world_planned(&w, a[2]));
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_pick, within_a_quota_the_own_lower_class_gives_way)
{
    begin(8, 100);
    struct world_req *low = come(0, SCHED_BACKGROUND, 10, 40);
    struct world_req *other = come(1, SCHED_BACKGROUND, 10, 40);
    steps(3);
    struct world_req *high = come(0, SCHED_INTERACTIVE, 10, 20);
    low->sched.pages_quota = high->sched.pages_quota = 50;
    world_plan(&w);
    cr_assert(world_planned(&w, high));
    cr_assert(evicts(low));
    cr_assert_not(evicts(other), "the younger, but not of this app");
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_pick, within_an_app_who_holds_pages_goes_on_first)
{
    begin(2, 100);
    struct world_req *older = come(0, SCHED_INTERACTIVE, 10, 10);
    struct world_req *younger = come(0, SCHED_INTERACTIVE, 10, 10);
    steps(3);
    sched_reopen(&w.s, &older->sched);
    struct sched_config c = w.s.config;
    c.running_max = 1;
    sched_configure(&w.s, &c);
    struct world_req *b = come(1, SCHED_INTERACTIVE, 10, 10);
    while (!world_planned(&w, b))
        world_step(&w);
    cr_assert_eq(younger->sched.state, SCHED_PARKED);
    sched_opened(&w.s, &older->sched, 10, 0, 12, NEVER, 10);
    world_gone(&w, b);
    world_plan(&w);
    cr_assert(world_planned(&w, younger));
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_pick, a_paused_request_keeps_its_pages_and_leaves_its_place_to_others)
{
    begin(1, 100);
    struct world_req *a = come(0, SCHED_INTERACTIVE, 10, 10);
    steps(5);
    struct world_req *b = come(0, SCHED_INTERACTIVE, 10, 10);
    a->sched.paused = true;
    cr_assert(world_plan(&w));
    cr_assert(world_planned(&w, b) && !world_planned(&w, a));
    cr_assert_eq(a->sched.state, SCHED_PARKED);
    cr_assert_eq(a->sched.pages, 10);
    world_gone(&w, b);
    cr_assert(world_plan(&w));
    cr_assert_eq(w.plan.n, 0);
    a->sched.paused = false;
    world_plan(&w);
    cr_assert(world_planned(&w, a));
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_pick, a_pause_is_not_saved_up)
{
    begin(1, 100);
    struct world_req *a = come(0, SCHED_INTERACTIVE, 10, 10);
    (void)come(1, SCHED_INTERACTIVE, 10, 10);
    steps(10);
    a->sched.paused = true;
    steps(1000);
    a->sched.paused = false;
    const uint64_t a_ns = w.app_ns[0], b_ns = w.app_ns[1];
    steps(400);
    cr_assert_gt((w.app_ns[1] - b_ns) * 10, (w.app_ns[0] - a_ns) * 8);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_pick, requests_that_pause_and_go_on_at_any_time_do_no_harm)
{
    static struct world_req *r[120];

    begin(5, 400);
    for (uint32_t i = 0; i < 120; i++)
        r[i] = come(i % 7, i % 3 ? SCHED_INTERACTIVE : SCHED_BACKGROUND, 1 + i, 1 + i % 9);
    for (int i = 0; i < 3000; i++) {
        for (uint32_t k = world_random(&w, 30); k > 0; k--)
            r[world_random(&w, 120)]->sched.paused = world_random(&w, 2);
        world_step(&w);
    }
    for (uint32_t i = 0; i < 120; i++)
        r[i]->sched.paused = false;
    steps(50);
    cr_assert_gt(w.plan.n, 0);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_pick, what_can_never_fit_waits_and_hinders_nobody)
{
    begin(8, 100);
    struct world_req *huge = come(0, SCHED_REALTIME, 10, 101);
    struct world_req *over = come(1, SCHED_REALTIME, 10, 30);
    over->sched.pages_quota = 29;
    struct world_req *a = come(2, SCHED_BACKGROUND, 10, 100);
    steps(10);
    cr_assert(world_planned(&w, a));
    cr_assert_eq(huge->sched.state, SCHED_QUEUED);
    cr_assert_eq(over->sched.state, SCHED_QUEUED);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_pick, an_app_far_ahead_is_cut_to_one_place_while_others_have_work)
{
    uint32_t most_late = 0;

    begin(16, 100);
    struct world_req *b = come(1, SCHED_INTERACTIVE, 10, 1);
    for (int i = 0; i < 10; i++)
        (void)come(0, SCHED_INTERACTIVE, 10, 1);
    world_plan(&w);
    cr_assert_eq(w.plan.n, 11, "all, at first");
    for (int i = 0; i < 500; i++) {
        world_step(&w);
        if (i >= 400 && w.plan.n > most_late) most_late = (uint32_t)w.plan.n;
        cr_assert(world_planned(&w, b));
    }
    cr_assert_eq(most_late, 2);
    world_gone(&w, b);
    world_plan(&w);
    cr_assert_eq(w.plan.n, 10, "alone it has them again");
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}
