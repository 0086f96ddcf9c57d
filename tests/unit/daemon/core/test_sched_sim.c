/* SPDX-License-Identifier: Apache-2.0 */
/* What the scheduler promises, over thousands of steps. tools/sim/world.c checks each plan besides. */
#include <criterion/criterion.h>
#include <math.h>
#include "tools/sim/world.h"

static const struct sched_config config = {
    .queue_max = 256, .running_max = 8, .step_target_ns = 40 * MS, .chunk_max = 128
};
static struct world w; /* large */

enum { POOL = 4096, NEVER = 1000000 };

static double jain(const uint64_t *x, size_t n)
{
    double sum = 0, squares = 0;

    for (size_t i = 0; i < n; i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
    }
    return sum * sum / ((double)n * squares);
}

/* Whoever ends is followed by the same again. */
static void again(struct world *x, const struct world_req *r)
{
    (void)world_come(x, r->app, r->weight, r->sched.class, r->prompt, r->output, r->pages_most);
}

/* ---- fairness ---- */

static void eight_apps(uint32_t running_max, uint32_t prompt, uint32_t output)
{
    struct sched_config c = config;

    c.running_max = running_max;
    world_init(&w, &c, POOL);
    w.hooks.ended = again;
    for (uint32_t app = 0; app < 8; app++)
        for (uint32_t i = 0; i < (app == 3 ? 40 : 1); i++)
            cr_assert(world_come(&w, app, 100, SCHED_INTERACTIVE, prompt, output, 10));
    for (int i = 0; i < 20000; i++)
        world_step(&w);
    cr_assert_geq(jain(w.app_ns, 8), 0.95, "%u places, %u+%u tokens: %f", running_max, prompt,
                  output, jain(w.app_ns, 8));
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_sim, an_app_with_forty_requests_gets_no_more_than_an_app_with_one)
{
    static const uint32_t places[] = { 1, 3, 8, 16, 64 };

    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        eight_apps(places[i], 50, 100);
        eight_apps(places[i], 900, 10);
        eight_apps(places[i], 10, 4000);
    }
}

Test(sched_sim, short_and_long_requests_share_alike)
{
    static const uint32_t places[] = { 1, 2, 4 };

    for (size_t k = 0; k < 3; k++) {
        struct sched_config c = config;
        c.running_max = places[k];
        world_init(&w, &c, POOL);
        w.hooks.ended =
            again; /* one request after another: none of the apps has one that waits all the time */
        for (uint32_t app = 0; app < 8; app++)
            (void)world_come(&w, app, 100, SCHED_INTERACTIVE, 20 + 200 * app, 5 + 40 * app, 10);
        for (int i = 0; i < 40000; i++)
            world_step(&w);
        cr_assert_geq(jain(w.app_ns, 8), 0.95, "%u places: %f", places[k], jain(w.app_ns, 8));
        cr_assert(world_deinit(&w), "%s", w.broken.text);
    }
}

Test(sched_sim, weights_divide_the_time_within_five_percent)
{
    static const uint32_t weight[] = { 1, 2, 4 }, places[] = { 1, 2, 7, 16 };

    for (size_t k = 0; k < 4; k++) {
        struct sched_config c = config;
        c.running_max = places[k];
        world_init(&w, &c, POOL);
        for (uint32_t app = 0; app < 3; app++)
            for (uint32_t i = 0; i < 12; i++)
                (void)world_come(&w, app, weight[app], SCHED_INTERACTIVE, 20 + 10 * app, NEVER, 10);
        for (int i = 0; i < 40000; i++)
            world_step(&w);
        for (uint32_t app = 0; app < 3; app++) {
            const double part = (double)w.app_ns[app] / (double)w.took_ns;
            cr_assert_lt(fabs(part / (weight[app] / 7.0) - 1), 0.05, "%u places, weight %u: %f",
                         places[k], weight[app], part);
        }
        cr_assert(world_deinit(&w), "%s", w.broken.text);
    }
}

/* ---- classes ---- */

static void full_load(uint32_t running_max, uint32_t n_higher, bool realtime, bool lags,
                      uint32_t prompt)
{
    struct sched_config c = config;

    c.running_max = running_max;
    world_init(&w, &c, POOL);
    w.hooks.ended = again;
    w.lags = lags;
    for (uint32_t i = 0; i < n_higher; i++)
        (void)world_come(&w, 1 + i, 100, realtime ? SCHED_REALTIME : SCHED_INTERACTIVE, 100, 200,
                         8);
    (void)world_come(&w, 0, 100, SCHED_BACKGROUND, prompt, 300, 100);
    (void)world_come(&w, 60, 100, realtime ? SCHED_INTERACTIVE : SCHED_BACKGROUND, prompt, 300,
                     100);
    for (int i = 0; i < 20000; i++)
        world_step(&w);
    const double part = (double)w.class_ns[SCHED_BACKGROUND] / (double)w.took_ns;
    cr_assert_geq(part, 0.05, "%u places, %u requests, %d %d, prompt %u: %f", running_max, n_higher,
                  realtime, lags, prompt, part);
    cr_assert_leq(part, 0.13, "%u places, %u requests, %d %d, prompt %u: %f", running_max, n_higher,
                  realtime, lags, prompt, part);
    if (realtime) cr_assert_geq((double)w.class_ns[SCHED_INTERACTIVE], 0.05 * (double)w.took_ns);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_sim, background_keeps_a_twentieth_of_the_time_under_full_load)
{
    static const uint32_t places[] = { 1, 2, 8, 64 }, higher[] = { 1, 4, 40 };

    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < 3; k++)
            for (int how = 0; how < 4; how++) {
                full_load(places[i], higher[k], how & 1, how & 2, 40);
                full_load(places[i], higher[k], how & 1, how & 2, 3000);
            }
}

Test(sched_sim, a_higher_class_waits_for_a_lower_one_no_longer_than_a_step)
{
    struct sched_config c = config;
    uint32_t missed = 0, n_alone = 0;

    c.running_max = 1;
    world_init(&w, &c, POOL);
    struct world_req *high = world_come(&w, 1, 100, SCHED_INTERACTIVE, 50, NEVER, 10);
    (void)world_come(&w, 0, 100, SCHED_BACKGROUND, 500000, 10, 100);
    for (int i = 0; i < 20000; i++) {
        const uint64_t from_ns = w.now_ns;
        world_step(&w);
        missed = world_planned(&w, high) ? 0 : missed + 1;
        n_alone += missed;
        cr_assert_leq(missed, 1, "step %d", i);
        cr_assert_leq(w.now_ns - from_ns, config.step_target_ns, "and that step is a short one");
    }
    cr_assert_gt(n_alone, 100, "it did have to wait");
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_sim, an_interactive_arrival_is_in_the_next_plan)
{
    world_init(&w, &config, POOL);
    w.hooks.ended = again;
    for (uint32_t i = 0; i < 20; i++)
        (void)world_come(&w, i % 5, 100, SCHED_BACKGROUND, 4000, 50, 300); /* more than the pool */
    for (int i = 0; i < 4000; i++) {
        world_step(&w);
        if (world_random(&w, 20) != 0) continue;
        struct world_req *r =
            world_come(&w, 10 + world_random(&w, 4), 100, SCHED_INTERACTIVE,
                       1 + world_random(&w, 300), NEVER, 1 + world_random(&w, 900));
        cr_assert(world_plan(&w));
        cr_assert(world_planned(&w, r), "step %d", i);
        for (int k = world_random(&w, 30); k > 0; k--)
            world_step(&w);
        world_gone(&w, r);
    }
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

/* ---- everything at once ---- */

static uint64_t ended_of[SCHED_CLASSES], longest_steps;

static void note_end(struct world *x, const struct world_req *r)
{
    ended_of[r->sched.class]++;
    if (x->step - r->arrived_step > longest_steps) longest_steps = x->step - r->arrived_step;
}

/* Bursts of everything, then silence until all have ended. */
static void storm(bool lags, uint32_t pool, uint64_t seed)
{
    world_init(&w, &config, pool);
    w.lags = lags;
    w.random += seed;
    w.hooks.ended = note_end;
    uint64_t n_came = 0, n_refused = 0;
    for (int i = 0; i < 3000; i++) {
        for (uint32_t k = world_random(&w, 40) == 0 ? world_random(&w, 20) : 0; k > 0; k--) {
            const uint32_t class = world_random(&w, 10);
            struct world_req *r = world_come(&w, world_random(&w, 12), 1 + world_random(&w, 300),
                                             class == 0  ? SCHED_REALTIME
                                             : class < 6 ? SCHED_INTERACTIVE
                                                         : SCHED_BACKGROUND,
                                             1 + world_random(&w, 700), 1 + world_random(&w, 60),
                                             1 + world_random(&w, pool));
            n_came += r != NULL;
            n_refused += r == NULL;
            cr_assert_leq(w.s.n_reqs, config.queue_max);
        }
        if (world_random(&w, 50) == 0) {
            struct world_req *r = &w.req[world_random(&w, 64)];
            n_came -= r->used;
            if (r->used) world_gone(&w, r);
        }
        world_step(&w);
    }
    for (int i = 0; i < 400000 && w.s.n_reqs > 0; i++)
        world_step(&w);
    cr_assert_eq(w.s.n_reqs, 0, "nobody starves: %u wait, %u of them run", w.s.n_reqs,
                 w.s.n_state[SCHED_RUNNING]);
    cr_assert_eq(w.n_ended, n_came);
    cr_assert_eq(w.charged_ns, w.took_ns);
    cr_assert_gt(n_refused, 0, "the queue was full at times");
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_sim, a_storm_ends_with_everybody_served_and_all_time_charged)
{
    for (uint64_t seed = 0; seed < 6; seed++)
        storm(seed & 1, seed < 4 ? 100 : 40, seed);
    for (size_t c = 0; c < SCHED_CLASSES; c++)
        cr_assert_gt(ended_of[c], 100);
}

Test(sched_sim, two_apps_that_do_not_fit_together_both_get_on)
{
    world_init(&w, &config, 100);
    w.hooks.ended = note_end;
    for (uint32_t app = 0; app < 2; app++)
        (void)world_come(&w, app, 100, SCHED_INTERACTIVE, 2000, 3000, 60);
    uint64_t last = 0, closest = UINT64_MAX, seen = 0;
    while (w.s.n_reqs > 0 && w.step < 100000) {
        world_step(&w);
        if (w.n_evicted == seen) continue;
        if (seen > 0 && w.now_ns - last < closest) closest = w.now_ns - last;
        seen = w.n_evicted;
        last = w.now_ns;
    }
    cr_assert_eq(w.n_ended, 2);
    cr_assert_gt(seen, 1, "they take turns");
    cr_assert_geq(closest, 2 * SCHED_SLICE_NS, "but not before the other has got on");
    const double useful_ns = 2 * (2000 * 0.5e6 + 3000 * 11e6);
    cr_assert_lt((double)w.took_ns, 2.2 * useful_ns, "most of the work is not repeated");
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_sim, an_interactive_stream_and_background_settle_in_a_small_pool)
{
    world_init(&w, &config, 100);
    struct world_req *low = world_come(&w, 0, 100, SCHED_BACKGROUND, 300, 50, 80);
    world_plan(&w);
    for (int i = 0; i < 4000 && w.n_ended == 0; i++) {
        world_step(&w);
        if (i % 400 != 10) continue;
        struct world_req *r = world_come(&w, 1, 100, SCHED_INTERACTIVE, 30, NEVER, 40);
        world_plan(&w);
        cr_assert(world_planned(&w, r));
        for (int k = 0; k < 10; k++)
            world_step(&w);
        world_gone(&w, r);
    }
    cr_assert_eq(w.n_ended, 1, "it was evicted and has ended all the same");
    cr_assert_gt(w.n_evicted, 0);
    cr_assert_leq(w.n_evicted, 10, "once for each that came");
    (void)low;
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_sim, the_same_events_give_the_same_plans)
{
    uint64_t sum[2];

    for (int run = 0; run < 2; run++) {
        storm(true, 100, 7);
        sum[run] = w.took_ns * 31 + w.n_plans_sent * 7 + w.n_evicted;
    }
    cr_assert_eq(sum[0], sum[1]);
}

Test(sched_sim, a_steady_load_needs_few_new_plans)
{
    world_init(&w, &config, POOL);
    for (uint32_t app = 0; app < 6; app++)
        (void)world_come(&w, app, 100, SCHED_INTERACTIVE, 50, NEVER, 10);
    for (int i = 0; i < 100; i++)
        world_step(&w);
    const uint64_t before = w.n_plans_sent;
    for (int i = 0; i < 10000; i++)
        world_step(&w);
    cr_assert_leq(w.n_plans_sent - before, 100, "%zu plans", (size_t)(w.n_plans_sent - before));
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}
