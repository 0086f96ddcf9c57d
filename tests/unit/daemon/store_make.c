/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/daemon/store_make.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct store_model store_make_found(char digit, const char *content)
{
    struct store_model m = { .architecture = "gemma3n",
                             .description = "A model; 100 % made up",
                             .types = "Q4_0 210, F32 422",
                             .prompt_form = "chat",
                             .size_bytes = strlen(content),
                             .parameters = UINT64_C(4000000000),
                             .context = 32768,
                             .layers = 30 };

    memset(m.sha256, digit, 64);
    return m;
}

int store_make_import(struct store *s, const char *name, char digit, const char *content,
                      struct store_model *ret)
{
    struct store_import *i;
    struct store_model m = store_make_found(digit, content);
    struct reason why = { "" };

    int r = store_import_new(s, name, &why, &i);
    if (r != 0) return r;
    /* dprintf writes inside the C library: it is the worker who writes this file, faults are not for it */
    cr_assert_eq(dprintf(store_import_fd(i), "%s", content), (int)strlen(content));
    r = store_import_commit(i, &m, &why);
    if (r == STORE_E_STORAGE) cr_assert(why.text[0], "a refusal has a reason");
    if (ret) *ret = m;
    return r;
}

const char *store_make_list(struct store *s)
{
    static struct store_model m[STORE_MODELS_MAX];
    static char text[4][8192];
    static unsigned at;
    char *t = text[at++ % 4];
    size_t used = 0;
    const int n = store_list(s, m);

    cr_assert_geq(n, 0);
    t[0] = 0;
    for (int i = 0; i < n; i++)
        used += (size_t)snprintf(t + used, sizeof(text[0]) - used, "%s%s:%c%s%s", i ? " " : "",
                                 m[i].name, m[i].version[0], m[i].active ? "*" : "",
                                 m[i].previous ? "-" : "");
    return t;
}

const char *store_make_version(char digit)
{
    static char version[STORE_VERSION_SIZE + 1];

    memset(version, digit, STORE_VERSION_SIZE);
    return version;
}
