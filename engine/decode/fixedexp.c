/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/decode/fixedexp.h"
#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

static_assert(FLT_EVAL_METHOD == 0, "operations are rounded to their type, each by itself");

/* 1/n! */
static const double coefficients[] = {
    1.0,
    1.0,
    1.0 / 2,
    1.0 / 6,
    1.0 / 24,
    1.0 / 120,
    1.0 / 720,
    1.0 / 5040,
    1.0 / 40320,
    1.0 / 362880,
    1.0 / 3628800,
    1.0 / 39916800,
    1.0 / 479001600,
    1.0 / 6227020800,
};
enum { LAST = sizeof(coefficients) / sizeof(coefficients[0]) - 1 };

double fixedexp(double x)
{
    /* ln 2 in two parts (fdlibm): k * high is exact for |k| < 2^20 */
    const double log2e = 1.44269504088896338700, high = 6.93147180369123816490e-01,
                 low = 1.90821492927058770002e-10;

    if (x < -708) return 0;
    if (x > 709) return (double)INFINITY;
    const int64_t k = (int64_t)(x * log2e + (x < 0 ? -0.5 : 0.5));
    const double r = (x - (double)k * high) - (double)k * low;
    double sum = coefficients[LAST];
    for (int i = LAST; i-- > 0;)
        sum = sum * r + coefficients[i];
    const uint64_t bits = (uint64_t)(k + 1023)
                          << 52; /* 2^k, a normal number for -1022 <= k <= 1023 */
    double power;
    memcpy(&power, &bits, sizeof(power));
    return sum * power;
}
