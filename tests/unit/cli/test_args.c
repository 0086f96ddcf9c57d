/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>
#include "cli/args.h"

enum { WORDS_MAX = 24 };

/* Parse @line, words separated by single blanks; argv[0] is added. */
static int parse(const char *line, unsigned groups, bool first_word_ends, struct args *a,
                 struct reason *why)
{
    static char text[512], name[] = "hearthctl";
    static char *argv[WORDS_MAX + 1];
    int argc = 1;

    argv[0] = name;
    cr_assert_lt(strlen(line), sizeof(text));
    memcpy(text, line, strlen(line) + 1);
    for (char *at = text; *at && argc < WORDS_MAX;) {
        argv[argc++] = at;
        at += strcspn(at, " ");
        if (*at) *at++ = '\0';
    }
    argv[argc] = NULL;
    *a = (struct args){ 0 };
    *why = (struct reason){ "" };
    return args_parse(a, argc, argv, groups, first_word_ends, why);
}

static void refused(const char *line, const char *sentence)
{
    struct args a;
    struct reason why;

    cr_assert_eq(parse(line, ARGS_GLOBAL | ARGS_GENERATE | ARGS_PROMPT, false, &a, &why),
                 ARGS_E_USAGE, "%s", line);
    cr_assert(strstr(why.text, sentence), "'%s' says '%s', not '%s'", line, why.text, sentence);
}

Test(args, reads_values_of_every_kind_wherever_they_stand)
{
    struct args a;
    struct reason why;

    cr_assert_eq(
        parse("why --seed 18446744073709551615 is -n 7 --temperature=0.25 --stop a --stop b "
              "the --deadline 1.5s --class realtime --stats sky",
              ARGS_GLOBAL | ARGS_GENERATE, false, &a, &why),
        0, "%s", why.text);
    cr_assert(a.seed.set && a.seed.value == UINT64_MAX);
    cr_assert(a.max_tokens.set && a.max_tokens.value == 7);
    cr_assert(a.temperature.set && a.temperature.value == 0.25);
    cr_assert(!a.top_k.set && !a.top_p.set && !a.json);
    cr_assert_eq(a.stop.n, 2);
    cr_assert_str_eq(a.stop.item[1], "b");
    cr_assert_eq(a.deadline_ms.value, 1500);
    cr_assert_str_eq(a.request_class, "realtime");
    cr_assert(a.stats);
    cr_assert_eq(a.n_words, 4, "words keep their order behind the options");
    cr_assert_str_eq(a.words[0], "why");
    cr_assert_str_eq(a.words[3], "sky");
}

Test(args, first_word_may_end_the_options)
{
    struct args a;
    struct reason why;

    cr_assert_eq(parse("--json ask --stats", ARGS_GLOBAL, true, &a, &why), 0);
    cr_assert(a.json && !a.stats);
    cr_assert_eq(a.n_words, 2);
    cr_assert_str_eq(a.words[1], "--stats");
}

Test(args, two_dashes_end_the_options)
{
    struct args a;
    struct reason why;

    cr_assert_eq(parse("--json -- -5 --stats", ARGS_GLOBAL, false, &a, &why), 0);
    cr_assert_eq(a.n_words, 2);
    cr_assert_str_eq(a.words[0], "-5");
}

Test(args, refuses_with_a_sentence_that_says_what_and_why)
{
    refused("--max-tokens many", "--max-tokens: 'many' is not a whole number");
    refused("--max-tokens -1", "is not a whole number");
    refused("--max-tokens 4294967296", "the largest is 4294967295");
    refused("--seed 18446744073709551616", "too large");
    refused("--temperature hot", "is not a number such as 0.7");
    refused("--temperature -0.5", "is negative");
    refused("--temperature nan", "is not a number");
    refused("--temperature 1e999", "is not a number");
    refused("--temperature 0x1p3", "is not a number");
    refused("--temperature 1,5", "is not a number");
    refused("--class urgent", "'urgent' is none of background|interactive|realtime");
    refused("--class real", "is none of");
    refused("--deadline 5h", "is not a time");
    refused("--deadline 0", "out of range");
    refused("--deadline 99999999m", "out of range");
    refused("--max-tokens", "--max-tokens needs a value");
    refused("-n", "-n needs a value");
    refused("--json=yes", "--json takes no value");
    refused("--stop 1 --stop 2 --stop 3 --stop 4 --stop 5 --stop 6 --stop 7 --stop 8 --stop 9",
            "given more than 8 times");
}

Test(args, suggests_the_option_that_was_meant)
{
    refused("--max-token5 3", "did you mean --max-tokens?");
    refused("--sytem x", "did you mean --system?");
    refused("--zzz", "a word that begins with '-' goes after --");
    refused("-5", "there is no option -5");
}

Test(args, refuses_options_of_other_commands)
{
    struct args a;
    struct reason why;

    cr_assert_eq(parse("--stats", ARGS_GLOBAL | ARGS_TOP, false, &a, &why), ARGS_E_USAGE);
    cr_assert(strstr(why.text, "--stats"));
}

Test(args, reads_times_in_three_units)
{
    uint64_t ms;

    cr_assert_eq(args_duration("2", "x", &ms, NULL), 0);
    cr_assert_eq(ms, 2000);
    cr_assert_eq(args_duration("250ms", "x", &ms, NULL), 0);
    cr_assert_eq(ms, 250);
    cr_assert_eq(args_duration("0.5m", "x", &ms, NULL), 0);
    cr_assert_eq(ms, 30000);
    cr_assert_eq(args_duration("", "x", &ms, NULL), ARGS_E_USAGE);
    cr_assert_eq(args_duration("1.2.3", "x", &ms, NULL), ARGS_E_USAGE);
    cr_assert_eq(args_duration("ms", "x", &ms, NULL), ARGS_E_USAGE);
    cr_assert_eq(ms, 30000, "a refusal writes nothing");
}

Test(args, table_has_no_name_and_no_letter_twice)
{
    size_t n;
    const struct args_option *const o = args_options(&n);

    for (size_t i = 0; i < n; i++) {
        cr_assert_eq(o[i].kind == ARGS_FLAG, o[i].value == NULL, "--%s", o[i].name);
        cr_assert_eq(o[i].kind == ARGS_CHOICE, o[i].choices != NULL, "--%s", o[i].name);
        for (size_t j = 0; j < i; j++) {
            cr_assert_str_neq(o[i].name, o[j].name);
            cr_assert(o[i].letter == 0 || o[i].letter != o[j].letter, "-%c", o[i].letter);
        }
    }
}
