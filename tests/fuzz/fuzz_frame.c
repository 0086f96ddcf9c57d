/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream of frames as it comes from a socket, first byte: in pieces of that size. Each message is unpacked as what a
 * client sends and as what a worker gets.
 */
#include <hearth.pb-c.h>
#include <stdlib.h>
#include <string.h>
#include <worker.pb-c.h>
#include "base/buf.h"
#include "proto/frame.h"
#include "tests/fuzz/fuzz.h"

static void unpack(const ProtobufCMessageDescriptor *type, const uint8_t *body, size_t n)
{
    struct reason why = { "" };
    ProtobufCMessage *m = NULL;

    if (frame_unpack(type, body, n, &m, &why) != 0) {
        if (why.text[0] == 0) abort();
        return;
    }
    uint8_t *again = malloc(protobuf_c_message_get_packed_size(m) + 1);
    (void)protobuf_c_message_pack(m, again); /* reads every field */
    free(again);
    frame_unpacked_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf b;
    struct reason why = { "" };
    struct frame_header h;
    int r = FRAME_E_MORE;

    if (size == 0) return 0;
    const size_t step = data[0] ? data[0] : 4096;
    buf_init(&b, FRAME_HEADER_SIZE + FRAME_BODY_MAX);
    for (size_t at = 1; at < size && r != FRAME_E_GARBAGE; at += step) {
        if (buf_append(&b, data + at, size - at < step ? size - at : step) != 0) break;
        while ((r = frame_parse(buf_front(&b), b.n, &h, &why)) == 0) {
            const uint8_t *body = buf_front(&b) + FRAME_HEADER_SIZE;
            unpack(&hearth__client_frame__descriptor, body, h.body_size);
            unpack(&hearth__worker__to_worker__descriptor, body, h.body_size);
            buf_consume(&b, FRAME_HEADER_SIZE + (size_t)h.body_size);
        }
    }
    if (r == FRAME_E_GARBAGE && why.text[0] == 0) abort();
    buf_deinit(&b);
    return 0;
}
