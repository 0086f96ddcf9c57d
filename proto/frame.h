/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proto/frame.h: the eight bytes before each message, and memory-bounded unpacking of what follows.
 *
 *   offset 0  'H' '1'   mark and version of the framing
 *          2  u8        number of file descriptors that came with the first byte of this frame
 *          3  u8        0
 *          4  u32 LE    bytes of the message that follows, 0..FRAME_BODY_MAX
 */
#pragma once
#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>
#include "base/reason.h"

enum {
    FRAME_HEADER_SIZE = 8,
    FRAME_BODY_MAX = 1 << 20, /* bulk goes by memfd */
    FRAME_FDS_MAX = 8,        /* descriptors of one frame */
    FRAME_UNPACK_MAX =
        8 << 20, /* memory that one unpacked message may take: empty submessages cost 2
                                   bytes on the wire and over 100 in memory */
};

enum {
    FRAME_E_MORE = 1, /* outcome: not all bytes are here yet */
    FRAME_E_GARBAGE =
        2, /* outcome: these bytes are not a frame, the stream cannot be resynchronised */
};

struct frame_header {
    uint32_t body_size; /* <= FRAME_BODY_MAX */
    uint8_t n_fds;      /* <= FRAME_FDS_MAX */
};

/**
 * frame_parse() - read a header
 * @bytes: [n]. @ret: what it says. @why: the sentence for FRAME_E_GARBAGE.
 * Return: 0 (header and body are all there), FRAME_E_MORE (@ret is set once n >= FRAME_HEADER_SIZE),
 * FRAME_E_GARBAGE (as soon as a byte is wrong).
 */
int frame_parse(const uint8_t *bytes, size_t n, struct frame_header *ret, struct reason *why);

/** frame_header_write() - write the header of a body of @body_size bytes to @out: [FRAME_HEADER_SIZE]. */
void frame_header_write(uint8_t *out, size_t body_size, size_t n_fds);

/**
 * frame_unpack() - unpack a message within FRAME_UNPACK_MAX bytes of memory
 * Return: 0 and @ret, owned by the caller, for frame_unpacked_free(); FRAME_E_GARBAGE (not such a
 * message, or it would take too much memory; @why).
 */
int frame_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *body, size_t size,
                 ProtobufCMessage **ret, struct reason *why);

/** frame_unpacked_free() - release a message of frame_unpack(); NULL is fine. Return: NULL. */
void *frame_unpacked_free(ProtobufCMessage *message);
