/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/gemma3n/rope.h"
#include <assert.h>
#include <math.h>

#define LN2 0.693147180559945309417
#define HALF_PI_HIGH                                                                               \
    1.57079632673412561417 /* the first 33 bits of pi/2: times a number below 2^20 it is exact */
#define HALF_PI_LOW 6.07710050650619224932e-11

/* ln x = e ln 2 + 2 artanh((m - 1) / (m + 1)) with x = m 2^e, 0.5 <= m < 1; t^2 <= 1/9, so 20 terms are enough */
static double natural_log(double x)
{
    int e;
    const double m = frexp(x, &e), t = (m - 1) / (m + 1);
    double sum = 0, power = t;

    for (int k = 1; k < 40; k += 2) {
        sum += power / k;
        power *= t * t;
    }
    return 2 * sum + e * LN2;
}

static double exponential(double x)
{
    const double n = rint(x / LN2), r = x - n * LN2;
    double sum = 1, term = 1;

    for (int k = 1; k < 20; k++) {
        term = term * r / k;
        sum += term;
    }
    return ldexp(sum, (int)n);
}

void rope_init(struct rope *r, float base, float scale, uint32_t head_size)
{
    const double log_base = natural_log((double)base);

    assert(head_size % 2 == 0 && head_size / 2 <= ROPE_HALF_MAX);
    r->half = head_size / 2;
    for (uint32_t i = 0; i < r->half; i++)
        r->frequency[i] = exponential(-log_base * (2.0 * i / head_size)) / (double)scale;
}

/* Taylor series on [-pi/4, pi/4]: the first term left out is below 1e-17 */
static void sine_cosine(double x, double *sine, double *cosine)
{
    const double x2 = x * x;
    double s = 1, c = 1;

    for (int k = 16; k >= 2; k -= 2) {
        s = 1 - x2 / (k * (k + 1)) * s;
        c = 1 - x2 / (k * (k - 1)) * c;
    }
    *sine = x * s;
    *cosine = c;
}

void rope_angles(const struct rope *r, uint32_t position, float *cos, float *sin)
{
    for (uint32_t i = 0; i < r->half; i++) {
        const double angle = position * r->frequency[i],
                     quarter = rint(angle * (2 / 3.14159265358979323846));
        double s, c;
        sine_cosine(angle - quarter * HALF_PI_HIGH - quarter * HALF_PI_LOW, &s, &c);
        switch ((int64_t)quarter & 3) {
        case 0:
            cos[i] = (float)c, sin[i] = (float)s;
            break;
        case 1:
            cos[i] = (float)-s, sin[i] = (float)c;
            break;
        case 2:
            cos[i] = (float)-c, sin[i] = (float)-s;
            break;
        case 3:
            cos[i] = (float)s, sin[i] = (float)-c;
            break;
        }
    }
}
