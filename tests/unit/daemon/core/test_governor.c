/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The governor alone, then in a closed loop with a thermal model: a body that a level heats and that cools towards the
 * room, dT/dt = (room + rise * power(level) - T) / tau. Time is virtual, the sensor says whole degrees.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>
#include "base/clock.h"
#include "daemon/core/governor.h"

enum { T0 = 1000 }; /* [s] the first moment */

static const struct governor_input quiet = { .machine = { .zone = "cpu-thermal",
                                                          .heat_c = 40,
                                                          .limit_c = 85,
                                                          .battery_percent = MACHINE_UNKNOWN,
                                                          .cpu_some = MACHINE_UNKNOWN,
                                                          .memory_some = MACHINE_UNKNOWN,
                                                          .memory_full = MACHINE_UNKNOWN } };

static struct governor fresh(void)
{
    struct governor g;

    governor_init(&g);
    return g;
}

static bool at(struct governor *g, struct governor_input in, unsigned s)
{
    return governor_update(g, &in, (T0 + s) * CLOCK_NS_PER_S);
}

static struct governor_input hot(double heat_c)
{
    struct governor_input in = quiet;

    in.machine.heat_c = heat_c;
    return in;
}

static struct governor_input on_battery(double percent)
{
    struct governor_input in = quiet;

    in.machine.on_battery = true;
    in.machine.battery_percent = percent;
    return in;
}

static struct governor_input waiting(unsigned apps, unsigned ms)
{
    struct governor_input in = quiet;

    in.apps_waiting = apps;
    in.wait_ms = ms;
    return in;
}

Test(governor, a_machine_that_is_well_is_not_limited)
{
    struct governor g = fresh();

    for (unsigned s = 0; s < 100; s++)
        cr_assert_not(at(&g, quiet, s));
    cr_assert_eq(governor_share(&g), 1);
    cr_assert_str_eq(g.reason.text, "");
}

Test(governor, nothing_known_limits_nothing)
{
    struct governor g = fresh();
    struct governor_input in = quiet;

    in.machine.heat_c = in.machine.limit_c = MACHINE_UNKNOWN;
    for (unsigned s = 0; s < 100; s++)
        cr_assert_not(at(&g, in, s));
}

Test(governor, heat_takes_one_step_after_the_other)
{
    struct governor g = fresh();

    cr_assert(at(&g, hot(80), 0));
    cr_assert_eq(governor_share(&g), 0.75);
    cr_assert_str_eq(g.reason.text, "the machine is hot: cpu-thermal has 80 of 85 degrees C");
    cr_assert_not(at(&g, hot(80), 1));
    cr_assert_not(at(&g, hot(80), 2));
    cr_assert(at(&g, hot(80), 3));
    cr_assert_eq(governor_share(&g), 0.5);
    cr_assert_not(at(&g, hot(75), 10), "between the margins nothing moves");
    cr_assert_not(at(&g, hot(75), 50));
}

Test(governor, in_an_emergency_all_steps_at_once)
{
    struct governor g = fresh();

    cr_assert(at(&g, hot(83), 0));
    cr_assert_eq(governor_share(&g), 0);
}

Test(governor, a_machine_that_heats_up_quickly_is_not_waited_for)
{
    struct governor g = fresh();

    for (unsigned s = 0; s < 9; s++)
        (void)at(&g, hot(45 + 4 * s), s); /* 77 of 85, 4 K/s */
    cr_assert_eq(governor_share(&g), 0);
}

Test(governor, cooling_gives_back_one_step_each_twenty_seconds)
{
    struct governor g = fresh();

    (void)at(&g, hot(84), 0);
    for (unsigned s = 1; s <= 19; s++)
        cr_assert_not(at(&g, hot(60), s));
    cr_assert(at(&g, hot(60), 20));
    cr_assert_eq(governor_share(&g), 0.25);
    cr_assert_not(at(&g, hot(60), 39));
    cr_assert(at(&g, hot(60), 40));
    cr_assert_str_eq(g.reason.text, "the machine is hot: cpu-thermal has 60 of 85 degrees C");
}

Test(governor, after_a_pause_what_is_over_is_forgotten_at_once)
{
    struct governor g = fresh();

    (void)at(&g, hot(84), 0);
    cr_assert(at(&g, hot(50), 61));
    cr_assert_eq(governor_share(&g), 1);
    (void)at(&g, hot(84), 62);
    cr_assert_not(at(&g, hot(84), 200), "and what is not over is not");
}

Test(governor, who_relaxes_too_early_waits_longer_the_next_time)
{
    struct governor g = fresh();
    unsigned s = 0, took[3];

    (void)at(&g, hot(84), s);
    for (int i = 0; i < 3; i++) {
        const unsigned from = s;
        while (!at(&g, hot(60), ++s))
            cr_assert_lt(s, from + 200);
        took[i] = s - from;
        cr_assert(at(&g, hot(84), ++s));
    }
    cr_assert_eq(took[0], 20);
    cr_assert_eq(took[1], 40);
    cr_assert_eq(took[2], 80);
}

Test(governor, a_battery_counts_only_while_it_is_in_use)
{
    struct governor g = fresh();
    struct governor_input mains = on_battery(10);

    mains.machine.on_battery = false;
    cr_assert_not(at(&g, on_battery(60), 0));
    cr_assert(at(&g, on_battery(49), 1));
    cr_assert_eq(governor_share(&g), 0.5);
    cr_assert_str_eq(g.reason.text, "the machine runs on its battery, 49 % left");
    cr_assert_not(at(&g, on_battery(51), 50), "a little more changes nothing");
    cr_assert(at(&g, on_battery(19), 51));
    cr_assert_eq(governor_share(&g), 0);
    cr_assert_not(at(&g, on_battery(22), 100));
    cr_assert(at(&g, on_battery(26), 101));
    cr_assert_eq(governor_share(&g), 0.25);
    cr_assert(at(&g, mains, 121));
    cr_assert(at(&g, mains, 141));
    cr_assert(at(&g, mains, 161));
    cr_assert_eq(governor_share(&g), 1);
}

Test(governor, a_battery_of_unknown_charge_limits_nothing)
{
    struct governor g = fresh();

    cr_assert_not(at(&g, on_battery(MACHINE_UNKNOWN), 0));
}

Test(governor, memory_pressure_allows_the_cheapest_only)
{
    struct governor g = fresh();
    struct governor_input in = quiet;

    in.memory_short = true;
    in.machine.memory_some = 33;
    cr_assert(at(&g, in, 0));
    cr_assert_eq(governor_share(&g), 0);
    cr_assert_str_eq(g.reason.text, "memory is short: tasks waited for it 33 % of the time");
}

Test(governor, apps_that_wait_long_get_a_faster_model)
{
    struct governor g = fresh();

    cr_assert_not(at(&g, waiting(1, 4000), 0));
    cr_assert_not(at(&g, waiting(0, 60000), 1), "nobody waits");
    cr_assert(at(&g, waiting(1, 5000), 2));
    cr_assert_str_eq(g.reason.text, "1 app waits for a first token, about 5 s");
    cr_assert(at(&g, waiting(3, 9000), 5));
    cr_assert_str_eq(g.reason.text, "3 apps wait for a first token, about 9 s");
    cr_assert_not(at(&g, waiting(3, 3000), 60), "not long, not short");
    cr_assert(at(&g, waiting(1, 1000), 61));
    cr_assert_eq(governor_share(&g), 0.75);
}

Test(governor, others_on_the_cpu_make_a_wait_count_twice)
{
    struct governor g = fresh();
    struct governor_input in = waiting(1, 2500);

    in.machine.cpu_some = 95;
    cr_assert(at(&g, in, 0));
}

Test(governor, the_largest_limit_counts_and_is_the_reason)
{
    struct governor g = fresh();
    struct governor_input in = on_battery(40);

    in.machine.heat_c = 80;
    (void)at(&g, in, 0);
    cr_assert_eq(governor_share(&g), 0.5);
    cr_assert_not_null(strstr(g.reason.text, "battery"));
    (void)at(&g, in, 3);
    (void)at(&g, in, 6);
    cr_assert_eq(governor_share(&g), 0.25);
    cr_assert_not_null(strstr(g.reason.text, "hot"));
}

/* ---- closed loop ---- */

struct body {
    double heat_c, room_c, rise_k, tau_s, limit_c;
    double idle; /* power at the cheapest level, 1: at the dearest */
};

struct run {
    double most_c, last_share, mean_share;
    unsigned late; /* switches in its second half */
};

/* @load: [n] parts of full work (1: always, 0: idle), @second_s each, repeated. */
static struct run loop(struct governor *g, struct body b, const double *load, size_t n,
                       unsigned each_s, unsigned total_s)
{
    struct run r = { .most_c = b.heat_c };

    for (unsigned s = 0; s < total_s; s++) {
        const double share = governor_share(g), work = load[s / each_s % n];
        const double power = work * (b.idle + (1 - b.idle) * share);
        for (int i = 0; i < 10; i++)
            b.heat_c += (b.room_c + b.rise_k * power - b.heat_c) / b.tau_s * 0.1;
        struct governor_input in = quiet;
        in.machine.heat_c = floor(b.heat_c);
        in.machine.limit_c = b.limit_c;
        if (at(g, in, s)) r.late += s >= total_s / 2;
        r.most_c = fmax(r.most_c, b.heat_c);
        r.mean_share += governor_share(g) / total_s;
    }
    r.last_share = governor_share(g);
    return r;
}

static const double always[] = { 1 }, never[] = { 0 }, day[] = { 1, 0.2, 0.8, 0, 1, 1, 0.5 };

Test(governor_loop, bodies_of_all_kinds_stay_below_their_trip_point)
{
    for (double tau_s = 15; tau_s <= 240; tau_s *= 2)
        for (double rise_k = 40; rise_k <= 120; rise_k += 20)
            for (double room_c = 10; room_c <= 40; room_c += 15) {
                struct governor g = fresh();
                struct body b = { room_c, room_c, rise_k, tau_s, 85, 0.3 };
                if (room_c + rise_k * b.idle > 79) continue; /* no level is cool enough */
                const struct run r = loop(&g, b, always, 1, 60, 3600);
                cr_assert_lt(r.most_c, 85, "tau %g rise %g room %g: %g", tau_s, rise_k, room_c,
                             r.most_c);
                cr_assert_leq(g.switches, 40, "tau %g rise %g room %g: %lu switches in an hour",
                              tau_s, rise_k, room_c, (unsigned long)g.switches);
                cr_assert_leq(r.late, 14, "tau %g rise %g room %g: %u late", tau_s, rise_k, room_c,
                              r.late);
                if (room_c + rise_k < 72)
                    cr_assert_eq(g.switches, 0, "it never gets hot: nothing is taken away");
            }
}

Test(governor_loop, what_can_be_used_is_used)
{
    struct governor g = fresh();
    struct body b = { 25, 25, 70, 60, 85, 0.2 };
    const struct run r = loop(&g, b, always, 1, 60, 3600);

    /* 25 + 70 * (0.2 + 0.8 x) = 79 (6 K of margin) has x = 0.71: between two and three of four steps */
    cr_assert_geq(r.mean_share, 0.45, "%g", r.mean_share);
}

Test(governor_loop, it_returns_to_the_best_when_the_machine_is_cool)
{
    struct governor g = fresh();
    struct body b = { 35, 35, 90, 45, 85, 0.3 };
    struct run r = loop(&g, b, always, 1, 60, 1800);

    cr_assert_lt(r.last_share, 1);
    const uint64_t switches = g.switches;
    g.then_ns -= 1800 * CLOCK_NS_PER_S; /* time begins again */
    for (int i = 0; i < GOVERNOR_CAUSES; i++)
        g.limit[i].moved_ns -=
            g.limit[i].moved_ns < 1800 * CLOCK_NS_PER_S ? 0 : 1800 * CLOCK_NS_PER_S;
    r = loop(&g, b, never, 1, 60, 3600);
    cr_assert_eq(r.last_share, 1);
    cr_assert_leq(g.switches - switches, GOVERNOR_STEPS, "straight up");
}

Test(governor_loop, a_day_of_changing_load_has_few_switches)
{
    struct governor g = fresh();
    struct body b = { 30, 30, 75, 90, 85, 0.3 };
    const struct run r = loop(&g, b, day, sizeof(day) / sizeof(day[0]), 300, 24 * 3600);

    cr_assert_lt(r.most_c, 85, "%g", r.most_c);
    cr_assert_leq(g.switches, 24 * 20, "%lu", (unsigned long)g.switches);
    cr_assert_geq(r.mean_share, 0.6, "%g", r.mean_share);
}
