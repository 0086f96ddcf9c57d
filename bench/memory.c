/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/err.h"

/* "Name:   123 kB" at the beginning of a line */
static int take(const char *text, const char *name, uint64_t *ret)
{
    const size_t n = strlen(name);
    const char *line = text;

    while (line && (strncmp(line, name, n) != 0 || line[n] != ':')) {
        line = strchr(line, '\n');
        if (line) line++;
    }
    if (!line) return err_raise(-EINVAL);
    *ret = strtoull(line + n + 1, NULL, 10) << 10;
    return 0;
}

int memory_parse(const char *text, struct memory *ret)
{
    struct memory m;
    int r = take(text, "VmHWM", &m.peak);

    if (r == 0) r = take(text, "VmRSS", &m.resident);
    if (r == 0) r = take(text, "RssAnon", &m.anonymous);
    if (r == 0) r = take(text, "RssFile", &m.file);
    if (r == 0) r = take(text, "RssShmem", &m.shared);
    if (r < 0) return err_pass(r);
    *ret = m;
    return 0;
}

int memory_now(struct memory *ret)
{
    char text[8192]; /* the file has about 1,500 bytes */
    size_t n = 0;
    ssize_t got = 1;
    CLEANUP(closep) int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

    if (fd < 0) return err_raise(-errno);
    while (n < sizeof(text) - 1 && (got = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
        n += (size_t)got;
    if (got < 0) return err_raise(-errno);
    text[n] = '\0';
    const int r = memory_parse(text, ret);
    return r < 0 ? err_pass(r) : 0;
}
