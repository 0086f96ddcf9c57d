/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/conf.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "daemon/conf_file.h"
#include "daemon/conf_key.h"

enum { DROPINS_MAX = 256 };

/* ---- defaults ---- */

/* $@variable (if it is an absolute path, as the XDG base directory specification wants it) or HOME/@below, then @tail. "" if neither is there or it is too long. */
static void user_path(const char *variable, const char *below, const char *tail, char *ret,
                      size_t size)
{
    const char *base = getenv(variable), *home = getenv("HOME"), *middle = "";

    ret[0] = 0;
    if (!base || base[0] != '/') {
        if (!below) return;
        if (!home || home[0] != '/') {
            const struct passwd *p = getpwuid(geteuid());
            home = p ? p->pw_dir : NULL;
        }
        if (!home || home[0] != '/') return;
        base = home;
        middle = below;
    }
    const int n = snprintf(ret, size, "%s%s%s", base, middle, tail);
    if (n < 0 || (size_t)n >= size) ret[0] = 0;
}

static int set_defaults(struct conf *c, bool private)
{
    uint32_t gid = POLICY_NOBODY;
    int r = 0;

    if (private) {
        user_path("XDG_RUNTIME_DIR", NULL, "/hearth/hearth.sock", c->socket, sizeof(c->socket));
        user_path("XDG_DATA_HOME", "/.local/share", "/hearth/models", c->models, sizeof(c->models));
        user_path("XDG_CACHE_HOME", "/.cache", "/hearth", c->cache, sizeof(c->cache));
    } else {
        (void)snprintf(c->socket, sizeof(c->socket), "/run/hearth/hearth.sock");
        (void)snprintf(c->models, sizeof(c->models), "/var/lib/hearth/models");
        (void)snprintf(c->cache, sizeof(c->cache), "/var/cache/hearth");
        (void)snprintf(c->group, sizeof(c->group), "hearth");
        r = conf_key_group(c->group, NULL, &gid);
    }
    (void)snprintf(c->worker, sizeof(c->worker), "%s", CONF_WORKER_DEFAULT);
    (void)snprintf(c->kernels, sizeof(c->kernels), "auto");
    (void)snprintf(c->sensors, sizeof(c->sensors), "/");
    c->clients_max = 256; /* a descriptor each, and a buffer when it is slow */
    c->queue_max = 128;
    c->running_max = 8; /* more sequences in a step help throughput little and make each slower */
    c->log_level = LOG_AT_INFO;
    policy_table_init(&c->policy, geteuid(), gid, private);
    return r < 0 ? err_pass(r) : 0;
}

/* ---- drop-ins ---- */

struct names {
    int n;
    struct dirent **entry; /* [n] owned, as scandir(3) makes it */
};

static void names_free(struct names *l)
{
    for (int i = 0; i < l->n; i++)
        free(l->entry[i]);
    free(l->entry);
}

static int is_dropin(const struct dirent *e)
{
    const size_t n = strlen(e->d_name);

    return e->d_name[0] != '.' && n > 5 && strcmp(e->d_name + n - 5, ".conf") == 0;
}

static int by_name(const struct dirent **a,
                   const struct dirent **b) /* by bytes: the same in all locales */
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_dropins(const char *path, struct conf *c, struct reason *why)
{
    char file[PATH_MAX];
    const int n = snprintf(file, sizeof(file), "%s.d", path);
    CLEANUP(names_free) struct names l = { 0 };

    if (n < 0 || (size_t)n >= sizeof(file)) {
        reason_set(why, "the path of the configuration is too long");
        return CONF_E_INVALID;
    }
    l.n = scandir(file, &l.entry, is_dropin, by_name);
    if (l.n < 0 && errno == ENOMEM) return err_raise(-ENOMEM);
    if (l.n < 0 && errno == ENOENT) return 0;
    if (l.n < 0 || l.n > DROPINS_MAX) {
        reason_set(why, "%.200s: %s", file,
                   l.n < 0 ? strerror(errno) : "there are more than 256 files");
        return CONF_E_INVALID;
    }
    for (int i = 0; i < l.n; i++) {
        const int m = snprintf(file, sizeof(file), "%s.d/%s", path, l.entry[i]->d_name);
        if (m < 0 || (size_t)m >= sizeof(file)) {
            reason_set(why, "the path of the drop-in %.100s is too long", l.entry[i]->d_name);
            return CONF_E_INVALID;
        }
        const int r = conf_file_read(file, true, c, why);
        if (r < 0) return err_pass(r);
        if (r > 0) return r;
    }
    return 0;
}

/* ---- all of it ---- */

static int check_whole(const struct conf *c, struct reason *why)
{
    const struct {
        const char *value, *key, *variable;
    } need[] = { { c->socket, "socket", "XDG_RUNTIME_DIR" },
                 { c->models, "models", "XDG_DATA_HOME or HOME" },
                 { c->cache, "cache", "XDG_CACHE_HOME or HOME" } };

    for (size_t i = 0; i < sizeof(need) / sizeof(need[0]); i++)
        if (need[i].value[0] == 0) {
            reason_set(why,
                       "there is no place for %s: set it in [daemon], or %s in the environment to "
                       "a path that is not too long",
                       need[i].key, need[i].variable);
            return CONF_E_INVALID;
        }
    return 0;
}

int conf_load(const char *path, bool must_exist, bool private, struct reason *why, struct conf *ret)
{
    CLEANUP(freep) struct conf *c = calloc(1, sizeof(*c)); /* too large for the stack */
    int r;

    if (!c) return err_raise(-ENOMEM);
    r = set_defaults(c, private);
    if (r == 0 && path) r = conf_file_read(path, must_exist, c, why);
    if (r == 0 && path) r = read_dropins(path, c, why);
    if (r == 0) r = check_whole(c, why);
    if (r < 0) return err_pass(r);
    if (r == 0) *ret = *c;
    return r;
}
