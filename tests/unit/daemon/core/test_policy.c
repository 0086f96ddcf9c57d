/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include "daemon/core/policy.h"

enum { OWN = 990, HEARTH = 77, AUDIO = 29, ALICE = 1000 };

static struct policy_table t;

static void set(enum policy_subject subject, const char *name, uint32_t id, const char *setting,
                const char *value)
{
    struct policy_rule *r = NULL;
    struct reason why = { "" };

    cr_assert_eq(policy_rule(&t, subject, name, id, &why, &r), 0, "%s", why.text);
    cr_assert_eq(policy_set(r, setting, value, &why), 0, "%s", why.text);
}

static struct policy of(uint32_t uid, uint32_t gid1, uint32_t gid2, const char *unit)
{
    struct policy_peer peer = { .uid = uid, .gid = { gid1, gid2 }, .n_gids = 2 };
    struct policy p;

    (void)snprintf(peer.unit, sizeof(peer.unit), "%s", unit);
    policy_of(&t, &peer, &p);
    return p;
}

static void init(void)
{
    policy_table_init(&t, OWN, HEARTH, false);
}

TestSuite(policy, .init = init);

Test(policy, the_default_lets_the_group_generate_and_no_more)
{
    const struct policy member = of(ALICE, ALICE, HEARTH, ""),
                        other = of(ALICE, ALICE, AUDIO, "x.service");

    cr_assert(member.generate);
    cr_assert_not(other.generate);
    cr_assert_not(member.administrator);
    cr_assert_not(member.microphone);
    cr_assert_not(member.shareable);
    cr_assert_eq(member.class_ceiling, SCHED_INTERACTIVE);
    cr_assert_eq(member.weight, 100);
    cr_assert_eq(member.in_flight_max, 8);
    cr_assert_eq(member.connections_max, 16);
    cr_assert_eq(member.conversations_max, 8);
    cr_assert_eq(member.tokens_per_minute, 0);
    cr_assert_eq(member.kv_pages_max, 0);
}

Test(policy, a_private_instance_lets_everybody_generate)
{
    policy_table_init(&t, OWN, POLICY_NOBODY, true);
    cr_assert(of(ALICE, 1, 2, "").generate);
    cr_assert_not(of(ALICE, 1, 2, "").administrator);
}

Test(policy, a_group_that_does_not_exist_has_no_members)
{
    policy_table_init(&t, OWN, POLICY_NOBODY, false);
    cr_assert_not(of(ALICE, POLICY_NOBODY, POLICY_NOBODY, "").generate);
}

Test(policy, root_and_the_own_user_administrate_unless_a_rule_says_otherwise)
{
    cr_assert(of(0, 0, 0, "").administrator);
    cr_assert(of(OWN, 1, 1, "").administrator);
    cr_assert(of(OWN, 1, 1, "").generate);
    cr_assert_not(of(0, 0, 0, "").microphone);
    set(POLICY_USER, "root", 0, "admin", "no");
    cr_assert_not(of(0, 0, 0, "").administrator);
    cr_assert(of(0, 0, 0, "").generate, "only what the rule names");
    set(POLICY_EVERYBODY, "", 0, "admin", "no");
    cr_assert_not(of(OWN, 1, 1, "").administrator);
}

Test(policy, later_kinds_of_subjects_override_earlier_ones)
{
    /* made in the opposite order, so that the order of the table does not do it */
    set(POLICY_UNIT, "nav.service", 0, "weight", "5");
    set(POLICY_USER, "alice", ALICE, "weight", "4");
    set(POLICY_GROUP, "audio", AUDIO, "weight", "3");
    set(POLICY_EVERYBODY, "", 0, "weight", "2");
    cr_assert_eq(of(1, 1, 1, "").weight, 2);
    cr_assert_eq(of(1, 1, AUDIO, "").weight, 3);
    cr_assert_eq(of(1, AUDIO, 1, "").weight, 3, "the primary group counts as well");
    cr_assert_eq(of(ALICE, 1, AUDIO, "").weight, 4);
    cr_assert_eq(of(ALICE, 1, AUDIO, "nav.service").weight, 5);
    cr_assert_eq(of(ALICE, 1, AUDIO, "user:nav.service").weight, 4,
                 "a user's unit of the same name is another");
    cr_assert_eq(of(ALICE, 1, AUDIO, "nav.servic").weight, 4);
}

Test(policy, everybody_overrides_the_default_group)
{
    set(POLICY_EVERYBODY, "", 0, "generate", "no");
    cr_assert_not(of(ALICE, ALICE, HEARTH, "").generate);
    set(POLICY_GROUP, "hearth", HEARTH, "generate", "yes");
    cr_assert(of(ALICE, ALICE, HEARTH, "").generate);
}

Test(policy, of_two_groups_the_later_rule_wins)
{
    set(POLICY_GROUP, "audio", AUDIO, "requests", "3");
    set(POLICY_GROUP, "hearth", HEARTH, "requests", "4");
    cr_assert_eq(of(ALICE, HEARTH, AUDIO, "").in_flight_max, 4);
    set(POLICY_GROUP, "audio", AUDIO, "connections", "5"); /* the same rule: its place stays */
    cr_assert_eq(of(ALICE, HEARTH, AUDIO, "").in_flight_max, 4);
    cr_assert_eq(of(ALICE, HEARTH, AUDIO, "").connections_max, 5);
    cr_assert_eq(t.n, 2);
}

Test(policy, a_rule_leaves_alone_what_it_does_not_name)
{
    set(POLICY_EVERYBODY, "", 0, "weight", "7");
    set(POLICY_EVERYBODY, "", 0, "class", "background");
    set(POLICY_USER, "alice", ALICE, "microphone", "yes");
    const struct policy p = of(ALICE, 1, 1, "");
    cr_assert(p.microphone);
    cr_assert_eq(p.weight, 7);
    cr_assert_eq(p.class_ceiling, SCHED_BACKGROUND);
}

Test(policy, every_setting_reaches_its_member)
{
    set(POLICY_EVERYBODY, "", 0, "generate", "yes");
    set(POLICY_EVERYBODY, "", 0, "admin", "yes");
    set(POLICY_EVERYBODY, "", 0, "microphone", "yes");
    set(POLICY_EVERYBODY, "", 0, "shareable", "yes");
    set(POLICY_EVERYBODY, "", 0, "class", "realtime");
    set(POLICY_EVERYBODY, "", 0, "weight", "1000");
    set(POLICY_EVERYBODY, "", 0, "requests", "11");
    set(POLICY_EVERYBODY, "", 0, "connections", "12");
    set(POLICY_EVERYBODY, "", 0, "tokens-per-minute", "1000000000");
    set(POLICY_EVERYBODY, "", 0, "kv-pages", "14");
    set(POLICY_EVERYBODY, "", 0, "conversations", "0");
    const struct policy p = of(ALICE, 1, 1, "");
    cr_assert(p.generate && p.administrator && p.microphone && p.shareable);
    cr_assert_eq(p.class_ceiling, SCHED_REALTIME);
    cr_assert_eq(p.weight, 1000);
    cr_assert_eq(p.in_flight_max, 11);
    cr_assert_eq(p.connections_max, 12);
    cr_assert_eq(p.tokens_per_minute, 1000000000);
    cr_assert_eq(p.kv_pages_max, 14);
    cr_assert_eq(p.conversations_max, 0);
    cr_assert_eq(t.n, 1, "one rule for everybody");
}

Test(policy, settings_are_listed_by_name)
{
    size_t n = 0;

    while (policy_setting(n))
        n++;
    cr_assert_eq(n, 11);
    cr_assert_null(policy_setting(12));
}

Test(policy, values_that_make_no_sense_are_refused_and_change_nothing)
{
    struct policy_rule *r;
    struct reason why = { "" };
    static const char *const bad[][2] = {
        { "weight", "0" },         { "weight", "1001" },
        { "requests", "0" },       { "connections", "-1" },
        { "generate", "perhaps" }, { "class", "fast" },
        { "class", "" },           { "tokens-per-minute", "1000000001" },
        { "kv-pages", "1k" }
    };

    cr_assert_eq(policy_rule(&t, POLICY_UNIT, "a.service", 0, &why, &r), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        why.text[0] = 0;
        cr_assert_eq(policy_set(r, bad[i][0], bad[i][1], &why), POLICY_E_INVALID, "%s = %s",
                     bad[i][0], bad[i][1]);
        cr_assert(strstr(why.text, bad[i][0]), "%s", why.text);
    }
    cr_assert_eq(r->set, 0);
    cr_assert_eq(policy_set(r, "wieght", "1", &why), POLICY_E_UNKNOWN);
    cr_assert_eq(policy_set(r, "", "1", &why), POLICY_E_UNKNOWN);
    cr_assert_eq(policy_set(r, "class", "fast", &why), POLICY_E_INVALID);
    cr_assert_str_eq(why.text, "class is background, interactive or realtime, not \"fast\"");
}

Test(policy, names_and_rules_have_a_maximum)
{
    struct policy_rule *r = NULL;
    struct reason why;
    char name[POLICY_NAME_MAX + 1];

    memset(name, 'u', POLICY_NAME_MAX);
    name[POLICY_NAME_MAX] = 0;
    cr_assert_eq(policy_rule(&t, POLICY_UNIT, name, 0, &why, &r), POLICY_E_INVALID);
    cr_assert_str_eq(why.text, "the name of a unit, user or group has 1 to 95 bytes, not 96");
    cr_assert_eq(policy_rule(&t, POLICY_UNIT, "", 0, &why, &r), POLICY_E_INVALID);
    cr_assert_eq(t.n, 0);
    name[POLICY_NAME_MAX - 1] = 0;
    cr_assert_eq(policy_rule(&t, POLICY_UNIT, name, 0, &why, &r), 0);
    for (uint32_t id = 1; id < POLICY_RULES_MAX; id++)
        cr_assert_eq(policy_rule(&t, POLICY_USER, "u", id, &why, &r), 0);
    cr_assert_eq(policy_rule(&t, POLICY_USER, "u", 9999, &why, &r), POLICY_E_INVALID);
    cr_assert_str_eq(why.text, "there are more than 256 sections for units, users and groups");
    cr_assert_eq(policy_rule(&t, POLICY_USER, "u", 5, &why, &r), 0,
                 "those that are there are found");
    cr_assert_eq(r->id, 5);
}

Test(policy, classes_have_names)
{
    cr_assert_str_eq(policy_class_name(SCHED_BACKGROUND), "background");
    cr_assert_str_eq(policy_class_name(SCHED_INTERACTIVE), "interactive");
    cr_assert_str_eq(policy_class_name(SCHED_REALTIME), "realtime");
}
