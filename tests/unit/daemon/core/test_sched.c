/* SPDX-License-Identifier: Apache-2.0 */
/* Rule by rule: who gets a place, whose pages. Charges and estimates have files of their own; tools/sim/world.c checks each plan. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include "tests/unit/oom.h"
#include "tools/sim/world.h"

enum { NEVER = 1000000 };
static struct world w;

static void begin(uint32_t running_max, uint32_t pages)
{
    const struct sched_config config = {
        .queue_max = 64, .running_max = running_max, .step_target_ns = 40 * MS, .chunk_max = 128
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

/* ---- the queue ---- */

Test(sched, a_full_queue_refuses_until_one_ends)
{
    struct sched_req more = { 0 };

    begin(4, 100);
    struct world_req *first = come(0, SCHED_INTERACTIVE, 10, 1);
    for (int i = 1; i < 64; i++)
        cr_assert(come(0, SCHED_INTERACTIVE, 10, 1));
    cr_assert_eq(sched_add(&w.s, &more, "x", 1, SCHED_REALTIME, 99, 0), SCHED_E_FULL);
    cr_assert_null(more.app);
    world_gone(&w, first);
    cr_assert_eq(sched_add(&w.s, &more, "x", 1, SCHED_REALTIME, 99, 5), 0);
    cr_assert_eq(more.state, SCHED_OPENING);
    cr_assert_eq(more.arrived_ns, 5);
    sched_remove(&w.s, &more);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched, without_memory_for_an_app_a_request_is_not_added)
{
    struct sched_req r = { 0 };

    OOM_OR_SKIP();
    begin(4, 100);
    oom_fail_at(1);
    cr_assert_eq(sched_add(&w.s, &r, "x", 1, SCHED_REALTIME, 1, 0), -ENOMEM);
    oom_fail_at(0);
    cr_assert_null(r.app);
    cr_assert_eq(w.s.n_reqs, 0);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched, removing_again_or_what_was_never_added_is_harmless)
{
    struct sched_req r = { 0 };

    begin(4, 100);
    sched_remove(&w.s, &r);
    cr_assert_eq(sched_add(&w.s, &r, "x", 1, SCHED_REALTIME, 1, 0), 0);
    sched_remove(&w.s, &r);
    sched_remove(&w.s, &r);
    cr_assert_eq(w.s.n_reqs, 0);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched, a_smaller_configuration_parks_and_keeps)
{
    begin(4, 100);
    for (int i = 0; i < 4; i++)
        (void)come(0, SCHED_INTERACTIVE, 10, 1);
    steps(3);
    struct sched_config c = w.s.config;
    c.queue_max = 1;
    c.running_max = 2;
    sched_configure(&w.s, &c);
    cr_assert(world_plan(&w));
    cr_assert_eq(w.plan.n, 2);
    cr_assert_eq(w.s.n_state[SCHED_PARKED], 2, "with their KV");
    cr_assert_null(come(0, SCHED_INTERACTIVE, 10, 1), "but no more come");
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched, states_have_names)
{
    begin(1, 100);
    struct world_req *a = come(0, SCHED_INTERACTIVE, 200, 1);
    struct world_req *b = come(0, SCHED_INTERACTIVE, 200, 1);
    world_plan(&w);
    cr_assert_str_eq(sched_state_name(&a->sched), "prefill");
    cr_assert_str_eq(sched_state_name(&b->sched), "queued");
    steps(2);
    cr_assert_str_eq(sched_state_name(&a->sched), "decode");
    (void)come(1, SCHED_REALTIME, 10, 1);
    world_plan(&w);
    cr_assert_str_eq(sched_state_name(&a->sched), "parked");
    sched_reopen(&w.s, &a->sched);
    cr_assert_str_eq(sched_state_name(&a->sched), "queued");
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

/* ---- the model ---- */

Test(sched, without_a_model_nothing_runs_and_all_open_again)
{
    begin(4, 100);
    struct world_req *a = come(0, SCHED_INTERACTIVE, 10, 10);
    (void)come(1, SCHED_BACKGROUND, 10, 10);
    steps(3);
    sched_model(&w.s, 0);
    cr_assert_eq(w.s.n_state[SCHED_OPENING], 2);
    cr_assert_eq(a->sched.pages, 0);
    cr_assert_eq(a->sched.prefilled_tokens, 0);
    cr_assert_eq(a->sched.output_tokens, 2, "what was made was made");
    cr_assert_eq(w.s.prefill_tok_ns, 0);
    cr_assert_eq(w.s.decode_step_ns, 0);
    cr_assert(world_plan(&w), "the plan is empty now");
    cr_assert_eq(w.plan.n, 0);
    cr_assert_not(world_plan(&w), "and stays so");
    sched_model(&w.s, 50);
    cr_assert_not(world_plan(&w), "nothing is open");
    sched_opened(&w.s, &a->sched, 10, 0, 13, NEVER, 10);
    cr_assert(world_plan(&w));
    cr_assert(world_planned(&w, a));
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched, a_cached_prompt_still_processes_its_last_token)
{
    struct sched_req r[3] = { 0 };

    begin(4, 100);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(sched_add(&w.s, &r[i], "x", 1, SCHED_INTERACTIVE, 1, 0), 0);
        sched_opened(&w.s, &r[i], 20, (uint32_t)i * 10, 20, 5, 1);
    }
    cr_assert_eq(r[0].prefilled_tokens, 0);
    cr_assert_eq(r[1].prefilled_tokens, 10);
    cr_assert_eq(r[2].prefilled_tokens, 19);
    for (int i = 0; i < 3; i++)
        sched_remove(&w.s, &r[i]);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

/* ---- the plan ---- */

Test(sched, a_plan_is_sent_only_if_it_changed)
{
    begin(4, 100);
    cr_assert_not(world_plan(&w), "empty as before");
    struct world_req *a = come(0, SCHED_INTERACTIVE, 300, 1);
    cr_assert(world_plan(&w));
    cr_assert_not(world_plan(&w));
    const uint64_t sent = w.n_plans_sent;
    steps(20);
    cr_assert_eq(w.n_plans_sent, sent, "from the prompt to the answer: the same plan");
    cr_assert_gt(a->sched.output_tokens, 5);
    struct world_req *b = come(0, SCHED_INTERACTIVE, 1, 1);
    cr_assert(world_plan(&w));
    world_gone(&w, b);
    cr_assert(world_plan(&w), "one request less");
    sched_reopen(&w.s, &a->sched);
    sched_opened(&w.s, &a->sched, 300, 0, 320, NEVER, 1);
    cr_assert(world_plan(&w), "the worker knows the reopened one under another name");
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched, running_ns_is_the_first_time_in_a_plan)
{
    begin(1, 100);
    struct world_req *a = come(0, SCHED_BACKGROUND, 10, 1);
    cr_assert_eq(a->sched.running_ns, 0);
    world_plan(&w);
    const uint64_t first = a->sched.running_ns;
    cr_assert_eq(first, w.now_ns);
    steps(5);
    struct world_req *b = come(0, SCHED_INTERACTIVE, 10, 1);
    steps(2);
    world_gone(&w, b);
    steps(2);
    cr_assert_eq(a->sched.running_ns, first);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

/* ---- classes ---- */

Test(sched, a_higher_class_takes_the_next_step_and_lower_ones_keep_their_pages)
{
    begin(8, 100);
    struct world_req *low = come(0, SCHED_BACKGROUND, 1000, 10);
    steps(2);
    struct world_req *mid = come(1, SCHED_INTERACTIVE, 10, 10);
    world_plan(&w);
    cr_assert(world_planned(&w, mid));
    cr_assert_eq(low->sched.state, SCHED_PARKED);
    cr_assert_eq(low->sched.pages, 10);
    struct world_req *high = come(2, SCHED_REALTIME, 10, 10);
    world_plan(&w);
    cr_assert(world_planned(&w, high));
    cr_assert_eq(w.plan.n, 1);
    world_gone(&w, high);
    world_gone(&w, mid);
    world_plan(&w);
    cr_assert_eq(low->sched.state, SCHED_RUNNING);
    cr_assert_eq(low->sched.prefilled_tokens, 128, "it goes on where it was");
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched, a_lower_class_runs_beside_a_few_and_instead_of_many)
{
    for (int many = 0; many < 2; many++) {
        bool beside = false, instead = false;
        begin(64, 1000);
        for (uint32_t i = 0; i < (many ? 30 : 3); i++)
            (void)come(i, SCHED_INTERACTIVE, 1, 1);
        struct world_req *low = come(60, SCHED_BACKGROUND, 1, 1);
        for (int i = 0; i < 400; i++) {
            world_step(&w);
            if (world_planned(&w, low)) *(w.plan.n > 1 ? &beside : &instead) = true;
        }
        cr_assert(beside || many);
        cr_assert_eq(instead, many);
        cr_assert(world_deinit(&w), "%s", w.broken.text);
    }
}

/* ---- apps ---- */

Test(sched, within_an_app_the_first_is_served_first)
{
    struct world_req *r[5];

    begin(2, 100);
    for (int i = 0; i < 5; i++)
        r[i] = come(0, SCHED_INTERACTIVE, 10, 1);
    steps(100);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(world_planned(&w, r[i]), i < 2);
    world_gone(&w, r[0]);
    world_plan(&w);
    cr_assert(world_planned(&w, r[2]));
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched, idleness_is_not_saved_up)
{
    begin(1, 100);
    struct world_req *a = come(0, SCHED_INTERACTIVE, 10, 1);
    steps(1000); /* 11 s */
    struct world_req *b = come(1, SCHED_INTERACTIVE, 10, 1);
    cr_assert_float_eq(b->sched.app->vtime[SCHED_INTERACTIVE],
                       a->sched.app->vtime[SCHED_INTERACTIVE], 2e7 / 100);
    const uint64_t from_ns = w.app_ns[0];
    steps(300);
    cr_assert_gt(w.app_ns[0] - from_ns, w.app_ns[1] * 8 / 10);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched, who_is_ahead_stays_ahead_when_it_comes_again_until_the_class_is_empty)
{
    begin(1, 100);
    struct world_req *a = come(0, SCHED_INTERACTIVE, 300, 1);
    struct world_req *b = come(1, SCHED_INTERACTIVE, 300, 1);
    world_step(&w);
    steps(3); /* a: 0.15 s ahead */
    const double ahead = a->sched.app->vtime[SCHED_INTERACTIVE];
    cr_assert_gt(ahead, 0);
    world_gone(&w, a);
    a = come(0, SCHED_INTERACTIVE, 300, 1);
    cr_assert_eq(a->sched.app->vtime[SCHED_INTERACTIVE], ahead);
    world_gone(&w, a);
    world_gone(&w, b);
    cr_assert(list_empty(&w.s.apps), "all forgiven, none remembered");
    b = come(1, SCHED_INTERACTIVE, 300, 1);
    a = come(0, SCHED_INTERACTIVE, 300, 1);
    cr_assert_eq(a->sched.app->vtime[SCHED_INTERACTIVE], b->sched.app->vtime[SCHED_INTERACTIVE]);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched, idle_apps_are_remembered_up_to_a_limit)
{
    char key[32];
    size_t n = 0;

    begin(1, 100);
    (void)come(0, SCHED_INTERACTIVE, 10, 1); /* the class is never empty */
    for (int i = 0; i < 200; i++) {
        struct sched_req r = { 0 };
        (void)snprintf(key, sizeof(key), "passer-%d", i);
        cr_assert_eq(sched_add(&w.s, &r, key, 1, SCHED_INTERACTIVE, 2, 0), 0);
        sched_opened(&w.s, &r, 10, 0, 10, 1, 1);
        sched_charge(&w.s, &(struct sched_done){ .req = &r, .prefilled = 10 }, 1, SEC);
        sched_remove(&w.s, &r);
    }
    LIST_EACH(app, &w.s.apps, struct sched_app, node)
    n++;
    cr_assert_eq(n, SCHED_IDLE_APPS_MAX + 1);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched, the_newest_weight_counts_for_the_whole_app)
{
    begin(1, 100);
    struct world_req *a = come(0, SCHED_INTERACTIVE, 10, 1);
    (void)world_come(&w, 0, 7, SCHED_BACKGROUND, 10, 10, 1);
    cr_assert_eq(a->sched.app->weight, 7);
    cr_assert_eq(a->sched.app->n_requests, 2);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched, a_place_changes_hands_after_a_slice_and_not_before)
{
    begin(1, 100);
    struct world_req *a = come(0, SCHED_INTERACTIVE, 1, 1);
    struct world_req *b = come(1, SCHED_INTERACTIVE, 1, 1);
    world_plan(&w);
    uint64_t from_ns = w.now_ns, changes = 0;
    for (bool of_a = true; w.step < 1000;) {
        world_step(&w);
        cr_assert_neq(world_planned(&w, a), world_planned(&w, b));
        if (world_planned(&w, a) == of_a) continue;
        cr_assert_gt(w.now_ns - from_ns, SCHED_SLICE_NS);
        cr_assert_lt(w.now_ns - from_ns, 3 * SCHED_SLICE_NS);
        of_a = !of_a;
        from_ns = w.now_ns;
        changes++;
    }
    cr_assert_gt(changes, 20);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched, a_newcomer_takes_a_place_of_an_app_with_many_at_once)
{
    begin(4, 100);
    for (int i = 0; i < 6; i++)
        (void)come(0, SCHED_INTERACTIVE, 10, 1);
    steps(50);
    struct world_req *b = come(1, SCHED_INTERACTIVE, 10, 1);
    struct world_req *c = come(2, SCHED_INTERACTIVE, 10, 1);
    world_plan(&w);
    cr_assert(world_planned(&w, b) && world_planned(&w, c));
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched, the_step_that_makes_up_for_an_abandoned_one_is_short)
{
    begin(8, 100);
    struct world_req *reader = world_come(&w, 0, 100, SCHED_BACKGROUND, 1000, 10, 10);
    (void)world_plan(&w);
    cr_assert_eq(reader->sched.planned_tokens, 128);
    sched_abandoned(&w.s);
    struct world_req *person = world_come(&w, 1, 100, SCHED_INTERACTIVE, 300, 1, 10);
    (void)world_plan(&w);
    cr_assert_eq(person->sched.planned_tokens, 128, "who it was abandoned for loses nothing");
    while (person->used)
        world_step(&w);
    cr_assert(world_planned(&w, reader));
    cr_assert_eq(reader->sched.planned_tokens, 32);
    world_step(&w);
    cr_assert_eq(reader->sched.planned_tokens, 128);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched, a_higher_class_is_urgent_until_a_step_of_the_lower_one_was_abandoned_for_it)
{
    begin(8, 100);
    const struct sched_req high = { .class = SCHED_INTERACTIVE },
                           low = { .class = SCHED_BACKGROUND };
    cr_assert_not(sched_urgent(&w.s, &high), "nothing runs");
    (void)world_come(&w, 0, 100, SCHED_BACKGROUND, 1000, 10, 10);
    (void)world_plan(&w);
    cr_assert(sched_urgent(&w.s, &high));
    cr_assert_not(sched_urgent(&w.s, &low));
    sched_abandoned(&w.s);
    cr_assert_not(sched_urgent(&w.s, &high), "it must get on first");
    world_step(&w);
    cr_assert(sched_urgent(&w.s, &high));
    (void)world_come(&w, 1, 100, SCHED_INTERACTIVE, 1000, 10, 10);
    (void)world_plan(&w);
    cr_assert_not(sched_urgent(&w.s, &high), "its own class runs");
    cr_assert(sched_urgent(&w.s, &(struct sched_req){ .class = SCHED_REALTIME }));
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}
