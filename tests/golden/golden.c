/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/golden/golden.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

char *golden_find(const char *name, char *buf, size_t size)
{
    const char *env = getenv("HEARTH_GOLDEN");
    const char *const folders[] = { env ? env : GOLDEN_SOURCE_ROOT "/tests/golden",
                                    env ? NULL : GOLDEN_SOURCE_ROOT "/../shared/golden" };

    for (int i = 0; i < 2 && folders[i]; i++) {
        const int n = snprintf(buf, size, "%s/%s", folders[i], name);
        if (n > 0 && (size_t)n < size && access(buf, R_OK) == 0) return buf;
    }
    return NULL;
}

const char *golden_gemma3_270m(void)
{
    const char *path = getenv("HEARTH_GEMMA3_270M");

    return path && access(path, R_OK) == 0 ? path : NULL;
}
