/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/frame.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int frame_parse(const uint8_t *bytes, size_t n, struct frame_header *ret, struct reason *why)
{
    static const uint8_t mark[2] = { 'H', '1' };

    for (size_t i = 0; i < 2 && i < n; i++) {
        if (bytes[i] == mark[i]) continue;
        reason_set(why, "byte %zu of the frame is 0x%02x where 'H1' begins: not hearth's protocol",
                   i, bytes[i]);
        return FRAME_E_GARBAGE;
    }
    if (n > 2 && bytes[2] > FRAME_FDS_MAX) {
        reason_set(why, "the frame announces %u descriptors, at most %d are allowed", bytes[2],
                   FRAME_FDS_MAX);
        return FRAME_E_GARBAGE;
    }
    if (n > 3 && bytes[3] != 0) {
        reason_set(why, "byte 3 of the frame is 0x%02x, it must be 0", bytes[3]);
        return FRAME_E_GARBAGE;
    }
    if (n < FRAME_HEADER_SIZE) return FRAME_E_MORE;
    const uint32_t size = (uint32_t)bytes[4] | (uint32_t)bytes[5] << 8 | (uint32_t)bytes[6] << 16 |
                          (uint32_t)bytes[7] << 24;
    if (size > FRAME_BODY_MAX) {
        reason_set(why, "the frame has %u bytes, at most %d are allowed: send bulk as a memfd",
                   size, FRAME_BODY_MAX);
        return FRAME_E_GARBAGE;
    }
    *ret = (struct frame_header){ .body_size = size, .n_fds = bytes[2] };
    return n < FRAME_HEADER_SIZE + (size_t)size ? FRAME_E_MORE : 0;
}

void frame_header_write(uint8_t *out, size_t body_size, size_t n_fds)
{
    assert(body_size <= FRAME_BODY_MAX && n_fds <= FRAME_FDS_MAX);
    out[0] = 'H';
    out[1] = '1';
    out[2] = (uint8_t)n_fds;
    out[3] = 0;
    for (int i = 0; i < 4; i++)
        out[4 + i] = (uint8_t)(body_size >> 8 * i);
}

/* An allocator that counts what one message takes and refuses beyond the limit. */
static void *limited_alloc(void *left, size_t size)
{
    size_t *room = left;

    if (size > *room) return NULL;
    void *p = malloc(size);
    if (p) *room -= size;
    return p;
}

static void limited_free(void *left, void *p)
{
    (void)left;
    free(p);
}

int frame_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *body, size_t size,
                 ProtobufCMessage **ret, struct reason *why)
{
    size_t room = FRAME_UNPACK_MAX;
    ProtobufCAllocator a = { .alloc = limited_alloc,
                             .free = limited_free,
                             .allocator_data = &room };
    ProtobufCMessage *m = protobuf_c_message_unpack(type, &a, size, body);

    if (!m) {
        const char *name = type->short_name; /* NULL: generated for size, as in libhearth */
        reason_set(why, "%zu bytes are not a valid %s%smessage, or one too large in memory", size,
                   name ? name : "", name ? " " : "");
        return FRAME_E_GARBAGE;
    }
    *ret = m;
    return 0;
}

void *frame_unpacked_free(ProtobufCMessage *message)
{
    if (message) protobuf_c_message_free_unpacked(message, NULL);
    return NULL;
}
