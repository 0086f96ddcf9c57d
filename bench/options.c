/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/options.h"
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "bench/bandwidth.h"

enum { TOKENS_MAX = 1 << 20, THREADS_MAX = 64, CHUNK_MAX = 4096, MS_MAX = 60000 };

static const char help[] =
    "usage: hearth-bench engine MODEL --prompt-tokens N --gen-tokens N [options]\n"
    "       hearth-bench kernels [options]\n"
    "       hearth-bench bandwidth [options]\n"
    "       hearth-bench service --scenario FILE [--socket PATH | --http PORT] [--json]\n"
    "\n"
    "engine: how fast a model is loaded, reads a prompt and writes an answer; each number of "
    "tokens per\n"
    "second is the median of the runs. Tokens are random ones. Beside it, the bytes of weights "
    "that a\n"
    "decoded token reads, and how fast the machine reads memory, measured between the runs.\n"
    "  --prompt-tokens N  length of the prompt; 0: not measured (default 512)\n"
    "  --gen-tokens N     tokens that are decoded; 0: not measured (default 64)\n"
    "  --depth D          tokens that are there before decoding begins (default 0)\n"
    "  --seqs S           sequences that decode together (default 1, at most 64)\n"
    "  --level NAME       level of the model (default: the whole model)\n"
    "  --context N        tokens that room is reserved for (default: as many as are used)\n"
    "  --chunk C          most tokens of one step (default: the engine's)\n"
    "\n"
    "kernels: each kernel alone on one thread, in GB/s and GMAC/s, against what a thread can read "
    "and\n"
    "multiply on this machine.\n"
    "  --type TYPE        only matrices of this type, q4_0 for example\n"
    "  --ms N             time for each measurement (default 100)\n"
    "\n"
    "bandwidth: how fast threads read memory.\n"
    "\n"
    "service: a load of many apps against a running server: for each group of the scenario how "
    "long "
    "it\n"
    "takes to the first token, what it got, how evenly its apps shared, and which errors it had. "
    "Each app\n"
    "is a process; what is in flight when the time is over is cancelled. tools/scenarios/ has "
    "scenarios,\n"
    "docs/SCHEDULING.md their settings. bench/peer/serve-compare runs one against two servers.\n"
    "  --scenario FILE    what is asked, when and by whom\n"
    "  --socket PATH      of hearthd (default: where libhearth looks)\n"
    "  --http PORT        instead of hearthd: llama-server on this machine\n"
    "\n"
    "For engine, kernels and bandwidth:\n"
    "  --threads T        default: one per CPU that this process may run on; kernels always use "
    "one\n"
    "  --kernels SET      auto (default), c, or a set of this CPU: avx2, avx512-vnni, ...\n"
    "  --runs R           measurements of which the median is taken (default 5)\n"
    "  --mib M            size of the buffer for the bandwidth (default 512, it must exceed the "
    "caches)\n"
    "For all of them:\n"
    "  --json             one JSON object instead of a table\n"
    "\n"
    "Exit status: 0 done, 1 refused or failed, 2 wrong usage.\n";

const char *options_help(void)
{
    return help;
}

enum { MACHINE = 1 << OPTIONS_ENGINE | 1 << OPTIONS_KERNELS | 1 << OPTIONS_BANDWIDTH };

/* Options with a number: where it goes, and what it may be. */
static const struct number {
    const char *name;
    size_t at;
    uint32_t min, max;
    unsigned commands; /* bits of enum options_command */
} numbers[] = {
    { "prompt-tokens", offsetof(struct options, prompt_tokens), 0, TOKENS_MAX,
      1 << OPTIONS_ENGINE },
    { "gen-tokens", offsetof(struct options, gen_tokens), 0, TOKENS_MAX, 1 << OPTIONS_ENGINE },
    { "depth", offsetof(struct options, depth), 0, TOKENS_MAX, 1 << OPTIONS_ENGINE },
    { "seqs", offsetof(struct options, seqs), 1, OPTIONS_SEQS_MAX, 1 << OPTIONS_ENGINE },
    { "context", offsetof(struct options, context), 1, TOKENS_MAX, 1 << OPTIONS_ENGINE },
    { "chunk", offsetof(struct options, chunk), 1, CHUNK_MAX, 1 << OPTIONS_ENGINE },
    { "threads", offsetof(struct options, threads), 1, THREADS_MAX, MACHINE },
    { "runs", offsetof(struct options, runs), 1, OPTIONS_RUNS_MAX, MACHINE },
    { "mib", offsetof(struct options, mib), 1, BANDWIDTH_MIB_MAX, MACHINE },
    { "http", offsetof(struct options, http), 1, 65535, 1 << OPTIONS_SERVICE },
    { "ms", offsetof(struct options, ms), 1, MS_MAX, 1 << OPTIONS_KERNELS },
};

static const struct text {
    const char *name;
    size_t at;
    unsigned commands;
} texts[] = {
    { "level", offsetof(struct options, level), 1 << OPTIONS_ENGINE },
    { "kernels", offsetof(struct options, kernels), 1 << OPTIONS_ENGINE | 1 << OPTIONS_KERNELS },
    { "type", offsetof(struct options, type), 1 << OPTIONS_KERNELS },
    { "socket", offsetof(struct options, socket), 1 << OPTIONS_SERVICE },
    { "scenario", offsetof(struct options, scenario), 1 << OPTIONS_SERVICE },
};

enum {
    N_NUMBERS = sizeof(numbers) / sizeof(numbers[0]),
    N_TEXTS = sizeof(texts) / sizeof(texts[0])
};
enum { JSON = N_NUMBERS + N_TEXTS, RAW, HELP, N_OPTIONS };

static int refuse_for(struct reason *why, const char *name, const char *command)
{
    reason_set(why, "--%s does not go with '%s'", name, command);
    return OPTIONS_E_REFUSED;
}

static int take_number(struct options *o, const struct number *n, const char *text,
                       struct reason *why)
{
    char *end;

    errno = 0;
    const unsigned long long v = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-' || v < n->min || v > n->max) {
        reason_set(why, "--%s wants a number from %u to %u, not '%s'", n->name, n->min, n->max,
                   text);
        return OPTIONS_E_REFUSED;
    }
    *(uint32_t *)(void *)((char *)o + n->at) = (uint32_t)v;
    return 0;
}

static int take_option(struct options *o, int which, const char *command, struct reason *why)
{
    if (which < N_NUMBERS) {
        const struct number *n = &numbers[which];
        if (!(n->commands >> o->command & 1)) return refuse_for(why, n->name, command);
        return take_number(o, n, optarg, why);
    }
    if (which < N_NUMBERS + N_TEXTS) {
        const struct text *t = &texts[which - N_NUMBERS];
        if (!(t->commands >> o->command & 1)) return refuse_for(why, t->name, command);
        *(const char **)(void *)((char *)o + t->at) = optarg;
    }
    if (which == JSON) o->json = true;
    if (which == RAW && o->command != OPTIONS_BANDWIDTH) return refuse_for(why, "raw", command);
    if (which == RAW) o->raw = true;
    return 0;
}

static void list_options(struct option list[N_OPTIONS + 1])
{
    for (int i = 0; i < N_NUMBERS; i++)
        list[i] = (struct option){ numbers[i].name, required_argument, NULL, 256 + i };
    for (int i = 0; i < N_TEXTS; i++)
        list[N_NUMBERS + i] =
            (struct option){ texts[i].name, required_argument, NULL, 256 + N_NUMBERS + i };
    list[JSON] = (struct option){ "json", no_argument, NULL, 256 + JSON };
    list[RAW] = (struct option){ "raw", no_argument, NULL, 256 + RAW };
    list[HELP] = (struct option){ "help", no_argument, NULL, 256 + HELP };
    list[N_OPTIONS] = (struct option){ 0 };
}

/* What only makes sense together. */
static int check(const struct options *o, struct reason *why)
{
    if (o->command == OPTIONS_ENGINE && !o->model)
        reason_set(why, "engine: give one model file");
    else if (o->command == OPTIONS_ENGINE && o->prompt_tokens == 0 && o->gen_tokens == 0)
        reason_set(why, "engine: --prompt-tokens and --gen-tokens are both 0, so there is nothing "
                        "to measure");
    else if (o->command == OPTIONS_SERVICE && !o->scenario)
        reason_set(why, "service: give a --scenario");
    else if (o->command == OPTIONS_SERVICE && o->socket && o->http)
        reason_set(why, "service: --socket and --http are two servers: give one of them");
    else
        return 0;
    return OPTIONS_E_REFUSED;
}

static int find_command(const char *name, enum options_command *ret, struct reason *why)
{
    static const char *const names[] = { "--help", "engine", "kernels", "bandwidth", "service" };

    for (int i = 0; i < 5; i++)
        if (name && strcmp(name, names[i]) == 0) {
            *ret = (enum options_command)i;
            return 0;
        }
    reason_set(why, "%s%s%s: give engine, kernels, bandwidth or service", name ? "'" : "no command",
               name ? name : "", name ? "' is not a command" : "");
    return OPTIONS_E_REFUSED;
}

int options_parse(int argc, char **argv, struct options *ret, struct reason *why)
{
    struct options o = { .prompt_tokens = 512,
                         .gen_tokens = 64,
                         .seqs = 1,
                         .runs = 5,
                         .mib = BANDWIDTH_MIB_DEFAULT,
                         .ms = 100 };
    struct option list[N_OPTIONS + 1];
    const char *const command = argc > 1 ? argv[1] : NULL;
    int r = find_command(command, &o.command, why), c;

    list_options(list);
    optind = 0; /* begin anew, of glibc and musl */
    opterr = 0;
    while (r == 0 && (c = getopt_long(argc - 1, argv + 1, ":h", list, NULL)) != -1) {
        if (c == '?' || c == ':') {
            reason_set(why, c == '?' ? "'%s' is not an option" : "'%s' wants a value",
                       argv[optind]);
            return OPTIONS_E_REFUSED;
        }
        if (c == 'h' || c == 256 + HELP)
            o.command = OPTIONS_HELP;
        else
            r = take_option(&o, c - 256, command, why);
        if (o.command == OPTIONS_HELP) break;
    }
    if (r == 0 && o.command == OPTIONS_ENGINE && optind + 1 < argc) o.model = argv[1 + optind++];
    if (r == 0 && o.command != OPTIONS_HELP && optind + 1 < argc) {
        reason_set(why, "'%s' is one argument too many", argv[1 + optind]);
        r = OPTIONS_E_REFUSED;
    }
    if (r == 0) r = check(&o, why);
    if (r != 0) return r;
    *ret = o;
    return 0;
}
