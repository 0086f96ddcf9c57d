/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/backend/pool.h: threads that share a list of tasks. pool_run() hands out task numbers one by one, so a thread
 * that lost its core to another program takes fewer of them; results do not depend on who ran which. Between two calls that
 * follow each other closely the threads spin, after that they sleep: an idle pool wakes nobody.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/reason.h"

enum { POOL_THREADS_MAX = 64, POOL_TASKS_MAX = 1 << 19 };

struct pool;

/**
 * pool_new() - @n_threads threads, the caller of pool_run() included; @scratch_bytes for each
 * Return: 0 and @ret, owned; -EINVAL (n_threads is 0 or above POOL_THREADS_MAX); -ENOMEM; -errno of pthread_create.
 */
int pool_new(uint32_t n_threads, size_t scratch_bytes, struct pool **ret);

/** pool_free() - ends the threads; no pool_run() may be under way. NULL is fine. Return: NULL. */
struct pool *pool_free(struct pool *p);

uint32_t pool_threads(const struct pool *p);

/**
 * pool_run() - run tasks 0 .. n_tasks-1 and return when all are done
 * @task: called with @context, the task's number, and scratch memory of the calling thread (64-byte aligned).
 * One call at a time; not from inside a task. n_tasks <= POOL_TASKS_MAX.
 */
void pool_run(struct pool *p, void (*task)(void *context, uint32_t i, void *scratch), void *context,
              uint32_t n_tasks);

/** pool_run_alone() - as pool_run(), in the calling thread: for less work than telling the others costs. */
void pool_run_alone(struct pool *p, void (*task)(void *context, uint32_t i, void *scratch),
                    void *context, uint32_t n_tasks);
