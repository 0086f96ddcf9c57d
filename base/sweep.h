/* SPDX-License-Identifier: Apache-2.0 */
/* base/sweep.h: read memory as fast as it comes, to find out how fast that is: the limit of decoding. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { SWEEP_BLOCK = 512 }; /* bytes */

/**
 * sweep() - sum the 8-byte words of @bytes: [n], n a multiple of SWEEP_BLOCK, aligned to 64
 * Eight independent vectors of 64 bytes, in whatever instructions the baseline of the architecture has: with SSE2 a
 * core loads 32 bytes a cycle, several times what memory gives it, so wider instructions change nothing.
 * Return: the sum, which the caller must use, or the compiler leaves the reading out.
 */
uint64_t sweep(const void *bytes, size_t n);
