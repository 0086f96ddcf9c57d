/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/progress.h: one line on a terminal that says what takes so long: waiting in the queue, loading, checking, copying, reading a
 * long prompt. It appears when the wait lasts longer than a second and is gone before the answer begins.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { PROGRESS_LINE_MAX = 512 };
#define PROGRESS_DELAY_NS  UINT64_C(1000000000) /* shorter waits are not worth a flicker */
#define PROGRESS_PERIOD_NS UINT64_C(100000000)  /* between two drawings */

struct progress {
    FILE *to;                              /* NULL: draws nothing */
    uint64_t start_ns, phase_ns, drawn_ns; /* CLOCK_MONOTONIC */
    bool shown;
    char what[24]; /* as in hearth.h, or "queue" (done = requests before this one), "" */
    uint64_t done, total;
};

/** progress_init() - @to: a terminal, borrowed, or NULL. @now_ns: CLOCK_MONOTONIC, also in the others. */
void progress_init(struct progress *p, FILE *to, uint64_t now_ns);

/** progress_set() - something moved. A new @what begins a new phase; its rate is measured from here. */
void progress_set(struct progress *p, const char *what, uint64_t done, uint64_t total,
                  uint64_t now_ns);

/** progress_tick() - draw if it is time to; call it about ten times a second. */
void progress_tick(struct progress *p, uint64_t now_ns);

/** progress_erase() - take the line off the terminal; the next progress_set() brings it back. */
void progress_erase(struct progress *p);

/**
 * progress_line() - the text: what, bar, per cent, amounts, and the time left when a second or more of work has been seen
 * @columns: the line is shorter than this; what does not fit is left out from the right. @buf: [PROGRESS_LINE_MAX]. Return: @buf.
 */
char *progress_line(const struct progress *p, unsigned columns, uint64_t now_ns, char *buf);
