/* SPDX-License-Identifier: Apache-2.0 */
/* cli/generate.h: what ask, complete and chat share: settings, attachments, and the line of statistics. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/buf.h"
#include "cli/args.h"
#include "cli/talk.h"
#include "hearth.h"

enum {
    GENERATE_INPUT_MAX = 64 << 20
}; /* of a prompt or an attached file [bytes]; beyond it is a mistake */

/** generate_settings() - put the options of group ARGS_GENERATE into @q, without the system text. Return: enum talk_exit, said on stderr. */
int generate_settings(struct hearth_request *q, const struct args *a);

/** generate_check() - what @r of a hearth_request_...() function means. Return: enum talk_exit, said on stderr. */
int generate_check(int r);

/** generate_read() - append all of @fd, called @name in messages, to @b. Return: enum talk_exit, said on stderr. */
int generate_read(int fd, const char *name, struct buf *b);

/** generate_read_file() - append the file @path to @b. Return: enum talk_exit, said on stderr. */
int generate_read_file(const char *path, struct buf *b);

/**
 * generate_prompt() - the words: [n] joined by blanks to @b; no word, or a word "-", stands for what standard input has
 * @trim: without the line feeds that end standard input. Return: enum talk_exit, said on stderr.
 */
int generate_prompt(char *const *words, size_t n, bool trim, struct buf *b);

/** generate_stats() - one line on stderr: tokens, times, rate, level, seed. */
void generate_stats(const struct talk_end *e, uint64_t seed);
