/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/conf.h"
#include "tests/unit/daemon/scratch.h"
#include "tests/unit/oom.h"

static struct conf c;
static struct reason why;

TestSuite(conf, .init = scratch_make, .fini = scratch_remove);

static int load(const char *text)
{
    scratch_write("hearthd.conf", text, (size_t)-1);
    why.text[0] = 0;
    return conf_load(scratch_path("hearthd.conf"), true, false, &why, &c);
}

static void accepts(const char *text)
{
    cr_assert_eq(load(text), 0, "%s", why.text);
}

/* @text is refused with "PATH@expect". */
static void refuses(const char *text, const char *expect)
{
    memset(&c, 0x55, sizeof(c));
    cr_assert_eq(load(text), CONF_E_INVALID, "accepted: %s", text);
    cr_assert_eq(c.queue_max, 0x55555555, "written on success only");
    const char *path = scratch_path("hearthd.conf");
    cr_assert(strncmp(why.text, path, strlen(path)) == 0, "%s", why.text);
    cr_assert_str_eq(why.text + strlen(path), expect);
}

/* ---- defaults ---- */

Test(conf, without_a_file_there_are_the_defaults)
{
    cr_assert_eq(conf_load(NULL, true, false, &why, &c), 0);
    cr_assert_str_eq(c.socket, "/run/hearth/hearth.sock");
    cr_assert_str_eq(c.models, "/var/lib/hearth/models");
    cr_assert_str_eq(c.cache, "/var/cache/hearth");
    cr_assert_eq(c.worker[0], '/');
    cr_assert_str_eq(c.levels, "");
    cr_assert_str_eq(c.group, "hearth");
    cr_assert_str_eq(c.kernels, "auto");
    cr_assert_eq(c.clients_max, 256);
    cr_assert_eq(c.queue_max, 128);
    cr_assert_eq(c.running_max, 8);
    cr_assert_eq(c.log_level, 6);
    cr_assert_eq(c.threads + c.context + c.chunk + c.step_target_ms + c.unload_idle_s, 0);
    cr_assert_eq(c.kv_bytes, 0);
    cr_assert_not(c.load_at_start);
    cr_assert_eq(c.policy.n, 0);
    cr_assert_eq(c.policy.own_uid, geteuid());
    cr_assert_not(c.policy.base.generate);
    const struct group *g = getgrnam("hearth");
    cr_assert_eq(c.policy.hearth_gid, g ? g->gr_gid : POLICY_NOBODY);
}

Test(conf, a_missing_file_is_an_error_only_if_it_must_exist)
{
    cr_assert_eq(conf_load(scratch_path("none.conf"), false, false, &why, &c), 0);
    cr_assert_eq(c.queue_max, 128);
    cr_assert_eq(conf_load(scratch_path("none.conf"), true, false, &why, &c), CONF_E_INVALID);
    cr_assert(strstr(why.text, "none.conf: cannot be read: No such file"), "%s", why.text);
}

Test(conf, a_private_instance_lives_in_the_users_folders)
{
    (void)setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    (void)setenv("XDG_DATA_HOME", "/data", 1);
    (void)setenv("XDG_CACHE_HOME", "/cache", 1);
    cr_assert_eq(conf_load(NULL, false, true, &why, &c), 0);
    cr_assert_str_eq(c.socket, "/run/user/7/hearth/hearth.sock");
    cr_assert_str_eq(c.models, "/data/hearth/models");
    cr_assert_str_eq(c.cache, "/cache/hearth");
    cr_assert_str_eq(c.group, "");
    cr_assert(c.policy.base.generate);
    cr_assert_eq(c.policy.hearth_gid, POLICY_NOBODY);

    (void)setenv("XDG_DATA_HOME", "relative", 1); /* the specification: to be ignored */
    (void)unsetenv("XDG_CACHE_HOME");
    (void)setenv("HOME", "/home/x", 1);
    cr_assert_eq(conf_load(NULL, false, true, &why, &c), 0);
    cr_assert_str_eq(c.models, "/home/x/.local/share/hearth/models");
    cr_assert_str_eq(c.cache, "/home/x/.cache/hearth");

    const struct passwd *p = getpwuid(geteuid());
    char expect[512];
    (void)snprintf(expect, sizeof(expect), "%s/.cache/hearth", p ? p->pw_dir : "?");
    (void)unsetenv("HOME");
    cr_assert_eq(conf_load(NULL, false, true, &why, &c), 0);
    cr_assert_str_eq(c.cache, expect);
}

Test(conf, a_private_instance_without_a_runtime_folder_needs_a_socket)
{
    char long_path[200];

    (void)unsetenv("XDG_RUNTIME_DIR");
    cr_assert_eq(conf_load(NULL, false, true, &why, &c), CONF_E_INVALID);
    cr_assert(strstr(why.text, "no place for socket") && strstr(why.text, "XDG_RUNTIME_DIR"), "%s",
              why.text);
    memset(long_path, 'x', sizeof(long_path) - 1);
    long_path[0] = '/';
    long_path[sizeof(long_path) - 1] = 0;
    (void)setenv("XDG_RUNTIME_DIR", long_path, 1);
    cr_assert_eq(conf_load(NULL, false, true, &why, &c), CONF_E_INVALID,
                 "no socket has such a long path");
    scratch_write("p.conf", "[daemon]\nsocket = /s\n", (size_t)-1);
    cr_assert_eq(conf_load(scratch_path("p.conf"), true, true, &why, &c), 0, "%s", why.text);
    cr_assert_str_eq(c.socket, "/s");
}

/* ---- each key ---- */

Test(conf, every_key_reaches_its_member)
{
    accepts("[daemon]\nsocket = /a/s\nmodels=/a/m\ncache: /a/c\nworker =/a/w\nclients = 1\nqueue = "
            "65536\nrunning = 64\n"
            "log-level = debug\ngroup = root\n"
            "[model]\nthreads = 3\ncontext = 8192\nkv-memory = 512M\nchunk = 64\nstep-target-ms = "
            "40\nkernels = c\n"
            "levels = /a/l.json\nload = at-start\nunload-idle-s = 600\n");
    cr_assert_str_eq(c.socket, "/a/s");
    cr_assert_str_eq(c.models, "/a/m");
    cr_assert_str_eq(c.cache, "/a/c");
    cr_assert_str_eq(c.worker, "/a/w");
    cr_assert_eq(c.clients_max, 1);
    cr_assert_eq(c.queue_max, 65536);
    cr_assert_eq(c.running_max, 64);
    cr_assert_eq(c.log_level, 7);
    cr_assert_str_eq(c.group, "root");
    cr_assert_eq(c.policy.hearth_gid, 0);
    cr_assert_eq(c.threads, 3);
    cr_assert_eq(c.context, 8192);
    cr_assert_eq(c.kv_bytes, UINT64_C(512) << 20);
    cr_assert_eq(c.chunk, 64);
    cr_assert_eq(c.step_target_ms, 40);
    cr_assert_str_eq(c.kernels, "c");
    cr_assert_str_eq(c.levels, "/a/l.json");
    cr_assert(c.load_at_start);
    cr_assert_eq(c.unload_idle_s, 600);
    accepts(
        "[model]\nload = at-start\nload = on-demand\nkv-memory = 3G\nkv-memory = 0\ncontext = 0\n");
    cr_assert_not(c.load_at_start);
    cr_assert_eq(c.kv_bytes, 0);
    accepts("[daemon]\nlog-level = 3\n");
    cr_assert_eq(c.log_level, 3);
    accepts("[daemon]\nlog-level = warning\n");
    cr_assert_eq(c.log_level, 4);
}

Test(conf, values_that_make_no_sense_are_refused_with_their_line)
{
    refuses("[daemon]\n\n# a comment\nqueue = 0\n",
            ":4: queue is a number from 1 to 65536, not \"0\"");
    refuses("[daemon]\nrunning = 65\n", ":2: running is a number from 1 to 64, not \"65\"");
    refuses("[daemon]\nclients = 99999999999999999999\n",
            ":2: clients is a number from 1 to 65536, not \"99999999999999999999\"");
    refuses("[daemon]\nlog-level = 8\n",
            ":2: log-level is err, warning, notice, info or debug, not \"8\"");
    refuses("[daemon]\nlog-level = 33\n",
            ":2: log-level is err, warning, notice, info or debug, not \"33\"");
    refuses("[model]\nthreads = -1\n", ":2: threads is a number from 0 to 1024, not \"-1\"");
    refuses("[model]\ncontext = 63\n", ":2: context is a number from 64 to 1048576, not \"63\"");
    refuses("[model]\nkv-memory = 512MB\n", ":2: kv-memory is a size from 1M to 1T (K, M, G, T for "
                                            "1024 and its powers), not \"512MB\"");
    refuses("[model]\nkv-memory = 1000000T\n", ":2: kv-memory is a size from 1M to 1T (K, M, G, T "
                                               "for 1024 and its powers), not \"1000000T\"");
    refuses(
        "[model]\nkv-memory = 1\n",
        ":2: kv-memory is a size from 1M to 1T (K, M, G, T for 1024 and its powers), not \"1\"");
    refuses("[model]\nload = sometimes\n", ":2: load is on-demand or at-start, not \"sometimes\"");
    refuses("[model]\nkernels = AVX/2\n", ":2: kernels is auto, c or the name of a set as "
                                          "`hearthctl status` shows it, not \"AVX/2\"");
    refuses("[model]\nkernels = aaaaaaaaaabbbbbbbbbbccccccccccdd\n",
            ":2: kernels has at most 31 bytes, not 32");
    refuses("[model]\nthreads =\n", ":2: threads has no value; leave the line out for the default");
    refuses("[everybody]\nweight = 0\n", ":2: weight is a number from 1 to 1000, not \"0\"");
}

Test(conf, relative_paths_are_refused)
{
    refuses("[daemon]\nsocket = run/s\n",
            ":2: socket is a path that begins with \"/\", not \"run/s\"");
    refuses("[daemon]\nmodels = ./m\n", ":2: models is a path that begins with \"/\", not \"./m\"");
    refuses("[daemon]\ncache = ~/c\n", ":2: cache is a path that begins with \"/\", not \"~/c\"");
    refuses("[daemon]\nworker = w\n", ":2: worker is a path that begins with \"/\", not \"w\"");
    refuses("[model]\nlevels = l\n", ":2: levels is a path that begins with \"/\", not \"l\"");
}

Test(conf, a_socket_path_must_fit_its_address)
{
    char text[256];

    (void)snprintf(text, sizeof(text), "[daemon]\nsocket = /%0106d\n", 0);
    accepts(text);
    cr_assert_eq(strlen(c.socket), 107);
    (void)snprintf(text, sizeof(text), "[daemon]\nsocket = /%0107d\n", 0);
    refuses(text, ":2: socket has at most 107 bytes, not 108");
}

/* ---- typos ---- */

Test(conf, a_typo_is_an_error_that_suggests_the_nearest_key)
{
    refuses("[model]\nthread = 2\n",
            ":2: there is no setting \"thread\" here; did you mean \"threads\"?");
    refuses("[daemon]\nquue = 2\n",
            ":2: there is no setting \"quue\" here; did you mean \"queue\"?");
    refuses(
        "[everybody]\ntoken-per-minute = 2\n",
        ":2: there is no setting \"token-per-minute\" here; did you mean \"tokens-per-minute\"?");
    refuses("[daemon]\nzebra = 2\n",
            ":2: there is no setting \"zebra\" here; there are socket, models, cache, worker, "
            "clients, queue, running, log-level, group, sensors");
    refuses("[daemon]\nthreads = 2\n",
            ":2: there is no setting \"threads\" here; there are socket, models, cache, worker, "
            "clients, queue, running, log-level, group, sensors");
}

Test(conf, unknown_sections_are_errors_even_when_they_are_empty)
{
    refuses("[deamon]\n", ":1: there is no section [deamon]; did you mean [daemon]?");
    refuses("\n[grup audio]\nweight = 2\n",
            ":2: there is no section [grup audio]; did you mean [group NAME]?");
    refuses("[everbody]\n", ":1: there is no section [everbody]; did you mean [everybody]?");
    refuses("[logging]", ":1: there is no section [logging]; there are daemon, model, everybody, "
                         "group NAME, user NAME, unit NAME");
    refuses("[]\n", ":1: there is no section []; there are daemon, model, everybody, group NAME, "
                    "user NAME, unit NAME");
    refuses("[daemon x]\n", ":1: there is no section [daemon x]; did you mean [daemon]?");
}

Test(conf, lines_that_are_no_settings_are_errors)
{
    refuses("[daemon]\nqueue 7\n", ":2: this is not a setting; write NAME = VALUE");
    refuses("queue = 7\n", ":1: \"queue\" stands before the first [section]");
    refuses("[daemon\nqueue = 7\n", ":1: a section's name ends with \"]\"");
    refuses("[unit ;a.service]\nweight = 7\n",
            ":1: a section's name ends with \"]\""); /* that is a comment */
    refuses("[unit a\v;a.service]\n", ":1: a section's name ends with \"]\"");
    refuses("[daemon] queue = 7\n",
            ":1: something follows the section's name; settings have lines of their own");
    refuses("[daemon]\n= 7\n", ":2: there is no setting \"\" here; there are socket, models, "
                               "cache, worker, clients, queue, running, log-level, group, sensors");
    refuses("[unit]\n", ":1: [unit] needs a name: [unit NAME]");
}

Test(conf, the_first_error_is_told)
{
    refuses("[daemon]\nbad line\nqueue = 0\n", ":2: this is not a setting; write NAME = VALUE");
    refuses("[daemon]\nqueue = 0\nclients = 0\n[nosuch]\n",
            ":2: queue is a number from 1 to 65536, not \"0\"");
}

Test(conf, comments_and_blanks_mean_nothing)
{
    accepts("\xef\xbb\xbf[daemon] # first\n; a\n#b\n\n   \t\n  queue = 5 ; five\r\n\tclients = "
            "6\n[ model ]\r\nthreads=2");
    cr_assert_eq(c.queue_max, 5);
    cr_assert_eq(c.clients_max, 6, "an indented line is a line, not a continuation");
    cr_assert_eq(c.threads, 2, "the last line need not end");
    accepts("");
    accepts("# nothing\n");
    accepts("\xef\xbb\xbf \n\r\n\f\n");
    refuses("\r\xed", ":1: this is not a setting; write NAME = VALUE"); /* found by fuzzing */
    refuses("[daemon]\n\vqueue\n", ":2: this is not a setting; write NAME = VALUE");
}

Test(conf, long_lines_and_bytes_that_are_no_text_are_refused)
{
    char text[1000];

    (void)snprintf(text, sizeof(text), "[daemon]\nmodels = /%0*d\n", 300, 0);
    cr_assert_eq(load(text), CONF_E_INVALID);
    cr_assert(strstr(why.text, ":2: the line is longer than "), "%s", why.text);
    (void)snprintf(text, sizeof(text), "[daemon]\nmodels = /%0*d\n", 150, 0);
    accepts(text);
    scratch_write("nul.conf", "[daemon]\nqueue = 5\0 = 6\n", 23);
    cr_assert_eq(conf_load(scratch_path("nul.conf"), true, false, &why, &c), CONF_E_INVALID);
    cr_assert(strstr(why.text, ":2: a NUL byte; this is not a text file"), "%s", why.text);
    refuses("[daemon]\nqueue = \x1b[31m\n", ":2: queue is a number from 1 to 65536, not \"?[31m\"");
}

/* ---- policy ---- */

static const struct policy_rule *rule(enum policy_subject subject, uint32_t id, const char *name)
{
    for (size_t i = 0; i < c.policy.n; i++)
        if (c.policy.rule[i].subject == subject && c.policy.rule[i].id == id &&
            strcmp(c.policy.rule[i].name, name) == 0)
            return &c.policy.rule[i];
    return NULL;
}

Test(conf, subjects_are_looked_up_by_name_or_number)
{
    accepts("[everybody]\nweight = 2\n[group root]\nweight = 3\n[user root]\nweight = 4\n[user "
            "4711]\nweight = 5\n"
            "[group  4712 ]\nweight = 6\n[unit nav.service]\nweight = 7\n[unit "
            "user:app.scope]\nweight = 8\n");
    cr_assert_eq(rule(POLICY_EVERYBODY, 0, "")->value.weight, 2);
    cr_assert_eq(rule(POLICY_GROUP, 0, "root")->value.weight, 3);
    cr_assert_eq(rule(POLICY_USER, 0, "root")->value.weight, 4);
    cr_assert_eq(rule(POLICY_USER, 4711, "4711")->value.weight, 5);
    cr_assert_eq(rule(POLICY_GROUP, 4712, "4712")->value.weight, 6);
    cr_assert_eq(rule(POLICY_UNIT, 0, "nav.service")->value.weight, 7);
    cr_assert_eq(rule(POLICY_UNIT, 0, "user:app.scope")->value.weight, 8);
    cr_assert_eq(c.policy.n, 7);
}

Test(conf, subjects_that_do_not_exist_are_errors)
{
    refuses("\n[user no-such-user]\n", ":2: there is no user \"no-such-user\"");
    refuses("[group no-such-group]\nweight = 1\n", ":1: there is no group \"no-such-group\"");
    refuses("[daemon]\nqueue = 4\ngroup = no-such-group\n",
            ":3: there is no group \"no-such-group\"");
    refuses("[user 4294967295]\n", ":1: there is no user \"4294967295\"");
    refuses("[unit navigation]\n",
            ":1: a unit's name ends in .service or .scope, unlike \"navigation\"");
}

Test(conf, long_unit_names_are_not_cut)
{
    char text[400];
    const char *tail = "-of-the-same-fifty-first-letters-as-another-one.service";

    (void)snprintf(text, sizeof(text), "[unit a%s]\nweight = 3\n[unit b%s]\nweight = 4\n", tail,
                   tail);
    accepts(text);
    cr_assert_eq(c.policy.n, 2);
    cr_assert_eq(strlen(c.policy.rule[0].name), 1 + strlen(tail));
    (void)snprintf(text, sizeof(text), "[unit %0*d.service]\n", 88, 0);
    refuses(text, ":1: the name of a unit, user or group has 1 to 95 bytes, not 96");
}

Test(conf, there_is_a_most_of_rules)
{
    char text[20000];
    size_t n = 0;

    for (int i = 0; i <= POLICY_RULES_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "[user %d]\n", 5000 + i);
    refuses(text, ":257: there are more than 256 sections for units, users and groups");
}

Test(conf, a_group_that_was_set_may_generate)
{
    struct policy p;
    const struct policy_peer peer = { .uid = 5, .gid = { 4242 }, .n_gids = 1 };

    accepts("[daemon]\ngroup = 4242\n[everybody]\nweight = 9\n");
    policy_of(&c.policy, &peer, &p);
    cr_assert(p.generate);
    cr_assert_eq(p.weight, 9);
}

/* ---- drop-ins ---- */

Test(conf, dropins_are_read_in_the_order_of_their_names_after_the_file)
{
    scratch_write("hearthd.conf.d/20-b.conf", "[daemon]\nqueue = 20\nclients = 20\n", (size_t)-1);
    scratch_write("hearthd.conf.d/10-a.conf", "[daemon]\nqueue = 10\nclients = 10\nrunning = 10\n",
                  (size_t)-1);
    scratch_write("hearthd.conf.d/9.conf", "[daemon]\nqueue = 9\n[user 7]\nweight = 70\n",
                  (size_t)-1);
    scratch_write("hearthd.conf.d/readme.txt", "not read\n", (size_t)-1);
    scratch_write("hearthd.conf.d/.hidden.conf", "not read\n", (size_t)-1);
    scratch_write("hearthd.conf.d/30.conf~", "not read\n", (size_t)-1);
    scratch_write("hearthd.conf.d/.conf", "not read\n", (size_t)-1);
    accepts("[daemon]\nqueue = 1\nclients = 1\nrunning = 1\nlog-level = err\n[user 7]\nweight = "
            "7\nrequests = 7\n");
    cr_assert_eq(c.log_level, 3);
    cr_assert_eq(c.running_max, 10);
    cr_assert_eq(c.clients_max, 20);
    cr_assert_eq(c.queue_max, 9, "by bytes: 9 comes after 20");
    cr_assert_eq(c.policy.n, 1);
    cr_assert_eq(c.policy.rule[0].value.weight, 70);
    cr_assert_eq(c.policy.rule[0].value.in_flight_max, 7);
}

Test(conf, dropins_are_read_without_the_file_too)
{
    scratch_write("none.conf.d/a.conf", "[daemon]\nqueue = 10\n", (size_t)-1);
    cr_assert_eq(conf_load(scratch_path("none.conf"), false, false, &why, &c), 0);
    cr_assert_eq(c.queue_max, 10);
}

Test(conf, an_error_in_a_dropin_names_the_dropin)
{
    char expect[1024];

    scratch_write("hearthd.conf.d/a.conf", "[daemon]\n\nqueue = x\n", (size_t)-1);
    cr_assert_eq(load(""), CONF_E_INVALID);
    (void)snprintf(expect, sizeof(expect), "%s:3: queue is a number from 1 to 65536, not \"x\"",
                   scratch_path("hearthd.conf.d/a.conf"));
    cr_assert_str_eq(why.text, expect);
    scratch_write("hearthd.conf.d/a.conf", "queue = 2\n", (size_t)-1);
    cr_assert_eq(load("[daemon]\n"), CONF_E_INVALID,
                 "a file does not begin in the section that the one before ended in");
}

Test(conf, what_is_no_file_is_refused_and_not_waited_for)
{
    cr_assert_eq(mkfifo(scratch_path("pipe"), 0600), 0);
    cr_assert_eq(conf_load(scratch_path("pipe"), false, false, &why, &c), CONF_E_INVALID);
    cr_assert(strstr(why.text, "pipe: is not a file"), "%s", why.text);
    cr_assert_eq(conf_load(scratch_path(""), false, false, &why, &c), CONF_E_INVALID);
    cr_assert_eq(conf_load("/dev/null", true, false, &why, &c), 0);
    cr_assert_eq(conf_load("/dev/zero", true, false, &why, &c), CONF_E_INVALID);
    scratch_write("x.conf", "", 0);
    scratch_write("x.conf.d", "", 0);
    cr_assert_eq(conf_load(scratch_path("x.conf"), true, false, &why, &c), CONF_E_INVALID);
    cr_assert(strstr(why.text, "x.conf.d: Not a directory"), "%s", why.text);
}

Test(conf, a_dropin_that_leads_nowhere_is_an_error)
{
    scratch_write("hearthd.conf.d/a.conf", "", 0);
    cr_assert_eq(symlink("nowhere", scratch_path("hearthd.conf.d/b.conf")), 0);
    cr_assert_eq(load(""), CONF_E_INVALID);
    cr_assert(strstr(why.text, "b.conf: cannot be read"), "%s", why.text);
}

Test(conf, too_many_dropins_are_refused)
{
    char name[64];

    for (int i = 0; i <= 256; i++) {
        (void)snprintf(name, sizeof(name), "hearthd.conf.d/%d.conf", i);
        scratch_write(name, "", 0);
    }
    cr_assert_eq(load(""), CONF_E_INVALID);
    cr_assert(strstr(why.text, "there are more than 256 files"), "%s", why.text);
}

Test(conf, paths_that_are_too_long_are_refused)
{
    char path[PATH_MAX + 10];

    memset(path, '/', sizeof(path) - 1);
    path[sizeof(path) - 1] = 0;
    cr_assert_eq(conf_load(path, false, false, &why, &c), CONF_E_INVALID);
    path[PATH_MAX - 2] = 0;
    cr_assert_eq(conf_load(path, false, false, &why, &c), CONF_E_INVALID);
    cr_assert(why.text[0]);
}

Test(conf, running_out_of_memory_is_told_and_leaves_nothing)
{
    OOM_OR_SKIP();
    scratch_write("hearthd.conf", "[daemon]\nqueue = 3\n[user 7]\nweight = 7\n", (size_t)-1);
    scratch_write("hearthd.conf.d/a.conf", "[daemon]\nclients = 3\n", (size_t)-1);
    const char *path = scratch_path("hearthd.conf");
    unsigned n = 1;
    for (;; n++) {
        memset(&c, 0x55, sizeof(c));
        oom_fail_at(n);
        const int r = conf_load(path, true, false, &why, &c);
        const bool failed = oom_happened();
        oom_fail_at(0);
        if (!failed) {
            cr_assert_eq(r, 0);
            break;
        }
        cr_assert_eq(r, -ENOMEM);
        cr_assert_eq(c.queue_max, 0x55555555);
    }
    cr_assert_gt(n, 1);
}
