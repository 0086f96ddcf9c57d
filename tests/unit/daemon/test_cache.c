/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/cache.h"
#include "tests/unit/daemon/scratch.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct cache *c;
static struct reason why;
static struct cache_files f;

static void init(void)
{
    scratch_make();
    cr_assert_eq(cache_open(scratch_path("cache"), &why, &c), 0, "%s", why.text);
}

static void fini(void)
{
    c = cache_close(c);
    scratch_remove();
}

TestSuite(cache, .init = init, .fini = fini);

static void offer(const char *sha256, uint32_t layout)
{
    cache_offer(c, sha256, layout, &f);
}

static void close_both(void)
{
    if (f.fd >= 0) (void)close(f.fd);
    if (f.new_fd >= 0) (void)close(f.new_fd);
}

/* As a worker does that packs. */
static void make(const char *sha256, uint32_t layout, const char *text)
{
    offer(sha256, layout);
    cr_assert_geq(f.new_fd, 0, "%s", f.why.text);
    cr_assert_eq(write(f.new_fd, text, strlen(text)), (ssize_t)strlen(text));
    cr_assert_eq(cache_keep(c), 0);
    cache_end(c, false);
    close_both();
}

static bool has(const char *name)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "cache/%s", name);
    return access(scratch_path(path), F_OK) == 0;
}

Test(cache, folder_is_made_for_this_user_alone)
{
    struct stat st;

    cr_assert_eq(stat(scratch_path("cache"), &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0700);
    cr_assert_null(cache_close(NULL));
}

Test(cache, a_folder_that_cannot_be_is_told)
{
    struct cache *other = NULL;

    scratch_write("file", "x", 1);
    cr_assert_eq(cache_open(scratch_path("file/below"), &why, &other), CACHE_E_UNUSABLE);
    cr_assert_not_null(strstr(why.text, "file/below"), "%s", why.text);
    cr_assert_eq(cache_open(scratch_path("cache"), &why, &other), CACHE_E_UNUSABLE);
    cr_assert_not_null(strstr(why.text, "in use by another hearthd"), "%s", why.text);
    cr_assert_null(other);
}

Test(cache, a_folder_that_is_not_writable_is_told)
{
    struct cache *other = NULL;

    if (geteuid() == 0) cr_skip_test("root may write everywhere");
    cr_assert_eq(mkdir(scratch_path("fixed"), 0500), 0);
    cr_assert_eq(cache_open(scratch_path("fixed"), &why, &other), CACHE_E_UNUSABLE);
    cr_assert_not_null(strstr(why.text, "is not writable"), "%s", why.text);
}

Test(cache, offers_what_was_kept)
{
    char text[9] = "";

    offer(A, 1);
    cr_assert_eq(f.fd, -1, "there is none yet");
    cr_assert_geq(f.new_fd, 0);
    cr_assert_str_eq(f.why.text, "");
    close_both();
    make(A, 1, "packed");
    cr_assert(has(A "-1.packed"));
    offer(A, 1);
    cr_assert_eq(read(f.fd, text, 8), 6);
    cr_assert_str_eq(text, "packed");
    cr_assert_eq(write(f.fd, "x", 1), -1, "for reading only");
    cr_assert_eq(fcntl(f.fd, F_GETFD), FD_CLOEXEC);
    cr_assert_eq(fcntl(f.new_fd, F_GETFD), FD_CLOEXEC);
    close_both();
    offer(B, 1);
    cr_assert_eq(f.fd, -1, "of another model");
    close_both();
}

Test(cache, what_is_not_kept_is_removed)
{
    offer(A, 1);
    close_both();
    cr_assert(has(A "-1.packed.new"));
    cache_end(c, false);
    cr_assert_not(has(A "-1.packed.new"));
    cr_assert_eq(cache_keep(c), -ENOENT, "nothing is being made");
    offer(A, 1);
    close_both();
    offer(B, 1);
    close_both();
    cr_assert_not(has(A "-1.packed.new"));
    c = cache_close(c);
    cr_assert_not(has(B "-1.packed.new"));
}

Test(cache, what_the_worker_refused_is_removed)
{
    make(A, 1, "old");
    offer(A, 1);
    close_both();
    cache_end(c, true);
    cr_assert_not(has(A "-1.packed"));
    make(A, 1, "old");
    offer(A, 1);
    close_both();
    cr_assert_eq(cache_keep(c), 0);
    cache_end(c, true);
    cr_assert(has(A "-1.packed"), "the new one takes its place");
}

Test(cache, keeping_fails_when_the_file_was_taken_away)
{
    offer(A, 1);
    close_both();
    cr_assert_eq(unlink(scratch_path("cache/" A "-1.packed.new")), 0);
    cr_assert_eq(cache_keep(c), -ENOENT);
    cr_assert_not(has(A "-1.packed"));
}

Test(cache, other_layouts_and_leftovers_of_the_model_go)
{
    make(A, 1, "old");
    make(B, 1, "other");
    scratch_write("cache/" A "-3.packed.new", "x", 1);
    make(A, 2, "new");
    cr_assert_not(has(A "-1.packed"));
    cr_assert_not(has(A "-3.packed.new"));
    cr_assert(has(A "-2.packed"));
    cr_assert(has(B "-1.packed"));
}

Test(cache, links_and_files_of_others_are_not_used)
{
    scratch_write("secret", "x", 1);
    cr_assert_eq(symlink(scratch_path("secret"), scratch_path("cache/" A "-1.packed")), 0);
    offer(A, 1);
    cr_assert_eq(f.fd, -1);
    close_both();
    cr_assert_eq(symlink(scratch_path("secret"), scratch_path("cache/" B "-1.packed.new")), 0);
    offer(B, 1);
    cr_assert_geq(f.new_fd, 0, "what is in the way is removed");
    cr_assert_eq(write(f.new_fd, "yy", 2), 2);
    struct stat st;
    cr_assert_eq(stat(scratch_path("secret"), &st), 0);
    cr_assert_eq(st.st_size, 1, "and not what it points to written");
    close_both();
    make(A, 1, "packed");
    cr_assert_eq(chmod(scratch_path("cache/" A "-1.packed"), 0620), 0);
    offer(A, 1);
    cr_assert_eq(f.fd, -1, "somebody else may write it");
    close_both();
    cr_assert_eq(chmod(scratch_path("cache/" A "-1.packed"), 0600), 0);
    cr_assert_eq(link(scratch_path("cache/" A "-1.packed"), scratch_path("second")), 0);
    offer(A, 1);
    cr_assert_eq(f.fd, -1, "it has another name");
    close_both();
}

Test(cache, models_that_are_gone_and_leftovers_are_tidied_away)
{
    struct store_model keep[1] = { { .sha256 = A } };

    make(A, 1, "a");
    make(B, 1, "b");
    scratch_write("cache/" A "-1.packed.old", "x", 1);
    scratch_write("cache/run", "x", 1);
    scratch_write("cache/" B "-2.packed.new", "x", 1);
    offer(A, 1);
    close_both();
    cache_tidy(c, keep, 1);
    cr_assert(has(A "-1.packed"));
    cr_assert(has(A "-1.packed.new"), "it is being made");
    cr_assert_not(has(B "-1.packed"));
    cr_assert_not(has(B "-2.packed.new"));
    cr_assert(has(A "-1.packed.old") && has("run"), "what is not ours stays");
    cache_tidy(NULL, keep, 1);
}

Test(cache, no_cache_and_a_sha256_that_is_none_offer_nothing)
{
    cache_offer(NULL, A, 1, &f);
    cr_assert_eq(f.fd, -1);
    cr_assert_eq(f.new_fd, -1);
    offer("../" A, 1);
    cr_assert_eq(f.new_fd, -1);
    offer(A "0", 1);
    cr_assert_eq(f.new_fd, -1);
    cr_assert_eq(cache_keep(NULL), -ENOENT);
    cache_end(NULL, true);
}
