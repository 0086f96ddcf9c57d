/* SPDX-License-Identifier: Apache-2.0 */
/* bench/memory.h: what memory this process has, as the kernel counts it. */
#pragma once
#include <stdint.h>

struct memory {
    uint64_t peak;                    /* most resident memory so far [bytes] */
    uint64_t resident;                /* now; the sum of the next three */
    uint64_t anonymous, file, shared; /* anonymous; pages of files; of shared memory, memfds too */
};

/** memory_parse() - read the text of /proc/PID/status. Return: 0; -EINVAL: a line is missing. */
int memory_parse(const char *text, struct memory *ret);

/** memory_now() - of this process. Return: 0; -errno of reading /proc. */
int memory_now(struct memory *ret);
