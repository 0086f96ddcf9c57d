/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "bench/memory.h"

static const char status[] =
    "Name:\tVmRSS:\nVmPeak:\t   9999 kB\nVmHWM:\t    3000 kB\nVmRSS:\t    2000 kB\n"
    "RssAnon:\t    1200 kB\nRssFile:\t     700 kB\nRssShmem:\t     100 kB\n";

Test(memory, each_number_comes_from_the_line_of_its_name)
{
    struct memory m;

    cr_assert_eq(memory_parse(status, &m), 0);
    cr_assert_eq(m.peak, 3000 * 1024);
    cr_assert_eq(m.resident, 2000 * 1024);
    cr_assert_eq(m.anonymous, 1200 * 1024);
    cr_assert_eq(m.file, 700 * 1024);
    cr_assert_eq(m.shared, 100 * 1024);
}

Test(memory, a_missing_line_is_an_error_and_leaves_the_result_alone)
{
    static const char *const lines[] = { "VmHWM:", "\nVmRSS:", "RssAnon:", "RssFile:",
                                         "RssShmem:" };

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char text[sizeof(status)];
        struct memory m = { .peak = 7 };
        memcpy(text, status, sizeof(text));
        char *line = strstr(text, lines[i]);
        line[line[0] == '\n' ? 1 : 0] = 'X';
        cr_assert_eq(memory_parse(text, &m), -EINVAL, "without %s", lines[i]);
        cr_assert_eq(m.peak, 7);
    }
}

Test(memory, what_this_process_touches_is_counted)
{
    enum { BYTES = 32 << 20 };
    struct memory before, after;

    cr_assert_eq(memory_now(&before), 0);
    volatile char *p = malloc(BYTES);
    cr_assert_not_null(p);
    for (size_t i = 0; i < BYTES; i += 4096)
        p[i] = 1;
    cr_assert_eq(memory_now(&after), 0);
    free((void *)(uintptr_t)p);
    cr_assert_geq(after.anonymous, before.anonymous + BYTES / 2);
    cr_assert_geq(after.peak, after.resident / 2, "the kernel counts in batches");
}
