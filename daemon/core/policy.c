/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/core/policy.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include "daemon/core/value.h"

enum kind { KIND_BOOL, KIND_NUMBER, KIND_CLASS };

static const char *const class_names[SCHED_CLASSES] = { "background", "interactive", "realtime" };

/* The settings; their place here is their bit in policy_rule.set. */
static const struct setting {
    const char *name;
    enum kind kind;
    uint32_t min, max; /* of a number */
    size_t offset;     /* in struct policy */
} settings[] = {
    { "generate", KIND_BOOL, 0, 0, offsetof(struct policy, generate) },
    { "admin", KIND_BOOL, 0, 0, offsetof(struct policy, administrator) },
    { "microphone", KIND_BOOL, 0, 0, offsetof(struct policy, microphone) },
    { "shareable", KIND_BOOL, 0, 0, offsetof(struct policy, shareable) },
    { "class", KIND_CLASS, 0, 0, offsetof(struct policy, class_ceiling) },
    { "weight", KIND_NUMBER, 1, 1000, offsetof(struct policy, weight) },
    { "requests", KIND_NUMBER, 1, 10000, offsetof(struct policy, in_flight_max) },
    { "connections", KIND_NUMBER, 1, 10000, offsetof(struct policy, connections_max) },
    { "tokens-per-minute", KIND_NUMBER, 0, 1000000000, offsetof(struct policy, tokens_per_minute) },
    { "kv-pages", KIND_NUMBER, 0, 1000000000, offsetof(struct policy, kv_pages_max) },
    { "conversations", KIND_NUMBER, 0, 10000, offsetof(struct policy, conversations_max) },
};
enum { N_SETTINGS = sizeof(settings) / sizeof(settings[0]) };
static_assert(N_SETTINGS <= 32, "policy_rule.set has a bit for each");

void policy_table_init(struct policy_table *t, uint32_t own_uid, uint32_t hearth_gid, bool anybody)
{
    memset(t, 0, sizeof(*t));
    t->base = (struct policy){ .generate = anybody,
                               .class_ceiling = SCHED_INTERACTIVE,
                               .weight = 100,
                               .in_flight_max = 8,
                               .connections_max = 16,
                               .conversations_max = 8 };
    t->own_uid = own_uid;
    t->hearth_gid = hearth_gid;
}

static bool same_subject(const struct policy_rule *r, enum policy_subject subject, const char *name,
                         uint32_t id)
{
    if (r->subject != subject) return false;
    switch (subject) {
    case POLICY_EVERYBODY:
        return true;
    case POLICY_GROUP:
    case POLICY_USER:
        return r->id == id;
    case POLICY_UNIT:
        return strcmp(r->name, name) == 0;
    }
    return false;
}

int policy_rule(struct policy_table *t, enum policy_subject subject, const char *name, uint32_t id,
                struct reason *why, struct policy_rule **ret)
{
    const size_t length = strlen(name);

    if (length >= POLICY_NAME_MAX || (subject == POLICY_UNIT && length == 0)) {
        reason_set(why, "the name of a unit, user or group has 1 to %d bytes, not %zu",
                   POLICY_NAME_MAX - 1, length);
        return POLICY_E_INVALID;
    }
    for (size_t i = 0; i < t->n; i++)
        if (same_subject(&t->rule[i], subject, name, id)) {
            *ret = &t->rule[i];
            return 0;
        }
    if (t->n == POLICY_RULES_MAX) {
        reason_set(why, "there are more than %d sections for units, users and groups",
                   POLICY_RULES_MAX);
        return POLICY_E_INVALID;
    }
    struct policy_rule *r = &t->rule[t->n++];
    *r = (struct policy_rule){ .subject = subject, .id = id };
    memcpy(r->name, name, length + 1);
    *ret = r;
    return 0;
}

static int class_of(const char *name, const char *value, struct reason *why, enum sched_class *ret)
{
    for (int i = 0; i < SCHED_CLASSES; i++)
        if (strcmp(value, class_names[i]) == 0) {
            *ret = (enum sched_class)i;
            return 0;
        }
    reason_set(why, "%s is background, interactive or realtime, not \"%s\"", name, value);
    return POLICY_E_INVALID;
}

int policy_set(struct policy_rule *r, const char *name, const char *value, struct reason *why)
{
    uint64_t number;
    int e = 0;

    for (size_t i = 0; i < N_SETTINGS; i++) {
        const struct setting *s = &settings[i];
        void *member = (char *)&r->value + s->offset;
        if (strcmp(name, s->name) != 0) continue;
        switch (s->kind) {
        case KIND_BOOL:
            e = value_bool(name, value, why, member);
            break;
        case KIND_NUMBER:
            e = value_number(name, value, s->min, s->max, why, &number);
            if (e == 0) *(uint32_t *)member = (uint32_t)number;
            break;
        case KIND_CLASS:
            e = class_of(name, value, why, member);
            break;
        }
        if (e != 0) return POLICY_E_INVALID;
        r->set |= UINT32_C(1) << i;
        return 0;
    }
    return POLICY_E_UNKNOWN;
}

const char *policy_setting(size_t i)
{
    return i < N_SETTINGS ? settings[i].name : NULL;
}

static bool in_group(const struct policy_peer *peer, uint32_t gid)
{
    for (size_t i = 0; i < peer->n_gids; i++)
        if (peer->gid[i] == gid) return true;
    return false;
}

static bool matches(const struct policy_rule *r, const struct policy_peer *peer)
{
    switch (r->subject) {
    case POLICY_EVERYBODY:
        return true;
    case POLICY_GROUP:
        return in_group(peer, r->id);
    case POLICY_USER:
        return r->id == peer->uid;
    case POLICY_UNIT:
        return strcmp(r->name, peer->unit) == 0; /* a rule's name is never empty */
    }
    return false;
}

/* The settings that @r names replace those of @p. */
static void apply(const struct policy_rule *r, struct policy *p)
{
    static const size_t size[] = { [KIND_BOOL] = sizeof(bool),
                                   [KIND_NUMBER] = sizeof(uint32_t),
                                   [KIND_CLASS] = sizeof(enum sched_class) };

    for (size_t i = 0; i < N_SETTINGS; i++)
        if (r->set >> i & 1)
            memcpy((char *)p + settings[i].offset, (const char *)&r->value + settings[i].offset,
                   size[settings[i].kind]);
}

void policy_of(const struct policy_table *t, const struct policy_peer *peer, struct policy *ret)
{
    struct policy p = t->base;

    if (t->hearth_gid != POLICY_NOBODY && in_group(peer, t->hearth_gid)) p.generate = true;
    if (peer->uid == 0 || peer->uid == t->own_uid) p.generate = p.administrator = true;
    for (int subject = POLICY_EVERYBODY; subject <= POLICY_UNIT; subject++)
        for (size_t i = 0; i < t->n; i++)
            if ((int)t->rule[i].subject == subject && matches(&t->rule[i], peer))
                apply(&t->rule[i], &p);
    *ret = p;
}

const char *policy_class_name(enum sched_class class)
{
    return class_names[class];
}
