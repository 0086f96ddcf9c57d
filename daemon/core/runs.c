/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/core/runs.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"

int runs_add(struct runs *r, const char *level)
{
    if (r->n > 0 && strncmp(r->run[r->n - 1].level, level, RUNS_LEVEL_SIZE - 1) == 0) {
        r->run[r->n - 1].n_tokens++;
        return 0;
    }
    if (r->n == r->size) {
        const size_t size = r->size ? 2 * r->size : 2;
        struct runs_run *more = realloc(r->run, size * sizeof(*more));
        if (!more) return err_raise(-ENOMEM);
        r->run = more;
        r->size = size;
    }
    struct runs_run *last = &r->run[r->n++];
    last->n_tokens = 1;
    (void)snprintf(last->level, sizeof(last->level), "%.31s", level);
    return 0;
}

void runs_deinit(struct runs *r)
{
    free(r->run);
    *r = (struct runs){ 0 };
}
