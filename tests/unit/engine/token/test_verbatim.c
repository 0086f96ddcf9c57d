/* SPDX-License-Identifier: Apache-2.0 */
/* A piece is taken exactly as far as it stands somewhere in the texts, as they are in a JSON string. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "engine/token/verbatim.h"
#include "tests/unit/oom.h"

/* How many bytes of @piece: [n] are taken of @text: [size]. */
static size_t taken(const char *text, size_t size, const char *piece, size_t n)
{
    struct verbatim *v = NULL;

    cr_assert_eq(verbatim_new(text, size, &v), 0);
    size_t low = 0, high = verbatim_count(v), i = 0;
    while (i < n && verbatim_push(v, &low, &high, i, (uint8_t)piece[i]))
        i++;
    verbatim_free(v);
    return i;
}

Test(verbatim, takes_what_stands_in_a_text_and_nothing_else)
{
    static const char text[] = "call Sora\0at 12 Mill Road\0\xec\x84\x9c\xec\x9a\xb8\xec\x97\xad";
    static const struct {
        const char *piece, *rest; /* what is not taken */
    } cases[] = {
        { "Sora", "" },
        { "12 Mill Road", "" },
        { "\xec\x84\x9c\xec\x9a\xb8", "" },
        { "\xec\x9a\xb8\xec\x97\xad", "" },
        { "Soraya", "ya" },
        { "sora", "sora" }, /* "s" stands nowhere */
        { "Sora\nat", "\nat" },
        { "Road\xec", "\xec" },
        { "\x84", "\x84" }, /* in the middle of a character */
        { "\xec\x84\x9c\xec\x97", "\x97" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(taken(text, sizeof(text) - 1, cases[i].piece, strlen(cases[i].piece)),
                     strlen(cases[i].piece) - strlen(cases[i].rest), "%s", cases[i].piece);
}

Test(verbatim, goes_over_no_end_of_a_text)
{
    cr_assert_eq(taken("ab\0cd", 5, "ab\0cd", 5), 2);
    cr_assert_eq(taken("ab\x01"
                       "cd",
                       5,
                       "ab\x01"
                       "cd",
                       5),
                 2);
    cr_assert_eq(taken("ab\xff"
                       "cd",
                       5,
                       "ab\xff"
                       "cd",
                       5),
                 2, "no UTF-8");
    cr_assert_eq(taken("ab\xec\x84", 4, "ab\xec\x84", 4), 2, "half a character");
    cr_assert_eq(taken("", 0, "a", 1), 0);
    cr_assert_eq(taken("\0\0", 2, "\0", 1), 0);
}

Test(verbatim, has_the_characters_that_json_escapes)
{
    static const char text[] = "say \"hi\\ho\"\n\t\b\f\rnow";
    static const char json[] = "say \\\"hi\\\\ho\\\"\\n\\t\\b\\f\\rnow";

    cr_assert_eq(taken(text, sizeof(text) - 1, json, sizeof(json) - 1), sizeof(json) - 1);
    cr_assert_eq(taken(text, sizeof(text) - 1, "\\\"\\n", 4), 4);
    cr_assert_eq(taken(text, sizeof(text) - 1, "\"hi", 3), 0, "a piece begins at no half escape");
    cr_assert_eq(taken(text, sizeof(text) - 1, "ntno", 4), 1, "nor does it go on in one");
}

/* A letter of few. */
static char letter(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return "ab "[(*seed >> 16) % 3];
}

/* Random texts, in which pieces stand at many places. */
Test(verbatim, agrees_with_strstr)
{
    uint32_t seed = 7;
    char text[65] = "", piece[9] = "";

    for (size_t round = 0; round < 2000; round++) {
        const size_t n = 1 + round % 64, m = 1 + round % 7;
        for (size_t i = 0; i < n; i++)
            text[i] = letter(&seed);
        text[n] = '\0';
        for (size_t i = 0; i < m; i++)
            piece[i] = letter(&seed);
        piece[m] = '\0';
        size_t want = m;
        for (char cut[9]; want > 0; want--) {
            memcpy(cut, piece, want);
            cut[want] = '\0';
            if (strstr(text, cut)) break;
        }
        cr_assert_eq(taken(text, n, piece, m), want, "'%s' of '%s'", piece, text);
    }
}

Test(verbatim, follows_one_place_where_it_is_no_longer_sorted)
{
    enum { LONG = 3 * VERBATIM_SORTED };
    char text[2 * LONG + 1];

    memset(text, 'a', sizeof(text));
    text[LONG] = '\0';
    cr_assert_eq(taken(text, sizeof(text), text, LONG), LONG, "the first of many");
    text[LONG - 1] = 'x';
    cr_assert_eq(taken(text, LONG, text, LONG), LONG, "its only place");
}

Test(verbatim, without_memory)
{
    struct verbatim *v = NULL;

    OOM_OR_SKIP();
    for (unsigned n = 1; n <= 3; n++) {
        oom_fail_at(n);
        const int r = verbatim_new("text", 4, &v);
        oom_fail_at(0);
        cr_assert_eq(r, -ENOMEM);
        cr_assert_null(v);
    }
}
