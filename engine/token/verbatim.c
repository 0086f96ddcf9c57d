/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/token/verbatim.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "engine/token/utf8.h"

struct verbatim {
    char *text;       /* as in JSON; a zero byte ends each text */
    const char **end; /* [n] where a piece may begin, sorted by what stands there */
    size_t n;
};

static int by_bytes(const void *a, const void *b)
{
    const char *const x = *(const char *const *)a, *const y = *(const char *const *)b;
    const int r = strncmp(x, y, VERBATIM_SORTED);

    return r != 0 ? r : (x > y) - (x < y);
}

/* What an ASCII character is in a JSON string: [2], 0: nothing that a piece has. Return: bytes. */
static size_t in_json(char c, char *out)
{
    static const char plain[] = "\"\\\n\t\r\b\f", escaped[] = "\"\\ntrbf";
    const char *at = c ? strchr(plain, c) : NULL;

    if (at) {
        out[0] = '\\';
        out[1] = escaped[at - plain];
        return 2;
    }
    out[0] = (uint8_t)c < 0x20 ? '\0' : c;
    return 1;
}

/* Copy the character at @text to @to. @ret_n: bytes that were read. Return: bytes written. */
static size_t take(const char *text, size_t n, char *to, size_t *ret_n)
{
    const enum utf8_found found = utf8_next(text, n, ret_n);

    if (found != UTF8_CHARACTER) {
        to[0] = '\0';
        return 1;
    }
    if (*ret_n == 1) return in_json(text[0], to);
    memcpy(to, text, *ret_n);
    return *ret_n;
}

int verbatim_new(const char *text, size_t n, struct verbatim **ret)
{
    struct verbatim *v = calloc(1, sizeof(*v));

    if (!v) return err_raise(-ENOMEM);
    v->text = malloc(2 * n + 1);
    v->end = calloc(n + 1, sizeof(*v->end));
    if (!v->text || !v->end) {
        verbatim_free(v);
        return err_raise(-ENOMEM);
    }
    char *to = v->text;
    for (size_t at = 0, used; at < n; at += used) {
        char *const begin = to;
        to += take(text + at, n - at, to, &used);
        if (*begin) v->end[v->n++] = begin;
    }
    *to = '\0';
    qsort(v->end, v->n, sizeof(*v->end), by_bytes);
    *ret = v;
    return 0;
}

struct verbatim *verbatim_free(struct verbatim *v)
{
    if (!v) return NULL;
    free(v->text);
    free(v->end);
    free(v);
    return NULL;
}

size_t verbatim_count(const struct verbatim *v)
{
    return v->n;
}

/* The first place of [low, high) whose byte @n is @byte or more. */
static size_t first_from(const struct verbatim *v, size_t low, size_t high, size_t n, unsigned byte)
{
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if ((uint8_t)v->end[middle][n] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool verbatim_push(const struct verbatim *v, size_t *low, size_t *high, size_t n, uint8_t byte)
{
    if (byte == '\0' || *low == *high) return false;
    if (n >= VERBATIM_SORTED) *high = *low + 1;
    *low = first_from(v, *low, *high, n, byte);
    *high = first_from(v, *low, *high, n, byte + 1u);
    return *low < *high;
}
