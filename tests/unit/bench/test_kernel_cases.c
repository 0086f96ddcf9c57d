/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include "bench/kernel_cases.h"

struct seen {
    uint32_t n, calls, from_memory;
    char names[32][40];
    double bytes[32], macs[32];
};

static void see(void *context, const struct kernel_case *c)
{
    struct seen *s = context;

    cr_assert_lt(s->n, 32);
    cr_assert_not_null(c->call);
    (void)snprintf(s->names[s->n], sizeof(s->names[0]), "%s", c->name);
    s->bytes[s->n] = c->bytes;
    s->macs[s->n++] = c->macs;
    s->from_memory += c->memory;
    if (c->memory) return; /* large: only its numbers */
    c->call(c->context);
    s->calls++;
}

Test(kernel_cases, units_are_of_two_types_and_both_layouts)
{
    static struct seen s;

    cr_assert_eq(kernel_cases_units(kernels_auto(), see, &s), 0);
    cr_assert_eq(s.n, 4);
    cr_assert_str_eq(s.names[0], "unit_rows Q4_0");
    cr_assert_str_eq(s.names[3], "unit_columns Q8_0");
    cr_assert_eq(s.macs[0], s.macs[1]);
    cr_assert_eq(s.from_memory, 4);
    cr_assert_eq(kernel_cases_units(kernels_c(), see, &s), 0);
    cr_assert_eq(s.n, 4, "the reference has none");
}

Test(kernel_cases, products_are_of_one_four_eight_and_many_rows)
{
    static struct seen s;

    cr_assert_eq(kernel_cases_matmul(kernels_auto(), QUANT_Q4_0, see, &s), 0);
    cr_assert_eq(s.n, 4);
    cr_assert_str_eq(s.names[0], "matmul Q4_0 x1");
    cr_assert_str_eq(s.names[1], "matmul Q4_0 x4");
    cr_assert_str_eq(s.names[2], "matmul Q4_0 x8");
    cr_assert_str_eq(s.names[3], "matmul Q4_0 x128");
    cr_assert_eq(s.from_memory, 2, "decoding reads memory");
    cr_assert_eq(s.bytes[0], s.bytes[1], "the weights are read once for all rows");
    cr_assert_eq(4 * s.macs[0], s.macs[1]);
    cr_assert_eq(16 * s.macs[2], s.macs[3]);
    cr_assert_gt(s.bytes[0], KERNEL_CASES_BYTES * 0.99);
}

Test(kernel_cases, every_other_kernel_runs)
{
    static struct seen s;

    cr_assert_eq(kernel_cases_others(kernels_auto(), see, &s), 0);
    cr_assert_eq(s.calls, s.n);
    cr_assert_geq(s.n, 10);
    for (uint32_t i = 0; i < s.n; i++)
        cr_assert_gt(s.bytes[i], 0, "%s", s.names[i]);
}
