/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sweep.h"
#include <assert.h>

enum { LANES = 8 };

typedef uint64_t vector __attribute__((vector_size(64)));

_Static_assert(SWEEP_BLOCK == LANES * sizeof(vector), "one round of the loop");

uint64_t sweep(const void *bytes, size_t n)
{
    const vector *v = bytes;
    vector sum[LANES] = { 0 };
    uint64_t all = 0;

    assert(n % SWEEP_BLOCK == 0 && (uintptr_t)bytes % sizeof(vector) == 0);
    for (size_t k = 0; k < n / sizeof(vector); k += LANES)
        for (int l = 0; l < LANES; l++)
            sum[l] += v[k + (size_t)l];
    for (int l = 0; l < LANES; l++)
        for (int e = 0; e < 8; e++)
            all += sum[l][e];
    return all;
}
