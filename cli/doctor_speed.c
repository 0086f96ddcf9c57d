/* SPDX-License-Identifier: Apache-2.0 */
/* How fast this machine reads memory: threads take slices of a buffer that is larger than the caches until all are read. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "base/clock.h"
#include "base/sweep.h"
#include "cli/doctor.h"

enum { SLICE = 1 << 20, SLICES = 256, PASSES = 4, THREADS_MAX = 64 };

/* Weights that Gemma 3n E2B in 4 bits reads for a token [GB]: docs/PERFORMANCE.md. */
#define E2B_GB 1.57

struct pass {
    const uint8_t *bytes; /* [SLICES * SLICE] */
    atomic_uint next;     /* slice */
    atomic_uint_fast64_t sum;
};

static void *read_slices(void *context)
{
    struct pass *p = context;
    unsigned i;

    while ((i = atomic_fetch_add(&p->next, 1)) < SLICES)
        atomic_fetch_add(&p->sum, sweep(p->bytes + (size_t)i * SLICE, SLICE));
    return NULL;
}

/* One pass, by this thread and @n - 1 others, or as many as there may be. Return: nanoseconds. */
static uint64_t one_pass(const uint8_t *bytes, uint32_t n)
{
    struct pass p = { .bytes = bytes };
    pthread_t thread[THREADS_MAX];
    uint32_t begun = 0;
    const uint64_t from = clock_now_ns();

    while (begun + 1 < n && pthread_create(&thread[begun], NULL, read_slices, &p) == 0)
        begun++;
    (void)read_slices(&p);
    for (uint32_t i = 0; i < begun; i++)
        (void)pthread_join(thread[i], NULL);
    return clock_now_ns() - from;
}

void doctor_speed(uint32_t threads, struct doctor_finding *f)
{
    const size_t size = (size_t)SLICES * SLICE;
    uint64_t best_ns = UINT64_MAX;
    uint8_t *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    *f = (struct doctor_finding){ .name = "speed", .level = DOCTOR_OK };
    if (bytes == MAP_FAILED) {
        f->level = DOCTOR_WARN;
        (void)snprintf(f->text, sizeof(f->text), "not measured: there are no %d MB to read",
                       SLICES);
        return;
    }
    if (threads < 1) threads = 1;
    if (threads > THREADS_MAX) threads = THREADS_MAX;
    (void)madvise(bytes, size, MADV_HUGEPAGE);
    memset(bytes, 1, size); /* or all of it would be one page of zeros */
    for (int i = 0; i < PASSES; i++) {
        const uint64_t ns = one_pass(bytes, threads);
        if (ns < best_ns) best_ns = ns;
    }
    (void)munmap(bytes, size);
    const double gb_s = (double)size / (double)best_ns;
    (void)snprintf(f->text, sizeof(f->text),
                   "%" PRIu32 " threads read %.1f GB/s of memory: Gemma 3n E2B in 4 bits can make "
                   "%.0f tokens/s at most",
                   threads, gb_s, gb_s / E2B_GB);
    if (gb_s / E2B_GB >= 3) return;
    f->level = DOCTOR_WARN;
    (void)snprintf(
        f->help, sizeof(f->help),
        "that is slower than people read: end what else runs, take a level below `best`, "
        "or a smaller model");
}
