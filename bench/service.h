/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/service.h: a scenario played against a running server: hearthd through libhearth, or llama-server through HTTP. Each
 * app is a process of its own (with its own uid, if the scenario says so), each client one request after the other.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/reason.h"
#include "bench/options.h"
#include "bench/scenario.h"

enum { SERVICE_E_REFUSED = 1 };
enum { SERVICE_CODES = 20 }; /* of errors: those of hearth.h; the two below */
enum {
    SERVICE_CUT = 18, /* in flight when the time was over, and cancelled then */
    SERVICE_LOST =
        19 /* no answer and no reason: the connection broke, or nothing came for SERVICE_PATIENCE_S */
};
enum { SERVICE_PATIENCE_S = 60, SERVICE_CLIENTS_MAX = 4096 };

/* One request, from an app to the one that counts. Times in seconds. */
struct service_record {
    uint32_t group, app; /* app: counted through all groups */
    uint32_t prompt_tokens, cached_tokens, output_tokens;
    uint32_t code;             /* 0: it was answered */
    double first_s, total_s;   /* first_s < 0: no text came */
    double queued_s, engine_s; /* told by hearthd */
};

/* What an app process works with. */
struct service_app {
    const struct scenario *scenario;
    const struct options *options;
    uint32_t group, app;
    int out; /* pipe to the one that counts */
    uint64_t begin_ns, random;
};

/** service_run() - play the scenario of @o and write the report. Return: 0; SERVICE_E_REFUSED (@why); -errno. */
int service_run(const struct options *o, FILE *out, struct reason *why);

/** service_app_run() - be one app until the scenario is over. Return: 0; -errno. */
int service_app_run(const struct service_app *a);

/* ---- between an app and what it asks ---- */

struct event_base;
struct service_job;

/* A server, as an app sees it. */
struct service_target {
    /* Begin: a connection for client @slot. Return: its handle; NULL. */
    void *(*open)(struct event_base *base, const struct options *o);
    /* Ask; service_job_text() and service_job_over() follow from the event loop. Return: 0; -errno: nothing follows. */
    int (*send)(void *connection, struct service_job *job, const struct scenario_group *g,
                const char *prompt, uint32_t output);
    /* End @job soon; service_job_over() still comes. */
    void (*cancel)(void *connection, struct service_job *job);
    void (*close)(void *connection);
};
extern const struct service_target service_hearth, service_http;

struct service_job {
    struct service_app_state *state;
    uint32_t slot;
    void *connection;
    uint64_t id; /* the target's */
    bool cut;
    uint64_t sent_ns, first_ns;
    double retry_s; /* the server asks for so much patience before the next try */
    struct service_record record;
};

/** service_job_text() - some of the answer came. */
void service_job_text(struct service_job *job);
/** service_job_over() - the last of it; record's token counts and code are set. */
void service_job_over(struct service_job *job);
