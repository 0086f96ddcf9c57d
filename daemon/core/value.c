/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/core/value.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The digits at the start of @text. Return: what follows them, NULL if there is none or the number has more than 64 bits. */
static const char *digits(const char *text, uint64_t *ret)
{
    const char *c = text;
    uint64_t n = 0;

    for (; *c >= '0' && *c <= '9'; c++)
        if (__builtin_mul_overflow(n, UINT64_C(10), &n) ||
            __builtin_add_overflow(n, (uint64_t)(*c - '0'), &n))
            return NULL;
    *ret = n;
    return c == text ? NULL : c;
}

int value_number(const char *name, const char *text, uint64_t min, uint64_t max, struct reason *why,
                 uint64_t *ret)
{
    uint64_t n;
    const char *end = digits(text, &n);

    if (!end || *end || n < min || n > max) {
        reason_set(why, "%s is a number from %" PRIu64 " to %" PRIu64 ", not \"%s\"", name, min,
                   max, text);
        return VALUE_E_INVALID;
    }
    *ret = n;
    return 0;
}

/* @bytes as people write it: the largest unit that divides it. */
static const char *size_text(uint64_t bytes, char buf[32])
{
    static const char unit[] = "KMGT";
    int i = -1;

    while (i < 3 && bytes >= 1024 && bytes % 1024 == 0) {
        bytes /= 1024;
        i++;
    }
    (void)snprintf(buf, 32, "%" PRIu64 "%.1s", bytes, i < 0 ? "" : unit + i);
    return buf;
}

int value_size(const char *name, const char *text, uint64_t min, uint64_t max, struct reason *why,
               uint64_t *ret)
{
    static const char units[] = "KMGT";
    char low[32], high[32];
    uint64_t n = 0;
    const char *end = digits(text, &n);
    const char *unit = end && *end ? strchr(units, *end) : NULL;
    bool fits = end && (*end == 0 || (unit && end[1] == 0));

    if (unit && fits)
        fits = !__builtin_mul_overflow(n, UINT64_C(1) << (10 * (unit - units + 1)), &n);
    if (!fits || n < min || n > max) {
        reason_set(why,
                   "%s is a size from %s to %s (K, M, G, T for 1024 and its powers), not \"%s\"",
                   name, size_text(min, low), size_text(max, high), text);
        return VALUE_E_INVALID;
    }
    *ret = n;
    return 0;
}

int value_bool(const char *name, const char *text, struct reason *why, bool *ret)
{
    static const char *const words[2][4] = { { "no", "false", "off", "0" },
                                             { "yes", "true", "on", "1" } };

    for (int v = 0; v < 2; v++)
        for (int i = 0; i < 4; i++)
            if (strcasecmp(text, words[v][i]) == 0) {
                *ret = v;
                return 0;
            }
    reason_set(why, "%s is yes or no, not \"%s\"", name, text);
    return VALUE_E_INVALID;
}

/* Levenshtein, Binary codes capable of correcting deletions, insertions and reversals, 1966; one row of the matrix at a time. */
static size_t distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
    size_t row[VALUE_WORD_MAX + 1];

    for (size_t j = 0; j <= n_b; j++)
        row[j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            const size_t replace = diagonal + (a[i - 1] != b[j - 1]);
            const size_t shorter = row[j] < row[j - 1] ? row[j] : row[j - 1];
            diagonal = row[j];
            row[j] = replace < shorter + 1 ? replace : shorter + 1;
        }
    }
    return row[n_b];
}

const char *value_nearest(const char *word, const char *const *words)
{
    const size_t n = strnlen(word, VALUE_WORD_MAX);
    const char *best = NULL;
    size_t least = SIZE_MAX;

    for (; *words; words++) {
        const size_t n_this = strnlen(*words, VALUE_WORD_MAX);
        const size_t d = distance(word, n, *words, n_this);
        if (d < least && d <= (n_this < 6 ? 1 : n_this / 3)) {
            least = d;
            best = *words;
        }
    }
    return best;
}
