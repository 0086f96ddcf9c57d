/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/core/policy.h: who may do what. A table of rules, from hearthd.conf; the policy of a peer is the built-in default, then
 * the rules that match it in the order: everybody, groups, users, units; a later one overrides the settings that it names.
 * Rules of one kind apply in the order in which they were made. Root and the user that hearthd runs as are administrators, who may
 * also generate, unless a rule says otherwise.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/reason.h"
#include "daemon/core/sched.h"

enum { POLICY_NAME_MAX = 96, POLICY_RULES_MAX = 256, POLICY_GROUPS_MAX = 64 };
enum {
    POLICY_E_INVALID = 1,
    POLICY_E_UNKNOWN = 2
}; /* outcomes: a value or a name makes no sense (@why); no such setting */

struct policy {
    bool generate, administrator, microphone;
    bool shareable; /* its system prompts' prefixes may be shared with other owners */
    enum sched_class class_ceiling;
    uint32_t weight;            /* 1..1000 */
    uint32_t in_flight_max;     /* requests at once, 1..10000 */
    uint32_t connections_max;   /* 1..10000 */
    uint32_t tokens_per_minute; /* prompt and answer, at most 10^9; 0: no limit */
    uint32_t kv_pages_max;      /* at most 10^9; 0: no limit */
    uint32_t conversations_max; /* at most 10000; 0: none */
};

enum policy_subject { POLICY_EVERYBODY, POLICY_GROUP, POLICY_USER, POLICY_UNIT };

struct policy_rule {
    enum policy_subject subject;
    char name[POLICY_NAME_MAX]; /* of a unit ("navigation.service"), a user or group */
    uint32_t id;                /* uid or gid */
    uint32_t set;               /* bit i: setting i of the list in policy.c is in @value */
    struct policy value;
};

struct policy_table {
    struct policy base; /* generate: anybody may; else only the group hearth_gid */
    struct policy_rule rule[POLICY_RULES_MAX];
    size_t n;
    uint32_t own_uid;    /* that hearthd runs as */
    uint32_t hearth_gid; /* may generate; POLICY_NOBODY: no group */
};
#define POLICY_NOBODY UINT32_MAX /* never a uid or gid: (uid_t)-1 means "leave it" in chown(2) */

struct policy_peer {
    uint32_t uid;
    uint32_t gid[POLICY_GROUPS_MAX]; /* [n_gids] primary and supplementary */
    size_t n_gids;
    char unit[POLICY_NAME_MAX]; /* "" if none, "user:NAME" if a user's own manager runs it */
};

/** policy_table_init() - no rules; the default: generate for group @hearth_gid (for everybody if @anybody), weight 100, ceiling interactive,
 * 8 requests, 16 connections, 8 conversations, no administration, no microphone. */
void policy_table_init(struct policy_table *t, uint32_t own_uid, uint32_t hearth_gid, bool anybody);
/** policy_rule() - the rule for this subject, made if it is new. Units are told apart by @name, users and groups by @id; @ret is valid as long
 * as @t. Return: 0 and @ret; POLICY_E_INVALID (too many, name empty or too long: @why). */
int policy_rule(struct policy_table *t, enum policy_subject subject, const char *name, uint32_t id,
                struct reason *why, struct policy_rule **ret);
/** policy_set() - one setting by its name in hearthd.conf ("weight", "class", "requests", "connections", "tokens-per-minute", "kv-pages",
 * "conversations", "generate", "admin", "microphone", "shareable"). Return: 0, POLICY_E_INVALID (@why), POLICY_E_UNKNOWN. */
int policy_set(struct policy_rule *r, const char *name, const char *value, struct reason *why);
/** policy_setting() - the name of the @i-th setting of policy_set(); NULL after the last one. */
const char *policy_setting(size_t i);
/** policy_of() - the policy of @peer. */
void policy_of(const struct policy_table *t, const struct policy_peer *peer, struct policy *ret);
/** policy_class_name() - "background", "interactive", "realtime". */
const char *policy_class_name(enum sched_class class);
