/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client-lib/compose.h: the protobuf messages of a struct hearth_request. They point into the
 * request; what is too large for a frame moves into memory files.
 */
#pragma once
#include <hearth.pb-c.h>
#include "client-lib/request.h"
#include "proto/frame.h"

enum { COMPOSE_LARGE = 256 << 10 }; /* bytes of a part from which on it goes by memory file */

struct compose {
    void *block; /* what the pointers below point into, owned */
    Hearth__Message **messages;
    size_t n_messages;
    Hearth__Tool **tools;
    size_t n_tools;
    ProtobufCBinaryData stops[REQUEST_STOPS_MAX];
    size_t n_stops;
    Hearth__Part *parts; /* [n_parts] of all messages */
    size_t n_parts;
    int fds[FRAME_FDS_MAX]; /* owned */
    size_t n_fds;
};

/** compose_init() - make the messages of @q (borrowed until compose_deinit()), all bytes inside. Return: 0, -ENOMEM. */
int compose_init(struct compose *k, const struct hearth_request *q);

/** compose_deinit() - free and close what it holds; fine after zero-initialisation, for CLEANUP. */
void compose_deinit(struct compose *k);

/** compose_sampling() - the sampling of @q; it points at nothing. */
Hearth__Sampling compose_sampling(const struct hearth_request *q);

/**
 * compose_fit() - move parts into memory files, the largest first: those over COMPOSE_LARGE, and as
 * many as it takes to make @body (which holds the messages of @k) fit
 * @max: bytes that a frame's body may have.
 * Return: 0, -E2BIG (it does not fit with FRAME_FDS_MAX files), -errno of making one.
 */
int compose_fit(struct compose *k, const ProtobufCMessage *body, size_t max);
