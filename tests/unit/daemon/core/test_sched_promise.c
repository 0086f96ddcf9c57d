/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines: which are promised, and what a promise means for others. 10 ms + 1 ms a token to decode, 0.5 ms a prompt's token. */
#include <criterion/criterion.h>
#include <math.h>
#include "tools/sim/world.h"

static struct world w;
static const struct sched_config config = {
    .queue_max = 64, .running_max = 4, .step_target_ns = 40 * MS, .chunk_max = 128
};

static struct world_req *come(uint32_t app, enum sched_class class, uint32_t prompt,
                              uint32_t output)
{
    return world_come(&w, app, 100, class, prompt, output, 10);
}

/* A world in which costs are known, also of several answers at once, and nobody is there. */
static void begin(uint32_t pages)
{
    world_init(&w, &config, pages);
    (void)come(63, SCHED_INTERACTIVE, 300, 50);
    (void)come(63, SCHED_INTERACTIVE, 100, 20);
    world_plan(&w);
    while (w.s.n_reqs > 0)
        world_step(&w);
}

static int promise(struct world_req *r, uint64_t ms, struct sched_late *ret)
{
    struct sched_late late = { 77, 77 };
    const int e = sched_promise(&w.s, &r->sched, w.now_ns + ms * MS, w.now_ns, &late);

    if (ret) *ret = late;
    return e;
}

/* Until @r has ended. Return: when, from now [ms]. */
static uint64_t ms_until_done(struct world_req *r)
{
    const uint64_t from_ns = w.now_ns, serial = r->sched.serial;

    world_plan(&w);
    while (r->used && r->sched.serial == serial)
        world_step(&w);
    return (w.now_ns - from_ns) / MS;
}

static void end(void)
{
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_promise, nothing_is_promised_before_anything_was_measured)
{
    world_init(&w, &config, 100);
    struct world_req *a = come(0, SCHED_INTERACTIVE, 100, 10);
    cr_assert_eq(promise(a, 1, NULL), 0, "but it is not refused");
    cr_assert_eq(a->sched.due_ns, 0);
    end();
}

Test(sched_promise, alone_what_it_takes_is_promised_with_a_quarter_in_reserve)
{
    struct sched_late late;

    begin(100); /* 200 * 0.5 + 49 * 11 ms = 639 ms; a third of that, and two steps of 64 ms */
    struct world_req *a = come(0, SCHED_INTERACTIVE, 200, 50);
    cr_assert_eq(promise(a, 900, &late), SCHED_E_LATE);
    cr_assert_eq(a->sched.due_ns, 0);
    cr_assert_leq(fabs(late.expected_ms - (639 * 4 / 3.0 + 128)), 40, "%u ms", late.expected_ms);
    cr_assert_eq(late.retry_ms, 0, "it takes too long even alone: there is no use in trying again");
    cr_assert_eq(promise(a, 1050, NULL), 0);
    cr_assert_eq(a->sched.due_ns, w.now_ns + 1050 * MS);
    end();
}

Test(sched_promise, those_that_were_promised_before_count)
{
    struct sched_late late;
    struct world_req *r[8];
    int n = 0;

    begin(100); /* prompts take the engine alone: 500 ms each, one after the other */
    for (uint32_t i = 0; i < 8; i++) {
        r[i] = come(i, SCHED_INTERACTIVE, 1000, 1);
        if (promise(r[i], 2500, &late) == 0) {
            cr_assert_eq(n++, (int)i, "after one is refused all are");
            continue;
        }
        cr_assert_geq(late.expected_ms, 2500);
        cr_assert_geq(late.retry_ms, 100);
        cr_assert_leq(late.retry_ms, 2500);
        world_gone(&w, r[i]);
    }
    cr_assert_eq(n, 3, "three of them, not %d: 1,500 ms and a third, and 128 ms", n);
    const uint64_t retry_ns = w.now_ns + late.retry_ms * MS;
    world_plan(&w);
    while (w.now_ns < retry_ns)
        world_step(&w);
    cr_assert_eq(promise(come(9, SCHED_INTERACTIVE, 1000, 1), 2500, NULL), 0, "as it was told");
    for (int i = 0; i < 3; i++)
        if (r[i]->used) (void)ms_until_done(r[i]);
    cr_assert_leq(w.now_ns, SEC + 5 * SEC);
    end();
}

Test(sched_promise, one_that_would_make_an_earlier_one_pass_is_refused)
{
    begin(100);
    struct world_req *a = come(0, SCHED_BACKGROUND, 1000, 1);
    cr_assert_eq(promise(a, 900, NULL), 0);
    struct world_req *b = come(1, SCHED_REALTIME, 1000, 1);
    cr_assert_eq(promise(b, 700 + 200, NULL), SCHED_E_LATE,
                 "it goes before, and 500 ms is too much");
    world_gone(&w, b);
    struct world_req *c = come(1, SCHED_REALTIME, 60, 1);
    cr_assert_eq(promise(c, 700, NULL), 0, "30 ms is not");
    cr_assert_leq(ms_until_done(a), 900);
    end();
}

Test(sched_promise, what_higher_classes_have_to_do_counts)
{
    begin(100);
    (void)come(0, SCHED_REALTIME, 1000, 40); /* 500 + 39 * 11 ms, promised nothing */
    struct world_req *a = come(1, SCHED_INTERACTIVE, 100, 1);
    cr_assert_eq(promise(a, 1000, NULL), SCHED_E_LATE);
    cr_assert_eq(promise(a, 1600, NULL), 0);
    cr_assert_leq(ms_until_done(a), 1600);
    end();
}

Test(sched_promise, others_of_its_class_cannot_make_it_pass)
{
    begin(1000);
    for (uint32_t i = 0; i < 40; i++)
        (void)come(1 + i % 4, SCHED_INTERACTIVE, 500, 400);
    world_plan(&w);
    world_step(&w);
    struct world_req *a = come(0, SCHED_INTERACTIVE, 200, 20); /* 100 + 19 * 11 ms */
    const uint64_t others_ns = w.took_ns - w.app_ns[0];
    cr_assert_eq(promise(a, 2200, NULL), 0);
    cr_assert_leq(ms_until_done(a), 2200);
    cr_assert_gt(w.took_ns - w.app_ns[0], others_ns + 100 * MS,
                 "they run beside it as long as there is time");
    end();
}

Test(sched_promise, not_even_where_they_have_all_pages)
{
    begin(40);
    for (uint32_t i = 0; i < 4; i++)
        (void)come(1 + i, SCHED_INTERACTIVE, 100, 1000);
    world_plan(&w);
    world_step(&w);
    cr_assert_eq(w.s.pages_committed, 40);
    struct world_req *a = come(0, SCHED_INTERACTIVE, 200, 20);
    cr_assert_eq(promise(a, 2200, NULL), 0);
    cr_assert_leq(ms_until_done(a), 2200);
    cr_assert_gt(w.n_evicted, 0);
    end();
}

Test(sched_promise, the_pages_of_all_promises_are_there_at_once)
{
    struct sched_late late;

    begin(25);
    cr_assert_eq(promise(come(0, SCHED_INTERACTIVE, 10, 10), 60000, NULL), 0);
    cr_assert_eq(promise(come(1, SCHED_BACKGROUND, 10, 10), 60000, NULL), 0);
    cr_assert_eq(promise(come(2, SCHED_REALTIME, 10, 10), 60000, &late), SCHED_E_LATE);
    cr_assert_gt(late.retry_ms, 0);
    end();
}

Test(sched_promise, an_app_is_promised_no_more_than_its_share)
{
    int n[2] = { 0 };

    for (int others = 0; others < 2; others++) {
        begin(1000);
        for (uint32_t i = 0; others && i < 3; i++)
            (void)come(1 + i, SCHED_INTERACTIVE, 100, 100);
        while (promise(come(0, SCHED_INTERACTIVE, 1000, 1), 20000, NULL) == 0)
            n[others]++;
        end();
    }
    cr_assert_geq(n[0], 28, "500 ms each: 15 s of the 20 are promised, not %d", n[0]);
    cr_assert_leq(n[1], 10, "a quarter of 20 s beside three others, not %d", n[1]);
    cr_assert_geq(n[1], 8, "%d", n[1]);
}

Test(sched_promise, what_an_app_is_ahead_by_counts_but_not_against_who_was_idle)
{
    struct sched_req idle = { 0 };

    begin(1000); /* app 63 has worked */
    (void)come(63, SCHED_INTERACTIVE, 1000, 1000);
    world_plan(&w);
    for (int i = 0; i < 100; i++)
        world_step(&w);
    cr_assert_eq(sched_add(&w.s, &idle, "app-7", 100, SCHED_INTERACTIVE, ++w.serial, w.now_ns), 0);
    struct world_req *a = come(63, SCHED_INTERACTIVE, 500, 1);
    cr_assert_eq(promise(a, 1000, NULL), 0, "two times 250 ms");
    world_gone(&w, a);
    w.s.vtime_floor[SCHED_INTERACTIVE] -=
        1e7; /* the other one is behind by 1 s of a weight of 100 */
    a = come(63, SCHED_INTERACTIVE, 500, 1);
    cr_assert_eq(promise(a, 1000, NULL), SCHED_E_LATE);
    sched_remove(&w.s, &idle);
    end();
}

Test(sched_promise, what_an_app_was_promised_is_charged_like_everything)
{
    begin(1000);
    struct world_req *a = come(0, SCHED_INTERACTIVE, 200, 20);
    cr_assert_eq(promise(a, 2000, NULL), 0);
    (void)ms_until_done(a);
    cr_assert_gt(w.app_ns[0], 300 * MS);
    end();
}

Test(sched_promise, a_class_below_waits_while_there_is_no_time_and_is_paid_later)
{
    begin(1000);
    struct world_req *a = come(0, SCHED_INTERACTIVE, 3000, 1); /* 1,500 ms */
    struct world_req *b = come(1, SCHED_BACKGROUND, 3000, 100);
    cr_assert_eq(promise(a, 2150, NULL), 0);
    w.prefill_ns *= 1.3; /* something else uses the machine: the reserve goes */
    cr_assert_leq(ms_until_done(a), 2150);
    cr_assert_gt(w.s.owed_ns[SCHED_BACKGROUND] + (int64_t)b->sched.engine_ns, 0);
    (void)ms_until_done(b);
    end();
}

Test(sched_promise, one_that_cannot_be_kept_any_more_does_not_take_others_with_it)
{
    begin(1000);
    struct world_req *a = come(0, SCHED_INTERACTIVE, 2000, 1); /* 1,000 ms */
    struct world_req *b = come(0, SCHED_INTERACTIVE, 100, 1);
    cr_assert_eq(promise(a, 1500, NULL), 0);
    cr_assert_eq(promise(b, 1700, NULL), 0);
    w.now_ns += 900 * MS; /* the machine slept */
    cr_assert_leq(ms_until_done(b), 800);
    cr_assert_eq(a->sched.due_ns, 0, "it is given up");
    end();
}

Test(sched_promise, a_step_is_not_given_up_where_a_lower_class_has_no_time)
{
    begin(1000);
    struct world_req *a = come(0, SCHED_BACKGROUND, 2000, 1);
    const struct sched_req urgent = { .class = SCHED_REALTIME };
    world_plan(&w);
    cr_assert(sched_urgent(&w.s, &urgent));
    cr_assert_eq(promise(a, 1500, NULL), 0);
    w.now_ns += 400 * MS;
    world_plan(&w);
    cr_assert(w.s.tight[SCHED_BACKGROUND]);
    cr_assert_not(sched_urgent(&w.s, &urgent));
    end();
}

Test(sched_promise, a_paused_one_keeps_its_time_and_hinders_nobody)
{
    begin(1000);
    struct world_req *a = come(0, SCHED_INTERACTIVE, 2000, 1),
                     *b = come(1, SCHED_INTERACTIVE, 100, 1);
    cr_assert_eq(promise(a, 2500, NULL), 0);
    a->sched.paused = true;
    w.now_ns += 1300 * MS; /* it would be tight */
    cr_assert_leq(ms_until_done(b), 120);
    cr_assert_eq(promise(come(2, SCHED_REALTIME, 1000, 1), 900, NULL), SCHED_E_LATE,
                 "its client may read again");
    end();
}

Test(sched_promise, an_answer_whose_length_is_open_counts_with_what_is_likely)
{
    begin(1000);
    struct world_req *a = come(0, SCHED_INTERACTIVE, 10, 100000);
    cr_assert_eq(promise(a, 2000, NULL), SCHED_E_LATE);
    a->sched.output_likely = 64;
    cr_assert_eq(promise(a, 2000, NULL), 0);
    end();
}

Test(sched_promise, a_cheaper_level_makes_more_possible_and_a_dearer_one_is_given_if_all_are_kept)
{
    begin(1000);
    struct world_req *a = come(0, SCHED_INTERACTIVE, 10, 100); /* 1,094 ms */
    cr_assert(sched_keeps(&w.s, &a->sched, 100, w.now_ns), "nothing is promised");
    cr_assert_eq(promise(a, 1200, NULL), SCHED_E_LATE);
    a->sched.pace_answer = 0.5;
    cr_assert_eq(promise(a, 1200, NULL), 0);
    cr_assert_not(sched_keeps(&w.s, &a->sched, 1, w.now_ns));
    cr_assert(sched_keeps(&w.s, &a->sched, 0.7, w.now_ns));
    cr_assert_eq(a->sched.pace_answer, 0.5, "it is only a question");
    end();
}

Test(sched_promise, what_another_answer_costs_is_learnt)
{
    begin(1000); /* one and two at once were seen */
    cr_assert_float_eq(sched_answers_ns(&w.s, 1), 11e6, 1e5);
    cr_assert_float_eq(sched_answers_ns(&w.s, 4), 14e6, 2e5);
    cr_assert_eq(sched_answers_ns(&w.s, 0), 0);
    end();
}
