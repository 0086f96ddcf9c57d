/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/err.h: how a failure travels. 0 is success, < 0 is -errno, > 0 is an outcome that the direct
 * caller handles. A failure starts at err_raise() and goes up through err_pass(); both leave a line
 * in the trace of the thread, which the program that gives up may log.
 */
#pragma once
#include <stddef.h>

enum { ERR_TRACE_MAX = 16 }; /* lines kept of one failure: deeper calls are not seen in practice */

/** err_raise() - start a failure. @code: -errno. Return: @code, which must be < 0. */
#define err_raise(code) err_note_((code), __FILE__, __LINE__, 1)

/** err_pass() - hand a failure up unchanged. @code: < 0. Return: @code. */
#define err_pass(code) err_note_((code), __FILE__, __LINE__, 0)

/**
 * err_fold() - turn an outcome that nobody handled into a failure
 * @code: what a function returned. Return: @code if it is <= 0, else -ENOTRECOVERABLE.
 */
#define err_fold(code) err_fold_((code), __FILE__, __LINE__)

/**
 * err_trace() - the last failure of this thread as one line, "sentence: file:line < file:line ..."
 * @buf: [size] receives it, always terminated. Return: @buf.
 */
char *err_trace(char *buf, size_t size);

int err_note_(int code, const char *file, int line, int first);
int err_fold_(int code, const char *file, int line);
