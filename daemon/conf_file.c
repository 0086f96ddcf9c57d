/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inih does the parsing; what it leaves to be wished is done in the function that gives it its lines. It does not say which
 * line a setting is on, cuts section names at 49 bytes (a unit's name may be longer, and a cut one is another unit) and does
 * not tell of sections without settings, so the sections are read here. It takes an indented line as the continuation of
 * the value above, so indentation is taken away. It splits lines that are longer than its buffer: they are refused. It goes
 * on after a line that is nothing: such a line is known by the handler not having been called for it.
 */
#include "daemon/conf_file.h"
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "daemon/conf_key.h"
#include "daemon/core/value.h"

#define BLANKS " \t\r\v\f" /* what inih takes away at both ends, but for the line's end */

struct reading {
    FILE *file;
    const char *path;
    unsigned line;
    struct conf *conf;
    struct reason *why;
    int result; /* what conf_file_read() returns; != 0 ends the reading */
    bool
        pending; /* the last line was given to inih as a setting, and inih did not find one in it yet */
    enum { SECTION_NONE, SECTION_DAEMON, SECTION_MODEL, SECTION_POLICY } section;
    struct policy_rule *rule; /* of SECTION_POLICY */
};

static void fclosep(FILE **f)
{
    if (*f) (void)fclose(*f);
}

/* The end of a path that is too long for a sentence. */
static const char *short_path(const char *path)
{
    const size_t n = strlen(path), most = 120;

    return n > most ? path + n - most : path;
}

static void refuse(struct reading *r, const struct reason *what)
{
    reason_set(r->why, "%s:%u: %s", short_path(r->path), r->line, what->text);
    r->result = CONF_E_INVALID;
}

/* ---- sections ---- */

static void unknown_section(const char *name, struct reason *what)
{
    static const char *const words[] = { "daemon", "model", "everybody", "group",
                                         "user",   "unit",  NULL };
    char word[VALUE_WORD_MAX];

    (void)snprintf(word, sizeof(word), "%.*s", (int)strcspn(name, " \t"), name);
    const char *near = value_nearest(word, words);
    if (near)
        reason_set(what, "there is no section [%.100s]; did you mean [%s%s]?", name, near,
                   near[0] == 'g' || near[0] == 'u' ? " NAME" : "");
    else
        reason_set(what,
                   "there is no section [%.100s]; there are daemon, model, everybody, group NAME, "
                   "user NAME, unit NAME",
                   name);
}

/* A name that no process can have would be a rule that never applies. */
static bool good_unit(const char *name, struct reason *what)
{
    const char *dot = strrchr(name, '.');

    if (dot && (strcmp(dot, ".service") == 0 || strcmp(dot, ".scope") == 0)) return true;
    reason_set(what, "a unit's name ends in .service or .scope, unlike \"%.100s\"", name);
    return false;
}

/* Enter [@name]. Return: 0, CONF_E_INVALID (@what), -errno. */
static int enter(struct reading *r, const char *name, struct reason *what)
{
    static const char *const kinds[] = {
        [POLICY_GROUP] = "group", [POLICY_USER] = "user", [POLICY_UNIT] = "unit"
    };
    const size_t n_word = strcspn(name, " \t");
    const char *subject = name + n_word + strspn(name + n_word, " \t");
    uint32_t id = 0;
    int e = 0, kind = POLICY_EVERYBODY;

    r->section = SECTION_POLICY;
    if (strcmp(name, "daemon") == 0) r->section = SECTION_DAEMON;
    if (strcmp(name, "model") == 0) r->section = SECTION_MODEL;
    if (r->section != SECTION_POLICY) return 0;
    if (strcmp(name, "everybody") != 0) {
        for (kind = POLICY_GROUP; kind <= POLICY_UNIT; kind++)
            if (n_word == strlen(kinds[kind]) && memcmp(name, kinds[kind], n_word) == 0) break;
        if (kind > POLICY_UNIT) {
            unknown_section(name, what);
            return CONF_E_INVALID;
        }
        if (*subject == 0) {
            reason_set(what, "[%s] needs a name: [%s NAME]", kinds[kind], kinds[kind]);
            return CONF_E_INVALID;
        }
    }
    if (kind == POLICY_GROUP) e = conf_key_group(subject, what, &id);
    if (kind == POLICY_USER) e = conf_key_user(subject, what, &id);
    if (kind == POLICY_UNIT) e = good_unit(subject, what) ? 0 : CONF_E_INVALID;
    if (e == 0)
        e = policy_rule(&r->conf->policy, (enum policy_subject)kind, subject, id, what, &r->rule);
    if (e < 0) return err_pass(e);
    return e == 0 ? 0 : CONF_E_INVALID;
}

/* The "]" of a section's @name; NULL: the line, or a comment as inih knows them (a ";" behind a blank), comes first. */
static const char *section_end(const char *name)
{
    for (const char *c = name; *c; c++) {
        if (*c == ']') return c;
        if (*c == ';' && isspace((unsigned char)c[-1])) return NULL;
    }
    return NULL;
}

/* @line begins with "[". */
static void section_line(struct reading *r, const char *line)
{
    char name[256];
    struct reason what = { "" };
    const char *start = line + 1 + strspn(line + 1, " \t"), *end = section_end(line + 1);

    if (!end) {
        reason_set(&what, "a section's name ends with \"]\"");
        refuse(r, &what);
        return;
    }
    const char after = end[1 + strspn(end + 1, " \t\r\n")];
    if (after && after != ';' && after != '#') {
        reason_set(&what, "something follows the section's name; settings have lines of their own");
        refuse(r, &what);
        return;
    }
    while (end > start && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    (void)snprintf(name, sizeof(name), "%.*s", (int)(end - start), start);
    const int e = enter(r, name, &what);
    if (e > 0) refuse(r, &what);
    if (e < 0) r->result = e;
}

/* ---- settings ---- */

static void unknown_key(const struct reading *r, const char *name, struct reason *what)
{
    const char *names[CONF_KEY_MAX];
    char list[256];
    size_t used = 0;

    if (r->section == SECTION_POLICY) {
        size_t n = 0;
        while ((names[n] = policy_setting(n)))
            n++;
    } else {
        conf_key_names(r->section == SECTION_DAEMON ? CONF_KEY_DAEMON : CONF_KEY_MODEL, names);
    }
    const char *near = value_nearest(name, names);
    if (near) {
        reason_set(what, "there is no setting \"%s\" here; did you mean \"%s\"?", name, near);
        return;
    }
    list[0] = 0;
    for (size_t i = 0; names[i] && used < sizeof(list); i++)
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", names[i]);
    reason_set(what, "there is no setting \"%s\" here; there are %s", name, list);
}

static_assert((int)CONF_KEY_E_INVALID == (int)POLICY_E_INVALID &&
                  (int)CONF_KEY_E_UNKNOWN == (int)POLICY_E_UNKNOWN,
              "on_setting() treats them alike");

/* inih's handler. Its section may be cut; ours is whole. Return: as inih wants it, 0 for an error. */
static int on_setting(void *user, const char *section, const char *name, const char *value)
{
    struct reading *r = user;
    struct reason what = { "" };
    int e = 0;

    (void)section;
    r->pending = false;
    switch (r->section) {
    case SECTION_NONE:
        reason_set(&what, "\"%s\" stands before the first [section]", name);
        e = CONF_KEY_E_INVALID;
        break;
    case SECTION_DAEMON:
        e = conf_key_set(r->conf, CONF_KEY_DAEMON, name, value, &what);
        break;
    case SECTION_MODEL:
        e = conf_key_set(r->conf, CONF_KEY_MODEL, name, value, &what);
        break;
    case SECTION_POLICY:
        e = policy_set(r->rule, name, value, &what);
        break;
    }
    if (e == CONF_KEY_E_UNKNOWN) unknown_key(r, name, &what);
    if (e > 0) refuse(r, &what);
    if (e < 0) r->result = err_pass(e);
    return e == 0;
}

/* ---- lines ---- */

/* The next line without its indentation. Return: false at the end, or if it was refused. */
static bool take_line(struct reading *r, char *str, size_t size)
{
    struct reason what = { "" };
    size_t n = 0;
    int c;

    r->pending = false;
    r->line++;
    while ((c = getc(r->file)) != EOF && c != '\n') {
        if (c == 0) reason_set(&what, "a NUL byte; this is not a text file");
        if (n == 0 && c && strchr(BLANKS, c)) continue;
        if (n + 2 >= size) reason_set(&what, "the line is longer than %zu bytes", size - 2);
        if (what.text[0]) {
            refuse(r, &what);
            return false;
        }
        str[n++] = (char)c;
    }
    if (c == EOF && ferror(r->file)) {
        reason_set(&what, "cannot be read: %s", strerror(errno));
        refuse(r, &what);
        return false;
    }
    if (c == EOF && n == 0) return false;
    str[n++] = '\n';
    str[n] = 0;
    return true;
}

/* Refuse the last line if it had to be a setting and was none. */
static void settle_line(struct reading *r)
{
    struct reason what;

    if (!r->pending || r->result != 0) return;
    reason_set(&what, "this is not a setting; write NAME = VALUE");
    refuse(r, &what);
}

/* inih's reader. */
static char *next_line(char *str, int size, void *stream)
{
    struct reading *r = stream;

    settle_line(r);
    if (r->result != 0 || !take_line(r, str, (size_t)size)) return NULL;
    if (r->line == 1 && strncmp(str, "\xef\xbb\xbf", 3) == 0)
        memmove(str, str + 3 + strspn(str + 3, BLANKS),
                strlen(str + 3 + strspn(str + 3, BLANKS)) + 1);
    if (str[0] == '[')
        section_line(r, str);
    else
        r->pending = !strchr("\n;#", str[0]);
    return r->result == 0 ? str : NULL;
}

/* Open what may be read without waiting: a file, or /dev/null. Return: 0 and @ret (NULL: missing), CONF_E_INVALID, -errno. */
static int open_file(const char *path, bool must_exist, struct reason *why, FILE **ret)
{
    CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;

    *ret = NULL;
    if (fd < 0 && errno == ENOENT && !must_exist) return 0;
    if (fd < 0 || fstat(fd, &st) < 0) {
        if (errno == ENOMEM) return err_raise(-ENOMEM);
        reason_set(why, "%s: cannot be read: %s", short_path(path), strerror(errno));
        return CONF_E_INVALID;
    }
    if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode)) {
        reason_set(why, "%s: is not a file", short_path(path));
        return CONF_E_INVALID;
    }
    *ret = fdopen(fd, "r");
    if (!*ret) return err_raise(-errno);
    (void)TAKE_FD(fd);
    return 0;
}

int conf_file_read(const char *path, bool must_exist, struct conf *c, struct reason *why)
{
    CLEANUP(fclosep) FILE *file = NULL;
    const int e = open_file(path, must_exist, why, &file);

    if (e < 0) return err_pass(e);
    if (e > 0 || !file) return e;
    struct reading r = { .file = file, .path = path, .conf = c, .why = why };
    const int line = ini_parse_stream(next_line, &r, on_setting, &r);
    settle_line(&r);
    if (r.result == 0 && line == -2) return err_raise(-ENOMEM);
    if (r.result == 0 && line != 0)
        return err_raise(-ENOTRECOVERABLE); /* an error that we know nothing of */
    return r.result < 0 ? err_pass(r.result) : r.result;
}
