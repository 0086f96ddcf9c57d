/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/core/runs.h: which level processed which tokens of an answer, so that it can be computed again to the same bits. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
    RUNS_MAX = 64, /* of one answer: a level that would change more often stays as it is */
    RUNS_LEVEL_SIZE = 32,
};

struct runs_run {
    uint32_t n_tokens;
    char level[RUNS_LEVEL_SIZE];
};

struct runs {             /* make it of { 0 } */
    struct runs_run *run; /* [n] owned */
    size_t n, size;
};

/** runs_add() - the next token was processed at @level (at most 31 bytes count). Return: 0, -ENOMEM. */
int runs_add(struct runs *r, const char *level);
/** runs_may_change() - may the level change once more? One place is left for a change that is on its way. */
static inline int runs_may_change(const struct runs *r)
{
    return r->n + 2 <= RUNS_MAX;
}
void runs_deinit(struct runs *r);
