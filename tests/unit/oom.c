/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/oom.h"
#include <stddef.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static unsigned left;
static bool happened;

void oom_fail_at(unsigned n)
{
    left = n;
    happened = false;
}

bool oom_happened(void)
{
    return happened;
}

static bool fails(void)
{
    if (left == 0 || --left > 0) return false;
    happened = true;
    return true;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}
