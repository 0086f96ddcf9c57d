/* SPDX-License-Identifier: Apache-2.0 */
/* bench/kernel_cases.h: calls of kernels with operands of the model's sizes, to be timed. */
#pragma once
#include <stdint.h>
#include "engine/kernels/kernels.h"

enum {
    KERNEL_CASES_COLS = 2048,      /* the model's width */
    KERNEL_CASES_ROWS = 2048,      /* outputs of products with many rows of activations */
    KERNEL_CASES_BYTES = 96 << 20, /* of a matrix that must not fit a cache */
    KERNEL_CASES_TOKENS_MAX = 128,
};

struct kernel_case {
    char name[40];      /* "matmul Q4_0 x1" */
    double bytes, macs; /* that one call reads, or reads and writes; multiply-accumulates, or 0 */
    bool integer;       /* its products are of 8-bit integers, else of float32 */
    bool memory;        /* its operands come from memory and not from a cache */
    void (*call)(void *context);
    void *context;
};

/**
 * kernel_cases_matmul() - products with matrices of one type, of 1, 4, 8 and 128 rows of activations
 * Products with few rows go over a matrix of KERNEL_CASES_BYTES, as decoding does; those with many over one of
 * KERNEL_CASES_ROWS rows, as prefill does.
 * @visit: is called with each; what it points to lives until it returns.
 * Return: 0; -ENOMEM.
 */
int kernel_cases_matmul(const struct kernels *k, enum quant_type type,
                        void (*visit)(void *context, const struct kernel_case *c), void *context);

/** kernel_cases_units() - the products of a sparse FFN, with 5 % of the units; none for a set that is not packed. Return: 0; -ENOMEM. */
int kernel_cases_units(const struct kernels *k,
                       void (*visit)(void *context, const struct kernel_case *c), void *context);

/** kernel_cases_others() - attention, norms, quantising, and the other functions of a set. Return: 0; -ENOMEM. */
int kernel_cases_others(const struct kernels *k,
                        void (*visit)(void *context, const struct kernel_case *c), void *context);
