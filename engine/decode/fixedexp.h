/* SPDX-License-Identifier: Apache-2.0 */
/* engine/decode/fixedexp.h: an exponential function that is the same everywhere. */
#pragma once

/**
 * fixedexp() - e^x with the same bits on every machine, which libm does not promise
 * @x: not NaN. Below -708 the result is 0, above 709 infinity. fixedexp(0) is exactly 1.
 * Formula: e^x = 2^k e^r, k = round(x / ln 2), |r| <= 0.35, e^r by its Taylor series up to r^13 / 13!, summed from the
 * last term in double precision. Relative error below 1e-15 (the test measures it).
 */
double fixedexp(double x);
