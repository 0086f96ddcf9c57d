/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/server.h: hearthd as a whole: its event loop, listening socket, signals and everything that the modules share. One
 * thread; nothing here waits but for the loop.
 */
#pragma once
#include <event2/event.h>
#include <stdbool.h>
#include "daemon/cache.h"
#include "daemon/climate.h"
#include "daemon/conf.h"
#include "daemon/core/rate.h"
#include "daemon/core/sched.h"
#include "daemon/import.h"
#include "daemon/store.h"
#include "daemon/supervisor.h"

struct server {
    struct event_base *base;
    struct conf conf;
    const char *conf_path; /* NULL: the default place */
    bool private_instance, conf_must_exist;
    struct sched sched;
    struct store *store;
    struct cache *cache; /* NULL: there is none, and why */
    struct reason no_cache;
    struct supervisor supervisor;
    struct import import;
    struct list conns, apps, requests, conversations,
        tokenizing; /* struct conn, app, request, conversation, tokenizing */
    uint32_t n_conns;
    int listen_fd, lock_fd;
    bool own_socket;        /* made by us, not by the service manager: removed at the end */
    bool draining, exiting; /* refuses requests; ends when none is left */
    struct event *accept, *pump, *watchdog, *tidy, *drain_end, *accept_again;
    struct event *signals[5];
    uint64_t started_ns, serial; /* last serial number of a request */
    uint64_t served, refused, tokens_in, tokens_cached, tokens_out;
    uint32_t plans_owed; /* sequences opened since the last plan: the worker waits for a new one */
    struct rate prefill_rate, decode_rate;
    struct rate read_bytes,
        read_ns;      /* of steps that only decode: weights, and the time they took */
    double step_cost; /* cost of the dearest level of a step, lately; 0: none ran */
    struct climate climate;
    char level_ceiling[32]; /* of an administrator; "auto": none */
};

/** server_new() - open store and socket and begin to listen. Return: 0 and @ret; > 0 or -errno (@why, one sentence for the terminal). */
int server_new(const struct conf *conf, const char *conf_path, bool conf_must_exist,
               bool private_instance, struct reason *why, struct server **ret);
/** server_run() - serve until SIGTERM or SIGINT. Return: 0, -errno. */
int server_run(struct server *s);
struct server *server_free(struct server *s);

/** server_pump() - something changed: open requests, make a plan, soon and once for all that changed. */
void server_pump(struct server *s);
/** server_drain() - finish what runs, refuse what comes. @exit: and end then, after half a minute at most. */
void server_drain(struct server *s, bool exit);
/** server_status_line() - tell the service manager what is going on. */
void server_status_line(struct server *s);
