/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/args.h"
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/nearest.h"

enum { OPTIONS_MAX = 64, FIRST_CODE = 256 }; /* getopt's codes: letters, then FIRST_CODE + index */

#define AT(member) offsetof(struct args, member)
static const struct args_option options[] = {
    { "socket", 0, ARGS_TEXT, "PATH", ARGS_GLOBAL, AT(socket), NULL,
      "hearthd's socket (default: $HEARTH_SOCKET, $XDG_RUNTIME_DIR/hearth/hearth.sock, "
      "/run/hearth/hearth.sock)" },
    { "json", 'j', ARGS_FLAG, NULL, ARGS_GLOBAL, AT(json), NULL, "answer in JSON, for programs" },
    { "color", 0, ARGS_CHOICE, "WHEN", ARGS_GLOBAL, AT(color), "auto|always|never",
      "colours: auto (on terminals, unless NO_COLOR is set), always, never" },
    { "help", 'h', ARGS_FLAG, NULL, ARGS_GLOBAL, AT(help), NULL, "explain the command" },
    { "version", 0, ARGS_FLAG, NULL, ARGS_GLOBAL, AT(version), NULL, "print hearthctl's version" },
    { "system", 's', ARGS_TEXT, "TEXT", ARGS_GENERATE | ARGS_SYSTEM, AT(system), NULL,
      "instructions that precede the prompt" },
    { "level", 'l', ARGS_TEXT, "NAME", ARGS_GENERATE, AT(level), NULL,
      "size of model: auto, fast, balanced, best, or a level of `model info`" },
    { "max-tokens", 'n', ARGS_U32, "N", ARGS_GENERATE, AT(max_tokens), NULL,
      "stop after N tokens (a token is about 3/4 of a word)" },
    { "temperature", 't', ARGS_REAL, "X", ARGS_GENERATE, AT(temperature), NULL,
      "0: always the most likely token; 1: as the model was trained; more: wilder" },
    { "top-k", 0, ARGS_U32, "N", ARGS_GENERATE, AT(top_k), NULL,
      "choose among the N most likely tokens; 0: all" },
    { "top-p", 0, ARGS_REAL, "X", ARGS_GENERATE, AT(top_p), NULL,
      "choose among the tokens that together have probability X" },
    { "min-p", 0, ARGS_REAL, "X", ARGS_GENERATE, AT(min_p), NULL,
      "leave out tokens less likely than X times the most likely" },
    { "repetition-penalty", 0, ARGS_REAL, "X", ARGS_GENERATE, AT(repetition_penalty), NULL,
      "make repetition less likely; 1: off" },
    { "seed", 0, ARGS_U64, "N", ARGS_GENERATE, AT(seed), NULL,
      "the same seed and request give the same text" },
    { "stop", 0, ARGS_LIST, "TEXT", ARGS_GENERATE, AT(stop), NULL,
      "end the answer before TEXT; up to 8 times" },
    { "class", 0, ARGS_CHOICE, "CLASS", ARGS_GENERATE, AT(request_class),
      "background|interactive|realtime", "who goes first: background, interactive, realtime" },
    { "deadline", 0, ARGS_DURATION, "TIME", ARGS_GENERATE, AT(deadline_ms), NULL,
      "be done in this time or refuse: 2, 2s, 500ms, 1m" },
    { "conversation", 'c', ARGS_TEXT, "NAME", ARGS_GENERATE, AT(conversation), NULL,
      "continue a conversation that `conversation open` began" },
    { "stats", 0, ARGS_FLAG, NULL, ARGS_GENERATE, AT(stats), NULL,
      "say on stderr how many tokens it took and how fast" },
    { "file", 'f', ARGS_LIST, "PATH", ARGS_PROMPT, AT(files), NULL,
      "add the text of this file to the prompt; up to 8 times" },
    { "image", 'i', ARGS_LIST, "PATH", ARGS_PROMPT, AT(images), NULL,
      "show the model this image (JPEG, PNG, WebP); up to 8 times" },
    { "tools", 0, ARGS_TEXT, "FILE", ARGS_TOOLS, AT(tools), NULL,
      "offer the tools of this JSON file (default: $HEARTH_TOOLS) and print the model's calls" },
    { "stream", 0, ARGS_FLAG, NULL, ARGS_PROMPT, AT(stream), NULL,
      "with --json: one JSON object per event, as it happens" },
    { "no-progress", 0, ARGS_FLAG, NULL, ARGS_GENERATE | ARGS_WAIT, AT(no_progress), NULL,
      "no progress bar" },
    { "name", 0, ARGS_TEXT, "NAME", ARGS_ADD, AT(name), NULL,
      "call the model so (default: from the file's name)" },
    { "sha256", 0, ARGS_TEXT, "HASH", ARGS_ADD, AT(sha256), NULL,
      "refuse the file unless it has this SHA-256" },
    { "no-activate", 0, ARGS_FLAG, NULL, ARGS_ADD, AT(no_activate), NULL,
      "only store it, and keep using the present model" },
    { "count", 0, ARGS_FLAG, NULL, ARGS_TOKENIZE, AT(count), NULL, "print only how many tokens" },
    { "special", 0, ARGS_FLAG, NULL, ARGS_TOKENIZE, AT(special), NULL,
      "spellings of control tokens, as <start_of_turn>, become those tokens" },
    { "interval", 0, ARGS_DURATION, "TIME", ARGS_TOP, AT(interval_ms), NULL,
      "time between two updates: 100ms to 1m (default: 1s)" },
};
#undef AT
enum { N_OPTIONS = sizeof(options) / sizeof(options[0]) };
static_assert((int)N_OPTIONS < (int)OPTIONS_MAX, "the tables of args_parse() have room");

const struct args_option *args_options(size_t *ret_n)
{
    *ret_n = N_OPTIONS;
    return options;
}

int args_u64(const char *text, uint64_t max, const char *what, uint64_t *ret, struct reason *why)
{
    char *end;

    if (*text == '\0' || text[strspn(text, "0123456789")] != '\0') {
        reason_set(why, "%s: '%s' is not a whole number", what, text);
        return ARGS_E_USAGE;
    }
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || value > max) {
        reason_set(why, "%s: %s is too large, the largest is %llu", what, text,
                   (unsigned long long)max);
        return ARGS_E_USAGE;
    }
    *ret = value;
    return 0;
}

int args_real(const char *text, const char *what, double *ret, struct reason *why)
{
    char *end = NULL;
    double value = -1;

    if (text[strspn(text, "0123456789.eE+-")] == '\0') value = strtod(text, &end);
    if (!end || end == text || *end != '\0' || !isfinite(value)) {
        reason_set(why, "%s: '%s' is not a number such as 0.7", what, text);
        return ARGS_E_USAGE;
    }
    if (value < 0) {
        reason_set(why, "%s: %s is negative", what, text);
        return ARGS_E_USAGE;
    }
    *ret = value;
    return 0;
}

int args_duration(const char *text, const char *what, uint64_t *ret_ms, struct reason *why)
{
    const size_t n = strspn(text, "0123456789.");
    const char *const unit = text + n;
    const double scale = strcmp(unit, "ms") == 0                   ? 1
                         : *unit == '\0' || strcmp(unit, "s") == 0 ? 1e3
                         : strcmp(unit, "m") == 0                  ? 60e3
                                                                   : 0;
    char number[32];
    double value;

    if (n == 0 || n >= sizeof(number) || scale == 0.) {
        reason_set(why, "%s: '%s' is not a time such as 2, 1.5s, 200ms or 1m", what, text);
        return ARGS_E_USAGE;
    }
    memcpy(number, text, n);
    number[n] = '\0';
    const int r = args_real(number, what, &value, why);
    if (r != 0) return r;
    const double ms = value * scale;
    if (ms < 1 || ms > UINT32_MAX) {
        reason_set(why, "%s: %s is out of range, a time is at least 1ms and at most 71582m", what,
                   text);
        return ARGS_E_USAGE;
    }
    *ret_ms = (uint64_t)(ms + 0.5) > UINT32_MAX ? UINT32_MAX : (uint64_t)(ms + 0.5);
    return 0;
}

/* Is @word one of @choices, "a|b|c"? */
static bool is_choice(const char *word, const char *choices)
{
    const size_t n = strlen(word);

    for (const char *c = choices; c; c = strchr(c, '|')) {
        c += *c == '|';
        if (n > 0 && strncmp(c, word, n) == 0 && (c[n] == '|' || c[n] == '\0')) return true;
    }
    return false;
}

static int store(struct args *a, const struct args_option *o, const char *value, struct reason *why)
{
    void *const to = (char *)a + o->at;
    char what[40];

    (void)snprintf(what, sizeof(what), "--%s", o->name);
    switch (o->kind) {
    case ARGS_FLAG:
        *(bool *)to = true;
        return 0;
    case ARGS_CHOICE:
        if (!is_choice(value, o->choices)) {
            reason_set(why, "%s: '%s' is none of %s", what, value, o->choices);
            return ARGS_E_USAGE;
        }
        *(const char **)to = value;
        return 0;
    case ARGS_TEXT:
        *(const char **)to = value;
        return 0;
    case ARGS_U32:
        ((struct args_u64 *)to)->set = true;
        return args_u64(value, UINT32_MAX, what, &((struct args_u64 *)to)->value, why);
    case ARGS_U64:
        ((struct args_u64 *)to)->set = true;
        return args_u64(value, UINT64_MAX, what, &((struct args_u64 *)to)->value, why);
    case ARGS_REAL:
        ((struct args_real *)to)->set = true;
        return args_real(value, what, &((struct args_real *)to)->value, why);
    case ARGS_DURATION:
        ((struct args_u64 *)to)->set = true;
        return args_duration(value, what, &((struct args_u64 *)to)->value, why);
    case ARGS_LIST:
        if (((struct args_list *)to)->n == ARGS_LIST_MAX) {
            reason_set(why, "%s: given more than %d times", what, ARGS_LIST_MAX);
            return ARGS_E_USAGE;
        }
        ((struct args_list *)to)->item[((struct args_list *)to)->n++] = value;
        return 0;
    }
    return ARGS_E_USAGE;
}

/* The sentence for an option that getopt_long() does not take. @word: as it was typed. */
static int refuse(const char *word, unsigned groups, struct reason *why)
{
    const char *names[OPTIONS_MAX];
    char typed[64];
    size_t n = 0;

    for (size_t i = 0; i < N_OPTIONS; i++)
        if (options[i].groups & groups) names[n++] = options[i].name;
    (void)snprintf(typed, sizeof(typed), "%.*s", (int)strcspn(word, "="), word);
    const char *const near = strncmp(typed, "--", 2) == 0 ? nearest_of(typed + 2, names, n) : NULL;
    if (near)
        reason_set(why, "there is no option %s here; did you mean --%s?", typed, near);
    else
        reason_set(why, "there is no option %s here (a word that begins with '-' goes after --)",
                   typed);
    return ARGS_E_USAGE;
}

/* Tables for getopt_long(): @longs: [OPTIONS_MAX], @letters: [2 + 2 * OPTIONS_MAX]. */
static void make_tables(unsigned groups, bool first_word_ends, struct option *longs, char *letters)
{
    char *l = letters;

    if (first_word_ends) *l++ = '+';
    *l++ = ':'; /* tell a missing value from an unknown option */
    for (size_t i = 0; i < N_OPTIONS; i++) {
        const struct args_option *const o = &options[i];
        if (!(o->groups & groups)) continue;
        const int value = o->kind == ARGS_FLAG ? no_argument : required_argument;
        *longs++ = (struct option){ o->name, value, NULL, FIRST_CODE + (int)i };
        if (o->letter == 0) continue;
        *l++ = o->letter;
        if (value == required_argument) *l++ = ':';
    }
    *longs = (struct option){ 0 };
    *l = '\0';
}

static const struct args_option *option_of(int code)
{
    if (code >= FIRST_CODE) return &options[code - FIRST_CODE];
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (options[i].letter == code) return &options[i];
    return NULL;
}

int args_parse(struct args *a, int argc, char **argv, unsigned groups, bool first_word_ends,
               struct reason *why)
{
    struct option longs[OPTIONS_MAX];
    char letters[2 + 2 * OPTIONS_MAX], typed[3] = "-?";
    int code, r;

    make_tables(groups, first_word_ends, longs, letters);
    opterr = 0;
    optind = 0; /* glibc: start afresh */
    while ((code = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
        typed[1] = (char)optopt;
        const bool is_letter = optopt > 0 && optopt < FIRST_CODE;
        if (code == ':') {
            reason_set(why, "%s needs a value", is_letter ? typed : argv[optind - 1]);
            return ARGS_E_USAGE;
        }
        if (code == '?' && optopt >= FIRST_CODE) {
            reason_set(why, "--%s takes no value", options[optopt - FIRST_CODE].name);
            return ARGS_E_USAGE;
        }
        if (code == '?') return refuse(is_letter ? typed : argv[optind - 1], groups, why);
        const struct args_option *const o = option_of(code);
        assert(o); /* getopt_long() knows no others */
        r = store(a, o, optarg, why);
        if (r != 0) return r;
    }
    a->words = argv + optind;
    a->n_words = (size_t)(argc - optind);
    return 0;
}
