/* SPDX-License-Identifier: Apache-2.0 */
/* client-lib/request.h: what a struct hearth_request holds until it is sent; it owns all of it. */
#pragma once
#include <hearth.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    REQUEST_MESSAGES_MAX = 1024,
    REQUEST_PARTS_MAX = 4096, /* of all messages */
    REQUEST_TOOLS_MAX = 256,  /* see Generate.tools */
    REQUEST_STOPS_MAX = 8,    /* see Generate.stop */
    REQUEST_STOP_SIZE_MAX = 64,
    REQUEST_NAME_MAX = 64,        /* bytes of a level's or a conversation's name */
    REQUEST_SIZE_MAX = 512 << 20, /* bytes of all parts: a video has no more in this memory */
};

enum request_kind { REQUEST_TEXT, REQUEST_IMAGE, REQUEST_AUDIO, REQUEST_VIDEO_FRAME, REQUEST_CALL };

struct request_bytes {
    uint8_t *data; /* [size] */
    size_t size, room;
};

struct request_part {
    enum request_kind kind;
    struct request_bytes bytes;
    uint32_t rate_hz; /* audio */
    uint64_t time_us; /* video frame */
};

struct request_message {
    enum hearth_role role;
    struct request_part *parts; /* [n_parts] */
    size_t n_parts, room;
};

struct hearth_request {
    struct request_message *messages; /* [n_messages] */
    size_t n_messages, room;
    size_t n_parts, size_bytes;  /* of all messages and tools */
    struct request_bytes *tools; /* [n_tools] */
    size_t n_tools, tools_room;
    struct request_bytes stops[REQUEST_STOPS_MAX];
    size_t n_stops;
    bool raw, level_may_drop;
    bool has_temperature, has_top_k, has_top_p, has_min_p, has_repetition_penalty, has_seed;
    float temperature, top_p, min_p, repetition_penalty;
    uint32_t top_k, max_tokens, deadline_ms;
    uint64_t seed;
    enum hearth_class request_class;
    char level[REQUEST_NAME_MAX + 1], conversation[REQUEST_NAME_MAX + 1];
};
