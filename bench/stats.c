/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/stats.h"
#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double stats_median(double *x, size_t n)
{
    if (n == 0) return (double)NAN;
    qsort(x, n, sizeof(*x), compare);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

double stats_max(const double *x, size_t n)
{
    double max = (double)NAN;

    for (size_t i = 0; i < n; i++)
        max = fmax(max, x[i]);
    return max;
}

double stats_spread(double *x, size_t n)
{
    const double median = stats_median(x, n);

    return n == 0 ? median : (x[n - 1] - x[0]) / median;
}

double stats_quantile(double *x, size_t n, double q)
{
    if (n == 0) return (double)NAN;
    qsort(x, n, sizeof(*x), compare);
    const double rank = ceil(q * (double)n);
    return x[rank < 1 ? 0 : (size_t)rank - 1];
}

double stats_jain(const double *x, size_t n)
{
    double sum = 0, squares = 0;

    for (size_t i = 0; i < n; i++) {
        sum += x[i];
        squares += x[i] * x[i];
    }
    return squares > 0 ? sum * sum / ((double)n * squares) : (double)NAN;
}
