/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/out.h: how hearthctl writes for people. Answers and data go to stdout, all else to stderr. What came from outside
 * (a model's text, another program's name, hearthd's sentences) is made harmless where it meets a terminal.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum out_style { OUT_PLAIN, OUT_BOLD, OUT_DIM, OUT_GREEN, OUT_YELLOW, OUT_RED };

/**
 * out_init() - decide about colours, for each stream by itself
 * @color: "always", "never", "auto" or NULL (auto: on a terminal, not with NO_COLOR set (no-color.org) or TERM=dumb).
 */
void out_init(const char *color);

/** out_has_color() - may @f (stdout or stderr) show colours? */
bool out_has_color(const FILE *f);

/** out_style() - the escape sequence that begins @style on @f (OUT_PLAIN ends it), "" without colours; static. */
const char *out_style(const FILE *f, enum out_style style);

/** out_is_terminal() - is @f one? Asked once, then remembered for stdout and stderr. */
bool out_is_terminal(FILE *f);

/** out_columns() - width of stderr's or stdout's terminal, 80 when there is none. */
unsigned out_columns(void);

/** out_text() - @text: [n] to stdout; its control characters replaced if that is a terminal. */
void out_text(const char *text, size_t n);

/** out_flush() - send what was written to stdout. Return: 0; 1: it could not be written (disk full), said on stderr. */
int out_flush(void);

/** out_error() - "hearthctl: <sentence>" on stderr, control characters replaced. */
void out_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** out_note() - a line on stderr, dim, control characters replaced. */
void out_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** out_bytes() - "812 B", "2.7 GB" (powers of 1000). @buf: [size >= 16]. Return: @buf. */
char *out_bytes(char *buf, size_t size, uint64_t bytes);

/** out_time() - "0.31 s", "12 s", "3 min 5 s", "2 h 10 min", "4 d 2 h". @buf: [size >= 32]. Return: @buf. */
char *out_time(char *buf, size_t size, uint64_t us);

/** out_about() - a wait, roughly: "200 ms", "3 s", "5 min", "2 h"; rounded up. @buf: [size >= 32]. Return: @buf. */
char *out_about(char *buf, size_t size, uint64_t ms);

/** out_width() - columns that @text takes on a terminal, in the current locale; bytes that are no text count 1. */
size_t out_width(const char *text);

/** out_fit() - the bytes at the start of @text: [n] that take at most @columns columns, whole characters. */
size_t out_fit(const char *text, size_t n, size_t columns);

/* A table whose columns are as wide as their contents need. Make it of { 0 }. */
enum { OUT_COLUMNS_MAX = 16, OUT_ROWS_MAX = 4096, OUT_CELL_MAX = 256 };

struct out_table {
    size_t n_columns;
    bool right[OUT_COLUMNS_MAX]; /* numbers stand to the right */
    char **cells;                /* [n_cells] owned, row by row; the first row is the heading */
    size_t n_cells, size;
    bool broken; /* memory was short: the table is incomplete */
};

/** out_table_columns() - @names: "SERIAL> APP STATE": words separated by blanks; one that ends in '>' is right-aligned. */
void out_table_columns(struct out_table *t, const char *names);

/** out_table_cell() - the next cell, row by row; control characters are replaced, an empty one becomes "-". Rows above OUT_ROWS_MAX are left out. */
void out_table_cell(struct out_table *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** out_table_print() - to @f, two blanks between columns, no blanks at a line's end. @style: the heading's. Return: 0, -ENOMEM (cells are missing). */
int out_table_print(const struct out_table *t, FILE *f, enum out_style style);

/** out_table_deinit() - release the cells. */
void out_table_deinit(struct out_table *t);
