/* SPDX-License-Identifier: Apache-2.0 */
/* hearthd.conf: any bytes are accepted or refused with a sentence, and what is accepted is within its limits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "daemon/conf.h"
#include "tests/fuzz/fuzz.h"

static void check_policy(const struct policy_table *t)
{
    struct policy p;

    if (t->n > POLICY_RULES_MAX) abort();
    for (size_t i = 0; i < t->n; i++) {
        struct policy_peer peer = { .uid = t->rule[i].id, .gid = { t->rule[i].id }, .n_gids = 1 };
        if (!memchr(t->rule[i].name, 0, POLICY_NAME_MAX)) abort();
        memcpy(peer.unit, t->rule[i].name, POLICY_NAME_MAX);
        policy_of(t, &peer, &p);
        if (p.weight < 1 || p.weight > 1000 || p.in_flight_max < 1 || p.connections_max < 1 ||
            p.class_ceiling >= SCHED_CLASSES || p.conversations_max > 10000)
            abort();
    }
}

static void check(const struct conf *c)
{
    if (c->socket[0] != '/' || c->models[0] != '/' || c->cache[0] != '/' || c->worker[0] != '/')
        abort();
    if (c->levels[0] != '/' && c->levels[0] != 0) abort();
    if (!memchr(c->socket, 0, sizeof(c->socket)) || !memchr(c->kernels, 0, sizeof(c->kernels)))
        abort();
    if (c->clients_max < 1 || c->queue_max < 1 || c->running_max < 1 ||
        c->running_max > SCHED_PLAN_MAX)
        abort();
    if (c->log_level < 3 || c->log_level > 7 || c->context > 1048576) abort();
    if (c->kv_bytes != 0 && (c->kv_bytes < UINT64_C(1) << 20 || c->kv_bytes > UINT64_C(1) << 40))
        abort();
    check_policy(&c->policy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct conf c;
    struct reason why = { "" };
    char path[32];
    const int fd = memfd_create("hearthd.conf", MFD_CLOEXEC);

    /* a private instance: its defaults need no look into the group database */
    if (fd < 0 || setenv("XDG_RUNTIME_DIR", "/run/user/1", 1) < 0 || setenv("HOME", "/root", 1) < 0)
        abort();
    if (write(fd, data, size) != (ssize_t)size) abort();
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    const int r = conf_load(path, true, true, &why, &c);
    if (r < 0) abort();
    if (r == CONF_E_INVALID && strncmp(why.text, path, strlen(path)) != 0) abort();
    if (r == 0) check(&c);
    (void)close(fd);
    return 0;
}
