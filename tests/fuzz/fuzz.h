/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.h: the entry that libFuzzer calls, and a reader of memory that must be readable. */
#pragma once
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** fuzz_use() - read all of @bytes: [n], so that a sanitizer sees what is not there. */
static inline void fuzz_use(const void *bytes, size_t n)
{
    volatile uint8_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)bytes)[i]);
}
