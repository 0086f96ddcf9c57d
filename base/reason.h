/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/reason.h: the sentence that goes with a refusal. A function that checks outside input returns
 * its code and, beside it, says to people what was wrong, where, and what to do.
 */
#pragma once

struct reason {
    char text[320]; /* one sentence without a full stop, "" when nothing was refused */
};

/**
 * reason_set() - replace the sentence; control bytes become '?', so that it is safe in a terminal
 * @r: may be NULL (nobody asks). A text that is too long is cut and ends in "...".
 */
void reason_set(struct reason *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
