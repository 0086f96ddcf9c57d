/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "cli/doctor.h"
#include "cli/json_out.h"
#include "cli/out.h"

enum { GROUPS_MAX = 1024 };
#define MB UINT64_C(1000000)

__attribute__((format(printf, 4, 5))) static void
find(struct doctor_finding *f, const char *name, enum doctor_level level, const char *format, ...)
{
    va_list args;

    *f = (struct doctor_finding){ .name = name, .level = level };
    va_start(args, format);
    (void)vsnprintf(f->text, sizeof(f->text), format, args);
    va_end(args);
}

__attribute__((format(printf, 2, 3))) static void help(struct doctor_finding *f, const char *format,
                                                       ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(f->help, sizeof(f->help), format, args);
    va_end(args);
}

/* The line of @text that begins with @key and ':', after these and blanks. Return: bytes of it; 0: there is none. */
static size_t line_of(const char *text, const char *key, const char **ret)
{
    const size_t n = strlen(key);

    for (const char *at = text; at && *at; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, key, n) != 0) continue;
        const char *colon = at + n + strspn(at + n, " \t");
        if (*colon != ':') continue;
        colon += 1 + strspn(colon + 1, " \t");
        *ret = colon;
        return strcspn(colon, "\n");
    }
    return 0;
}

static bool has_word(const char *line, size_t n, const char *word)
{
    const size_t n_word = strlen(word);

    for (size_t i = 0; i + n_word <= n; i++) {
        const bool begins = i == 0 || isspace((unsigned char)line[i - 1]);
        const bool ends = i + n_word == n || isspace((unsigned char)line[i + n_word]);
        if (begins && ends && strncmp(line + i, word, n_word) == 0) return true;
    }
    return false;
}

void doctor_cpu(const char *cpuinfo, struct doctor_finding *f)
{
    static const struct {
        const char *word, *says;
        bool good; /* worth its own kernels; the others are only named */
    } features[] = {
        { "avx512_vnni", "AVX-512 VNNI", true },
        { "avx512bw", "AVX-512", true },
        { "avx_vnni", "AVX-VNNI", false },
        { "avx2", "AVX2", true },
        { "i8mm", "NEON I8MM", true },
        { "asimddp", "NEON dot product", true },
        { "asimd", "NEON", true },
        { "neon", "NEON (32 bit)", false },
    };
    const char *line = "", *model = "";
    size_t n = line_of(cpuinfo, "flags", &line), n_model = line_of(cpuinfo, "model name", &model);
    char list[160] = "";
    bool good = false;

    if (n == 0) n = line_of(cpuinfo, "Features", &line);
    if (n_model == 0) n_model = line_of(cpuinfo, "Model", &model);
    if (n_model > 60) n_model = 60;
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        if (!has_word(line, n, features[i].word)) continue;
        const size_t used = strlen(list);
        (void)snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "",
                       features[i].says);
        good |= features[i].good;
    }
    if (n == 0) {
        find(f, "cpu", DOCTOR_WARN, "/proc/cpuinfo does not tell what this CPU can do");
        help(f, "hearthd finds out by itself: see kernels in `hearthctl status`");
        return;
    }
    find(f, "cpu", good ? DOCTOR_OK : DOCTOR_WARN, "%s%.*s%s%s%s", n_model ? "" : "this CPU",
         (int)n_model, model, good ? " (" : "", good ? list : " has no AVX2 and no NEON",
         good ? ")" : "");
    if (!good) help(f, "hearth runs with its plain kernels, slowly; use a small model");
}

static uint64_t meminfo_bytes(const char *meminfo, const char *key)
{
    const char *line;

    if (line_of(meminfo, key, &line) == 0) return 0;
    return strtoull(line, NULL, 10) * 1024;
}

void doctor_memory(const char *meminfo, uint64_t model_bytes, struct doctor_finding *f)
{
    const uint64_t total = meminfo_bytes(meminfo, "MemTotal");
    const uint64_t available = meminfo_bytes(meminfo, "MemAvailable");
    char a[16], t[16], m[16];

    if (total == 0) {
        find(f, "memory", DOCTOR_WARN, "/proc/meminfo does not tell how much there is");
        return;
    }
    find(f, "memory", DOCTOR_OK, "%s of %s available", out_bytes(a, sizeof(a), available),
         out_bytes(t, sizeof(t), total));
    if (available < 256 * MB) {
        f->level = DOCTOR_FAIL;
        help(f, "even a small model needs 256 MB: end other programs");
    } else if (model_bytes > available) {
        f->level = DOCTOR_WARN;
        help(f, "the active model's file has %s: end other programs, or take a smaller model",
             out_bytes(m, sizeof(m), model_bytes));
    } else if (available < 1000 * MB) {
        f->level = DOCTOR_WARN;
        help(f, "enough for a small model only (Gemma 3 270M)");
    }
}

void doctor_pressure(const char *root, struct doctor_finding *f)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/proc/pressure/memory", root);
    if (access(path, R_OK) == 0) {
        find(f, "pressure", DOCTOR_OK, "the kernel tells when memory gets short (PSI)");
        return;
    }
    find(f, "pressure", DOCTOR_WARN, "the kernel does not tell when memory gets short (no PSI)");
    help(f, "hearth then cannot shrink in time: boot with psi=1 if the kernel has it");
}

/* Is this process in group @gid? */
static bool in_group(gid_t gid)
{
    gid_t groups[GROUPS_MAX];
    const int n = getgroups(GROUPS_MAX, groups);

    for (int i = 0; i < n; i++)
        if (groups[i] == gid) return true;
    return getegid() == gid;
}

/* Is this user in group @gid by the books, so that a new login would be? */
static bool in_group_by_the_books(gid_t gid)
{
    const struct passwd *const user = getpwuid(getuid());
    gid_t groups[GROUPS_MAX];
    int n = GROUPS_MAX;

    if (!user || getgrouplist(user->pw_name, user->pw_gid, groups, &n) < 0) return false;
    for (int i = 0; i < n; i++)
        if (groups[i] == gid) return true;
    return false;
}

static void explain_denied(const struct stat *st, struct doctor_finding *f)
{
    const struct group *const group = getgrgid(st->st_gid);
    const struct passwd *const user = getpwuid(getuid());
    const char *const group_name = group ? group->gr_name : "hearth";

    if (!(st->st_mode & S_IWGRP))
        help(f, "only its owner may use it: see SocketMode= of hearthd.socket");
    else if (!in_group(st->st_gid) && in_group_by_the_books(st->st_gid))
        help(f, "you are in group %s since this session began: log in again, or `newgrp %s`",
             group_name, group_name);
    else
        help(f, "join its group, then log in again: `sudo usermod -aG %s %s`", group_name,
             user ? user->pw_name : "$USER");
}

void doctor_socket(const char *path, struct doctor_finding *f)
{
    struct stat st;

    if (stat(path, &st) != 0) {
        const bool denied = errno == EACCES;
        find(f, "socket", DOCTOR_FAIL, "%s: %s", path, strerror(errno));
        help(f, denied ? "you may not enter its directory: join group hearth, then log in again"
                       : "start hearthd (`sudo systemctl start hearthd.socket`), or name another "
                         "socket with --socket or $HEARTH_SOCKET");
        return;
    }
    if (!S_ISSOCK(st.st_mode)) {
        find(f, "socket", DOCTOR_FAIL, "%s is no socket", path);
        help(f, "remove it and start hearthd again, or name another with --socket");
        return;
    }
    if (access(path, R_OK | W_OK) != 0) {
        find(f, "socket", DOCTOR_FAIL, "%s: you may not connect to it", path);
        explain_denied(&st, f);
        return;
    }
    find(f, "socket", DOCTOR_OK, "%s", path);
}

void doctor_version(const char *daemon, struct doctor_finding *f)
{
    if (strcmp(daemon, CLI_VERSION) == 0) {
        find(f, "version", DOCTOR_OK, "hearthd and hearthctl %s", CLI_VERSION);
        return;
    }
    find(f, "version", DOCTOR_WARN, "hearthd is %s, hearthctl is %s", daemon, CLI_VERSION);
    help(f, "after an upgrade, restart hearthd: `sudo systemctl restart hearthd`");
}

void doctor_model(const struct hearth_status *s, struct doctor_finding *f)
{
    const char *const name = s->model ? s->model->name : "";
    const bool known = s->last_error && *s->last_error;

    if (!s->model) {
        find(f, "model", DOCTOR_FAIL, "none is active");
        help(f, "`hearthctl model add FILE.gguf` brings one, `hearthctl model list` shows what is "
                "there");
        return;
    }
    if (s->state == HEARTH_STATE_READY || s->state == HEARTH_STATE_UNLOADED ||
        (s->state == HEARTH_STATE_DRAINING && s->model->loaded))
        find(f, "model", DOCTOR_OK, "%s is active, %s", name,
             s->state == HEARTH_STATE_UNLOADED ? "and loads with the next request" : "and loaded");
    else
        find(f, "model", s->state == HEARTH_STATE_CRASHED ? DOCTOR_FAIL : DOCTOR_WARN, "%s is %s",
             name, json_out_state(s->state));
    if (!known) return;
    f->level = DOCTOR_FAIL;
    help(f, "%s", s->last_error);
}

void doctor_worker(const struct hearth_status *s, struct doctor_finding *f)
{
    const bool confined = s->sandbox && *s->sandbox && strcmp(s->sandbox, "none") != 0;

    find(f, "worker", DOCTOR_OK, "sandbox: %s; kernels: %s, %" PRIu32 " threads",
         confined ? s->sandbox : "none", s->kernels && *s->kernels ? s->kernels : "not loaded yet",
         s->threads);
    if (s->state != HEARTH_STATE_UNLOADED && s->state != HEARTH_STATE_NO_MODEL && !confined) {
        f->level = DOCTOR_WARN;
        help(f, "a hostile model file could reach the rest of the system: use a build and a kernel "
                "with seccomp and Landlock");
    } else if (s->worker_restarts > 0) {
        f->level = DOCTOR_WARN;
        help(f,
             "it crashed %" PRIu64 " times since hearthd started: `journalctl -u hearthd` tells "
             "more",
             s->worker_restarts);
    }
}

void doctor_disk(const char *root, const char *models, struct doctor_finding *f)
{
    char path[PATH_MAX], free_text[16];
    struct statvfs v;

    (void)snprintf(path, sizeof(path), "%s%s", root, models);
    while (statvfs(path, &v) != 0 && strlen(path) > strlen(root) + 1) {
        char *const slash = strrchr(path, '/');
        slash[slash == path] = '\0'; /* keep the root's own slash */
    }
    if (statvfs(path, &v) != 0) {
        find(f, "disk", DOCTOR_WARN, "cannot look at %s: %s", path, strerror(errno));
        return;
    }
    const uint64_t free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
    find(f, "disk", DOCTOR_OK, "%s free for models at %s",
         out_bytes(free_text, sizeof(free_text), free_bytes), path);
    if (free_bytes >= 4000 * MB) return;
    f->level = DOCTOR_WARN;
    help(f, "Gemma 3n E2B in 4 bits has 2.7 GB, and two versions are kept: make room");
}

/* Count entries of @root@folder that begin with @prefix, and whose rest has @ending at its end; how many may be opened? */
static unsigned count(const char *root, const char *folder, const char *prefix, const char *ending,
                      unsigned *ret_usable)
{
    char path[PATH_MAX];
    const struct dirent *entry;
    unsigned n = 0;

    *ret_usable = 0;
    (void)snprintf(path, sizeof(path), "%s%s", root, folder);
    DIR *const d = opendir(path);
    if (!d) return 0;
    while ((entry = readdir(d)) != NULL) {
        const size_t size = strlen(entry->d_name), n_ending = strlen(ending);
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 || size < n_ending) continue;
        if (strcmp(entry->d_name + size - n_ending, ending) != 0) continue;
        (void)snprintf(path, sizeof(path), "%s%s/%s", root, folder, entry->d_name);
        n++;
        *ret_usable += access(path, R_OK | W_OK) == 0;
    }
    (void)closedir(d);
    return n;
}

void doctor_sound(const char *root, struct doctor_finding *f)
{
    unsigned may_capture, may_play;
    const unsigned capture = count(root, "/dev/snd", "pcm", "c", &may_capture);
    const unsigned playback = count(root, "/dev/snd", "pcm", "p", &may_play);

    if (capture == 0) {
        find(f, "sound", DOCTOR_WARN, "no microphone (%u loudspeaker outputs)", playback);
        help(f, "speech needs one; text works without");
        return;
    }
    find(f, "sound", DOCTOR_OK, "%u microphone inputs, %u loudspeaker outputs", capture, playback);
    if (may_capture == 0)
        help(f, "you may not open them yourself; hearthd does it for you, if policy lets you");
}

void doctor_accelerator(const char *root, struct doctor_finding *f)
{
    unsigned may_render, may_npu;
    const unsigned gpus = count(root, "/dev/dri", "renderD", "", &may_render);
    const unsigned npus = count(root, "/dev/accel", "accel", "", &may_npu);

    if (gpus + npus == 0)
        find(f, "gpu, npu", DOCTOR_OK, "none; the CPU does all the work");
    else
        find(f, "gpu, npu", DOCTOR_OK, "%u GPUs, %u NPUs seen; the CPU does the work today", gpus,
             npus);
}
