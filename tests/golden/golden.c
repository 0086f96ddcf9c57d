/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/golden/golden.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

char *golden_find(const char *name, char *buf, size_t size)
{
    const char *const folders[] = { getenv("HEARTH_GOLDEN"), GOLDEN_SOURCE_ROOT "/tests/golden",
                                    GOLDEN_SOURCE_ROOT "/../shared/golden" };

    for (int i = 0; i < 3; i++) {
        const int n = folders[i] ? snprintf(buf, size, "%s/%s", folders[i], name) : 0;
        if (n > 0 && (size_t)n < size && access(buf, R_OK) == 0) return buf;
    }
    return NULL;
}

const char *golden_gemma3_270m(void)
{
    const char *path = getenv("HEARTH_GEMMA3_270M");

    return path && access(path, R_OK) == 0 ? path : NULL;
}
