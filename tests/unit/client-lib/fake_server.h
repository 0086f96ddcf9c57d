/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_server.h: the other end of libhearth in its tests. It speaks frames as hearthd does, says only
 * what a test tells it, and fails the test when nothing comes for ten seconds.
 */
#pragma once
#include <hearth.h>
#include <hearth.pb-c.h>
#include "proto/link.h"

struct fake_server {
    char dir[64], path[96];
    int listen_fd;
    struct link link;
    bool connected;
    struct hearth_client *pumped; /* NULL, or whose events are processed while a frame is awaited */
    Hearth__ClientFrame *frame;   /* the last that was received, owned */
    int fds[FRAME_FDS_MAX];       /* that came with it, owned */
    size_t n_fds;
};

/** fake_server_start() - listen on a socket in a directory of its own. */
void fake_server_start(struct fake_server *s);

/** fake_server_stop() - hang up, and remove the socket and the directory. */
void fake_server_stop(struct fake_server *s);

/** fake_server_accept() - take the connection and its Hello, say nothing. */
void fake_server_accept(struct fake_server *s);

/** fake_server_welcome() - fake_server_accept(), then a Welcome as hearthd's. */
void fake_server_welcome(struct fake_server *s);

/** fake_server_receive() - the next frame, valid until the next one; it is of @kind. */
const Hearth__ClientFrame *fake_server_receive(struct fake_server *s,
                                               Hearth__ClientFrame__BodyCase kind);

/** fake_server_quiet() - whether the client has sent nothing more. */
bool fake_server_quiet(struct fake_server *s);

/** fake_server_send() - send a frame whose body is @body, waiting for room. */
void fake_server_send(struct fake_server *s, Hearth__ServerFrame__BodyCase kind,
                      ProtobufCMessage *body);

/** fake_server_raw() - send bytes that need not be a frame. */
void fake_server_raw(struct fake_server *s, const void *bytes, size_t n);

/* Short forms of fake_server_send(). */
void fake_server_token(struct fake_server *s, uint64_t id, const char *text);
void fake_server_done(struct fake_server *s, uint64_t id, Hearth__Finish finish);
void fake_server_reply(struct fake_server *s, uint64_t id);
void fake_server_error(struct fake_server *s, uint64_t id, int code, const char *message);

/** fake_server_hang_up() - close the connection, keep listening. */
void fake_server_hang_up(struct fake_server *s);

/* What a client's callback saw. */
struct seen {
    int n[HEARTH_EVENT_CALL + 1]; /* events by type */
    char text[4096];              /* of TEXT events, one after the other */
    size_t text_size;
    uint64_t id;
    int code, retry; /* of the END */
    uint32_t retry_after_ms;
    enum hearth_finish finish;
    char message[512];
};

/** fake_server_see() - a hearth_event_fn whose context is a struct seen. */
void fake_server_see(void *context, const struct hearth_event *e);

/** fake_server_pump() - process the client's events until @n of @type were seen. */
void fake_server_pump(struct hearth_client *c, const struct seen *seen, enum hearth_event_type type,
                      int n);
