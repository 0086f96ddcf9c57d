/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/command.h"
#include "cli/talk.h"

enum { WORDS_MAX = 16 };

/* Run "hearthctl @line"; words are separated by single blanks. */
static int run(const char *line)
{
    static char text[256], name[] = "hearthctl";
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
    return command_run(argc, argv);
}

/* @line ends with wrong usage, and stderr has @sentence. */
static void refused(const char *line, const char *sentence)
{
    char said[8192];

    cr_assert_eq(run(line), TALK_USAGE, "%s", line);
    (void)fflush(stderr);
    FILE *const f = cr_get_redirected_stderr();
    const size_t n = fread(said, 1, sizeof(said) - 1, f);
    said[n] = '\0';
    cr_assert(strstr(said, sentence), "'%s' says '%s', not '%s'", line, said, sentence);
}

static void redirect(void)
{
    cr_redirect_stdout();
    cr_redirect_stderr();
    (void)setenv("HEARTH_SOCKET", "/nonexistent/hearth.sock", 1);
}

Test(command, every_command_is_found_by_its_name)
{
    size_t n, used;
    const struct command *const c = command_table(&n);
    char first[32], second[32];
    char *words[2] = { first, second };

    for (size_t i = 0; i < n; i++) {
        second[0] = '\0';
        const int n_words = sscanf(c[i].name, "%31s %31s", first, second);
        cr_assert_eq(command_find(words, (size_t)n_words, &used), &c[i], "%s", c[i].name);
        cr_assert_eq(used, (size_t)n_words);
        cr_assert(c[i].run && c[i].summary[0] && c[i].words_min <= c[i].words_max);
        cr_assert(strstr(c[i].more, "  hearthctl ") || strstr(c[i].more, "| hearthctl") ||
                      strstr(c[i].more, "  sudo hearthctl "),
                  "%s has an example", c[i].name);
        cr_assert_null(strchr(c[i].summary, '\n'));
    }
}

Test(command, no_name_no_command)
{
    static char model[] = "model", nothing[] = "nothing";
    char *words[2] = { model, nothing };
    size_t used = 9;

    cr_assert_null(command_find(words, 0, &used));
    cr_assert_null(command_find(words, 1, &used));
    cr_assert_null(command_find(words, 2, &used));
    cr_assert_eq(used, 9);
}

Test(command, nearest_command_is_suggested, .init = redirect)
{
    refused("statsu", "did you mean `hearthctl status`?");
}
Test(command, nearest_command_of_two_words_is_suggested, .init = redirect)
{
    refused("model lsit", "did you mean `hearthctl model list`?");
}
Test(command, misspelt_group_is_understood, .init = redirect)
{
    refused("modle list", "did you mean `hearthctl model list`?");
}
Test(command, group_alone_lists_its_commands, .init = redirect)
{
    refused("conversation", "conversation open NAME");
}
Test(command, unknown_command_leads_to_help, .init = redirect)
{
    refused("frobnicate", "`hearthctl help` lists them");
}
Test(command, no_command_shows_help, .init = redirect)
{
    refused("", "hearthctl ask why is the sky blue");
}
Test(command, too_few_words, .init = redirect)
{
    refused("model add", "model add needs FILE");
}
Test(command, too_many_words, .init = redirect)
{
    refused("status now", "status: 'now' is too much");
}
Test(command, option_of_another_command, .init = redirect)
{
    refused("status --seed 4", "there is no option --seed here");
}
Test(command, bad_option_before_the_command, .init = redirect)
{
    refused("--jsn status", "did you mean --json?");
}
Test(command, cancel_takes_numbers_only, .init = redirect)
{
    refused("cancel 7 seven", "SERIAL: 'seven' is not a whole number");
}
Test(command, sha256_has_64_digits, .init = redirect)
{
    refused("model add /dev/null --sha256 abc", "64 hexadecimal digits");
}
Test(command, stream_goes_with_json, .init = redirect)
{
    refused("ask hello --stream", "--stream goes with --json");
}
Test(command, chat_has_no_json_form, .init = redirect)
{
    refused("chat --json", "ask --json");
}
Test(command, socket_path_is_limited_by_the_kernel, .init = redirect)
{
    char line[200] = "status --socket /";

    memset(line + strlen(line), 'x', 120);
    refused(line, "107 bytes");
}
Test(command, top_needs_a_terminal, .init = redirect)
{
    refused("top", "top needs a terminal");
}

Test(command, hearthd_that_is_not_there_has_its_own_exit_code, .init = redirect)
{
    cr_assert_eq(run("status"), TALK_UNREACHABLE);
    cr_assert_eq(run("ask hello"), TALK_UNREACHABLE);
    cr_assert_eq(run("model list"), TALK_UNREACHABLE);
    cr_assert_eq(run("top --json"), TALK_UNREACHABLE);
    cr_assert_eq(run("doctor"), TALK_FAILED, "doctor reports it as a finding");
}

Test(command, file_that_cannot_be_read_is_a_failure, .init = redirect)
{
    cr_assert_eq(run("model add /nonexistent/x.gguf"), TALK_FAILED);
    cr_assert_eq(run("model add /dev/null"), TALK_FAILED);
    cr_assert_eq(run("ask --file /nonexistent/x hello"), TALK_FAILED);
    cr_assert_eq(run("ask --image /nonexistent/x hello"), TALK_FAILED);
}

Test(command, help_explains_everything, .init = redirect)
{
    cr_assert_eq(run("--help"), TALK_OK);
    cr_assert_eq(run("help"), TALK_OK);
    cr_assert_eq(run("help model"), TALK_OK);
    cr_assert_eq(run("help model add"), TALK_OK);
    cr_assert_eq(run("model --help"), TALK_OK);
    cr_assert_eq(run("model add --help"), TALK_OK);
    cr_assert_eq(run("ask --help"), TALK_OK, "without asking hearthd anything");
    cr_assert_eq(run("--version"), TALK_OK);
    cr_assert_eq(run("version --json"), TALK_OK);
    cr_assert_eq(run("help nothing"), TALK_USAGE);
}
