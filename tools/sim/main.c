/* SPDX-License-Identifier: Apache-2.0 */
/* hearth-sim: the scheduler under a load of many apps, in virtual time. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "tools/sim/report.h"

static const char help[] =
    "usage: hearth-sim SCENARIO [--seed N] [--json]\n"
    "\n"
    "Plays a scenario against hearthd's scheduler, quotas and levels (the code that hearthd runs)\n"
    "with a model of an engine instead of a real one: hours pass in seconds, and the same "
    "scenario\n"
    "and seed give the same result. It prints, for each group of apps, how long they waited for\n"
    "their first token and for their place, their part of the engine and how evenly they shared "
    "it\n"
    "(Jain's index: 1 all alike, 1/n one has everything), and who was refused and why.\n"
    "\n"
    "Each plan is checked on the way: pages, places, states, the bound of a step; that charges "
    "add\n"
    "up to the engine's time; that nobody starves; that the queue is bounded; that nothing is\n"
    "delivered after its deadline. A rule that is broken ends the run with status 1.\n"
    "\n"
    "A scenario is an INI file:\n"
    "  [run]\n"
    "  seconds = 60            # requests come for so long; what runs then may end\n"
    "  [machine]               # defaults in brackets\n"
    "  decode-ms = 10          # a step in which somebody writes [10]\n"
    "  sequence-ms = 1         # ... and for each who writes [1]\n"
    "  prefill-ms = 0.5        # a token of a prompt [0.5]\n"
    "  running = 8             # places; also queue, chunk, step-target-ms, pages\n"
    "  [group mail]            # as many groups as you like\n"
    "  apps = 100              # each has its own share\n"
    "  class = background      # or interactive [interactive], realtime\n"
    "  rate = 0.1              # requests per second of each app, at random times;\n"
    "  clients = 1             # ... or: one request after the other, with think-s between them\n"
    "  prompt = 100..2000      # tokens, drawn evenly; also output\n"
    "All settings are in docs/SCHEDULING.md; tools/scenarios/ has examples to begin with.\n"
    "\n"
    "Options:\n"
    "  --seed N   chance [the scenario's, 1]\n"
    "  --json     one JSON object instead of tables\n"
    "\n"
    "Exit status: 0 done, 1 the scenario was refused or a rule was broken, 2 wrong usage.\n";

static int usage(const char *what, const char *which)
{
    (void)fprintf(stderr, "hearth-sim: %s%s\nhearth-sim: see hearth-sim --help\n", what, which);
    return 2;
}

static int play(const char *path, bool seeded, uint64_t seed, bool json)
{
    struct scenario scenario;
    struct reason why = { "" };
    char trace[512];
    struct sim *s = calloc(1, sizeof(*s));

    int r = s ? scenario_read(path, &scenario, &why) : err_raise(-ENOMEM);
    if (r == 0) {
        r = sim_run(s, &scenario, seeded ? seed : scenario.seed, &why);
        if (r == 0) r = json ? report_json(s, stdout) : (report_table(s, stdout), 0);
        if (r > 0) (void)fprintf(stderr, "hearth-sim: %s: %s\n", path, why.text);
        sim_deinit(s);
    } else if (r > 0) {
        (void)fprintf(stderr, "hearth-sim: %s\n", why.text);
    }
    if (r < 0) (void)fprintf(stderr, "hearth-sim: %s\n", err_trace(trace, sizeof(trace)));
    free(s);
    return r != 0 || fflush(stdout) != 0;
}

int main(int argc, char **argv)
{
    static const struct option list[] = { { "seed", required_argument, NULL, 's' },
                                          { "json", no_argument, NULL, 'j' },
                                          { "help", no_argument, NULL, 'h' },
                                          { 0 } };
    bool json = false, seeded = false;
    uint64_t seed = 0;
    char *end;
    int c;

    opterr = 0;
    while ((c = getopt_long(argc, argv, ":h", list, NULL)) != -1)
        switch (c) {
        case 's':
            seed = strtoull(optarg, &end, 10);
            if (*end || *optarg < '0' || *optarg > '9')
                return usage("--seed wants a number, not ", optarg);
            seeded = true;
            break;
        case 'j':
            json = true;
            break;
        case 'h':
            return fputs(help, stdout) == EOF;
        case ':':
            return usage("a value is missing after ", argv[optind - 1]);
        default:
            return usage("there is no option ", argv[optind - 1]);
        }
    if (optind + 1 != argc)
        return optind == argc ? usage("give a scenario", "")
                              : usage("one scenario at a time, not also ", argv[optind + 1]);
    return play(argv[optind], seeded, seed, json);
}
