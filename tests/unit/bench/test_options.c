/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include "bench/options.h"

enum { ARGS_MAX = 16 };

/* Parse a line of arguments without quotes. */
static int parse(const char *line, struct options *o, struct reason *why)
{
    static char text[256];
    char *argv[ARGS_MAX + 1] = { NULL }, *rest = text;
    int argc = 0;

    (void)snprintf(text, sizeof(text), "hearth-bench %s", line);
    for (char *word; argc < ARGS_MAX && (word = strsep(&rest, " "));)
        if (*word) argv[argc++] = word;
    return options_parse(argc, argv, o, why);
}

static void refused(const char *line, const char *part)
{
    struct options o = { .runs = 77 };
    struct reason why = { "" };

    cr_assert_eq(parse(line, &o, &why), OPTIONS_E_REFUSED, "'%s' was taken", line);
    cr_assert_not_null(strstr(why.text, part), "'%s': '%s' does not say '%s'", line, why.text,
                       part);
    cr_assert_eq(o.runs, 77, "a refusal leaves its object alone");
}

Test(options, every_option_of_the_engine_arrives)
{
    struct options o;
    struct reason why;

    cr_assert_eq(parse("engine --prompt-tokens 7 m.gguf --gen-tokens 0 --threads 3 --level fast "
                       "--runs 9",
                       &o, &why),
                 0);
    cr_assert_eq(o.command, OPTIONS_ENGINE);
    cr_assert_str_eq(o.model, "m.gguf");
    cr_assert_str_eq(o.level, "fast");
    cr_assert_eq(o.prompt_tokens, 7);
    cr_assert_eq(o.gen_tokens, 0);
    cr_assert_eq(o.threads, 3);
    cr_assert_eq(o.runs, 9);
    cr_assert_not(o.json);
    cr_assert_eq(
        parse("engine m --depth 10 --seqs 4 --chunk 64 --context 99 --kernels c --json", &o, &why),
        0);
    cr_assert_eq(o.depth, 10);
    cr_assert_eq(o.seqs, 4);
    cr_assert_eq(o.chunk, 64);
    cr_assert_eq(o.context, 99);
    cr_assert_str_eq(o.kernels, "c");
    cr_assert(o.json);
}

Test(options, what_is_not_given_has_a_default)
{
    struct options o;
    struct reason why;

    cr_assert_eq(parse("engine m", &o, &why), 0);
    cr_assert_eq(o.prompt_tokens, 512);
    cr_assert_eq(o.gen_tokens, 64);
    cr_assert_eq(o.depth, 0);
    cr_assert_eq(o.seqs, 1);
    cr_assert_eq(o.runs, 5);
    cr_assert_eq(o.threads, 0);
    cr_assert_null(o.level);
    cr_assert_null(o.kernels);
}

Test(options, the_other_commands_have_options_of_their_own)
{
    struct options o;
    struct reason why;

    cr_assert_eq(parse("kernels --type q6_k --ms 20", &o, &why), 0);
    cr_assert_eq(o.command, OPTIONS_KERNELS);
    cr_assert_str_eq(o.type, "q6_k");
    cr_assert_eq(o.ms, 20);
    cr_assert_eq(parse("bandwidth --raw --mib 64", &o, &why), 0);
    cr_assert_eq(o.command, OPTIONS_BANDWIDTH);
    cr_assert(o.raw);
    cr_assert_eq(o.mib, 64);
}

Test(options, help_needs_nothing_else)
{
    struct options o;
    struct reason why;

    cr_assert_eq(parse("--help", &o, &why), 0);
    cr_assert_eq(o.command, OPTIONS_HELP);
    cr_assert_eq(parse("engine --help", &o, &why), 0);
    cr_assert_eq(o.command, OPTIONS_HELP);
    cr_assert_eq(parse("engine -h", &o, &why), 0);
    cr_assert_eq(o.command, OPTIONS_HELP);
}

Test(options, a_line_without_a_command_is_refused)
{
    refused("", "no command");
    refused("motor m", "'motor' is not a command");
}

Test(options, a_number_must_be_one_and_in_its_range)
{
    refused("engine m --prompt-tokens x",
            "--prompt-tokens wants a number from 0 to 1048576, not 'x'");
    refused("engine m --prompt-tokens -1", "not '-1'");
    refused("engine m --prompt-tokens 5k", "not '5k'");
    refused("engine m --gen-tokens 99999999999999999999", "--gen-tokens wants");
    refused("engine m --runs 0", "--runs wants a number from 1");
    refused("engine m --seqs 65", "--seqs wants a number from 1 to 64");
    refused("engine m --threads 0", "--threads wants");
    refused("bandwidth --mib 0", "--mib wants");
}

Test(options, what_a_command_does_not_have_is_refused)
{
    refused("kernels --depth 4", "--depth does not go with 'kernels'");
    refused("bandwidth --kernels c", "--kernels does not go with 'bandwidth'");
    refused("engine m --type q4_0", "--type does not go with 'engine'");
    refused("engine m --raw", "--raw does not go with 'engine'");
    refused("engine m --turbo", "'--turbo' is not an option");
    refused("engine m --runs", "'--runs' wants a value");
}

Test(options, one_model_and_something_to_measure_are_needed)
{
    refused("engine --runs 2", "give one model file");
    refused("engine a b", "'b' is one argument too many");
    refused("kernels a", "'a' is one argument too many");
    refused("engine m --prompt-tokens 0 --gen-tokens 0", "nothing to measure");
}
