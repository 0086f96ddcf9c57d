/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One 64-bit word holds everything a thread must know to take a task: generation of the list (24 bits), number of tasks
 * (20), next task (20). A thread adds 1 and sees from the old value whether it got a task and of which list. The function
 * and its context are read only after that: as long as somebody holds a task of a list, no new list is published.
 */
#include "engine/backend/pool.h"
#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/err.h"

enum {
    SPIN_NS =
        100000, /* how long a thread waits awake: a decode step of a small model has gaps of some microseconds */
    YIELD_SPINS =
        2000, /* about 20 us: longer than any task should still run after the last one was taken */
};

struct member {
    struct pool *pool;
    pthread_t thread;
    void *scratch;
};

struct pool {
    _Alignas(64) _Atomic uint64_t ticket;
    _Alignas(64) _Atomic uint32_t done;   /* tasks of this list that are finished */
    _Alignas(64) _Atomic uint32_t signal; /* futex: changes with each list while somebody sleeps */
    _Atomic uint32_t sleepers;
    _Atomic bool end;
    void (*task)(void *context, uint32_t i, void *scratch);
    void *context;
    uint32_t n_threads, n_started;
    struct member member[POOL_THREADS_MAX]; /* member[0] is the caller */
};

enum { COUNT_BITS = 20 };
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Run tasks of whichever list is current until it has none left. */
static void work(struct pool *p, void *scratch)
{
    for (;;) {
        uint64_t t = atomic_load_explicit(&p->ticket, memory_order_acquire);
        if ((t & COUNT_MASK) >= (t >> COUNT_BITS & COUNT_MASK)) return;
        t = atomic_fetch_add_explicit(&p->ticket, 1, memory_order_acq_rel);
        const uint32_t i = (uint32_t)(t & COUNT_MASK);
        if (i >= (t >> COUNT_BITS & COUNT_MASK)) return;
        p->task(p->context, i, scratch);
        atomic_fetch_add_explicit(&p->done, 1, memory_order_release);
    }
}

/* Wait until the ticket is no longer @seen's list, or the end. Return: false at the end. */
static bool wait_for_list(struct pool *p, uint64_t seen)
{
    const uint64_t from_ns = clock_now_ns();

    for (uint32_t spins = 0;; spins++) {
        if (atomic_load_explicit(&p->end, memory_order_acquire)) return false;
        if (atomic_load_explicit(&p->ticket, memory_order_acquire) >> 2 * COUNT_BITS !=
            seen >> 2 * COUNT_BITS)
            return true;
        relax();
        if (spins % 64 == 63 && clock_now_ns() - from_ns > SPIN_NS) break;
    }
    const uint32_t s = atomic_load(&p->signal);
    atomic_fetch_add(&p->sleepers, 1);
    if (atomic_load(&p->ticket) >> 2 * COUNT_BITS == seen >> 2 * COUNT_BITS &&
        !atomic_load(&p->end))
        (void)syscall(SYS_futex, &p->signal, FUTEX_WAIT_PRIVATE, s, NULL, NULL, 0);
    atomic_fetch_sub(&p->sleepers, 1);
    return !atomic_load(&p->end);
}

static void wake(struct pool *p)
{
    atomic_fetch_add(&p->signal, 1);
    if (atomic_load(&p->sleepers) > 0)
        (void)syscall(SYS_futex, &p->signal, FUTEX_WAKE_PRIVATE, POOL_THREADS_MAX, NULL, NULL, 0);
}

static void *member_main(void *context)
{
    struct member *m = context;
    uint64_t seen = 0;

    while (wait_for_list(m->pool, seen)) {
        seen = atomic_load_explicit(&m->pool->ticket, memory_order_acquire);
        work(m->pool, m->scratch);
    }
    return NULL;
}

int pool_new(uint32_t n_threads, size_t scratch_bytes, struct pool **ret)
{
    if (n_threads == 0 || n_threads > POOL_THREADS_MAX) return err_raise(-EINVAL);
    struct pool *p = aligned_alloc(64, (sizeof(*p) + 63) / 64 * 64);
    if (!p) return err_raise(-ENOMEM);
    *p = (struct pool){ .n_threads = n_threads };
    for (uint32_t i = 0; i < n_threads; i++) {
        struct member *m = &p->member[i];
        m->pool = p;
        m->scratch = aligned_alloc(64, (scratch_bytes + 63) / 64 * 64);
        const int r = !m->scratch ? ENOMEM
                      : i > 0     ? pthread_create(&m->thread, NULL, member_main, m)
                                  : 0;
        if (r != 0) {
            free(m->scratch);
            pool_free(p);
            return err_raise(-r);
        }
        p->n_started++;
    }
    *ret = p;
    return 0;
}

struct pool *pool_free(struct pool *p)
{
    if (!p) return NULL;
    atomic_store(&p->end, true);
    wake(p);
    for (uint32_t i = 1; i < p->n_started; i++)
        (void)pthread_join(p->member[i].thread, NULL);
    for (uint32_t i = 0; i < p->n_started; i++)
        free(p->member[i].scratch);
    free(p);
    return NULL;
}

uint32_t pool_threads(const struct pool *p)
{
    return p->n_threads;
}

void pool_run_alone(struct pool *p, void (*task)(void *context, uint32_t i, void *scratch),
                    void *context, uint32_t n_tasks)
{
    for (uint32_t i = 0; i < n_tasks; i++)
        task(context, i, p->member[0].scratch);
}

void pool_run(struct pool *p, void (*task)(void *context, uint32_t i, void *scratch), void *context,
              uint32_t n_tasks)
{
    assert(n_tasks <= POOL_TASKS_MAX);
    if (n_tasks <= 1 || p->n_threads == 1) {
        pool_run_alone(p, task, context, n_tasks);
        return;
    }
    const uint64_t generation = (atomic_load(&p->ticket) >> 2 * COUNT_BITS) + 1;
    p->task = task;
    p->context = context;
    atomic_store_explicit(&p->done, 0, memory_order_relaxed);
    atomic_store(&p->ticket, generation << 2 * COUNT_BITS | (uint64_t)n_tasks << COUNT_BITS);
    if (atomic_load(&p->sleepers) > 0) wake(p);
    work(p, p->member[0].scratch);
    for (uint32_t spins = 0; atomic_load_explicit(&p->done, memory_order_acquire) < n_tasks;
         spins++)
        if (spins < YIELD_SPINS)
            relax();
        else
            (void)sched_yield(); /* whoever holds the last task may want this core */
}
