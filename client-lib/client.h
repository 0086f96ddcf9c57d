/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client-lib/client.h: what a client is, for the files of this folder.
 *
 *   client.c    life, settings, what can be asked about it
 *   pump.c      the connection: made, served, lost; cancels; waiting
 *   call.c      a request in flight: begun, told, ended; and the public calls (calls.c)
 *   request.c   the builder; compose.c makes messages and memory files of it
 *   receive.c   ServerFrame -> events; view.c shows protobuf structs as those of hearth.h
 *
 * Invariants: only pump_process() calls callbacks, one at a time (in_callback), so a call leaves the
 * list of calls nowhere else. A callback may begin calls and thereby make a new connection, hence
 * pump_process() looks at `connected` again after each.
 */
#pragma once
#include <hearth.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "base/list.h"
#include "base/reason.h"
#include "proto/link.h"

enum {
    CLIENT_PATH_MAX = 108,   /* sockaddr_un.sun_path with its NUL */
    CLIENT_NAME_MAX = 64,    /* bytes, see Hello */
    CLIENT_CALLS_MAX = 1024, /* in flight; hearthd's own limit is far lower */
    CLIENT_CANCELS_MAX = 64, /* asked for and not yet sent */
    CLIENT_OUT_MAX = 4 * (FRAME_HEADER_SIZE + FRAME_BODY_MAX), /* bytes that wait to be sent */
};

/* A request in flight, owned by its client's list. */
struct call {
    struct list node;
    uint64_t id;
    hearth_event_fn fn; /* NULL: nobody listens */
    void *context;
    bool cancel_sent;
};

struct hearth_client {
    char path[CLIENT_PATH_MAX];
    char name[CLIENT_NAME_MAX + 1]; /* "": the program's */
    int epoll_fd, event_fd;         /* the set that the app watches; wakes it for cancels */

    bool connected;   /* link is valid and its socket is in the set */
    bool wants_out;   /* the set has EPOLLOUT for the socket */
    bool welcome;     /* the Welcome of this connection came; info is valid */
    size_t frame_max; /* bytes of a frame's body that hearthd takes */
    struct link link;
    struct {
        char server[64];
        enum hearth_class class_ceiling;
        uint32_t max_in_flight;
        bool administrator;
    } info;

    struct list calls; /* of struct call */
    size_t n_calls;
    uint64_t last_id; /* ids are not used again, also not after a new connection */
    bool in_callback;
    struct {
        uint64_t id; /* 0: nobody waits */
        bool ended;
        int code;
    } wait; /* the blocking call, of which there is one at most */

    char *text; /* [text_room] scratch of TEXT events, for the NUL behind the text */
    size_t text_room;
    _Atomic(uint64_t) cancels[CLIENT_CANCELS_MAX]; /* ids, 0: free; the only thing shared */
    struct reason error;                           /* of the last return that was not 0 */
};

/**
 * client_fail() - keep the sentence for a failure
 * Return: @code (< 0: raised; > 0: a code of hearthd).
 */
int client_fail(struct hearth_client *c, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** client_fail_errno() - client_fail() with "@what: what the system says to @code". */
int client_fail_errno(struct hearth_client *c, int code, const char *what);
