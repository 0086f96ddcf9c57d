/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"

enum {
    SIZE_MIN = 512,   /* first allocation: most frames are smaller */
    KEEP_MAX = 4096, /* an idle queue keeps a block of at most this size */
};

void buf_init(struct buf *b, size_t size_max)
{
    *b = (struct buf){ .size_max = size_max };
}

void buf_deinit(struct buf *b)
{
    free(b->data);
    buf_init(b, b->size_max);
}

int buf_reserve(struct buf *b, size_t n, uint8_t **ret)
{
    if (n > b->size_max - b->n) return BUF_E_FULL;
    if (b->at + b->n + n > b->size && b->at > 0) { /* move before growing */
        memmove(b->data, b->data + b->at, b->n);
        b->at = 0;
    }
    if (b->n + n > b->size) {
        size_t size = b->size ? b->size : SIZE_MIN;

        while (size < b->n + n)
            size *= 2;
        if (size > b->size_max) size = b->size_max;
        uint8_t *data = realloc(b->data, size);
        if (!data) return err_raise(-ENOMEM);
        b->data = data;
        b->size = size;
    }
    *ret = b->data + b->at + b->n;
    return 0;
}

void buf_commit(struct buf *b, size_t n)
{
    assert(b->at + b->n + n <= b->size);
    b->n += n;
}

int buf_append(struct buf *b, const void *bytes, size_t n)
{
    uint8_t *place = NULL;

    if (n == 0) return 0;
    int r = buf_reserve(b, n, &place);
    if (r != 0) return r < 0 ? err_pass(r) : r;
    memcpy(place, bytes, n);
    buf_commit(b, n);
    return 0;
}

void buf_consume(struct buf *b, size_t n)
{
    assert(n <= b->n);
    b->at += n;
    b->n -= n;
    if (b->n > 0) return;
    b->at = 0;
    if (b->size > KEEP_MAX) buf_deinit(b);
}
