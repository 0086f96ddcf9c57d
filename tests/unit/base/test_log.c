/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"

static int from_stderr; /* what the log writes can be read here */

static void catch_stderr(void)
{
    int p[2];

    cr_assert_eq(pipe(p), 0);
    cr_assert_geq(dup2(p[1], STDERR_FILENO), 0);
    (void)close(p[1]);
    from_stderr = p[0];
}

static const char *line(void)
{
    static char text[2048];
    ssize_t n = read(from_stderr, text, sizeof(text) - 1);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

Test(log, writes_an_event_with_fields_and_the_priority_that_the_journal_reads, .init = catch_stderr)
{
    log_warn("peer refused", "uid=%u why=%s", 7u, "quota");
    cr_assert_str_eq(line(), "<4>peer refused uid=7 why=quota\n");
    log_set_plain(1);
    log_notice("start", "version=%s", "1\n<0>x");
    cr_assert_str_eq(line(), "start version=1?<0>x\n", "a value cannot forge a second line");
}

Test(log, drops_what_is_below_the_level, .init = catch_stderr)
{
    log_debug("hidden", "n=%d", 1);
    log_set_level(LOG_AT_ERR);
    log_warn("hidden", "n=%d", 1);
    log_err("shown", "n=%d", 1);
    cr_assert_str_eq(line(), "<3>shown n=1\n");
}

Test(log, a_flood_is_cut_and_counted, .init = catch_stderr)
{
    struct log_limit l = { .period_ns = CLOCK_NS_PER_S, .burst = 2 };
    int shown = 0;

    for (int i = 0; i < 10; i++)
        shown += log_limited(&l, CLOCK_NS_PER_S);
    cr_assert_eq(shown, 2);
    cr_assert(log_limited(&l, 3 * CLOCK_NS_PER_S));
    cr_assert_str_eq(line(), "<4>messages dropped count=8\n");
}
