/* SPDX-License-Identifier: Apache-2.0 */
/* cli/command.h: the commands of hearthctl, and how a command line finds its command. */
#pragma once
#include <stddef.h>
#include <stdio.h>
#include "cli/args.h"

struct command {
    const char *name;      /* "ask", "model add" */
    const char *arguments; /* "[PROMPT...]", "" */
    const char *summary;   /* one line without a full stop */
    const char *more;      /* paragraphs and examples for --help, each line ends with '\n' */
    unsigned options;      /* groups of enum args_group, besides ARGS_GLOBAL */
    size_t words_min, words_max;
    int (*run)(const struct args *a); /* Return: enum talk_exit */
};

/** command_table() - all of them, in the order of the help text. Return: the first, static. @ret_n: how many. */
const struct command *command_table(size_t *ret_n);

/**
 * command_find() - the command that @words: [n] begin with
 * Return: it; NULL: none. @ret_used: words that its name has, 1 or 2.
 */
const struct command *command_find(char *const *words, size_t n, size_t *ret_used);

/** command_help() - explain @c to @f; NULL: explain hearthctl. */
void command_help(const struct command *c, FILE *f);

/** command_run() - all that main() does. Return: the exit code, enum talk_exit. */
int command_run(int argc, char **argv);

/* The commands, each in the file of its group. */
int command_ask(const struct args *a);
int command_complete(const struct args *a);
int command_chat(const struct args *a);
int command_status(const struct args *a);
int command_ps(const struct args *a);
int command_top(const struct args *a);
int command_cancel(const struct args *a);
int command_metrics(const struct args *a);
int command_level(const struct args *a);
int command_drain(const struct args *a);
int command_model_list(const struct args *a);
int command_model_info(const struct args *a);
int command_model_add(const struct args *a);
int command_model_activate(const struct args *a);
int command_model_remove(const struct args *a);
int command_model_load(const struct args *a);
int command_model_unload(const struct args *a);
int command_conversation_open(const struct args *a);
int command_conversation_close(const struct args *a);
int command_tokenize(const struct args *a);
int command_doctor(const struct args *a);
int command_explain(const struct args *a);
int command_version(const struct args *a);
