/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proto/link.h: one end of a Unix stream socket that carries frames: bounded receive buffer and send
 * queue, descriptors kept with their frame. Non-blocking and without an event loop, so that hearthd
 * (libevent), hearth-worker (poll) and libhearth (the app's loop) share it. The only I/O in proto/.
 */
#pragma once
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/buf.h"
#include "base/fdpass.h"
#include "base/reason.h"
#include "proto/frame.h"

enum {
    LINK_FD_BATCHES = 32
}; /* queued frames that carry descriptors; more counts as a full queue */

enum {
    LINK_E_NONE = 1,    /* outcome: nothing to give at present */
    LINK_E_CLOSED = 2,  /* outcome: the other end hung up */
    LINK_E_GARBAGE = 3, /* outcome: the other end does not keep to the protocol */
    LINK_E_FULL = 4,    /* outcome: the send queue is at its maximum */
};

struct link {
    int fd;              /* the socket, non-blocking, owned; -1 after link_deinit() */
    struct buf in, out;  /* received, to be sent */
    size_t lent;         /* bytes at the front of in that link_next() gave out */
    int fds[FDPASS_MAX]; /* received and not yet given to a frame, owned */
    size_t n_fds;
    bool closed;       /* the other end hung up; what was received before is still given */
    uint64_t out_base; /* stream position of the front of out */
    struct {
        uint64_t at;            /* stream position of the frame's first byte */
        int fds[FRAME_FDS_MAX]; /* duplicates, owned */
        size_t n;
    } batch[LINK_FD_BATCHES];
    size_t n_batches;
};

struct link_frame {
    const uint8_t *body; /* [size], valid until the next call with this link */
    size_t size;
    int fds[FRAME_FDS_MAX]; /* [n_fds], now owned by the caller: close each or keep it */
    size_t n_fds;
};

/**
 * link_init() - take over a connected socket, which becomes non-blocking
 * @fd: owned if 0 is returned. @out_max: bytes that may wait to be sent (>= one frame).
 * Return: 0, -errno of fcntl.
 */
int link_init(struct link *l, int fd, size_t out_max);

/** link_deinit() - close the socket and all waiting descriptors, free the buffers. */
void link_deinit(struct link *l);

/**
 * link_read() - receive what is there (at most one frame's worth, so that one peer cannot hold the loop)
 * Return: 0 (look with link_next()), LINK_E_NONE, LINK_E_CLOSED, LINK_E_GARBAGE (descriptors that belong
 * to no frame), -ENOMEM, another -errno of recvmsg.
 */
int link_read(struct link *l);

/**
 * link_next() - the next whole frame
 * Return: 0 and @ret; LINK_E_NONE; LINK_E_GARBAGE (@why; the connection is beyond repair).
 */
int link_next(struct link *l, struct link_frame *ret, struct reason *why);

/**
 * link_send() - queue a message, all or nothing; link_flush() sends it
 * @fds: [n_fds] borrowed, duplicated here. Return: 0, LINK_E_FULL, -ENOMEM, -errno of dup,
 * -EMSGSIZE (the packed message is larger than a frame).
 */
int link_send(struct link *l, const ProtobufCMessage *message, const int *fds, size_t n_fds);

/** link_flush() - send until the queue is empty or the socket is full. Return: 0, LINK_E_CLOSED, -errno. */
int link_flush(struct link *l);

/** link_pending() - bytes that wait to be sent. */
static inline size_t link_pending(const struct link *l)
{
    return l->out.n;
}

/** link_partial() - true if part of a frame was received: the other end owes the rest. */
static inline bool link_partial(const struct link *l)
{
    return l->in.n > l->lent;
}

/** link_frame_close() - close the descriptors of a frame that the caller has no use for. */
void link_frame_close(struct link_frame *f);
