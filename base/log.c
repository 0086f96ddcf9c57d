/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static enum log_level level_max = LOG_AT_INFO;
static int plain_lines;

void log_set_level(enum log_level level)
{
    level_max = level;
}

void log_set_plain(int plain)
{
    plain_lines = plain;
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
    char line[1024];
    int n = 0;
    va_list args;

    if (level > level_max) return;
    if (!plain_lines) n = snprintf(line, sizeof(line), "<%d>", (int)level);
    n += snprintf(line + n, sizeof(line) - (size_t)n, "%s", event);
    if (n < (int)sizeof(line) - 2) {
        line[n++] = ' ';
        va_start(args, format);
        n += vsnprintf(line + n, sizeof(line) - (size_t)n, format, args);
        va_end(args);
    }
    if (n > (int)sizeof(line) - 2) n = (int)sizeof(line) - 2;
    for (int i = 0; i < n; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) line[i] = '?';
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, (size_t)n) < 0) return; /* nowhere left to complain */
}

int log_limited(struct log_limit *l, uint64_t now_ns)
{
    if (l->since_ns == 0 || now_ns - l->since_ns >= l->period_ns) {
        if (l->dropped > 0) log_warn("messages dropped", "count=%u", l->dropped);
        l->since_ns = now_ns;
        l->n = l->dropped = 0;
    }
    if (l->n < l->burst) {
        l->n++;
        return 1;
    }
    l->dropped++;
    return 0;
}
