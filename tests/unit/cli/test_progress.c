/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/progress.h"

#define S  UINT64_C(1000000000)
#define MS UINT64_C(1000000)

static char *written;
static size_t written_size;

static FILE *terminal(void)
{
    FILE *const f = open_memstream(&written, &written_size);

    cr_assert(f);
    return f;
}

Test(progress, says_what_how_much_and_how_long_still)
{
    struct progress p;
    char line[PROGRESS_LINE_MAX];

    progress_init(&p, NULL, 0);
    progress_set(&p, "load", 1000000000, 4000000000, 10 * S);
    cr_assert_str_eq(
        progress_line(&p, 120, 12 * S, line),
        "loading the model  [######..................]  25 %  1.0 GB of 4.0 GB  about 6 s left");
    progress_set(&p, "prefill", 512, 2048, 20 * S);
    cr_assert_str_eq(progress_line(&p, 120, 20 * S, line),
                     "reading the prompt  [######..................]  25 %  512 of 2048 tokens",
                     "no guess before a second of this phase");
}

Test(progress, names_every_phase_and_the_queue)
{
    static const char *const phases[][2] = { { "pack", "preparing the model" },
                                             { "verify", "checking the file" },
                                             { "copy", "copying the file" },
                                             { "polish\033", "polish^[" } };
    struct progress p;
    char line[PROGRESS_LINE_MAX];

    progress_init(&p, NULL, 0);
    for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
        progress_set(&p, phases[i][0], 1, 2, S);
        progress_line(&p, 120, S, line);
        cr_assert_eq(strncmp(line, phases[i][1], strlen(phases[i][1])), 0, "%s", line);
    }
    progress_set(&p, "queue", 3, 0, 2 * S);
    cr_assert_str_eq(progress_line(&p, 120, 5 * S, line),
                     "waiting for others, 3 before this one  5 s");
}

Test(progress, fits_into_a_narrow_terminal)
{
    struct progress p;
    char line[PROGRESS_LINE_MAX];

    progress_init(&p, NULL, 0);
    progress_set(&p, "load", 1000000000, 4000000000, 0);
    for (unsigned columns = 1; columns < 100; columns++)
        cr_assert_lt(strlen(progress_line(&p, columns, 3 * S, line)), columns);
    cr_assert_str_eq(progress_line(&p, 30, 3 * S, line), "loading the model");
}

Test(progress, more_done_than_there_is_stays_at_100_per_cent)
{
    struct progress p;
    char line[PROGRESS_LINE_MAX];

    progress_init(&p, NULL, 0);
    progress_set(&p, "prefill", 30, 20, 0);
    cr_assert(strstr(progress_line(&p, 120, 3 * S, line), "[########################] 100 %"));
}

Test(progress, draws_nothing_in_the_first_second_then_ten_times_a_second)
{
    struct progress p;
    FILE *const f = terminal();

    progress_init(&p, f, 0);
    progress_set(&p, "load", 1, 10, 999 * MS);
    cr_assert_eq(written_size, 0);
    progress_tick(&p, 1000 * MS);
    const size_t first = written_size;
    cr_assert_gt(first, 0);
    progress_set(&p, "load", 2, 10, 1099 * MS);
    cr_assert_eq(written_size, first);
    progress_set(&p, "load", 3, 10, 1100 * MS);
    cr_assert_gt(written_size, first);
    (void)fclose(f);
    free(written);
}

Test(progress, erases_its_line_once_and_only_if_it_was_drawn)
{
    struct progress p;
    FILE *const f = terminal();

    progress_init(&p, f, 0);
    progress_set(&p, "load", 1, 10, 10 * MS);
    progress_erase(&p);
    cr_assert_eq(written_size, 0);
    progress_set(&p, "load", 1, 10, 2 * S);
    progress_erase(&p);
    cr_assert_str_eq(written + written_size - 4, "\r\033[K");
    const size_t erased = written_size;
    progress_erase(&p);
    progress_tick(&p, 3 * S);
    cr_assert_eq(written_size, erased, "nothing to tell until the next event");
    (void)fclose(f);
    free(written);
}

Test(progress, without_a_terminal_draws_nothing)
{
    struct progress p;

    progress_init(&p, NULL, 0);
    progress_set(&p, "load", 1, 10, 5 * S);
    cr_assert_not(p.shown);
    progress_erase(&p);
}
