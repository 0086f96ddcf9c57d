/* SPDX-License-Identifier: Apache-2.0 */
/* bench/samples.h: times that are collected one by one [s], and how they are shown [ms]: median, 90 %, 99 %, the largest. */
#pragma once
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

enum { SAMPLES_MAX = 1 << 22 };

/* Above the cells of samples_print(). */
#define SAMPLES_HEADING "    p50     p90     p99     max"

struct samples { /* zeroed: none */
    double *x;
    size_t n, size;
};

/** samples_add() - one more. Return: 0; -ENOMEM, also with SAMPLES_MAX of them. */
int samples_add(struct samples *s, double x);
void samples_deinit(struct samples *s);

/** samples_quantile() - as stats_quantile(); sorts them. */
double samples_quantile(struct samples *s, double q);

/** samples_print() - four cells of 8 columns, "-" without samples. */
void samples_print(struct samples *s, FILE *out);
/** samples_json() - {"p50": ms or null, "p90": ..., "p99": ..., "max": ..., "n": how many}, a new reference. */
json_t *samples_json(struct samples *s);
