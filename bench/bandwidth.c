/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bandwidth.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/sweep.h"
#include "bench/stats.h"
#include "engine/backend/pool.h"

extern char **environ;

enum { SLICE = 1 << 20 };

struct reading {
    const uint8_t *buffer;
    uint64_t sink; /* sums go here, so that nobody leaves them out */
};

static void read_slice(void *context, uint32_t i, void *scratch)
{
    struct reading *r = context;

    (void)scratch;
    __atomic_fetch_add(&r->sink, sweep(r->buffer + (size_t)i * SLICE, SLICE), __ATOMIC_RELAXED);
}

static uint64_t now_ns(bool cpu_time)
{
    struct timespec t;

    if (!cpu_time) return clock_now_ns();
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * CLOCK_NS_PER_S + (uint64_t)t.tv_nsec;
}

int bandwidth_measure(uint32_t threads, uint32_t mib, uint32_t passes, bool cpu_time, double *ret)
{
    const size_t bytes = (size_t)mib << 20;
    struct pool *pool = NULL;
    struct reading reading = { 0 };
    const int r = pool_new(threads, 64, &pool);

    if (r < 0) return err_pass(r);
    uint8_t *buffer = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (buffer == MAP_FAILED) {
        pool_free(pool);
        return err_raise(-ENOMEM);
    }
    (void)madvise(buffer, bytes, MADV_HUGEPAGE);
    memset(buffer, 1, bytes); /* or all of it would be one page of zeros */
    reading.buffer = buffer;
    for (uint32_t i = 0; i < passes; i++) {
        const uint64_t from = now_ns(cpu_time);
        pool_run(pool, read_slice, &reading, (uint32_t)(bytes / SLICE));
        ret[i] = (double)bytes / ((double)(now_ns(cpu_time) - from) * 1e-9);
    }
    (void)munmap(buffer, bytes);
    pool_free(pool);
    return 0;
}

/* The two numbers that the child printed. */
static int take_answer(int fd, pid_t child, double ret[2])
{
    char text[64];
    size_t n = 0;
    ssize_t got;
    int status = 0;

    while (n < sizeof(text) - 1 && (got = read(fd, text + n, sizeof(text) - 1 - n)) != 0) {
        if (got < 0 && errno != EINTR) break;
        if (got > 0) n += (size_t)got;
    }
    text[n] = '\0';
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    const bool fine = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return fine && sscanf(text, "%lf %lf", &ret[0], &ret[1]) == 2 ? 0 : err_raise(-EIO);
}

int bandwidth_ask(uint32_t threads, uint32_t mib, uint32_t passes, double ret[2])
{
    char arguments[3][16], program[] = "/proc/self/exe", name[] = "bandwidth", raw[] = "--raw";
    char option[3][12] = { "--threads", "--mib", "--runs" };
    char *argv[] = { program,   name,         raw,       option[0],    arguments[0],
                     option[1], arguments[1], option[2], arguments[2], NULL };
    posix_spawn_file_actions_t actions;
    int fds[2];
    pid_t child = 0;

    (void)snprintf(arguments[0], sizeof(arguments[0]), "%u", threads);
    (void)snprintf(arguments[1], sizeof(arguments[1]), "%u", mib);
    (void)snprintf(arguments[2], sizeof(arguments[2]), "%u", passes);
    if (pipe2(fds, O_CLOEXEC) < 0) return err_raise(-errno);
    CLEANUP(closep) int in = fds[0];
    CLEANUP(closep) int out = fds[1];
    int r = posix_spawn_file_actions_init(&actions);
    if (r != 0) return err_raise(-r);
    r = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (r == 0) r = posix_spawn(&child, program, &actions, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (r != 0) return err_raise(-r);
    (void)close(out);
    out = -1; /* else the end of the answer would never come */
    return take_answer(in, child, ret);
}
