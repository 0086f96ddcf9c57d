/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault.h: makes a chosen call that changes the disk fail, or ends the process before it. Linked with fault.c and the linker's
 * --wrap for these calls: mkdirat, openat that creates, renameat, renameat2, symlinkat, unlinkat, fchmod, fsync, write.
 * Calls inside shared libraries are not counted.
 */
#pragma once
#include <stdbool.h>

enum { FAULT_EXIT_STATUS = 42 };

/** fault_crash_at() - the process ends just before the @n-th call from now on; 0: it does not. */
void fault_crash_at(unsigned n);

/** fault_fail_at() - the @n-th call from now on fails with @error; 0: none does. @on: and all after it but unlinkat, as on a full disk. */
void fault_fail_at(unsigned n, int error, bool on);

/** fault_happened() - whether a call failed since the last fault_fail_at(). */
bool fault_happened(void);

/** fault_trace() - the calls since the last fault_fail_at(), "mkdirat openat write fsync"; static. */
const char *fault_trace(void);

/** FAULT_OR_SKIP() - first in a test that needs faults; link-time optimisation resolves calls before --wrap can. */
#ifdef OOM_IMPOSSIBLE
#define FAULT_OR_SKIP() cr_skip_test("no faults with link-time optimisation")
#else
#define FAULT_OR_SKIP() ((void)0)
#endif
