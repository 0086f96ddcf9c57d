/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/supervisor.h: the life of the worker that serves the active model: loading when somebody needs it, restarting with a
 * back-off when it dies or hangs, unloading when idle, and switching to another model: what runs is finished with the old
 * one, the new one is loaded on trial, and only a model that loads and computes becomes active; else the old one stays.
 */
#pragma once
#include <event2/event.h>
#include <hearth.pb-c.h>
#include <stdbool.h>
#include "daemon/call.h"
#include "daemon/child.h"
#include "daemon/core/levels.h"
#include "daemon/store.h"

enum { SUPERVISOR_LEVELS_MAX = 64, SUPERVISOR_LEVEL_SIZE = 32 };

enum supervisor_state {
    SUPERVISOR_NO_MODEL,
    SUPERVISOR_UNLOADED,
    SUPERVISOR_LOADING,
    SUPERVISOR_READY,
    SUPERVISOR_CRASHED, /* waits to be restarted */
};

struct server;

struct supervisor_waiter {
    struct call call;
    struct list node;
};

struct supervisor {
    struct server *server;
    struct child child;
    int nudge_fd; /* eventfd that the worker has, too; -1: none could be made, and steps are not abandoned */
    enum supervisor_state state;
    struct store_model model; /* active, or on trial */
    bool trial;               /* model is being tried, and becomes active if it loads */
    bool switching;           /* next waits for what runs to end */
    struct store_model next;
    struct list waiters;   /* struct supervisor_waiter: who waits for model to be ready */
    struct list switchers; /* who waits for next: at most one */
    struct event *restart, *hang, *idle;
    unsigned crashes;             /* in a row, without an answer between */
    uint64_t restarts, failed_ns; /* when loading failed last, 0: it did not */
    Hearth__ErrorCode failed_code;
    struct reason failed; /* why the model is not ready, "" if it is */
    uint32_t packed_layout;
    struct reason not_packed; /* why the worker got no file to pack into, "" if it did */
    /* of the worker that is ready */
    char sandbox[64], kernels[32], weights[400], prompt_form[16];
    uint32_t threads, context, pages_total;
    uint64_t bytes_per_token; /* weights that the full level reads for one */
    uint64_t load_us;
    char level_name[SUPERVISOR_LEVELS_MAX][SUPERVISOR_LEVEL_SIZE];
    char level_quality[SUPERVISOR_LEVELS_MAX][SUPERVISOR_LEVEL_SIZE];
    struct levels_row level[SUPERVISOR_LEVELS_MAX];
    size_t n_levels;
};

/** supervisor_init() - look which model is active; nothing is loaded yet. Return: 0, -ENOMEM. */
int supervisor_init(struct supervisor *v, struct server *s);
void supervisor_deinit(struct supervisor *v);

/**
 * supervisor_want() - somebody needs the model: load it if it is not
 * Return: 0 (it is or will be ready), or the error that the request gets (@why).
 */
Hearth__ErrorCode supervisor_want(struct supervisor *v, struct reason *why);

/** supervisor_busy() - what the worker owes changed: it must be heard of while it owes something, and may be unloaded when nobody needs it. */
void supervisor_busy(struct supervisor *v);

/** supervisor_nudge() - what was sent last is urgent: the worker gives up the step that runs, if it can. */
void supervisor_nudge(const struct supervisor *v);

/** supervisor_answered() - an answer was completed: the worker is well. */
void supervisor_answered(struct supervisor *v);

/** supervisor_wait() - request @id of @c gets the Reply when the model is ready, or the Error; its progress meanwhile. Call supervisor_want() before. */
void supervisor_wait(struct supervisor *v, struct conn *c, uint64_t id);

/** supervisor_switch() - try @next and make it the active model; request @id of @c (NULL: it hung up) gets Reply or Error. */
void supervisor_switch(struct supervisor *v, const struct store_model *next, struct conn *c,
                       uint64_t id);
/** supervisor_switch_now() - what ran has ended; called by the pump. */
void supervisor_switch_now(struct supervisor *v);

/** supervisor_unload() - stop the worker; no request may be open (they are replayed otherwise, by a new one). */
void supervisor_unload(struct supervisor *v);
/** supervisor_look() - models were removed from the store: look again whether one is active. */
void supervisor_look(struct supervisor *v);
/** supervisor_uses() - is @m the model that is active, on trial or about to be? Then it cannot be removed. */
bool supervisor_uses(const struct supervisor *v, const struct store_model *m);

/** supervisor_level_known() - may @level be asked for? Everything may while no model is loaded. @why: else. */
bool supervisor_level_known(const struct supervisor *v, const char *level, struct reason *why);
/** supervisor_model_fill() - @out describes @m; texts are borrowed from it, levels from @v where it is loaded. @levels: [SUPERVISOR_LEVELS_MAX] place. */
void supervisor_model_fill(struct supervisor *v, const struct store_model *m, Hearth__Model *out,
                           Hearth__Level *levels, Hearth__Level **pointers);
/** supervisor_state_out() - for Status. */
Hearth__State supervisor_state_out(const struct supervisor *v);
