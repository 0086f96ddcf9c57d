/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What holds for any load: many random scenarios, each played to its end. sim_run() itself fails where a plan breaks a rule,
 * charges do not add up, somebody starves, the queue grows beyond its limit, a request gets no answer, or an answer
 * comes after its deadline; the tests see to it that these rules are put to the test.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "tools/sim/sim.h"

static struct scenario s;
static struct reason why;
static struct sim sim;

static void play(const char *text, uint64_t seed)
{
    cr_assert_eq(scenario_parse(text, "file", &s, &why), 0, "%s", why.text);
    cr_assert_eq(sim_run(&sim, &s, seed, &why), 0, "seed %zu: %s", (size_t)seed, why.text);
}

/* ---- random scenarios ---- */

static uint64_t chance;

static uint32_t below(uint32_t n)
{
    chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407); /* Knuth */
    return (uint32_t)((chance >> 33) % n);
}

static struct scenario_range random_range(uint32_t most)
{
    const uint32_t least = 1 + below(most);

    return (struct scenario_range){ least, least + below(most) };
}

static void random_group(struct scenario_group *g)
{
    *g = (struct scenario_group){ .apps = 1 + below(30), .weight = 1 + below(300) };
    (void)snprintf(g->name, sizeof(g->name), "g");
    g->request_class = below(3);
    if (below(2))
        g->rate = 0.02 * (1 + below(100)) / g->apps;
    else
        g->clients = 1 + below(4);
    if (below(2)) g->think_s = below(3);
    g->prompt = random_range(below(3) ? 200 : 2000);
    g->output = random_range(80);
    if (below(4) == 0) g->prefix = g->prompt.least / 2;
    if (below(3) == 0) g->deadline_ms = 100 + below(20000);
    if (below(4) == 0) g->in_flight = 1 + below(3);
    if (below(5) == 0) g->tokens_per_minute = 100 + below(3000);
    if (below(5) == 0) g->kv_pages = 10 + below(100);
    g->start_s = below(10);
}

static void random_scenario(uint64_t seed)
{
    chance = seed;
    scenario_default(&s);
    s.seconds = 30;
    s.running = 1 + below(below(2) ? 8 : 64);
    s.queue = 1 + below(100);
    s.pages = 40 + below(400);
    s.waits = below(2);
    s.abandons = below(2);
    s.n_groups = 1 + below(6);
    for (size_t i = 0; i < s.n_groups; i++)
        random_group(&s.group[i]);
}

Test(sim, random_loads_break_no_rule_and_everybody_has_an_answer, .timeout = 300)
{
    uint64_t done = 0, expired = 0, refused[SIM_REFUSALS] = { 0 }, evicted = 0, abandoned = 0;

    for (uint64_t seed = 1; seed <= 120; seed++) {
        random_scenario(seed);
        cr_assert_eq(sim_run(&sim, &s, seed, &why), 0, "seed %zu: %s", (size_t)seed, why.text);
        for (size_t i = 0; i < s.n_groups; i++) {
            done += sim.group[i].n_done;
            expired += sim.group[i].n_expired;
            for (int k = 0; k < SIM_REFUSALS; k++)
                refused[k] += sim.group[i].n_refused[k];
        }
        evicted += sim.world.n_evicted;
        abandoned += sim.world.n_abandoned;
        sim_deinit(&sim);
    }
    cr_assert_gt(done, 5000, "%zu", (size_t)done);
    cr_assert_gt(expired, 0);
    cr_assert_gt(evicted, 0);
    cr_assert_gt(abandoned, 0);
    for (int k = 0; k < SIM_REFUSALS; k++)
        cr_assert_gt(refused[k], 0, "%s", sim_refusal_name((enum sim_refusal)k));
}

/* Deadlines in many groups, of all classes, and loads up to several times what the engine can do. */
static void random_deadlines(uint64_t seed)
{
    random_scenario(seed);
    for (size_t i = 0; i < s.n_groups; i++)
        if (below(2)) s.group[i].deadline_ms = 200 + below(below(2) ? 3000 : 30000);
}

struct promises {
    uint64_t taken, expired, broken, refused;
};

static struct promises all_promises(uint64_t seeds, double noise)
{
    struct promises all = { 0 };

    for (uint64_t seed = 1; seed <= seeds; seed++) {
        random_deadlines(seed);
        s.noise = noise;
        cr_assert_eq(sim_run(&sim, &s, seed, &why), 0, "seed %zu: %s", (size_t)seed, why.text);
        for (size_t i = 0; i < s.n_groups; i++) {
            all.taken += sim.group[i].n_promised;
            all.expired += sim.group[i].n_expired;
            all.broken += sim.group[i].n_broken;
            all.refused += sim.group[i].n_refused[SIM_DEADLINE];
        }
        sim_deinit(&sim);
    }
    return all;
}

Test(sim, no_promise_is_broken_where_costs_are_exact, .timeout = 300)
{
    const struct promises p = all_promises(200, 0);

    cr_assert_gt(p.taken - p.expired, 5000, "%zu of %zu", (size_t)p.expired, (size_t)p.taken);
    cr_assert_gt(p.refused, 5000, "%zu", (size_t)p.refused);
    cr_assert_eq(p.broken, 0, "%zu of %zu", (size_t)p.broken, (size_t)p.taken);
}

Test(sim, hardly_any_promise_is_broken_where_costs_vary, .timeout = 300)
{
    const struct promises p = all_promises(200, 0.3); /* by up to 30 %, for a second at a time */

    cr_assert_gt(p.broken, 0, "the noise is felt");
    cr_assert_leq(p.broken * 50, p.taken, "%zu of %zu", (size_t)p.broken, (size_t)p.taken);
}

Test(sim, the_same_seed_gives_the_same_result_and_another_one_another)
{
    double first[3];

    for (int i = 0; i < 3; i++) {
        play("[run]\nseconds = 60\n[group a]\napps = 5\nrate = 0.2\n", i == 2 ? 8 : 7);
        first[i] = samples_quantile(&sim.group[0].total, 0.5);
        sim_deinit(&sim);
    }
    cr_assert_eq(first[0], first[1]);
    cr_assert_neq(first[0], first[2]);
}

/* ---- promises ---- */

#define PERSON "[group person]\nclients = 1\nthink-s = 5\nprompt = 200\noutput = 32\n"
#define BACKGROUND                                                                                 \
    "[group reader]\nclients = 1\nclass = background\nprompt = 4000\noutput = 1\n"                 \
    "[group writers]\napps = 3\nclients = 1\nclass = background\nprompt = 50\noutput = 500\n"

static double first_token(const char *text, double q)
{
    play(text, 1);
    const double x = samples_quantile(&sim.group[0].first, q);
    cr_assert_gt(sim.group[0].first.n, 100);
    sim_deinit(&sim);
    return x;
}

Test(sim, a_persons_first_token_takes_no_longer_than_twice_its_idle_time_beside_background)
{
    const double idle = first_token("[run]\nseconds = 2000\n" PERSON, 0.99);
    const double busy = first_token("[run]\nseconds = 2000\n" PERSON BACKGROUND, 0.99);

    cr_assert_leq(busy, 2 * idle, "%f against %f s", busy, idle);
    cr_assert_leq(busy, 1.35 * idle, "%f against %f s: as the table of SCHEDULING.md says", busy,
                  idle);
}

Test(sim, without_the_two_rules_of_the_worker_it_would_take_longer)
{
    const double idle = first_token("[run]\nseconds = 2000\n" PERSON, 0.99);
    const double neither =
        first_token("[run]\nseconds = 2000\n[machine]\nwaits = no\nabandons = no\n" PERSON
                    "[group reader]\nclients = 1\nclass = background\nprompt = 4000\noutput = 1\n",
                    0.99);
    const double both =
        first_token("[run]\nseconds = 2000\n" PERSON
                    "[group reader]\nclients = 1\nclass = background\nprompt = 4000\noutput = 1\n",
                    0.99);

    cr_assert_gt(neither, 2 * idle, "%f against %f s", neither, idle);
    cr_assert_lt(both, 1.15 * idle, "%f against %f s", both, idle);
}

Test(sim, a_class_that_is_pushed_aside_again_and_again_still_gets_on)
{
    /* every 30 ms somebody of a higher class comes with next to nothing: no whole chunk of 64 ms fits between */
    play("[run]\nseconds = 100\n"
         "[group a]\napps = 1\nrate = 33\nprompt = 1\noutput = 1\nclass = realtime\n"
         "[group b]\nclients = 1\nprompt = 128\noutput = 1\nclass = background\n",
         1);
    cr_assert_gt(sim.world.n_abandoned, 100);
    cr_assert_gt((double)sim.group[1].engine_ns, 0.05 * 100e9, "a twentieth of the time");
    sim_deinit(&sim);
}

Test(sim, hundreds_of_apps_share_evenly)
{
    play("[run]\nseconds = 300\n[machine]\nqueue = 1024\npages = 100000\n"
         "[group all]\napps = 150\nclients = 1\nprompt = 20\noutput = 20\n",
         1);
    cr_assert_gt(sim.group[0].jain, 0.95, "%f", sim.group[0].jain);
    cr_assert_gt(sim.group[0].n_done, 1500);
    sim_deinit(&sim);
}

Test(sim, three_times_what_the_engine_can_do_with_deadlines)
{
    play("[run]\nseconds = 1000\n" /* tools/scenarios/deadlines.ini */
         "[group a]\napps = 20\nrate = 0.3\nprompt = 1000\noutput = 10\ndeadline-ms = 3000\n",
         1);
    const struct sim_group *g = &sim.group[0];
    cr_assert_gt(g->n_done, 1500, "%zu: alone they take 600 ms each", (size_t)g->n_done);
    cr_assert_leq(g->n_expired, 5, "%zu: what came before anything was measured",
                  (size_t)g->n_expired);
    cr_assert_eq(g->n_broken, 0);
    cr_assert_lt((double)g->lost_ns, 0.001 * (double)sim.world.took_ns);
    cr_assert_gt(g->jain, 0.97, "%f", g->jain);
    sim_deinit(&sim);
}

Test(sim, deadlines_that_were_taken_are_kept_while_the_engine_is_not_overloaded)
{
    play("[run]\nseconds = 3000\n"
         "[group a]\napps = 20\nrate = 0.1\nprompt = 100\noutput = 40\ndeadline-ms = 4000\n",
         1);
    cr_assert_gt(sim.group[0].n_promised, 5000);
    cr_assert_leq(sim.group[0].n_expired * 1000, sim.group[0].n_promised, "%zu of %zu passed",
                  (size_t)sim.group[0].n_expired, (size_t)sim.group[0].n_promised);
    sim_deinit(&sim);
}

Test(sim, deadlines_that_cannot_be_met_are_refused_also_where_nobody_writes)
{
    play("[run]\nseconds = 300\n"
         "[group a]\napps = 20\nrate = 1\nprompt = 1000\noutput = 1\ndeadline-ms = 3000\n",
         1);
    cr_assert_gt(sim.group[0].n_refused[SIM_DEADLINE], sim.group[0].n_sent / 2);
    cr_assert_gt(sim.group[0].n_done, 500, "%zu of 600", (size_t)sim.group[0].n_done);
    sim_deinit(&sim);
}

Test(sim, promises_leave_the_lower_class_and_those_without_a_deadline_their_share)
{
    play("[run]\nseconds = 1000\n"
         "[group a]\napps = 5\nrate = 1\nprompt = 1000\noutput = 10\ndeadline-ms = 5000\n"
         "[group b]\napps = 5\nclients = 1\nprompt = 1000\noutput = 10\n"
         "[group c]\nclients = 1\nclass = background\nprompt = 1000\noutput = 100\n",
         1);
    const double all = (double)sim.engine_ns;
    cr_assert_gt((double)sim.group[1].engine_ns, 0.4 * all, "%f",
                 (double)sim.group[1].engine_ns / all);
    cr_assert_gt((double)sim.group[2].engine_ns, 0.05 * all, "%f",
                 (double)sim.group[2].engine_ns / all);
    cr_assert_eq(sim.group[0].n_broken, 0);
    cr_assert_gt(sim.group[0].n_done, 100);
    sim_deinit(&sim);
}

Test(sim, a_quota_of_tokens_is_what_an_app_gets_in_the_long_run)
{
    play("[run]\nseconds = 6000\n[group a]\nclients = 1\nprompt = 50\noutput = 50\n"
         "tokens-per-minute = 1000\n",
         1);
    const double tokens = (double)(sim.group[0].tokens + sim.group[0].prompt_tokens);
    cr_assert_lt(fabs(tokens / 100000 - 1), 0.03, "%f", tokens);
    cr_assert_gt(sim.group[0].n_refused[SIM_QUOTA], 0);
    sim_deinit(&sim);
}

Test(sim, a_level_that_costs_less_is_done_sooner)
{
    double total[2];

    for (int i = 0; i < 2; i++) {
        play(i ? "[levels]\nbest = 1\nfast = 0.5\n[group a]\nclients = 1\nlevel = fast\n"
               : "[levels]\nbest = 1\nfast = 0.5\n[group a]\nclients = 1\nlevel = best\n",
             1);
        total[i] = samples_quantile(&sim.group[0].total, 0.5);
        sim_deinit(&sim);
    }
    cr_assert_float_eq(total[1], total[0] / 2, 0.01 * total[0]);
}

Test(sim, a_prefix_is_computed_once_for_each_app)
{
    play("[run]\nseconds = 100\n[group a]\napps = 2\nclients = 1\nprompt = 1050\nprefix = 1000\n",
         1);
    const struct sim_group *g = &sim.group[0];
    cr_assert_eq(g->cached_tokens, (g->n_done - 2) * 1000);
    cr_assert_lt(samples_quantile(&sim.group[0].first, 0.1),
                 0.2 * samples_quantile(&sim.group[0].first, 1));
    sim_deinit(&sim);
}

Test(sim, more_apps_than_it_can_take_are_refused)
{
    cr_assert_eq(scenario_parse("[group a]\napps = 4096\nrate = 1\n[group b]\napps = 4096\nrate = "
                                "1\n[group c]\nrate = 1\n",
                                "file", &s, &why),
                 0);
    cr_assert_eq(sim_run(&sim, &s, 1, &why), SIM_E_REFUSED);
    cr_assert(strstr(why.text, "8193"), "%s", why.text);
    sim_deinit(&sim);
}
