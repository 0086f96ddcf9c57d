/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static _Thread_local struct {
    int code, n;
    struct {
        const char *file;
        int line;
    } at[ERR_TRACE_MAX];
} trace;

int err_note_(int code, const char *file, int line, int first)
{
    assert(code < 0);
    if (first) trace.n = 0;
    trace.code = code;
    if (trace.n < ERR_TRACE_MAX) {
        trace.at[trace.n].file = file;
        trace.at[trace.n].line = line;
        trace.n++;
    }
    return code;
}

int err_fold_(int code, const char *file, int line)
{
    return code <= 0 ? code : err_note_(-ENOTRECOVERABLE, file, line, 1);
}

char *err_trace(char *buf, size_t size)
{
    int used = snprintf(buf, size, "%s", trace.n ? strerror(-trace.code) : "no failure");

    for (int i = 0; i < trace.n && used >= 0 && (size_t)used < size; i++)
        used += snprintf(buf + used, size - (size_t)used, "%s%s:%d", i ? " < " : ": ",
                         trace.at[i].file, trace.at[i].line);
    return buf;
}
