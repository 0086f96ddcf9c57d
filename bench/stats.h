/* SPDX-License-Identifier: Apache-2.0 */
/* bench/stats.h: what is said about repeated measurements. */
#pragma once
#include <stddef.h>

/**
 * stats_median() - the middle of @x: [n] sorted in place; of an even number, the mean of the two in the middle
 * Return: NaN if @n is 0.
 */
double stats_median(double *x, size_t n);

/** stats_max() - Return: the largest of @x: [n]; NaN if @n is 0. */
double stats_max(const double *x, size_t n);

/** stats_quantile() - the smallest of @x: [n], sorted in place, that at least the part @q of all are not above. Return: NaN if @n is 0. */
double stats_quantile(double *x, size_t n, double q);

/**
 * stats_jain() - how evenly something is shared: 1 all alike, 1/n one has everything
 * Source: Jain, Chiu, Hawe, "A quantitative measure of fairness", DEC-TR-301, 1984. @x: [n] >= 0. Return: NaN if all are 0.
 */
double stats_jain(const double *x, size_t n);

/**
 * stats_spread() - (largest - smallest) / median of @x: [n], which is sorted in place
 * Return: 0 for one measurement, NaN for none.
 */
double stats_spread(double *x, size_t n);
