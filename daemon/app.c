/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/app.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"

#define KEEP_NS (UINT64_C(120) * CLOCK_NS_PER_S) /* a minute's quota is full again long before */

/* Services count by their unit; what people start in their sessions counts by person. */
static void key_of(const struct peer *peer, char *out, size_t size)
{
    const char *unit = peer->who.unit;
    const size_t n = strlen(unit), tail = strlen(".service");

    if (n > tail && strcmp(unit + n - tail, ".service") == 0 && !strchr(unit, ':'))
        (void)snprintf(out, size, "%s", unit);
    else
        (void)snprintf(out, size, "uid %u", peer->who.uid);
}

struct app *app_get(struct list *apps, const struct peer *peer, const struct policy *policy,
                    uint64_t now_ns)
{
    char key[SCHED_APP_KEY_MAX];

    key_of(peer, key, sizeof(key));
    LIST_EACH(a, apps, struct app, node)
    if (a->uid == peer->who.uid && strcmp(a->key, key) == 0) {
        a->used_ns = now_ns;
        quota_configure(&a->tokens, policy->tokens_per_minute, now_ns);
        return a;
    }
    struct app *a = calloc(1, sizeof(*a));
    if (!a) return NULL;
    (void)snprintf(a->key, sizeof(a->key), "%s", key);
    a->uid = peer->who.uid;
    a->used_ns = now_ns;
    quota_init(&a->tokens, policy->tokens_per_minute, now_ns);
    list_push_back(apps, &a->node);
    return a;
}

void app_tidy(struct list *apps, uint64_t now_ns, bool all)
{
    LIST_EACH(a, apps, struct app, node)
    if (all || (a->n_conns == 0 && a->n_requests == 0 && now_ns - a->used_ns > KEEP_NS)) {
        list_remove(&a->node);
        free(a);
    }
}
