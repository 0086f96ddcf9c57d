/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tools and a call, with a zero byte between them; the call is the last. What was taken as a tool must be found again by a call
 * with all of its arguments.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "engine/token/tools.h"
#include "tests/fuzz/fuzz.h"

enum { LINES_MAX = 1 << 16, CALL_MAX = 1 << 17 };

static void put(char *call, size_t *used, const char *text, size_t n)
{
    if (*used + n > CALL_MAX) abort();
    memcpy(call + *used, text, n);
    *used += n;
}

/* The call of the tool in @line ("name(a,b?)") with all arguments, to @call: [CALL_MAX]. Return: bytes. */
static size_t call_all(const char *line, size_t n, char *call)
{
    size_t used = 0, at = (size_t)((const char *)memchr(line, '(', n) - line);

    put(call, &used, "{\"name\":\"", 9);
    put(call, &used, line, at++);
    put(call, &used, "\",\"arguments\":{", 15);
    for (bool first = true; line[at] != ')'; first = false) {
        const size_t length = strcspn(line + at, ",?)");
        put(call, &used, ",\"" + first, 2 - first);
        put(call, &used, line + at, length);
        put(call, &used, "\":0", 3);
        at += length;
        at += line[at] == '?';
        at += line[at] == ',';
    }
    put(call, &used, "}}", 2);
    return used;
}

static void check_lines(const struct buf *lines)
{
    const char *line = (const char *)buf_front(lines), *all = line;
    char *call = malloc(CALL_MAX);
    struct reason why = { "" };

    if (!call) abort();
    for (const char *end; line < all + lines->n; line = end + 1) {
        end = memchr(line, '\n', (size_t)(all + lines->n - line));
        if (!end ||
            tools_call(all, lines->n, call, call_all(line, (size_t)(end - line), call), &why) != 0)
            abort();
    }
    free(call);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data, *end;
    struct buf lines;
    struct reason why = { "" };
    bool good = true;

    buf_init(&lines, LINES_MAX);
    for (; size > 0 && (end = memchr(at, 0, size)) != NULL && good; at = end + 1) {
        size -= (size_t)(end - at) + 1;
        good = tools_line(at, (size_t)(end - at), &lines, &why) == 0;
    }
    if (good && lines.n > 0) {
        check_lines(&lines);
        if (tools_call((const char *)buf_front(&lines), lines.n, at, size, &why) != 0 &&
            !why.text[0])
            abort();
    }
    buf_deinit(&lines);
    return 0;
}
