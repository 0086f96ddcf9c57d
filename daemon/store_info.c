/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store_info.h"
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "daemon/core/value.h"

enum { VALUE_MAX = 170 }; /* so that a line fits inih's smallest buffer, 200 bytes */
enum { FILE_MAX = 2048 }; /* twice of what store_info_write() can write */

#define IN(member) offsetof(struct store_model, member), sizeof(((struct store_model *)0)->member)

static const struct field {
    const char *name;
    enum { FIELD_TEXT, FIELD_U32, FIELD_U64 } kind;
    size_t offset, size;
} fields[] = {
    { "sha256", FIELD_TEXT, IN(sha256) },
    { "size", FIELD_U64, IN(size_bytes) },
    { "added", FIELD_U64, IN(added_s) },
    { "architecture", FIELD_TEXT, IN(architecture) },
    { "description", FIELD_TEXT, IN(description) },
    { "types", FIELD_TEXT, IN(types) },
    { "prompt-form", FIELD_TEXT, IN(prompt_form) },
    { "parameters", FIELD_U64, IN(parameters) },
    { "context", FIELD_U32, IN(context) },
    { "layers", FIELD_U32, IN(layers) },
};
enum { N_FIELDS = sizeof(fields) / sizeof(fields[0]) };

void store_info_clean(struct store_model *m)
{
    for (size_t i = 0; i < N_FIELDS; i++) {
        if (fields[i].kind != FIELD_TEXT) continue;
        char *text = (char *)m + fields[i].offset;
        text[fields[i].size - 1] = 0;
        for (; *text; text++)
            if ((unsigned char)*text < 0x20 || *text == 0x7f) *text = '?';
    }
}

/* ---- writing ---- */

/* @text as a value. @ret: [VALUE_MAX + 1]. */
static void encode(const char *text, char *ret)
{
    size_t n = 0;

    for (const char *c = text; *c; c++) {
        const bool edge = *c == ' ' && (c == text || c[1] == 0);
        const bool special =
            *c == '%' || *c == ';' || edge || (unsigned char)*c < 0x20 || *c == 0x7f;
        /* a character is whole or not there: bytes 10xxxxxx continue one, which has at most 4 */
        const size_t need = special ? 3 : ((unsigned char)*c & 0xc0) == 0xc0 ? 4 : 1;
        if (n + need > VALUE_MAX) break;
        n += (size_t)snprintf(ret + n, VALUE_MAX + 1 - n, special ? "%%%02X" : "%c",
                              (unsigned char)*c);
    }
    ret[n] = 0;
}

static size_t write_text(const struct store_model *m, char *buf, size_t size)
{
    char value[VALUE_MAX + 1];
    size_t n = (size_t)snprintf(buf, size, "[model]\n");

    for (size_t i = 0; i < N_FIELDS; i++) {
        const void *member = (const char *)m + fields[i].offset;
        switch (fields[i].kind) {
        case FIELD_TEXT:
            encode(member, value);
            break;
        case FIELD_U32:
            (void)snprintf(value, sizeof(value), "%" PRIu32, *(const uint32_t *)member);
            break;
        case FIELD_U64:
            (void)snprintf(value, sizeof(value), "%" PRIu64, *(const uint64_t *)member);
            break;
        }
        n += (size_t)snprintf(buf + n, size - n, "%s = %s\n", fields[i].name, value);
    }
    return n;
}

int store_info_write(int dir, const struct store_model *m)
{
    char text[FILE_MAX];
    const size_t n = write_text(m, text, sizeof(text));
    CLEANUP(closep)
    const int fd = openat(dir, "info", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    size_t done = 0;

    if (fd < 0) return -errno;
    while (done < n) {
        const ssize_t r = write(fd, text + done, n - done);
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return -errno;
        done += (size_t)r;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

/* ---- reading ---- */

static int hex_digit(char c)
{
    static const char digits[] = "0123456789ABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* The text that encode() made @value of. Return: false if it does not fit or has a wrong %XX. */
static bool decode(const char *value, char *ret, size_t size)
{
    size_t n = 0;

    for (const char *c = value; *c; c++) {
        if (n + 1 >= size) return false;
        if (*c != '%') {
            ret[n++] = *c;
            continue;
        }
        const int high = hex_digit(c[1]), low = high < 0 ? -1 : hex_digit(c[2]);
        if (low < 0 || high * 16 + low == 0) return false;
        ret[n++] = (char)(high * 16 + low);
        c += 2;
    }
    ret[n] = 0;
    return true;
}

struct reading {
    struct store_model m;
    uint32_t seen; /* bit i: fields[i] */
    bool damaged;
};

/* inih's handler. Other names are those of a later version and mean nothing to us. */
static int on_field(void *user, const char *section, const char *name, const char *value)
{
    struct reading *r = user;
    uint64_t n;

    if (strcmp(section, "model") != 0) return 1;
    for (size_t i = 0; i < N_FIELDS; i++) {
        void *member = (char *)&r->m + fields[i].offset;
        if (strcmp(name, fields[i].name) != 0) continue;
        r->seen |= UINT32_C(1) << i;
        if (fields[i].kind == FIELD_TEXT) {
            r->damaged |= !decode(value, member, fields[i].size);
            continue;
        }
        const uint64_t max = fields[i].kind == FIELD_U32 ? UINT32_MAX : INT64_MAX;
        if (value_number(name, value, 0, max, NULL, &n) != 0)
            r->damaged = true;
        else if (fields[i].kind == FIELD_U32)
            *(uint32_t *)member = (uint32_t)n;
        else
            *(uint64_t *)member = n;
    }
    return 1;
}

int store_info_read(int dir, struct store_model *ret)
{
    char text[FILE_MAX + 1];
    struct reading r = { .damaged = false };
    struct stat st;
    size_t n = 0;
    ssize_t got = 0;
    CLEANUP(closep)
    const int fd = openat(dir, "info", O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) return STORE_E_NOT_FOUND;
    while (n < FILE_MAX && (got = read(fd, text + n, FILE_MAX - n)) > 0)
        n += (size_t)got;
    if (got < 0 || n == FILE_MAX) return STORE_E_NOT_FOUND;
    text[n] = 0;
    if (ini_parse_string(text, on_field, &r) != 0 || r.damaged) return STORE_E_NOT_FOUND;
    if (r.seen != (UINT32_C(1) << N_FIELDS) - 1 || strlen(r.m.sha256) != 64 ||
        strspn(r.m.sha256, "0123456789abcdef") != 64)
        return STORE_E_NOT_FOUND;
    store_info_clean(&r.m);
    *ret = r.m;
    return 0;
}
