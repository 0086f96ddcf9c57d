/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include "bench/scenario.h"

static struct scenario s;
static struct reason why;

static int parse(const char *text)
{
    why.text[0] = 0;
    return scenario_parse(text, "file", &s, &why);
}

Test(scenario, takes_what_is_given_and_defaults_for_the_rest)
{
    cr_assert_eq(parse("[run]\nseconds = 2.5\nseed = 18446744073709551615\n"
                       "[machine]\nrunning = 3\nprefill-ms = 0.25\nnoise = 0.5\nabandons = no\n"
                       "[levels]\nbest = 1\nfast = 0.4\n"
                       "# a comment\n[group mail]\nclass = background\nrate = 0.5 ; another\n"
                       "prompt = 10..20\noutput = 7\nprefix = 9\nlevel = fast\n"
                       "[group chat]\nclients = 2\nthink-s = 1e1\n"),
                 0, "%s", why.text);
    cr_assert_float_eq(s.seconds, 2.5, 0);
    cr_assert_eq(s.seed, UINT64_MAX);
    cr_assert_eq(s.running, 3);
    cr_assert_eq(s.noise, 0.5);
    cr_assert_not(s.abandons);
    cr_assert(s.waits);
    cr_assert_eq(s.queue, 64);
    cr_assert_eq(s.n_levels, 2);
    cr_assert_float_eq(s.level[1].cost, 0.4, 1e-9);
    cr_assert_eq(s.n_groups, 2);
    cr_assert_str_eq(s.group[0].name, "mail");
    cr_assert_eq(s.group[0].request_class, 0);
    cr_assert_eq(s.group[0].prompt.least, 10);
    cr_assert_eq(s.group[0].prompt.most, 20);
    cr_assert_eq(s.group[0].output.least, 7);
    cr_assert_eq(s.group[0].output.most, 7);
    cr_assert_eq(s.group[1].request_class, 1);
    cr_assert_eq(s.group[1].weight, 100);
    cr_assert_float_eq(s.group[1].think_s, 10, 0);
    cr_assert_str_eq(scenario_class_name(s.group[0].request_class), "background");
}

Test(scenario, refuses_with_the_line_and_what_was_wrong)
{
    static const struct {
        const char *text, *words[3];
    } bad[] = {
        { "", { "no [group NAME]" } },
        { "[run]\nsecond = 3\n", { "file:2:", "\"second\"", "seconds" } },
        { "[run]\nseconds = 3\nseconds = 4\n", { "file:3:", "twice" } },
        { "[run]\nseconds = 0\n", { "file:2:", "0.1" } },
        { "[run]\nseconds = nan\n", { "file:2:", "nan" } },
        { "[run]\nseconds = -1\n", { "file:2:", "-1" } },
        { "[run]\nseconds = 0x10\n", { "file:2:", "0x10" } },
        { "[run]\nseed = -1\n", { "file:2:", "seed" } },
        { "seconds = 3\n", { "file:1:", "[]" } },
        { "[machine]\nrunning = 65\n", { "file:2:", "1 to 64", "65" } },
        { "[machine]\nrunning = 1.5\n", { "file:2:", "whole number" } },
        { "[machine]\nwaits = maybe\n", { "file:2:", "yes or no" } },
        { "[group]\nrate = 1\n", { "file:2:", "no section [group]" } },
        { "[group  ]\nrate = 1\n", { "file:2:" } },
        { "[Group x]\nrate = 1\n", { "file:2:", "no section [Group x]" } },
        { "[group x]\nrate = 1\nclass = urgent\n", { "file:3:", "realtime", "urgent" } },
        { "[group x]\nrate = 1\nprompt = 20..10\n", { "file:3:", "LEAST..MOST" } },
        { "[group x]\nrate = 1\nprompt = 0\n", { "file:3:", "prompt" } },
        { "[group x]\nrate = 1\nprompt = 1..\n", { "file:3:", "prompt" } },
        { "[group x]\nrate = 1\nweight = 1001\n", { "file:3:", "1 to 1000" } },
        { "[group x]\nrate = 1\nnonsense\n", { "file:3:", "NAME = VALUE" } },
        { "[group x]\nweight = 1\n", { "[group x]", "clients", "rate" } },
        { "[group x]\nrate = 1\nclients = 1\n", { "[group x]", "one of them" } },
        { "[group x]\nrate = 1\nprompt = 9..30\nprefix = 9\n", { "[group x]", "prefix" } },
        { "[levels]\na = 1\n[group x]\nrate = 1\nlevel = b\n", { "[group x]", "level b" } },
        { "[levels]\na = 2\n", { "file:2:", "0.001 to 1" } },
        { "[levels]\na = 1\na = 1\n", { "file:3:" } },
        { "[group 0123456789012345678901234567890123456789]\nrate = 1\n",
          { "file:2:", "31 bytes" } },
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        s.running = 12345;
        cr_assert_eq(parse(bad[i].text), SCENARIO_E_REFUSED, "%s", bad[i].text);
        for (size_t k = 0; k < 3 && bad[i].words[k]; k++)
            cr_assert(strstr(why.text, bad[i].words[k]), "%s: %s", bad[i].text, why.text);
        cr_assert_eq(s.running, 12345, "a refusal leaves the result alone");
    }
}

Test(scenario, takes_a_bounded_number_of_groups_and_levels)
{
    char text[8192] = "";
    size_t n = 0;

    for (int i = 0; i < SCENARIO_GROUPS_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "[group g%d]\nrate = 1\n", i);
    cr_assert_eq(parse(text), 0, "%s", why.text);
    cr_assert_eq(s.n_groups, SCENARIO_GROUPS_MAX);
    (void)snprintf(text + n, sizeof(text) - n, "[group more]\nrate = 1\n");
    cr_assert_eq(parse(text), SCENARIO_E_REFUSED);
    n = (size_t)snprintf(text, sizeof(text), "[levels]\n");
    for (int i = 0; i <= SCENARIO_LEVELS_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "l%d = 1\n", i);
    cr_assert_eq(parse(text), SCENARIO_E_REFUSED);
}

Test(scenario, a_file_that_cannot_be_read_is_refused_by_name)
{
    cr_assert_eq(scenario_read("/nowhere/at.all", &s, &why), SCENARIO_E_REFUSED);
    cr_assert(strstr(why.text, "/nowhere/at.all"), "%s", why.text);
    cr_assert_eq(scenario_read("/proc", &s, &why), SCENARIO_E_REFUSED);
    cr_assert(strstr(why.text, "/proc"), "%s", why.text);
}
