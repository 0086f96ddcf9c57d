/* SPDX-License-Identifier: Apache-2.0 */
/* A store in which something else than a store has worked. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/store.h"
#include "tests/unit/daemon/scratch.h"
#include "tests/unit/daemon/store_make.h"

static struct store *s;
static struct reason why;
static struct store_model m;

static void open_it(void)
{
    why.text[0] = 0;
    cr_assert_eq(store_open(scratch_path("root"), &why, &s), 0, "%s", why.text);
}

static void reopen(void)
{
    s = store_close(s);
    open_it();
}

static void init(void)
{
    scratch_make();
    open_it();
}

static void fini(void)
{
    s = store_close(s);
    scratch_remove();
}

TestSuite(store_hostile, .init = init, .fini = fini);

/* `name` with versions 1 and 2, 2 active and 1 previous. */
static void two_versions(const char *name)
{
    cr_assert_eq(store_make_import(s, name, '1', "one", NULL), 0);
    cr_assert_eq(store_activate(s, name, "", &why), 0);
    cr_assert_eq(store_make_import(s, name, '2', "two", NULL), 0);
    cr_assert_eq(store_activate(s, name, "", &why), 0);
}

Test(store_hostile, damaged_entries_are_left_out_and_can_be_replaced_and_removed)
{
    cr_assert_eq(store_make_import(s, "good", '1', "x", NULL), 0);
    cr_assert_eq(store_make_import(s, "a", '2', "size", NULL), 0);
    scratch_write("root/a/2222222222222222/info", "[model]\nsha256 = 2\n", (size_t)-1);
    cr_assert_eq(store_make_import(s, "b", '2', "size", NULL), 0);
    cr_assert_eq(truncate(scratch_path("root/b/2222222222222222/model.gguf"), 3), 0);
    cr_assert_eq(store_make_import(s, "c", '2', "size", NULL), 0);
    cr_assert_eq(unlink(scratch_path("root/c/2222222222222222/model.gguf")), 0);
    cr_assert_eq(store_make_import(s, "d", '2', "size", NULL), 0);
    cr_assert_eq(
        rename(scratch_path("root/d/2222222222222222"), scratch_path("root/d/3333333333333333")),
        0);
    cr_assert_eq(mkdir(scratch_path("root/e"), 0755), 0);
    cr_assert_eq(mkdir(scratch_path("root/e/2222222222222222"), 0755), 0);
    cr_assert_eq(mkdir(scratch_path("root/f"), 0755), 0);
    scratch_write("root/f/2222222222222222", "a file", 6);
    cr_assert_eq(mkdir(scratch_path("root/g"), 0755), 0);
    scratch_write("root/h", "a file", 6);
    cr_assert_str_eq(store_make_list(s), "good:1");
    cr_assert_eq(store_find(s, "a", "2222222222222222", &why, &m), STORE_E_NOT_FOUND);
    cr_assert_eq(store_activate(s, "a", "", &why), STORE_E_NOT_FOUND);
    cr_assert_eq(store_find(s, "h", "", &why, &m), STORE_E_NOT_FOUND);

    cr_assert_eq(store_make_import(s, "a", '2', "size", NULL), 0);
    cr_assert_eq(store_make_import(s, "e", '2', "size", NULL), 0);
    cr_assert_eq(store_make_import(s, "f", '2', "size", NULL), 0);
    cr_assert_eq(store_make_import(s, "g", '2', "size", NULL), 0);
    cr_assert_eq(store_make_import(s, "h", '2', "size", NULL), STORE_E_STORAGE,
                 "a file is where the folder has to be");
    cr_assert_str_eq(store_make_list(s), "a:2 e:2 f:2 g:2 good:1");
    cr_assert_eq(store_remove(s, "b", "2222222222222222", &why), 0);
    cr_assert_eq(store_remove(s, "c", "", &why), 0);
    cr_assert_eq(store_remove(s, "d", "", &why), 0);
    cr_assert_eq(access(scratch_path("root/b"), F_OK), -1);
    cr_assert_eq(access(scratch_path("root/c"), F_OK), -1);
    cr_assert_eq(access(scratch_path("root/d"), F_OK), -1);
}

Test(store_hostile, an_info_that_lies_is_damaged)
{
    static const char good[] =
        "[model]\nsha256 = 1111111111111111111111111111111111111111111111111111111111111111\n"
        "size = 1\nadded = 5\narchitecture = x\ndescription = x\ntypes = x\nprompt-form = x\n"
        "parameters = 1\ncontext = 1\nlayers = 1\n";
    static const struct {
        const char *what, *with;
    } change[] = { { "size = 1", "size = 2" },
                   { "size = 1", "size = 99999999999999999999" },
                   { "size = 1", "size = -1" },
                   { "added = 5", "added = 18446744073709551615" },
                   { "context = 1", "context = 4294967296" },
                   { "sha256 = 1", "sha256 = 2" },
                   { "sha256 = 1", "sha256 = 11" },
                   { "sha256 = 1", "sha256 = " },
                   { "layers = 1\n", "" },
                   { "architecture = x", "architecture = xxxxxxxxxxxxxxxx" },
                   { "types = x", "types = %0" },
                   { "types = x", "types = %00" },
                   { "types = x", "types = %zz" },
                   { "types = x", "types" },
                   { "[model]", "[other]" },
                   { "[model]", "[model" } };
    char text[1024];

    scratch_write("root/a/1111111111111111/model.gguf", "x", 1);
    scratch_write("root/a/1111111111111111/info", good, (size_t)-1);
    cr_assert_str_eq(store_make_list(s), "a:1");
    for (size_t n = 0; n < sizeof(change) / sizeof(change[0]); n++) {
        const char *at = strstr(good, change[n].what);
        (void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good), good, change[n].with,
                       at + strlen(change[n].what));
        scratch_write("root/a/1111111111111111/info", text, (size_t)-1);
        cr_assert_str_eq(store_make_list(s), "", "%s", change[n].with);
    }
    (void)snprintf(text, sizeof(text), "%sfuture = 1\n[more]\nsize = x\n", good);
    scratch_write("root/a/1111111111111111/info", text, (size_t)-1);
    cr_assert_str_eq(store_make_list(s), "a:1", "what a later version adds is no damage");
    static char big[5000];
    memset(big, '\n', sizeof(big));
    memcpy(big, good, sizeof(good) - 1);
    scratch_write("root/a/1111111111111111/info", big, sizeof(big));
    cr_assert_str_eq(store_make_list(s), "");
}

Test(store_hostile, links_that_no_store_made_are_nothing)
{
    static const char *const targets[] = { "/etc/passwd",
                                           "../outside/1111111111111111",
                                           "a",
                                           "a/..",
                                           "a/1111111111111111/",
                                           "./a/1111111111111111",
                                           "a//1111111111111111",
                                           "active/1111111111111111",
                                           "a/2222222222222222",
                                           "." };

    cr_assert_eq(store_make_import(s, "a", '1', "", NULL), 0);
    for (size_t n = 0; n < sizeof(targets) / sizeof(targets[0]); n++) {
        (void)unlink(scratch_path("root/active"));
        cr_assert_eq(symlink(targets[n], scratch_path("root/active")), 0);
        cr_assert_eq(store_active(s, &m), STORE_E_NOT_FOUND, "%s", targets[n]);
        cr_assert_str_eq(store_make_list(s), "a:1");
    }
    cr_assert_eq(store_activate(s, "a", "", &why), 0, "and are replaced");
    cr_assert_str_eq(store_make_list(s), "a:1*");
}

Test(store_hostile, a_folder_in_the_links_place_is_a_refusal)
{
    cr_assert_eq(store_make_import(s, "a", '1', "", NULL), 0);
    cr_assert_eq(mkdir(scratch_path("root/active"), 0755), 0);
    cr_assert_eq(store_activate(s, "a", "", &why), STORE_E_STORAGE);
    cr_assert(strstr(why.text, "cannot activate the model in "), "%s", why.text);
    cr_assert_eq(rmdir(scratch_path("root/active")), 0);
    two_versions("b");
    cr_assert_eq(unlink(scratch_path("root/previous")), 0);
    cr_assert_eq(mkdir(scratch_path("root/previous"), 0755), 0);
    cr_assert_eq(store_activate(s, "a", "", &why), STORE_E_STORAGE);
    cr_assert_str_eq(store_make_list(s), "a:1 b:2* b:1", "nothing changed");
    char *tree = scratch_tree();
    cr_assert_null(strstr(tree, "incoming"), "%s", tree);
    free(tree);
}

Test(store_hostile, nothing_is_reached_through_a_link)
{
    static const char digits[] = "1111111111111111";
    char *before, *after;

    cr_assert_eq(store_make_import(s, "real", '1', "x", NULL), 0);
    scratch_write("outside/keep", "x", 1);
    cr_assert_eq(rename(scratch_path("root/real"), scratch_path("outside/real")), 0);
    cr_assert_eq(symlink("../outside/real", scratch_path("root/a")), 0);
    cr_assert_eq(mkdir(scratch_path("root/b"), 0755), 0);
    cr_assert_eq(
        symlink("../../outside/real/1111111111111111", scratch_path("root/b/1111111111111111")), 0);
    cr_assert_eq(store_make_import(s, "c", '1', "x", NULL), 0);
    cr_assert_eq(unlink(scratch_path("root/c/1111111111111111/model.gguf")), 0);
    cr_assert_eq(symlink("/etc/hostname", scratch_path("root/c/1111111111111111/model.gguf")), 0);
    cr_assert_eq(store_make_import(s, "d", '1', "x", NULL), 0);
    cr_assert_eq(unlink(scratch_path("root/d/1111111111111111/info")), 0);
    cr_assert_eq(symlink("../../../outside/real/1111111111111111/info",
                         scratch_path("root/d/1111111111111111/info")),
                 0);
    cr_assert_eq(symlink("../outside", scratch_path("root/.incoming-x")), 0);
    cr_assert_eq(mkdir(scratch_path("root/.incoming-y"), 0755), 0);
    cr_assert_eq(symlink("../../outside", scratch_path("root/.incoming-y/z")), 0);
    cr_assert_eq(symlink("a/1111111111111111", scratch_path("root/active")), 0);

    cr_assert_str_eq(store_make_list(s), "");
    cr_assert_eq(store_active(s, &m), STORE_E_NOT_FOUND);
    static const char *const names[] = { "a", "b", "c" };
    for (size_t n = 0; n < 3; n++) {
        struct store_model model = { .size_bytes = 1 };
        (void)snprintf(model.name, sizeof(model.name), "%s", names[n]);
        (void)snprintf(model.version, sizeof(model.version), "%s", digits);
        cr_assert_lt(store_open_model(s, &model), 0, "%s", names[n]);
        cr_assert_eq(store_find(s, names[n], digits, &why, &m), STORE_E_NOT_FOUND, "%s", names[n]);
        cr_assert_eq(store_activate(s, names[n], digits, &why), STORE_E_NOT_FOUND, "%s", names[n]);
    }
    before = scratch_tree();
    cr_assert_eq(store_make_import(s, "a", '2', "y", NULL), STORE_E_STORAGE,
                 "the folder of the name is a link");
    cr_assert_eq(store_remove(s, "a", "", &why), STORE_E_NOT_FOUND);
    after = scratch_tree();
    cr_assert_str_eq(after, before);
    free(before);
    free(after);
    cr_assert_eq(store_remove(s, "b", digits, &why), 0, "the link goes, and not what it points to");
    reopen();
    after = scratch_tree();
    cr_assert(strstr(after, "outside/keep 1\n") &&
                  strstr(after, "outside/real/1111111111111111/model.gguf 1\n"),
              "%s", after);
    cr_assert_null(strstr(after, "incoming"), "%s", after);
    free(after);
}

Test(store_hostile, what_cannot_be_cleared_away_does_not_stop_the_store)
{
    two_versions("a");
    s = store_close(s);
    scratch_write("root/.incoming-deep/folder/file", "not of a store", 5);
    open_it();
    cr_assert_str_eq(store_make_list(s), "a:2* a:1-");
    cr_assert_eq(access(scratch_path("root/.incoming-deep/folder/file"), F_OK), 0);
}

Test(store_hostile, a_model_that_is_a_pipe_or_a_folder_is_refused)
{
    cr_assert_eq(store_make_import(s, "a", '1', "", &m), 0);
    cr_assert_eq(unlink(scratch_path("root/a/1111111111111111/model.gguf")), 0);
    cr_assert_eq(mkfifo(scratch_path("root/a/1111111111111111/model.gguf"), 0600), 0);
    cr_assert_eq(store_open_model(s, &m), -EINVAL, "and it is not waited for a writer");
    cr_assert_str_eq(store_make_list(s), "");
    cr_assert_eq(unlink(scratch_path("root/a/1111111111111111/info")), 0);
    cr_assert_eq(mkfifo(scratch_path("root/a/1111111111111111/info"), 0600), 0);
    cr_assert_str_eq(store_make_list(s), "");
}
