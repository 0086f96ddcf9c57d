/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include "engine/backend/pool.h"

enum { TASKS = 1000 };

static _Atomic unsigned ran[TASKS];

static void count(void *context, uint32_t i, void *scratch)
{
    atomic_fetch_add(&ran[i], 1);
    memset(scratch, 1, 64); /* is there, and of this thread */
    (void)context;
}

Test(pool, each_task_runs_once_however_many_threads_there_are)
{
    for (uint32_t threads = 1; threads <= 5; threads++) {
        struct pool *p = NULL;
        cr_assert_eq(pool_new(threads, 64, &p), 0);
        cr_assert_eq(pool_threads(p), threads);
        for (int round = 0; round < 300; round++) {
            const uint32_t n = (uint32_t)(round * 7 % TASKS);
            memset(ran, 0, sizeof(ran));
            pool_run(p, count, NULL, n);
            for (uint32_t i = 0; i < TASKS; i++)
                cr_assert_eq(ran[i], i < n ? 1u : 0u, "%u threads, task %u of %u", threads, i, n);
        }
        pool_free(p);
    }
}

Test(pool, refuses_no_threads_and_too_many)
{
    struct pool *p = NULL;

    cr_assert_eq(pool_new(0, 64, &p), -EINVAL);
    cr_assert_eq(pool_new(POOL_THREADS_MAX + 1, 64, &p), -EINVAL);
    cr_assert_null(p);
    cr_assert_null(pool_free(NULL));
}
