/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/line.h: lines that a person types, with editing and a history in memory (libedit); lines of a pipe as they are.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <termios.h>
#include "base/buf.h"

enum { LINE_MAX_BYTES = 1 << 20 };
enum {
    LINE_E_END = 1,       /* outcome: no more lines (Ctrl-D) */
    LINE_E_INTERRUPT = 2, /* outcome: Ctrl-C; what was typed is thrown away */
    LINE_E_LONG = 3       /* outcome: a line of a pipe has more than LINE_MAX_BYTES */
};

struct line {
    void *editor;  /* EditLine; NULL: standard input is no terminal */
    void *history; /* History */
    int signal_fd; /* of struct talk, borrowed */
    bool interrupted, at_end;
    const char *prompt;
    bool is_quiet;
    struct termios before; /* of line_quiet() */
    struct buf rest;       /* bytes of a pipe that were read beyond the line */
    size_t taken;          /* bytes of @rest that the last line has */
};

/**
 * line_init() - read standard input
 * @signal_fd: a signalfd(2) that becomes readable with Ctrl-C. @edit: it is a terminal, and so is stdout.
 * Return: 0, -ENOMEM.
 */
int line_init(struct line *l, int signal_fd, bool edit);

/** line_deinit() - release it, and give the terminal back as it was. */
void line_deinit(struct line *l);

/**
 * line_read() - the next line, without its line feed
 * @prompt: stands before it on a terminal. @ret: [ret_n], ends with NUL, valid until the next call.
 * Return: 0, LINE_E_END, LINE_E_INTERRUPT, LINE_E_LONG, -ENOMEM, another -errno.
 */
int line_read(struct line *l, const char *prompt, const char **ret, size_t *ret_n);

/**
 * line_quiet() - while an answer is written: keys are not echoed into it (they wait for the next line)
 * @quiet: false: as before. Does nothing without editing.
 */
void line_quiet(struct line *l, bool quiet);

/** line_remember() - add @text to the history that the arrow keys show. */
void line_remember(struct line *l, const char *text);
