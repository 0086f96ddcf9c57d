/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <math.h>
#include "tools/sim/load.h"

static struct scenario s;
static struct reason why;
static struct load l;

static void begin(const char *text, uint64_t seed)
{
    cr_assert_eq(scenario_parse(text, "file", &s, &why), 0, "%s", why.text);
    cr_assert_eq(load_init(&l, &s, seed, 0, &why), 0, "%s", why.text);
}

Test(load, requests_by_rate_come_in_order_and_as_often_as_asked)
{
    uint64_t last = 0, n = 0;
    const struct load_source *q;

    begin("[run]\nseconds = 1000\n[group a]\napps = 10\nrate = 2\n", 3);
    while ((q = load_next(&l)) != NULL) {
        cr_assert_geq(q->at_ns, last);
        last = q->at_ns;
        load_take(&l, (uint32_t)(q - l.source));
        n++;
    }
    cr_assert_lt(last, UINT64_C(1000000000000));
    cr_assert_lt(fabs((double)n - 20000), 600, "4 standard deviations: %zu", (size_t)n);
    load_deinit(&l);
}

Test(load, a_client_asks_again_when_it_has_its_answer)
{
    begin("[run]\nseconds = 10\n[group a]\nclients = 2\n", 1);
    for (uint32_t i = 0; i < 2; i++) {
        const struct load_source *q = load_next(&l);
        cr_assert_eq(q->at_ns, 0);
        load_take(&l, (uint32_t)(q - l.source));
    }
    cr_assert_null(load_next(&l), "both wait");
    load_answered(&l, 1, 500, 70);
    cr_assert_eq(load_next(&l)->at_ns, 570);
    load_answered(&l, 0, 100, 0);
    cr_assert_eq(load_next(&l)->at_ns, 100);
    load_answered(&l, 0, UINT64_C(10000000000), 0);
    load_answered(&l, 1, UINT64_C(10000000000), 0);
    cr_assert_null(load_next(&l), "the time is over");
    load_deinit(&l);
}

Test(load, a_group_has_a_time_and_a_number_of_requests)
{
    const struct load_source *q;
    uint32_t n = 0;

    begin("[run]\nseconds = 100\n[group a]\napps = 3\nrate = 100\nrequests = 7\nstart-s = 20\n"
          "[group b]\nrate = 100\nstart-s = 50\nduration-s = 1\n",
          1);
    while ((q = load_next(&l)) != NULL) {
        cr_assert_geq(q->at_ns, q->group == 0 ? UINT64_C(20000000000) : UINT64_C(50000000000));
        if (q->group == 1) cr_assert_lt(q->at_ns, UINT64_C(51000000000));
        n += q->group == 0;
        load_take(&l, (uint32_t)(q - l.source));
    }
    cr_assert_eq(n, 21);
    load_deinit(&l);
}

Test(load, draws_are_within_their_range_and_reach_both_ends)
{
    bool least = false, most = false;

    begin("[group a]\nrate = 1\n", 0);
    for (int i = 0; i < 1000; i++) {
        const uint32_t x = load_draw(&l, (struct scenario_range){ 5, 9 });
        cr_assert(x >= 5 && x <= 9);
        least |= x == 5;
        most |= x == 9;
    }
    cr_assert(least && most);
    cr_assert_eq(load_draw(&l, (struct scenario_range){ 0, 0 }), 0);
    load_deinit(&l);
}

Test(load, too_many_clients_are_refused_with_the_number)
{
    cr_assert_eq(scenario_parse("[group a]\napps = 4096\nclients = 1024\n", "file", &s, &why), 0);
    cr_assert_eq(load_init(&l, &s, 1, 0, &why), LOAD_E_REFUSED);
    cr_assert(strstr(why.text, "4194304"), "%s", why.text);
}
