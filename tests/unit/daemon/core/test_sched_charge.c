/* SPDX-License-Identifier: Apache-2.0 */
/* Charges, measured costs, and the prompt tokens of a step that follow from them. */
#include <criterion/criterion.h>
#include "tools/sim/world.h"

enum { NEVER = 1000000 };
static struct world w;

static const struct sched_config config = {
    .queue_max = 64, .running_max = 8, .step_target_ns = 40 * MS, .chunk_max = 128
};

static struct world_req *come(uint32_t app, uint32_t prompt)
{
    return world_come(&w, app, 100, SCHED_INTERACTIVE, prompt, NEVER, 1);
}

static void steps(int n)
{
    for (int i = 0; i < n; i++)
        world_step(&w);
}

static uint32_t tokens_of(const struct world_req *r)
{
    for (size_t i = 0; i < w.plan.n; i++)
        if (w.plan.entry[i].req == &r->sched) return w.plan.entry[i].prefill_tokens;
    return 0;
}

Test(sched_charge, charges_add_up_to_the_nanosecond)
{
    struct world_req *r[7];
    struct sched_done done[7];
    uint64_t all = 0, got = 0;

    world_init(&w, &config, 100);
    for (uint32_t i = 0; i < 7; i++) {
        r[i] = come(i, 1000);
        done[i] = (struct sched_done){ .req = &r[i]->sched };
    }
    for (int k = 0; k < 5000; k++) {
        const uint64_t took = k % 7 == 0 ? world_random(&w, 10) : world_random(&w, 1u << 30) + 1;
        for (size_t i = 0; i < 7; i++) {
            done[i].prefilled = world_random(&w, 3) ? 0 : world_random(&w, 200);
            done[i].decoded = world_random(&w, 3) ? 1 : 0;
        }
        sched_charge(&w.s, done, 1 + world_random(&w, 7), took);
        all += took;
    }
    for (int i = 0; i < 7; i++)
        got += r[i]->sched.engine_ns;
    cr_assert_eq(got, all);
    sched_charge(&w.s, NULL, 0, 5);
    const uint64_t before = r[0]->sched.engine_ns;
    sched_charge(&w.s, done, 1, UINT64_MAX); /* a worker that lies */
    cr_assert_eq(r[0]->sched.engine_ns - before, SCHED_TOOK_MAX_NS);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_charge, a_request_pays_for_its_tokens)
{
    world_init(&w, &config, 100);
    struct world_req *a = come(0, 1000), *b = come(1, 1000), *c = come(2, 1);
    struct sched_done done[] = { { &a->sched, 100, 0, 1 }, { &b->sched, 300, 0, 1 } };
    sched_charge(&w.s, done, 2, 400 * MS);
    cr_assert_eq(a->sched.engine_ns, 100 * MS);
    cr_assert_eq(b->sched.engine_ns, 300 * MS);
    cr_assert_float_eq(w.s.prefill_tok_ns, 1e6, 1);
    cr_assert_float_eq(a->sched.app->vtime[SCHED_INTERACTIVE], 1e6, 1, "100 ms / weight 100");
    /* 20 prompt tokens at 1 ms, the rest for the two answers */
    struct sched_done mixed[] = { { &a->sched, 20, 0, 1 },
                                  { &b->sched, 0, 1, 1 },
                                  { &c->sched, 0, 1, 1 } };
    sched_charge(&w.s, mixed, 3, 80 * MS);
    cr_assert_eq(a->sched.engine_ns, 120 * MS);
    cr_assert_eq(b->sched.engine_ns, 330 * MS);
    cr_assert_eq(c->sched.engine_ns, 30 * MS);
    cr_assert_float_eq(w.s.decode_step_ns, 60e6, 1);
    /* an answer's token is not cheaper than a prompt's, however wrong the estimate is */
    sched_charge(&w.s, mixed, 3, 11 * MS);
    cr_assert_eq(a->sched.engine_ns, 130 * MS);
    cr_assert_eq(c->sched.engine_ns, 30 * MS + MS / 2);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_charge, who_ran_for_nothing_pays_alike)
{
    world_init(&w, &config, 100);
    struct world_req *a = come(0, 1000), *b = come(1, 1000);
    struct sched_done done[] = { { &a->sched, 0, 0, 0 }, { &b->sched, 0, 0, 0 } };
    sched_charge(&w.s, done, 2, 10);
    cr_assert_eq(a->sched.engine_ns, 5);
    cr_assert_eq(b->sched.engine_ns, 5);
    cr_assert_eq(w.s.prefill_tok_ns, 0, "and nothing is learnt");
    cr_assert_eq(w.s.decode_step_ns, 0);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_charge, progress_counts_for_those_that_hold_pages)
{
    world_init(&w, &config, 100);
    struct world_req *a = come(0, 100);
    struct sched_done done = { &a->sched, 60, 0, 3 };
    world_plan(&w);
    sched_charge(&w.s, &done, 1, MS);
    cr_assert_eq(a->sched.prefilled_tokens, 60);
    cr_assert_eq(a->sched.pages, 3);
    done.decoded = 1;
    sched_charge(&w.s, &done, 1, MS);
    cr_assert_eq(a->sched.prefilled_tokens, 100, "no more than was given");
    cr_assert_eq(a->sched.output_tokens, 1);
    sched_reopen(&w.s, &a->sched); /* while a step ran */
    sched_charge(&w.s, &done, 1, MS);
    cr_assert_eq(a->sched.prefilled_tokens, 0);
    cr_assert_eq(a->sched.output_tokens, 1);
    cr_assert_eq(a->sched.pages, 0);
    cr_assert_eq(a->sched.engine_ns, 3 * MS, "but its time was used");
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_charge, costs_follow_the_machine)
{
    world_init(&w, &config, 100);
    struct world_req *a = come(0, 3000);
    world_plan(&w);
    steps(10);
    cr_assert_float_eq(w.s.prefill_tok_ns, 0.5e6, 1e3);
    cr_assert_eq(w.s.decode_step_ns, 0, "not measured");
    w.prefill_ns = 1e6; /* it became warm */
    steps(14);
    cr_assert_float_eq(w.s.prefill_tok_ns, 1e6, 0.2e6);
    steps(50);
    cr_assert_gt(a->sched.output_tokens, 0);
    cr_assert_float_eq(w.s.decode_step_ns, 11e6, 1e3);
    w.decode_ns = 20e6;
    steps(50);
    cr_assert_float_eq(w.s.decode_step_ns, 21e6, 0.1e6);
    (void)come(1, 2000); /* now prompts are mixed with answers */
    world_plan(&w);
    w.prefill_ns = 0.5e6;
    steps(100);
    cr_assert_float_eq(w.s.prefill_tok_ns, 0.5e6, 0.1e6);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

/* ---- prompt tokens of a step ---- */

Test(sched_charge, a_prompt_takes_whole_chunks_while_nobody_decodes_and_fits_the_target_otherwise)
{
    world_init(&w, &config, 100);
    struct world_req *a = come(0, 500);
    world_plan(&w);
    cr_assert_eq(tokens_of(a), 128);
    steps(30);
    struct world_req *b = come(1, 5000);
    world_plan(&w);
    cr_assert_eq(tokens_of(a), 1);
    cr_assert_eq(tokens_of(b), 56, "(40 - 11) ms / 0.5 ms, in steps of 8");
    const uint64_t before_ns = w.now_ns;
    world_step(&w);
    cr_assert_leq(w.now_ns - before_ns, config.step_target_ns);
    w.decode_ns = 100e6; /* no room at all */
    steps(50);
    cr_assert_eq(tokens_of(b), 8, "but it goes on");
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_charge, before_anything_is_measured_a_prompt_beside_answers_gets_little)
{
    world_init(&w, &config, 100);
    struct world_req *a = come(0, 2), *b = come(1, 500);
    world_plan(&w);
    struct sched_done done = { &a->sched, 2, 1, 1 };
    sched_charge(&w.s, &done, 1, 0); /* a clock that stood still */
    world_plan(&w);
    cr_assert_eq(tokens_of(b), 8);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_charge, prompts_share_a_chunk_in_order_and_none_is_left_out)
{
    world_init(&w, &config, 100);
    struct world_req *a = come(0, 100), *b = come(1, 1000), *c = come(2, 1000);
    world_plan(&w);
    cr_assert_eq(tokens_of(a), 100, "what it needs");
    cr_assert_eq(tokens_of(b), 27);
    cr_assert_eq(tokens_of(c), 1);
    world_step(&w);
    cr_assert_gt(tokens_of(c), tokens_of(b), "it had least so far");
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_charge, a_class_that_is_paid_gets_a_quarter_of_the_chunk_beside_a_prompt)
{
    world_init(&w, &config, 100);
    struct world_req *a = come(0, 100000);
    struct world_req *low = world_come(&w, 1, 100, SCHED_BACKGROUND, 1000, NEVER, 1);
    const uint64_t from_ns = w.now_ns;
    while (!world_planned(&w, low))
        world_step(&w);
    cr_assert_eq(tokens_of(a), 96);
    cr_assert_eq(tokens_of(low), 32);
    cr_assert_geq(w.now_ns - from_ns, 40 * MS * 100 / 6, "when a step is owed, not before");
    cr_assert_leq(w.now_ns - from_ns, 40 * MS * 100 / 6 + 128 * MS);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}

Test(sched_charge, prompts_for_which_no_token_is_left_wait_without_pages)
{
    struct sched_config c = config;
    struct world_req *r[5];

    c.chunk_max = 3;
    world_init(&w, &c, 100);
    for (uint32_t i = 0; i < 5; i++)
        r[i] = come(i, 100);
    world_plan(&w);
    cr_assert_eq(w.plan.n, 3);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(r[i]->sched.state, i < 3 ? SCHED_RUNNING : SCHED_QUEUED);
    steps(300);
    for (int i = 0; i < 5; i++)
        cr_assert_gt(r[i]->sched.output_tokens, 0);
    cr_assert(world_deinit(&w), "%s", w.broken.text);
}
