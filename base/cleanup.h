/* SPDX-License-Identifier: Apache-2.0 */
/* base/cleanup.h: scope-bound release of what a function owns until it hands it on. */
#pragma once
#include <stdlib.h>
#include <unistd.h>

/** CLEANUP(fn) - call fn(&variable) when the variable leaves its scope. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

/** TAKE_PTR(p) - the value of @p, which becomes NULL: ownership goes to the reader of the value. */
#define TAKE_PTR(p)                                                                                \
    __extension__({                                                                                \
        __typeof__(p) *take_at_ = &(p);                                                            \
        __typeof__(p) take_value_ = *take_at_;                                                     \
        *take_at_ = NULL;                                                                          \
        take_value_;                                                                               \
    })

/** TAKE_FD(fd) - the value of @fd, which becomes -1. */
#define TAKE_FD(fd)                                                                                \
    __extension__({                                                                                \
        int *take_at_ = &(fd);                                                                     \
        int take_value_ = *take_at_;                                                               \
        *take_at_ = -1;                                                                            \
        take_value_;                                                                               \
    })

/** freep() - for CLEANUP on a heap pointer. @p: address of the pointer; it is freed, NULL is fine. */
static inline void freep(void *p)
{
    free(*(void **)p);
}

/** closep() - for CLEANUP on a file descriptor. @fd: closed unless negative. */
static inline void closep(const int *fd)
{
    if (*fd >= 0) (void)close(*fd);
}
