/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <math.h>
#include "bench/stats.h"

Test(stats, the_median_of_an_odd_number_is_the_middle_one)
{
    double x[] = { 9, 1, 5 }, one[] = { 4 };

    cr_assert_eq(stats_median(x, 3), 5);
    cr_assert_eq(x[0], 1, "it sorts in place");
    cr_assert_eq(x[2], 9);
    cr_assert_eq(stats_median(one, 1), 4);
}

Test(stats, the_median_of_an_even_number_lies_between_the_middle_two)
{
    double x[] = { 10, 1, 2, 100 };

    cr_assert_eq(stats_median(x, 4), 6);
}

Test(stats, an_outlier_does_not_move_the_median)
{
    double x[] = { 3, 1, 2, 4, 1e9 };

    cr_assert_eq(stats_median(x, 5), 3);
}

Test(stats, of_nothing_there_is_no_number)
{
    double x[1] = { 7 };

    cr_assert(isnan(stats_median(x, 0)));
    cr_assert(isnan(stats_max(x, 0)));
    cr_assert(isnan(stats_spread(x, 0)));
    cr_assert_eq(x[0], 7);
}

Test(stats, the_largest_is_found_wherever_it_is)
{
    const double x[] = { -3, -1, -2 };

    cr_assert_eq(stats_max(x, 3), -1);
    cr_assert_eq(stats_max(x, 1), -3);
}

Test(stats, the_spread_is_relative_to_the_median)
{
    double x[] = { 12, 8, 10 }, one[] = { 5 };

    cr_assert_float_eq(stats_spread(x, 3), 0.4, 1e-12);
    cr_assert_eq(stats_spread(one, 1), 0);
}

Test(stats, a_quantile_is_one_of_the_samples)
{
    double x[] = { 4, 1, 3, 2 };

    cr_assert_eq(stats_quantile(x, 4, 0), 1);
    cr_assert_eq(stats_quantile(x, 4, 0.5), 2);
    cr_assert_eq(stats_quantile(x, 4, 0.75), 3);
    cr_assert_eq(stats_quantile(x, 4, 0.99), 4);
    cr_assert(isnan(stats_quantile(x, 0, 0.5)));
}

Test(stats, jains_index_goes_from_one_nth_to_one)
{
    cr_assert_float_eq(stats_jain((double[]){ 7, 7, 7 }, 3), 1, 1e-12);
    cr_assert_float_eq(stats_jain((double[]){ 0, 5, 0, 0 }, 4), 0.25, 1e-12);
    cr_assert_float_eq(stats_jain((double[]){ 1, 2 }, 2), 0.9, 1e-12);
    cr_assert(isnan(stats_jain((double[]){ 0, 0 }, 2)));
}
