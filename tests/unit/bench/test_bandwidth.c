/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing is asserted about how fast this machine is. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include "bench/bandwidth.h"
#include "bench/peak.h"
#include "engine/kernels/kernels.h"

Test(bandwidth, each_pass_has_its_own_number)
{
    double x[3] = { 0, 0, -1 };

    cr_assert_eq(bandwidth_measure(2, 8, 2, false, x), 0);
    cr_assert_gt(x[0], 0);
    cr_assert_gt(x[1], 0);
    cr_assert_eq(x[2], -1, "and there are no more than were asked for");
}

Test(bandwidth, one_thread_can_be_timed_by_its_cpu)
{
    double x[1] = { 0 };

    cr_assert_eq(bandwidth_measure(1, 8, 1, true, x), 0);
    cr_assert_gt(x[0], 0);
}

Test(bandwidth, a_machine_without_threads_is_refused)
{
    double x[1] = { -1 };

    cr_assert_eq(bandwidth_measure(0, 8, 1, false, x), -EINVAL);
    cr_assert_eq(x[0], -1);
}

Test(bandwidth, a_program_that_gives_no_number_is_an_error)
{
    double x[2] = { -1, -1 };

    /* this program does not know the command: it fails */
    cr_assert_eq(bandwidth_ask(1, 8, 1, x), -EIO);
    cr_assert_eq(x[0], -1);
}

Test(bandwidth, the_peaks_of_the_best_set_are_known)
{
    const struct kernels *best = kernels_auto();
    const bool plain = strcmp(best->name, "plain") == 0;

    for (int kind = PEAK_INT8; kind <= PEAK_F32; kind++) {
        if (!plain) cr_assert_gt(peak_macs(best->name, (enum peak_kind)kind), 0, "%s", best->name);
        cr_assert_eq(peak_macs("c", (enum peak_kind)kind), 0);
        cr_assert_eq(peak_macs("no such set", (enum peak_kind)kind), 0);
    }
}
