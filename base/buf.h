/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/buf.h: growing byte queue with a maximum that is given when it is made. Bytes are appended at
 * the end and consumed at the front.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { BUF_E_FULL = 1 }; /* outcome: the bytes would not fit below the maximum */

struct buf {
    uint8_t *data;   /* [size] the allocation, owned */
    size_t at, n;    /* the queue is data[at .. at+n) */
    size_t size_max; /* n never exceeds it */
    size_t size;     /* bytes allocated, <= size_max */
};

/** buf_init() - an empty queue that may hold @size_max bytes; nothing is allocated yet. */
void buf_init(struct buf *b, size_t size_max);

/** buf_deinit() - free what @b holds; it is then as after buf_init() with its old maximum. */
void buf_deinit(struct buf *b);

/**
 * buf_append() - copy @n bytes to the end, all or nothing
 * Return: 0, BUF_E_FULL (nothing appended), -ENOMEM (nothing appended).
 */
int buf_append(struct buf *b, const void *bytes, size_t n);

/**
 * buf_reserve() - room for @n bytes at the end, to be written in place and then added by buf_commit()
 * @ret: receives the place. Return: 0, BUF_E_FULL, -ENOMEM.
 */
int buf_reserve(struct buf *b, size_t n, uint8_t **ret);

/** buf_commit() - the first @n bytes of the reserved place now belong to the queue. */
void buf_commit(struct buf *b, size_t n);

/** buf_front() - the first byte of the queue; valid until the next call that changes it. */
static inline uint8_t *buf_front(const struct buf *b)
{
    return b->data + b->at;
}

/** buf_consume() - drop @n <= b->n bytes at the front; an empty queue gives a large block back. */
void buf_consume(struct buf *b, size_t n);
