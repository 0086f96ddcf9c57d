/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/args.h: what stands on the command line. All options of all commands are one table, from which the parser, the
 * help texts and the test of the shell completion are made; a command says which groups of it it takes.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/reason.h"

enum { ARGS_E_USAGE = 1 }; /* outcome: the command line makes no sense, @why says where */
enum {
    ARGS_LIST_MAX = 8
}; /* times that a repeatable option may be given; hearth.h allows 8 stop texts */

/* Groups of options. */
enum args_group {
    ARGS_GLOBAL = 1 << 0,
    ARGS_GENERATE = 1 << 1, /* what ask, complete and chat have in common */
    ARGS_PROMPT = 1 << 2,   /* ask and complete alone */
    ARGS_WAIT = 1 << 3,     /* commands that may show a progress bar */
    ARGS_ADD = 1 << 4,      /* model add */
    ARGS_TOKENIZE = 1 << 5,
    ARGS_TOP = 1 << 6,
    ARGS_SYSTEM = 1 << 7, /* --system alone, for conversation open */
    ARGS_TOOLS = 1 << 8,  /* ask and chat: what may be called */
};

enum args_kind {
    ARGS_FLAG,     /* bool */
    ARGS_TEXT,     /* const char * */
    ARGS_CHOICE,   /* const char *, one of the words in choices */
    ARGS_U32,      /* struct args_u64, at most UINT32_MAX */
    ARGS_U64,      /* struct args_u64 */
    ARGS_REAL,     /* struct args_real, finite, not negative */
    ARGS_DURATION, /* struct args_u64 [ms]: "1.5", "1.5s", "200ms", "2m" */
    ARGS_LIST      /* struct args_list */
};

struct args_u64 {
    bool set;
    uint64_t value;
};

struct args_real {
    bool set;
    double value;
};

struct args_list {
    const char *item[ARGS_LIST_MAX];
    size_t n;
};

/* Texts point into argv. What was not given is 0 or NULL. */
struct args {
    const char *socket, *color;
    bool json, help, version;
    const char *system, *level, *conversation, *request_class;
    struct args_u64 max_tokens, top_k, seed, deadline_ms, interval_ms;
    struct args_real temperature, top_p, min_p, repetition_penalty;
    struct args_list stop, files, images;
    const char *tools;
    bool stats, stream, no_progress;
    const char *name, *sha256;
    bool no_activate, count, special;
    char *const *words; /* [n_words] what is no option */
    size_t n_words;
};

struct args_option {
    const char *name; /* without "--" */
    char letter;      /* 0: none */
    enum args_kind kind;
    const char *value; /* its name in help texts, NULL for flags */
    unsigned groups;
    size_t at;           /* offset in struct args */
    const char *choices; /* "a|b|c", for ARGS_CHOICE */
    const char *help;
};

/** args_options() - the table. Return: its first entry, static. @ret_n: how many. */
const struct args_option *args_options(size_t *ret_n);

/**
 * args_parse() - read argv[1..argc) into @a, which is not cleared first: a second call adds to it
 * Options may stand anywhere before "--"; argv is reordered so that the words come last.
 * @groups: of options that are allowed. @first_word_ends: the first word ends the options, it and all after it are words.
 * Return: 0, ARGS_E_USAGE (@why).
 */
int args_parse(struct args *a, int argc, char **argv, unsigned groups, bool first_word_ends,
               struct reason *why);

/** args_u64() - @text is a whole number 0..@max in decimal digits. Return: 0 and @ret, ARGS_E_USAGE (@why names @what). */
int args_u64(const char *text, uint64_t max, const char *what, uint64_t *ret, struct reason *why);

/** args_real() - @text is a finite decimal number >= 0, with a point. Return: 0 and @ret, ARGS_E_USAGE (@why names @what). */
int args_real(const char *text, const char *what, double *ret, struct reason *why);

/** args_duration() - @text is a number and a unit: ms, s (if none is given) or m; at most UINT32_MAX ms. Return: as args_real(). */
int args_duration(const char *text, const char *what, uint64_t *ret_ms, struct reason *why);
