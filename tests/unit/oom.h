/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oom.h: makes a chosen allocation of the code under test fail. Linked with oom.c and the linker's --wrap for
 * malloc, calloc and realloc; calls inside shared libraries are not counted.
 */
#pragma once
#include <stdbool.h>

/** oom_fail_at() - the @n-th allocation from now on returns NULL, once; 0: none does. */
void oom_fail_at(unsigned n);

/** oom_possible() - false in a build with link-time optimisation, which resolves malloc before --wrap can. */
static inline bool oom_possible(void)
{
#ifdef OOM_IMPOSSIBLE
    return false;
#else
    return true;
#endif
}

/** OOM_OR_SKIP() - first in a test that needs a failing allocation. */
#define OOM_OR_SKIP()                                                                              \
    do {                                                                                           \
        if (!oom_possible()) cr_skip_test("no failing allocations with link-time optimisation");   \
    } while (0)

/** oom_happened() - whether an allocation failed since the last oom_fail_at(). */
bool oom_happened(void);
