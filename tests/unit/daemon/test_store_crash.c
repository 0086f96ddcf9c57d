/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a crash, or a disk that is full, leaves: each operation is ended before each of its calls that change the disk, and each of
 * these calls is made to fail. Afterwards the store must be as before the operation or as after it.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/store.h"
#include "tests/unit/daemon/fault.h"
#include "tests/unit/daemon/scratch.h"
#include "tests/unit/daemon/store_make.h"

static struct store *s;
static struct reason why;

static void open_it(void)
{
    why.text[0] = 0;
    cr_assert_eq(store_open(scratch_path("root"), &why, &s), 0, "%s", why.text);
}

/* ---- operations, each from the same beginning: "a:2* a:1- b:3" ---- */

static void begin(void)
{
    scratch_make();
    open_it();
    cr_assert_eq(store_make_import(s, "a", '1', "one", NULL), 0);
    cr_assert_eq(store_activate(s, "a", "", &why), 0);
    cr_assert_eq(store_make_import(s, "a", '2', "two", NULL), 0);
    cr_assert_eq(store_activate(s, "a", "", &why), 0);
    cr_assert_eq(store_make_import(s, "b", '3', "three", NULL), 0);
}

static void end(void)
{
    s = store_close(s);
    scratch_remove();
}

static int import_new_name(void)
{
    return store_make_import(s, "c", '4', "four", NULL);
}

static int import_version(void)
{
    return store_make_import(s, "b", '4', "four", NULL);
}

static int activate(void)
{
    return store_activate(s, "b", "", &why);
}

static int roll_back(void)
{
    return store_activate(s, "a", store_make_version('1'), &why);
}

static int remove_previous(void)
{
    return store_remove(s, "a", store_make_version('1'), &why);
}

static int remove_last(void)
{
    return store_remove(s, "b", "", &why);
}

static int open_again(void) /* with something to clear away */
{
    s = store_close(s);
    scratch_write("root/.incoming-1/model.gguf", "half", 4);
    scratch_write("root/.incoming-2", "", 0);
    return store_open(scratch_path("root"), &why, &s);
}

static const struct operation {
    const char *name;
    int (*run)(void);
    const char *after; /* the list, when it is done */
} operations[] = {
    { "import of a new name", import_new_name, "a:2* a:1- b:3 c:4" },
    { "import of a version", import_version, "a:2* a:1- b:4 b:3" },
    { "activation", activate, "a:2- a:1 b:3*" },
    { "rollback", roll_back, "a:2- a:1* b:3" },
    { "removal of the previous one", remove_previous, "a:2* b:3" },
    { "removal of the last one", remove_last, "a:2* a:1-" },
    { "opening", open_again, "a:2* a:1- b:3" },
};
enum { N_OPERATIONS = sizeof(operations) / sizeof(operations[0]) };
static const char before[] = "a:2* a:1- b:3";

static bool nothing_incoming(void)
{
    char *tree = scratch_tree();
    const bool none = !strstr(tree, ".incoming");

    free(tree);
    return none;
}

/* Run @o in another process that ends before the @n-th call. Return: whether it did. */
static bool crash(const struct operation *o, unsigned n)
{
    int status;
    const pid_t child = fork();

    if (child == 0) {
        fault_crash_at(n);
        _exit(o->run() == 0 ? 0 : 1);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status), "%s, call %u: status %d", o->name, n, status);
    cr_assert(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == FAULT_EXIT_STATUS,
              "%s, call %u: %d", o->name, n, WEXITSTATUS(status));
    return WEXITSTATUS(status) == FAULT_EXIT_STATUS;
}

Test(store_crash, after_a_crash_the_state_is_the_one_before_or_after)
{
    FAULT_OR_SKIP();
    for (size_t i = 0; i < N_OPERATIONS; i++) {
        const struct operation *o = &operations[i];
        bool crashed = true, saw_before = false, saw_after = false;
        unsigned n = 1;
        for (; crashed; n++) {
            begin();
            cr_assert_str_eq(store_make_list(s), before);
            if (o->run == open_again) s = store_close(s); /* the lock is shared with the child */
            crashed = crash(o, n);
            s = store_close(s);
            open_it();
            const char *now = store_make_list(s);
            const bool is_before = strcmp(now, before) == 0, is_after = strcmp(now, o->after) == 0;
            cr_assert(is_before || is_after, "%s, crash at call %u: %s", o->name, n, now);
            cr_assert(is_after || !saw_after || strcmp(before, o->after) == 0,
                      "%s: once done it stays done", o->name);
            cr_assert(nothing_incoming(), "%s, crash at call %u", o->name, n);
            saw_before |= is_before;
            saw_after |= is_after;
            const int r = o->run(); /* and it can be done again */
            cr_assert(r == 0 || (is_after && (r == STORE_E_EXISTS || r == STORE_E_NOT_FOUND)),
                      "%s, crash at call %u: %d", o->name, n, r);
            cr_assert_str_eq(store_make_list(s), o->after, "%s, crash at call %u", o->name, n);
            end();
        }
        cr_assert(saw_before && saw_after, "%s", o->name);
        cr_assert_gt(n, 2, "%s: no call was counted", o->name);
    }
}

Test(store_crash, a_crash_while_old_versions_go_leaves_more_but_nothing_half)
{
    FAULT_OR_SKIP();
    bool crashed = true;
    for (unsigned n = 1; crashed; n++) {
        begin();
        cr_assert_eq(store_make_import(s, "b", '4', "four", NULL), 0);
        const struct operation third = { "third version", NULL, NULL };
        int status;
        const pid_t child = fork();
        if (child == 0) {
            fault_crash_at(n);
            _exit(store_make_import(s, "b", '5', "five", NULL) == 0 ? 0 : 1);
        }
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) != 1, "%s", third.name);
        crashed = WEXITSTATUS(status) == FAULT_EXIT_STATUS;
        s = store_close(s);
        open_it();
        const char *now = store_make_list(s);
        cr_assert(strcmp(now, "a:2* a:1- b:4 b:3") == 0 ||
                      strcmp(now, "a:2* a:1- b:5 b:4 b:3") == 0 ||
                      strcmp(now, "a:2* a:1- b:5 b:4") == 0,
                  "crash at call %u: %s", n, now);
        cr_assert(nothing_incoming());
        end();
    }
}

/* @on: the disk stays full. */
static void fail_each_call(int error, bool on)
{
    for (size_t i = 0; i < N_OPERATIONS; i++) {
        const struct operation *o = &operations[i];
        bool failed = true;
        unsigned n = 1, refused = 0;
        for (; failed; n++) {
            begin();
            fault_fail_at(n, error, on);
            const int r = o->run();
            failed = fault_happened();
            fault_fail_at(0, 0, false);
            cr_assert(r == 0 || r == STORE_E_STORAGE, "%s, call %u: %d", o->name, n, r);
            if (r != 0 && o->run != import_new_name && o->run != import_version)
                cr_assert(strstr(why.text, strerror(error)), "%s: %s", o->name, why.text);
            refused += r != 0;
            if (o->run == open_again && r != 0) open_it();
            if (r != 0) cr_assert_str_eq(store_make_list(s), before, "%s, call %u", o->name, n);
            s = store_close(s);
            open_it();
            cr_assert_str_eq(store_make_list(s), r == 0 ? o->after : before, "%s, call %u", o->name,
                             n);
            cr_assert(nothing_incoming(), "%s, call %u", o->name, n);
            end();
        }
        cr_assert(refused > 0, "%s was never refused", o->name);
    }
}

Test(store_crash, a_call_that_fails_is_a_refusal_that_changes_nothing)
{
    FAULT_OR_SKIP();
    fail_each_call(ENOSPC, false);
}

Test(store_crash, a_disk_that_stays_full_changes_nothing)
{
    FAULT_OR_SKIP();
    fail_each_call(ENOSPC, true);
}

Test(store_crash, a_disk_that_cannot_be_written_changes_nothing)
{
    FAULT_OR_SKIP();
    fail_each_call(EROFS, true);
}

Test(store_crash, a_file_system_that_cannot_exchange_gets_one_link_after_the_other)
{
    FAULT_OR_SKIP();
    begin();
    fault_fail_at(0, 0, false);
    cr_assert_eq(activate(), 0);
    /* find the exchange in what was called, and let that call fail */
    char *calls = strdup(fault_trace());
    unsigned n = 1;
    const char *at = strstr(calls, "renameat2");
    cr_assert_not_null(at, "%s", calls);
    for (const char *c = calls; c < at; c++)
        n += *c == ' ';
    free(calls);
    end();
    begin();
    fault_fail_at(n, EINVAL, false);
    cr_assert_eq(activate(), 0);
    cr_assert(fault_happened());
    cr_assert_str_eq(store_make_list(s), "a:2- a:1 b:3*");
    cr_assert(nothing_incoming());
    end();
}

Test(store_crash, all_is_on_disk_before_it_gets_its_name)
{
    FAULT_OR_SKIP();
    begin();
    fault_fail_at(0, 0, false);
    cr_assert_eq(import_new_name(), 0);
    cr_assert_str_eq(
        fault_trace(),
        "mkdirat openat fchmod fsync openat write fsync fsync mkdirat fsync renameat fsync",
        "folder, file; the file is synced; info, synced; the folder; the folder of the name; the "
        "step, synced");
    fault_fail_at(0, 0, false);
    cr_assert_eq(activate(), 0);
    cr_assert_str_eq(fault_trace(), "unlinkat symlinkat fsync renameat2 fsync renameat fsync");
    end();
}

/* ---- limits and disks that are full indeed ---- */

static void ignore_signal(int number)
{
    const struct sigaction ignore = { .sa_handler = SIG_IGN };

    cr_assert_eq(sigaction(number, &ignore, NULL), 0);
}

Test(store_crash, a_file_size_limit_is_a_refusal_with_advice)
{
    struct store_import *i;
    struct store_model found = store_make_found('7', "12345678");
    const struct rlimit small = { .rlim_cur = 8, .rlim_max = RLIM_INFINITY };
    struct rlimit old;

    begin();
    cr_assert_eq(store_import_new(s, "c", &why, &i), 0);
    cr_assert_eq(write(store_import_fd(i), "12345678", 8), 8);
    ignore_signal(SIGXFSZ);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    const int r = store_import_commit(i, &found, &why);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    cr_assert_eq(r, STORE_E_STORAGE);
    cr_assert(strncmp(why.text, "cannot write the file info in ", 30) == 0, "%s", why.text);
    cr_assert(strstr(why.text, "File too large; make room or remove a model"), "%s", why.text);
    cr_assert_str_eq(store_make_list(s), before);
    cr_assert(nothing_incoming());
    end();
}

Test(store_crash, a_full_disk_is_a_refusal_and_has_its_space_back)
{
    char bytes[4096] = "", path[PATH_MAX];
    struct store_import *i;
    struct store_model found = store_make_found('7', "");
    ssize_t n;

    scratch_make();
    cr_assert_eq(mkdir(scratch_path("root"), 0755), 0);
    (void)snprintf(path, sizeof(path), "%s", scratch_path("root"));
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", path, "tmpfs", 0, "size=64k") < 0) {
        scratch_remove();
        cr_skip_test("needs the right to mount");
    }
    open_it();
    cr_assert_eq(store_make_import(s, "a", '1', "one", NULL), 0);
    cr_assert_eq(store_import_new(s, "b", &why, &i), 0);
    while ((n = write(store_import_fd(i), bytes, sizeof(bytes))) > 0)
        found.size_bytes += (uint64_t)n;
    cr_assert_eq(errno, ENOSPC);
    cr_assert_eq(store_import_commit(i, &found, &why), STORE_E_STORAGE);
    cr_assert(strstr(why.text, "No space left on device; make room or remove a model"), "%s",
              why.text);
    cr_assert_str_eq(store_make_list(s), "a:1");
    cr_assert_eq(store_make_import(s, "c", '2', "small", NULL), 0, "the space is free again");
    s = store_close(s);
    cr_assert_eq(umount(path), 0);
    scratch_remove();
}
