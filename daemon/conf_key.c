/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/conf_key.h"
#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include "base/err.h"
#include "daemon/core/value.h"

enum kind {
    KIND_PATH,
    KIND_NUMBER,
    KIND_SIZE,
    KIND_GROUP,
    KIND_LOG_LEVEL,
    KIND_KERNELS,
    KIND_LOAD,
    KIND_ON_OFF
};

#define MIB        (UINT64_C(1) << 20)
#define IN(member) offsetof(struct conf, member), sizeof(((struct conf *)0)->member)

static const struct key {
    enum conf_key_section section;
    const char *name;
    enum kind kind;
    size_t offset, size; /* of the member of struct conf */
    uint64_t min, max;   /* of a number or size; 0 is then always allowed if zero is set */
    bool zero;
} keys[] = {
    { CONF_KEY_DAEMON, "socket", KIND_PATH, IN(socket) },
    { CONF_KEY_DAEMON, "models", KIND_PATH, IN(models) },
    { CONF_KEY_DAEMON, "cache", KIND_PATH, IN(cache) },
    { CONF_KEY_DAEMON, "worker", KIND_PATH, IN(worker) },
    { CONF_KEY_DAEMON, "clients", KIND_NUMBER, IN(clients_max), 1, 65536 },
    { CONF_KEY_DAEMON, "queue", KIND_NUMBER, IN(queue_max), 1, 65536 },
    { CONF_KEY_DAEMON, "running", KIND_NUMBER, IN(running_max), 1, SCHED_PLAN_MAX },
    { CONF_KEY_DAEMON, "log-level", KIND_LOG_LEVEL, IN(log_level) },
    { CONF_KEY_DAEMON, "group", KIND_GROUP, IN(group) },
    { CONF_KEY_DAEMON, "sensors", KIND_PATH, IN(sensors) },
    { CONF_KEY_MODEL, "threads", KIND_NUMBER, IN(threads), 0, 1024 },
    { CONF_KEY_MODEL, "context", KIND_NUMBER, IN(context), 64, 1048576, true },
    { CONF_KEY_MODEL, "kv-memory", KIND_SIZE, IN(kv_bytes), MIB, MIB << 20, true },
    { CONF_KEY_MODEL, "chunk", KIND_NUMBER, IN(chunk), 0, 4096 },
    { CONF_KEY_MODEL, "step-target-ms", KIND_NUMBER, IN(step_target_ms), 0, 60000 },
    { CONF_KEY_MODEL, "kernels", KIND_KERNELS, IN(kernels) },
    { CONF_KEY_MODEL, "levels", KIND_PATH, IN(levels) },
    { CONF_KEY_MODEL, "load", KIND_LOAD, IN(load_at_start) },
    { CONF_KEY_MODEL, "governor", KIND_ON_OFF, IN(governor_off) },
    { CONF_KEY_MODEL, "unload-idle-s", KIND_NUMBER, IN(unload_idle_s), 0, 31536000 },
};
enum { N_KEYS = sizeof(keys) / sizeof(keys[0]) };
static_assert((int)N_KEYS < (int)CONF_KEY_MAX, "conf_key_names() has room for them and NULL");

/* ---- names of users and groups ---- */

/* @found: what the database said, with errno. Return: as conf_key_group(). */
static int found_id(const char *what, const char *name, bool found, struct reason *why)
{
    if (found) return 0;
    if (errno == ENOMEM || errno == EMFILE || errno == ENFILE) return err_raise(-errno);
    reason_set(why, "there is no %s \"%s\"", what,
               name); /* getpwnam(3): many an errno means that */
    return CONF_KEY_E_INVALID;
}

/* A number instead of a name. POLICY_NOBODY is refused: it is nobody's. */
static bool numeric(const char *name, uint32_t *ret)
{
    uint64_t id;

    if (value_number("", name, 0, POLICY_NOBODY - 1, NULL, &id) != 0) return false;
    *ret = (uint32_t)id;
    return true;
}

int conf_key_group(const char *name, struct reason *why, uint32_t *ret)
{
    if (numeric(name, ret)) return 0;
    errno = 0;
    const struct group *g = getgrnam(name);
    const int r = found_id("group", name, g != NULL, why);
    if (r == 0) *ret = g->gr_gid;
    return r;
}

int conf_key_user(const char *name, struct reason *why, uint32_t *ret)
{
    if (numeric(name, ret)) return 0;
    errno = 0;
    const struct passwd *p = getpwnam(name);
    const int r = found_id("user", name, p != NULL, why);
    if (r == 0) *ret = p->pw_uid;
    return r;
}

/* ---- values ---- */

static int set_text(const char *name, const char *value, size_t size, char *member,
                    struct reason *why)
{
    const size_t n = strlen(value);

    if (n >= size) {
        reason_set(why, "%s has at most %zu bytes, not %zu", name, size - 1, n);
        return CONF_KEY_E_INVALID;
    }
    memcpy(member, value, n + 1);
    return 0;
}

static int set_path(const char *name, const char *value, size_t size, char *member,
                    struct reason *why)
{
    if (value[0] != '/') {
        reason_set(why, "%s is a path that begins with \"/\", not \"%s\"", name, value);
        return CONF_KEY_E_INVALID;
    }
    return set_text(name, value, size, member, why);
}

static int set_group(struct conf *c, const char *value, struct reason *why)
{
    uint32_t gid;
    int r = conf_key_group(value, why, &gid);

    if (r == 0) r = set_text("group", value, sizeof(c->group), c->group, why);
    if (r == 0) c->policy.hearth_gid = gid;
    return r < 0 ? err_pass(r) : r;
}

static int set_log_level(const char *value, uint32_t *member, struct reason *why)
{
    static const char *const names[] = { "err", "warning", "notice", "info", "debug" };

    for (uint32_t i = 0; i < 5; i++)
        if (strcmp(value, names[i]) == 0 || (value[0] == (char)('3' + i) && value[1] == 0)) {
            *member = 3 + i;
            return 0;
        }
    reason_set(why, "log-level is err, warning, notice, info or debug, not \"%s\"", value);
    return CONF_KEY_E_INVALID;
}

static int set_kernels(const struct key *k, const char *value, char *member, struct reason *why)
{
    if (value[strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-")]) {
        reason_set(
            why,
            "kernels is auto, c or the name of a set as `hearthctl status` shows it, not \"%s\"",
            value);
        return CONF_KEY_E_INVALID;
    }
    return set_text(k->name, value, k->size, member, why);
}

static int set_load(const char *value, bool *member, struct reason *why)
{
    if (strcmp(value, "on-demand") != 0 && strcmp(value, "at-start") != 0) {
        reason_set(why, "load is on-demand or at-start, not \"%s\"", value);
        return CONF_KEY_E_INVALID;
    }
    *member = value[0] == 'a';
    return 0;
}

static int set_off(const char *name, const char *value, bool *off, struct reason *why)
{
    if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0) {
        reason_set(why, "%s is on or off, not \"%s\"", name, value);
        return CONF_KEY_E_INVALID;
    }
    *off = value[1] == 'f';
    return 0;
}

static int set_number(const struct key *k, const char *value, void *member, struct reason *why)
{
    const bool is_size = k->kind == KIND_SIZE;
    uint64_t n = 0;
    int r = 0;

    if (!k->zero || strcmp(value, "0") != 0)
        r = (is_size ? value_size : value_number)(k->name, value, k->min, k->max, why, &n);
    if (r != 0) return CONF_KEY_E_INVALID;
    if (is_size)
        *(uint64_t *)member = n;
    else
        *(uint32_t *)member = (uint32_t)n;
    return 0;
}

int conf_key_set(struct conf *c, enum conf_key_section section, const char *name, const char *value,
                 struct reason *why)
{
    const struct key *k = keys;

    while (k < keys + N_KEYS && (k->section != section || strcmp(k->name, name) != 0))
        k++;
    if (k == keys + N_KEYS) return CONF_KEY_E_UNKNOWN;
    void *member = (char *)c + k->offset;
    if (value[0] == 0) {
        reason_set(why, "%s has no value; leave the line out for the default", name);
        return CONF_KEY_E_INVALID;
    }
    switch (k->kind) {
    case KIND_PATH:
        return set_path(name, value, k->size, member, why);
    case KIND_NUMBER:
    case KIND_SIZE:
        return set_number(k, value, member, why);
    case KIND_GROUP:
        return set_group(c, value, why);
    case KIND_LOG_LEVEL:
        return set_log_level(value, member, why);
    case KIND_KERNELS:
        return set_kernels(k, value, member, why);
    case KIND_LOAD:
        return set_load(value, member, why);
    case KIND_ON_OFF:
        return set_off(name, value, member, why);
    }
    return CONF_KEY_E_UNKNOWN;
}

void conf_key_names(enum conf_key_section section, const char **ret)
{
    for (size_t i = 0; i < N_KEYS; i++)
        if (keys[i].section == section) *ret++ = keys[i].name;
    *ret = NULL;
}
