/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "daemon/store.h"
#include "tests/unit/daemon/scratch.h"
#include "tests/unit/daemon/store_make.h"
#include "tests/unit/oom.h"

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

TestSuite(store, .init = init, .fini = fini);

/* `name` with versions 1 and 2, 2 active and 1 previous. */
static void two_versions(const char *name)
{
    cr_assert_eq(store_make_import(s, name, '1', "one", NULL), 0);
    cr_assert_eq(store_activate(s, name, "", &why), 0);
    cr_assert_eq(store_make_import(s, name, '2', "two", NULL), 0);
    cr_assert_eq(store_activate(s, name, "", &why), 0);
}

/* ---- opening ---- */

Test(store, the_root_is_made_with_the_folders_above_it)
{
    struct store *other;
    struct stat st;
    const mode_t mask = umask(022);

    cr_assert_eq(store_open(scratch_path("a/b//c"), &why, &other), 0, "%s", why.text);
    (void)umask(mask);
    cr_assert_eq(stat(scratch_path("a/b/c"), &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0755);
    cr_assert_str_eq(store_make_list(other), "");
    cr_assert_null(store_close(other));
    cr_assert_null(store_close(NULL));
}

Test(store, a_root_that_cannot_be_is_refused)
{
    struct store *other = s;
    char path[PATH_MAX + 10];

    scratch_write("file", "x", 1);
    cr_assert_eq(store_open(scratch_path("file"), &why, &other), STORE_E_STORAGE);
    cr_assert(strstr(why.text, "cannot open the folder in ") && strstr(why.text, "Not a directory"),
              "%s", why.text);
    cr_assert_eq(store_open(scratch_path("file/below"), &why, &other), STORE_E_STORAGE);
    cr_assert_eq(store_open("/proc/nowhere/models", &why, &other), STORE_E_STORAGE);
    cr_assert_eq(store_open("", &why, &other), STORE_E_STORAGE);
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = 0;
    cr_assert_eq(store_open(path, &why, &other), STORE_E_STORAGE);
    cr_assert_eq(other, s, "written on success only");
}

Test(store, one_store_at_a_time_has_a_root_open)
{
    struct store *other;

    cr_assert_eq(store_open(scratch_path("root"), &why, &other), STORE_E_STORAGE);
    cr_assert(strstr(why.text, "in use by another hearthd"), "%s", why.text);
    reopen();
}

Test(store, what_is_unfinished_is_cleared_when_it_is_opened)
{
    two_versions("a");
    s = store_close(s);
    scratch_write("root/.incoming-1/model.gguf", "half", 4);
    scratch_write("root/.incoming-1/info", "half", 4);
    scratch_write("root/.incoming-file", "", 0);
    cr_assert_eq(mkdir(scratch_path("root/.incoming-empty"), 0755), 0);
    cr_assert_eq(mkdir(scratch_path("root/empty"), 0755), 0);
    cr_assert_eq(symlink("nowhere", scratch_path("root/.incoming-link")), 0);
    scratch_write("root/other.txt", "not ours", 8);
    scratch_write("root/.hidden", "not ours", 8);
    open_it();
    char *tree = scratch_tree();
    cr_assert_null(strstr(tree, "incoming"), "%s", tree);
    cr_assert_null(strstr(tree, "root/empty"), "%s", tree);
    cr_assert(strstr(tree, "root/other.txt 8\n") && strstr(tree, "root/.hidden 8\n"), "%s", tree);
    free(tree);
    cr_assert_str_eq(store_make_list(s), "a:2* a:1-");
}

/* ---- names ---- */

Test(store, names_are_letters_digits_dots_lines_and_dashes)
{
    static const char *const bad[] = {
        "",    "../x", "..",  ".",    ".incoming", ".incoming-1", "active", "previous", "-x",  "_x",
        "a/b", "/a",   "a b", "a\nb", "\xc3\xa4",  "a\x01",       "a*",     "a\\b",     "a:b", "%41"
    };
    static const char *const good[] = {
        "a", "7b", "gemma-3n.E2B_q4-0", "Active", "active2", "a..b"
    };
    struct store_import *i = NULL;
    char name[80];

    for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
        why.text[0] = 0;
        cr_assert_eq(store_import_new(s, bad[n], &why, &i), STORE_E_NAME, "%s", bad[n]);
        cr_assert(why.text[0]);
        cr_assert_eq(store_find(s, bad[n], "", &why, &m), STORE_E_NAME, "%s", bad[n]);
        cr_assert_eq(store_remove(s, bad[n], "", &why), STORE_E_NAME, "%s", bad[n]);
        cr_assert_eq(store_activate(s, bad[n], "", &why), STORE_E_NAME, "%s", bad[n]);
    }
    for (size_t n = 0; n < sizeof(good) / sizeof(good[0]); n++)
        cr_assert_eq(store_make_import(s, good[n], 'a', "x", NULL), 0, "%s", good[n]);
    memset(name, 'n', sizeof(name));
    name[65] = 0;
    cr_assert_eq(store_import_new(s, name, &why, &i), STORE_E_NAME);
    name[64] = 0;
    cr_assert_eq(store_make_import(s, name, 'a', "x", NULL), 0);
    cr_assert_eq(store_activate(s, name, "", &why), 0);
    cr_assert_eq(store_active(s, &m), 0);
    cr_assert_str_eq(m.name, name);
    cr_assert_str_eq(store_make_list(s) + strlen(store_make_list(s)) - 3, ":a*");
    char *tree = scratch_tree();
    cr_assert_null(strstr(tree, "incoming"), "refused names leave nothing");
    free(tree);
}

/* ---- importing ---- */

Test(store, an_import_appears_whole_with_all_that_was_found_out)
{
    struct store_model found;
    const int64_t before = time(NULL);

    cr_assert_eq(store_make_import(s, "n3", 'a', "the bytes", &found), 0);
    cr_assert_str_eq(found.name, "n3");
    cr_assert_str_eq(found.version, "aaaaaaaaaaaaaaaa");
    cr_assert(found.added_s >= before && found.added_s <= before + 60);
    reopen();
    cr_assert_eq(store_find(s, "n3", "", &why, &m), 0);
    cr_assert_str_eq(m.name, found.name);
    cr_assert_str_eq(m.version, found.version);
    cr_assert_str_eq(m.sha256, found.sha256);
    cr_assert_str_eq(m.architecture, "gemma3n");
    cr_assert_str_eq(m.description, "A model; 100 % made up");
    cr_assert_str_eq(m.types, "Q4_0 210, F32 422");
    cr_assert_str_eq(m.prompt_form, "chat");
    cr_assert_eq(m.size_bytes, 9);
    cr_assert_eq(m.parameters, UINT64_C(4000000000));
    cr_assert_eq(m.context, 32768);
    cr_assert_eq(m.layers, 30);
    cr_assert_eq(m.added_s, found.added_s);
    cr_assert_not(m.active);
    cr_assert_not(m.previous);
    char *tree = scratch_tree(), expect[512];
    struct stat st;
    cr_assert_eq(stat(scratch_path("root/n3/aaaaaaaaaaaaaaaa/info"), &st), 0);
    (void)snprintf(
        expect, sizeof(expect),
        "root/\nroot/n3/\nroot/n3/aaaaaaaaaaaaaaaa/\nroot/n3/aaaaaaaaaaaaaaaa/info %lld\n"
        "root/n3/aaaaaaaaaaaaaaaa/model.gguf 9\n",
        (long long)st.st_size);
    cr_assert_str_eq(tree, expect);
    free(tree);
}

Test(store, an_import_is_not_seen_before_it_is_complete)
{
    struct store_import *i;

    cr_assert_eq(store_import_new(s, "a", &why, &i), 0);
    cr_assert_str_eq(store_make_list(s), "");
    cr_assert_eq(store_find(s, "a", "", &why, &m), STORE_E_NOT_FOUND);
    cr_assert_eq(store_remove(s, "a", "", &why), STORE_E_NOT_FOUND);
    cr_assert_null(store_import_abort(i));
    char *tree = scratch_tree();
    cr_assert_str_eq(tree, "root/\n", "an aborted import leaves nothing");
    free(tree);
    cr_assert_null(store_import_abort(NULL));
}

Test(store, the_same_file_again_is_told)
{
    struct store_model again;

    cr_assert_eq(store_make_import(s, "a", '1', "one", &m), 0);
    cr_assert_eq(store_make_import(s, "a", '1', "one", &again), STORE_E_EXISTS);
    cr_assert_eq(again.added_s, m.added_s);
    cr_assert_str_eq(again.name, "a");
    cr_assert_str_eq(store_make_list(s), "a:1");
    cr_assert_eq(store_make_import(s, "b", '1', "one", NULL), 0,
                 "another name may have the same file");
    char *tree = scratch_tree();
    cr_assert_null(strstr(tree, "incoming"));
    free(tree);
}

Test(store, another_file_of_the_same_version_is_refused)
{
    struct store_import *i;
    struct store_model found = store_make_found('1', "");

    cr_assert_eq(store_make_import(s, "a", '1', "one", NULL), 0);
    found.sha256[63] = '2';
    cr_assert_eq(store_import_new(s, "a", &why, &i), 0);
    cr_assert_eq(store_import_commit(i, &found, &why), STORE_E_STORAGE);
    cr_assert_str_eq(why.text,
                     "another file has the version 1111111111111111 of a; remove that one first");
}

Test(store, findings_that_cannot_be_true_are_a_failure)
{
    static const char *const bad[] = {
        "", "../../../../../../../../../../etc/passwd", "1234",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "../x111111111111111111111111111111111111111111111111111111111111"
    };
    struct store_import *i;

    for (size_t n = 0; n <= sizeof(bad) / sizeof(bad[0]); n++) {
        struct store_model found = store_make_found('1', "");
        if (n < sizeof(bad) / sizeof(bad[0]))
            (void)snprintf(found.sha256, sizeof(found.sha256), "%s", bad[n]);
        else
            found.size_bytes = 1;
        cr_assert_eq(store_import_new(s, "a", &why, &i), 0);
        cr_assert_eq(store_import_commit(i, &found, &why), -EINVAL);
    }
    char *tree = scratch_tree();
    cr_assert_str_eq(tree, "root/\n");
    free(tree);
}

Test(store, texts_survive_whatever_they_contain)
{
    static const char *const texts[] = { "",
                                         " leading and trailing ",
                                         "semicolon ; comment # hash = equals [section]",
                                         "%41 100%",
                                         "caf\xc3\xa9 \xe2\x9c\x93",
                                         "  ",
                                         "\xff\xfe bytes" };
    char digit = '0', expect[200];

    for (size_t n = 0; n < sizeof(texts) / sizeof(texts[0]); n++, digit++) {
        struct store_model found = store_make_found(digit, "");
        struct store_import *i;
        (void)snprintf(found.description, sizeof(found.description), "%s", texts[n]);
        cr_assert_eq(store_import_new(s, "a", &why, &i), 0);
        cr_assert_eq(store_import_commit(i, &found, &why), 0);
        cr_assert_eq(store_find(s, "a", store_make_version(digit), &why, &m), 0, "%s", texts[n]);
        cr_assert_str_eq(m.description, texts[n]);
    }
    struct store_model found = store_make_found('e', "");
    struct store_import *i;
    (void)snprintf(found.description, sizeof(found.description), "line\nsize = 7\n[x]\r\t\x1b[31m");
    cr_assert_eq(store_import_new(s, "b", &why, &i), 0);
    cr_assert_eq(store_import_commit(i, &found, &why), 0);
    cr_assert_str_eq(found.description, "line?size = 7?[x]???[31m",
                     "the caller sees what will be read later");
    cr_assert_eq(store_find(s, "b", "", &why, &m), 0);
    cr_assert_str_eq(m.description, found.description);
    cr_assert_eq(m.size_bytes, 0);

    found = store_make_found('f', "");
    memset(found.description, ';', sizeof(found.description) - 1);
    memset(found.types, 'x', sizeof(found.types) - 1);
    cr_assert_eq(store_import_new(s, "c", &why, &i), 0);
    cr_assert_eq(store_import_commit(i, &found, &why), 0);
    cr_assert_eq(store_find(s, "c", "", &why, &m), 0,
                 "what does not fit is cut, the model is there");
    memset(expect, ';', sizeof(expect));
    expect[170 / 3] = 0;
    cr_assert_str_eq(m.description, expect);
    cr_assert_eq(strlen(m.types), sizeof(m.types) - 1);
}

Test(store, two_versions_are_kept_and_the_active_and_the_previous_one)
{
    cr_assert_eq(store_make_import(s, "a", '1', "1", NULL), 0);
    cr_assert_eq(store_make_import(s, "a", '2', "2", NULL), 0);
    cr_assert_str_eq(store_make_list(s), "a:2 a:1",
                     "the newest first, though both came within a second");
    cr_assert_eq(store_make_import(s, "a", '3', "3", NULL), 0);
    cr_assert_str_eq(store_make_list(s), "a:3 a:2");
    cr_assert_eq(store_activate(s, "a", store_make_version('2'), &why), 0);
    cr_assert_eq(store_make_import(s, "a", '4', "4", NULL), 0);
    cr_assert_str_eq(store_make_list(s), "a:4 a:3 a:2*");
    cr_assert_eq(store_activate(s, "a", store_make_version('3'), &why), 0);
    cr_assert_eq(store_make_import(s, "a", '5', "5", NULL), 0);
    cr_assert_str_eq(store_make_list(s), "a:5 a:4 a:3* a:2-");
    cr_assert_eq(store_make_import(s, "a", '6', "6", NULL), 0);
    cr_assert_str_eq(store_make_list(s), "a:6 a:5 a:3* a:2-");
    cr_assert_eq(store_make_import(s, "b", '7', "7", NULL), 0);
    cr_assert_str_eq(store_make_list(s), "a:6 a:5 a:3* a:2- b:7", "other names are other models");
}

/* A model of 0 bytes and version 1 that came at @added_s. */
static void plant(const char *name, long long added_s)
{
    char info[1024], path[128];
    const struct store_model found = store_make_found('1', "");

    (void)snprintf(path, sizeof(path), "root/%s/1111111111111111/model.gguf", name);
    scratch_write(path, "", 0);
    (void)snprintf(
        info, sizeof(info),
        "[model]\nsha256 = %s\nsize = 0\nadded = %lld\narchitecture = x\ndescription = x\n"
        "types = x\nprompt-form = x\nparameters = 1\ncontext = 1\nlayers = 1\n",
        found.sha256, added_s);
    (void)snprintf(path, sizeof(path), "root/%s/1111111111111111/info", name);
    scratch_write(path, info, (size_t)-1);
}

Test(store, a_clock_that_went_back_makes_no_old_version_the_newest)
{
    struct store_model found = store_make_found('2', "");
    struct store_import *i;

    plant("a", 4102444800); /* in 2100 */
    cr_assert_eq(store_import_new(s, "a", &why, &i), 0);
    cr_assert_eq(store_import_commit(i, &found, &why), 0);
    cr_assert_eq(found.added_s, 4102444801);
    cr_assert_str_eq(store_make_list(s), "a:2 a:1");
}

Test(store, there_is_a_most_of_models)
{
    char name[16];
    struct store_import *i;

    for (int n = 0; n < STORE_MODELS_MAX; n++) { /* as an import would leave them, but faster */
        (void)snprintf(name, sizeof(name), "m%03d", n);
        plant(name, 5);
    }
    cr_assert_eq(store_import_new(s, "one-more", &why, &i), STORE_E_STORAGE);
    cr_assert(strstr(why.text, "has 256 models already; remove one"), "%s", why.text);
    cr_assert_eq(store_remove(s, "m007", "", &why), 0);
    cr_assert_eq(store_make_import(s, "one-more", 'a', "", NULL), 0);
}

/* ---- finding ---- */

Test(store, models_are_listed_by_name)
{
    cr_assert_eq(store_make_import(s, "b", '2', "", NULL), 0);
    cr_assert_eq(store_make_import(s, "a", '9', "", NULL), 0);
    cr_assert_eq(store_make_import(s, "B", '3', "", NULL), 0);
    cr_assert_str_eq(store_make_list(s), "B:3 a:9 b:2");
}

Test(store, what_is_not_there_is_not_found)
{
    cr_assert_eq(store_make_import(s, "a", '1', "", NULL), 0);
    cr_assert_eq(store_find(s, "b", "", &why, &m), STORE_E_NOT_FOUND);
    cr_assert_str_eq(why.text, "there is no model b; `hearthctl model list` shows what there is");
    cr_assert_eq(store_find(s, "a", "2222222222222222", &why, &m), STORE_E_NOT_FOUND);
    cr_assert_str_eq(why.text, "there is no version \"2222222222222222\" of the model a; "
                               "`hearthctl model list` shows what there is");
    static const char *const bad[] = {
        "..", "../a/1111111111111111", "1", "AAAAAAAAAAAAAAAA", "11111111111111111", "."
    };
    for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
        cr_assert_eq(store_find(s, "a", bad[n], &why, &m), STORE_E_NOT_FOUND, "%s", bad[n]);
        cr_assert_eq(store_remove(s, "a", bad[n], &why), STORE_E_NOT_FOUND, "%s", bad[n]);
        cr_assert_eq(store_activate(s, "a", bad[n], &why), STORE_E_NOT_FOUND, "%s", bad[n]);
    }
    cr_assert_eq(store_active(s, &m), STORE_E_NOT_FOUND);
    cr_assert_eq(store_activate(s, "b", "", &why), STORE_E_NOT_FOUND);
    cr_assert_eq(store_remove(s, "b", "", &why), STORE_E_NOT_FOUND);
    cr_assert_str_eq(store_make_list(s), "a:1");
}

Test(store, a_models_file_is_opened_for_reading)
{
    char text[16] = "";

    cr_assert_eq(store_make_import(s, "a", '1', "the bytes", &m), 0);
    const int fd = store_open_model(s, &m);
    cr_assert_geq(fd, 0);
    cr_assert_eq(read(fd, text, sizeof(text)), 9);
    cr_assert_str_eq(text, "the bytes");
    cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    cr_assert_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    (void)close(fd);
    cr_assert_eq(store_remove(s, "a", "", &why), 0);
    cr_assert_eq(store_open_model(s, &m), -ENOENT);
    (void)snprintf(m.name, sizeof(m.name), "../x");
    cr_assert_eq(store_open_model(s, &m), -EINVAL);
    (void)snprintf(m.name, sizeof(m.name), "a");
    (void)snprintf(m.version, sizeof(m.version), "../x");
    cr_assert_eq(store_open_model(s, &m), -EINVAL);
}

/* ---- activating ---- */

Test(store, the_active_model_and_the_one_before_are_marked)
{
    two_versions("a");
    cr_assert_str_eq(store_make_list(s), "a:2* a:1-");
    cr_assert_eq(store_active(s, &m), 0);
    cr_assert_str_eq(m.version, "2222222222222222");
    cr_assert(m.active);
    cr_assert_eq(store_activate(s, "a", store_make_version('2'), &why), 0);
    cr_assert_str_eq(store_make_list(s), "a:2* a:1-", "activating the active one changes nothing");
    cr_assert_eq(store_activate(s, "a", store_make_version('1'), &why), 0);
    cr_assert_str_eq(store_make_list(s), "a:2- a:1*", "a rollback");
    cr_assert_eq(store_make_import(s, "b", '3', "", NULL), 0);
    cr_assert_eq(store_activate(s, "b", "", &why), 0);
    cr_assert_str_eq(store_make_list(s), "a:2 a:1- b:3*");
    reopen();
    cr_assert_str_eq(store_make_list(s), "a:2 a:1- b:3*");
    char *tree = scratch_tree();
    cr_assert(strstr(tree, "root/active -> b/3333333333333333\n"), "%s", tree);
    cr_assert(strstr(tree, "root/previous -> a/1111111111111111\n"), "%s", tree);
    cr_assert_null(strstr(tree, "incoming"), "%s", tree);
    free(tree);
}

/* ---- removing ---- */

Test(store, the_active_version_cannot_be_removed)
{
    two_versions("a");
    cr_assert_eq(store_remove(s, "a", store_make_version('2'), &why), STORE_E_ACTIVE);
    cr_assert_str_eq(why.text, "the model a is active; activate another one first, then remove it");
    cr_assert_eq(store_remove(s, "a", "", &why), 0, "all that are not active");
    cr_assert_str_eq(store_make_list(s), "a:2*");
    cr_assert_eq(store_remove(s, "a", "", &why), STORE_E_ACTIVE);
    cr_assert_str_eq(store_make_list(s), "a:2*");
    cr_assert_eq(access(scratch_path("root/previous"), F_OK), -1);
}

Test(store, removing_takes_the_files_and_the_empty_folder)
{
    two_versions("a");
    cr_assert_eq(store_make_import(s, "b", '3', "", NULL), 0);
    cr_assert_eq(store_make_import(s, "b", '4', "", NULL), 0);
    cr_assert_eq(store_remove(s, "b", store_make_version('3'), &why), 0);
    cr_assert_str_eq(store_make_list(s), "a:2* a:1- b:4");
    cr_assert_eq(store_remove(s, "b", "", &why), 0);
    cr_assert_eq(store_remove(s, "a", store_make_version('1'), &why), 0);
    cr_assert_str_eq(store_make_list(s), "a:2*");
    char *tree = scratch_tree();
    cr_assert_null(strstr(tree, "root/b"), "%s", tree);
    cr_assert_null(strstr(tree, "previous"), "%s", tree);
    cr_assert_null(strstr(tree, "incoming"), "%s", tree);
    free(tree);
    cr_assert_eq(store_remove(s, "b", "", &why), STORE_E_NOT_FOUND);
}

/* ---- at the same time ---- */

static atomic_bool done;
static atomic_uint n_lists;

static void *list_all_the_time(void *unused)
{
    static struct store_model all[STORE_MODELS_MAX];

    (void)unused;
    while (!done) {
        const int n = store_list(s, all);
        if (n < 1) return "a list is empty or failed"; /* the active one is always there */
        for (int i = 0; i < n; i++)
            if (strncmp(all[i].sha256, all[i].version, STORE_VERSION_SIZE) != 0 ||
                all[i].size_bytes != 4)
                return "half a model";
        if (store_find(s, "keep", "", NULL, &all[0]) != 0) return "not found";
        n_lists++;
    }
    return NULL;
}

Test(store, lists_are_whole_while_models_come_and_go)
{
    pthread_t reader;
    void *complaint;

    cr_assert_eq(store_make_import(s, "keep", '1', "size", NULL), 0);
    cr_assert_eq(pthread_create(&reader, NULL, list_all_the_time, NULL), 0);
    for (int n = 0; n < 100 || n_lists < 20; n++) {
        cr_assert_eq(store_make_import(s, "come", (char)('0' + n % 10), "size", NULL), 0);
        cr_assert_eq(store_activate(s, n % 2 ? "come" : "keep", "", &why), 0);
        if (n % 5 == 0) cr_assert_eq(store_remove(s, "come", "", &why), 0);
    }
    done = true;
    cr_assert_eq(pthread_join(reader, &complaint), 0);
    cr_assert_null(complaint, "%s", (char *)complaint);
}

/* ---- without memory ---- */

/* One of each. Return: what the one that failed returned, or 0. */
static int everything(void)
{
    struct store *other = NULL;
    struct store_import *i = NULL;
    struct store_model found = store_make_found('5', ""), got;
    static struct store_model all[STORE_MODELS_MAX];
    int r = store_open(scratch_path("oom"), &why, &other);

    if (r == 0) r = store_import_new(other, "a", &why, &i);
    if (r == 0) r = store_import_commit(i, &found, &why);
    if (r == 0) r = store_activate(other, "a", "", &why);
    if (r == 0) r = store_list(other, all) == 1 ? 0 : -1;
    if (r == 0) r = store_active(other, &got);
    if (r == 0) r = store_find(other, "a", "", &why, &got);
    if (r == 0 && store_remove(other, "a", "", &why) != STORE_E_ACTIVE) r = -1;
    (void)store_close(other);
    return r;
}

Test(store, running_out_of_memory_is_told)
{
    unsigned n = 1;

    OOM_OR_SKIP();
    for (;; n++) {
        oom_fail_at(n);
        const int r = everything();
        const bool failed = oom_happened();
        oom_fail_at(0);
        if (!failed) {
            cr_assert(r == 0 || r == STORE_E_EXISTS, "%d", r);
            break;
        }
        cr_assert(r == -ENOMEM || r == 0 || r == STORE_E_EXISTS, "%d",
                  r); /* 0: old versions stay once more */
        char *tree = scratch_tree();
        cr_assert_null(strstr(tree, "incoming"), "%s", tree);
        free(tree);
    }
    cr_assert_gt(n, 4);
}
