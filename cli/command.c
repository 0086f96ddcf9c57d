/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"
#include <locale.h>
#include <string.h>
#include "cli/json_out.h"
#include "cli/nearest.h"
#include "cli/out.h"
#include "cli/talk.h"

enum { HELP_COLUMNS = 88, HELP_INDENT = 28, NAMES_MAX = 64 };

/* Is @word the first word of a command's name of two? */
static bool is_group(const char *word)
{
    size_t n;
    const struct command *const c = command_table(&n);
    const size_t n_word = strlen(word);

    for (size_t i = 0; i < n; i++)
        if (strncmp(c[i].name, word, n_word) == 0 && c[i].name[n_word] == ' ') return true;
    return false;
}

const struct command *command_find(char *const *words, size_t n, size_t *ret_used)
{
    size_t n_commands;
    const struct command *const c = command_table(&n_commands);
    char name[NEAREST_WORD_MAX];

    for (size_t used = n < 2 ? n : 2; used > 0; used--) {
        (void)snprintf(name, sizeof(name), "%s%s%s", words[0], used == 2 ? " " : "",
                       used == 2 ? words[1] : "");
        for (size_t i = 0; i < n_commands; i++) {
            if (strcmp(c[i].name, name) != 0) continue;
            *ret_used = used;
            return &c[i];
        }
    }
    return NULL;
}

/* @text wrapped at blanks, below HELP_COLUMNS; further lines begin at HELP_INDENT. The cursor is there already. */
static void print_wrapped(const char *text, FILE *f)
{
    size_t column = HELP_INDENT;

    while (*text) {
        const size_t n = strcspn(text, " ");
        if (column > HELP_INDENT && column + 1 + n > HELP_COLUMNS) {
            (void)fprintf(f, "\n%*s", HELP_INDENT, "");
            column = HELP_INDENT;
        } else if (column > HELP_INDENT) {
            (void)fputc(' ', f);
            column++;
        }
        (void)fwrite(text, 1, n, f);
        column += n;
        text += n + (text[n] == ' ');
    }
    (void)fputc('\n', f);
}

static void print_options(unsigned groups, FILE *f)
{
    size_t n;
    const struct args_option *const o = args_options(&n);
    char left[64], letter[8];

    for (size_t i = 0; i < n; i++) {
        if (!(o[i].groups & groups)) continue;
        (void)snprintf(letter, sizeof(letter), o[i].letter ? "-%c," : "   ", o[i].letter);
        (void)snprintf(left, sizeof(left), "  %s --%s%s%s", letter, o[i].name,
                       o[i].value ? " " : "", o[i].value ? o[i].value : "");
        (void)fprintf(f, "%-*s", HELP_INDENT, left);
        if (strlen(left) >= HELP_INDENT) (void)fprintf(f, "\n%*s", HELP_INDENT, "");
        print_wrapped(o[i].help, f);
    }
}

/* Commands whose name begins with @prefix. */
static void print_commands(const char *prefix, FILE *f)
{
    size_t n;
    const struct command *const c = command_table(&n);
    char left[64];

    for (size_t i = 0; i < n; i++) {
        if (strncmp(c[i].name, prefix, strlen(prefix)) != 0) continue;
        (void)snprintf(left, sizeof(left), "  %s %s", c[i].name, c[i].arguments);
        (void)fprintf(f, "%-*s", HELP_INDENT + 4, left);
        (void)fprintf(f, "%s\n", c[i].summary);
    }
}

void command_help(const struct command *c, FILE *f)
{
    const char *const bold = out_style(f, OUT_BOLD), *const plain = out_style(f, OUT_PLAIN);

    if (c) {
        (void)fprintf(f, "%susage:%s hearthctl %s%s%s [options]\n\n%s.\n%s", bold, plain, c->name,
                      c->arguments[0] ? " " : "", c->arguments, c->summary, c->more);
        if (c->options) (void)fprintf(f, "\n%soptions:%s\n", bold, plain);
        print_options(c->options, f);
        (void)fprintf(f, "\n%soptions of all commands:%s\n", bold, plain);
        print_options(ARGS_GLOBAL, f);
        return;
    }
    (void)fprintf(f,
                  "hearthctl: the assistant of this machine, from a shell\n\n"
                  "%susage:%s hearthctl COMMAND [options]\n\n"
                  "  hearthctl ask why is the sky blue    one answer\n"
                  "  hearthctl chat                       a conversation\n"
                  "  hearthctl doctor                     what is missing, and what to do\n\n"
                  "%scommands:%s (`hearthctl COMMAND --help` teaches one)\n",
                  bold, plain, bold, plain);
    print_commands("", f);
    (void)fprintf(f, "\n%soptions of all commands:%s\n", bold, plain);
    print_options(ARGS_GLOBAL, f);
    (void)fprintf(
        f,
        "\n%sexit codes:%s 0 done, 1 refused or failed, 2 wrong usage, 3 hearthd cannot be "
        "reached,\n4 refused for now: try again later, 130 interrupted\n",
        bold, plain);
}

/* What was probably meant by the unknown @words. */
static int refuse(char *const *words, size_t n_words)
{
    size_t n;
    const struct command *const c = command_table(&n);
    const char *names[NAMES_MAX];
    char typed[2 * NEAREST_WORD_MAX], group[NEAREST_WORD_MAX];

    for (size_t i = 0; i < n; i++)
        names[i] = c[i].name;
    if (is_group(words[0]) && n_words == 1) {
        (void)snprintf(group, sizeof(group), "%s ", words[0]);
        out_error("%s needs one of these:", words[0]);
        print_commands(group, stderr);
        return TALK_USAGE;
    }
    (void)snprintf(typed, sizeof(typed), "%s %s", words[0], n_words > 1 ? words[1] : "");
    const char *near = n_words > 1 ? nearest_of(typed, names, n) : NULL;
    if (!is_group(words[0])) typed[strlen(words[0]) < sizeof(typed) ? strlen(words[0]) : 0] = '\0';
    if (!near) near = nearest_of(words[0], names, n);
    if (near)
        out_error("there is no command '%s'; did you mean `hearthctl %s`?", typed, near);
    else if (strchr(words[0], ' '))
        out_error("to ask this, say `hearthctl ask \"...\"`; `hearthctl help` lists all commands");
    else
        out_error("there is no command '%s'; `hearthctl help` lists them", typed);
    return TALK_USAGE;
}

int command_explain(const struct args *a)
{
    size_t used;
    const struct command *const c = command_find(a->words, a->n_words, &used);
    char group[NEAREST_WORD_MAX];

    if (a->n_words > 0 && !c) {
        if (!is_group(a->words[0]) || a->n_words > 1) return refuse(a->words, a->n_words);
        (void)snprintf(group, sizeof(group), "%s ", a->words[0]);
        print_commands(group, stdout);
    } else {
        command_help(c, stdout);
    }
    return out_flush() == 0 ? TALK_OK : TALK_FAILED;
}

int command_version(const struct args *a)
{
    if (a->json) return json_out_print(json_pack("{ss}", "version", CLI_VERSION));
    printf("hearthctl %s\n", CLI_VERSION);
    return out_flush() == 0 ? TALK_OK : TALK_FAILED;
}

/* The words after the command's name must be as many as it takes. Return: enum talk_exit. */
static int check_words(const struct command *c, const struct args *a)
{
    if (a->n_words >= c->words_min && a->n_words <= c->words_max) return TALK_OK;
    if (a->n_words < c->words_min)
        out_error("%s needs %s; `hearthctl %s --help` has examples", c->name, c->arguments,
                  c->name);
    else
        out_error("%s: '%s' is too much; usage: hearthctl %s%s%s", c->name, a->words[c->words_max],
                  c->name, c->arguments[0] ? " " : "", c->arguments);
    return TALK_USAGE;
}

/* From the name of a command on. @argv: [argc], argv[0] is the first word of it. */
static int run_named(struct args *a, int argc, char **argv)
{
    struct reason why = { "" };
    size_t used = 0;
    char *const *const words = argv;
    const struct command *const c = command_find(words, (size_t)argc, &used);

    if (!c && argc > 1 && is_group(argv[0]) &&
        (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        a->words = words;
        a->n_words = 1;
        return command_explain(a);
    }
    if (!c) return refuse(words, (size_t)argc);
    argv += used - 1; /* args_parse() begins after the last word of the name */
    argc -= (int)used - 1;
    if (args_parse(a, argc, argv, ARGS_GLOBAL | c->options, false, &why) != 0) {
        out_error("%s: %s; `hearthctl %s --help` lists the options", c->name, why.text, c->name);
        return TALK_USAGE;
    }
    out_init(a->color);
    if (a->help) {
        command_help(c, stdout);
        return out_flush() == 0 ? TALK_OK : TALK_FAILED;
    }
    const int r = check_words(c, a);
    return r == TALK_OK ? c->run(a) : r;
}

int command_run(int argc, char **argv)
{
    struct args a = { 0 };
    struct reason why = { "" };

    (void)setlocale(LC_CTYPE, ""); /* widths of characters; numbers keep their point */
    out_init(NULL);
    if (args_parse(&a, argc, argv, ARGS_GLOBAL, true, &why) != 0) {
        out_error("%s; `hearthctl help` lists the options", why.text);
        return TALK_USAGE;
    }
    out_init(a.color);
    if (a.version) return command_version(&a);
    if (a.n_words == 0) {
        command_help(NULL, a.help ? stdout : stderr);
        return a.help && out_flush() == 0 ? TALK_OK : TALK_USAGE;
    }
    if (a.help) return command_explain(&a);
    return run_named(&a, (int)a.n_words, argv + argc - (int)a.n_words);
}
