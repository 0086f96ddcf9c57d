/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/daemon/scratch.h"
#include <criterion/criterion.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINES_MAX = 4096 };

static char root[PATH_MAX / 2];
static char *lines[LINES_MAX];
static size_t n_lines;

void scratch_make(void)
{
    const char *tmp = getenv("TMPDIR");

    if (!tmp || !*tmp) tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(root, sizeof(root), "%s/hearth-test-XXXXXX", tmp);
    cr_assert_not_null(mkdtemp(root));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

void scratch_remove(void)
{
    cr_assert_eq(nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

const char *scratch_path(const char *name)
{
    static char path[4][PATH_MAX];
    static unsigned at;
    char *p = path[at++ % 4];

    (void)snprintf(p, PATH_MAX, "%s%s%s", root, *name ? "/" : "", name);
    return p;
}

void scratch_write(const char *name, const char *bytes, size_t n)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s", scratch_path(name));
    for (char *c = path + strlen(root) + 1; (c = strchr(c, '/')); *c++ = '/') {
        *c = 0;
        (void)mkdir(path, 0755);
    }
    FILE *f = fopen(path, "we");
    cr_assert_not_null(f, "%s", path);
    if (n == (size_t)-1) n = strlen(bytes);
    cr_assert_eq(fwrite(bytes, 1, n, f), n);
    cr_assert_eq(fclose(f), 0);
}

static int list_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    char target[256] = "", *line;

    (void)at;
    if (type == FTW_SL) {
        const ssize_t n = readlink(path, target, sizeof(target) - 1);
        target[n < 0 ? 0 : n] = 0;
    }
    const char *name = path + strlen(root);
    if (!*name) return 0;
    const int n = type == FTW_D    ? asprintf(&line, "%s/", name + 1)
                  : type == FTW_SL ? asprintf(&line, "%s -> %s", name + 1, target)
                                   : asprintf(&line, "%s %lld", name + 1, (long long)st->st_size);
    if (n < 0 || n_lines == LINES_MAX) return -1;
    lines[n_lines++] = line;
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char *scratch_tree(void)
{
    char *text = NULL;
    size_t size;

    n_lines = 0;
    cr_assert_eq(nftw(root, list_one, 16, FTW_PHYS), 0);
    qsort(lines, n_lines, sizeof(*lines), by_text);
    FILE *f = open_memstream(&text, &size);
    for (size_t i = 0; i < n_lines; i++) {
        (void)fprintf(f, "%s\n", lines[i]);
        free(lines[i]);
    }
    (void)fclose(f);
    return text;
}
