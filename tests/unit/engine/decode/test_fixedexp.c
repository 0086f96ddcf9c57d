/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>
#include "engine/decode/fixedexp.h"

Test(fixedexp, is_e_to_the_x_within_1e_15)
{
    double worst = 0;

    for (int i = -708000; i <= 709000; i += 7) {
        const double x = i / 1000.0;
        const long double want = expl((long double)x);
        const double error = (double)fabsl(((long double)fixedexp(x) - want) / want);
        if (error > worst) worst = error;
    }
    cr_assert_lt(worst, 1e-15, "%g", worst);
}

Test(fixedexp, has_exact_ends)
{
    cr_assert_eq(fixedexp(0), 1);
    cr_assert_eq(fixedexp(-0.0), 1);
    cr_assert_eq(fixedexp(-709), 0);
    cr_assert_eq(fixedexp(-1e300), 0);
    cr_assert_eq(fixedexp(-(double)INFINITY), 0);
    cr_assert_gt(fixedexp(-708), 0);
    cr_assert_eq(fixedexp(710), (double)INFINITY);
    cr_assert_eq(fixedexp((double)INFINITY), (double)INFINITY);
    cr_assert(isfinite(fixedexp(709)));
}

Test(fixedexp, has_the_same_bits_on_every_machine)
{
    /* computed on x86-64; the operations and their order are fixed, so any other machine must agree */
    static const struct {
        double x, want;
    } cases[] = {
        { 0x1p+0, 0x1.5bf0a8b14576ap+1 },
        { -0x1p+0, 0x1.78b56362cef38p-2 },
        { 0x1.62d0e56041893p-2, 0x1.6a03146cf6eadp+0 },
        { -0x1.62eb1c432ca58p-2, 0x1.6a0773cd678a3p-1 },
        { -0x1.d99999999999ap+1, 0x1.9511fc6871044p-6 },
        { -0x1.44p+4, 0x1.b93de1e27ca3bp-30 },
        { -0x1.908p+6, 0x1.76d8e5c4fcb71p-145 },
        { 0x1.999999999999ap-4, 0x1.1aec7b35a00d4p+0 },
        { 0x1.2cp+8, 0x1.c05c0a7166b4ap+432 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_assert_eq(fixedexp(cases[i].x), cases[i].want, "%a: %a", cases[i].x,
                     fixedexp(cases[i].x));
}

Test(fixedexp, does_not_fall_where_x_rises)
{
    double last = 0;

    for (double x = -30; x < 1; x += 0x1p-12) {
        const double y = fixedexp(x);
        cr_assert_geq(y, last);
        last = y;
    }
}
