/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/app.h: who shares hearthd: a system service (unit), or a user (uid) for everything that runs in sessions. Connections
 * and requests of one app count together. An app is kept while it has any, and until its token quota is full again.
 */
#pragma once
#include <stdint.h>
#include "base/list.h"
#include "daemon/core/policy.h"
#include "daemon/core/quota.h"
#include "daemon/peer.h"

struct app {
    struct list node;
    char key[SCHED_APP_KEY_MAX]; /* "navigation.service", "uid 1000" */
    uint32_t uid;
    uint32_t n_conns, n_requests;
    struct quota tokens;
    uint64_t used_ns; /* when it was last used */
    uint64_t tick;    /* of climate: it was looked at */
};

/** app_get() - the app of @peer, made if it is new; the caller counts itself in n_conns. Return: NULL if memory is short. */
struct app *app_get(struct list *apps, const struct peer *peer, const struct policy *policy,
                    uint64_t now_ns);
/** app_tidy() - free the apps that nobody uses. @all: those with connections too (hearthd ends). */
void app_tidy(struct list *apps, uint64_t now_ns, bool all);
