/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include "engine/token/utf8.h"

/* The bytes of code point @c: [4], by the definition. Return: how many. */
static size_t put(uint32_t c, char *b)
{
    if (c < 0x80) {
        b[0] = (char)c;
        return 1;
    }
    const size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; --i > 0; c >>= 6)
        b[i] = (char)(0x80 | (c & 0x3f));
    b[0] = (char)(0xf00u >> n | c);
    return n;
}

Test(utf8, finds_every_character_and_knows_when_it_is_cut)
{
    for (uint32_t c = 0; c < 0x110000; c++) {
        char b[5] = { 0, 0, 0, 0, 'x' };
        size_t n;
        const size_t want = put(c, b);
        if (c >= 0xd800 && c < 0xe000) {
            cr_assert_eq(utf8_next(b, want, &n), UTF8_INVALID, "surrogate %x", c);
            cr_assert_eq(n, 1u);
            continue;
        }
        cr_assert_eq(utf8_next(b, sizeof(b), &n), UTF8_CHARACTER, "%x", c);
        cr_assert_eq(n, want);
        for (size_t cut = 1; cut < want; cut++) {
            cr_assert_eq(utf8_next(b, cut, &n), UTF8_CUT, "%x after %zu bytes", c, cut);
            cr_assert_eq(n, cut);
        }
    }
}

Test(utf8, gives_invalid_bytes_in_maximal_subparts)
{
    /* Unicode standard, section 3.9, tables 3-8 to 3-11 */
    static const struct {
        const char *bytes;
        size_t parts[9]; /* lengths, 0 ends */
    } cases[] = {
        { "\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", { 1, 1, 1, 1, 1, 1, 1, 1, 1 } },
        { "\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", { 1, 1, 1, 1, 1, 1, 1, 1, 1 } },
        { "\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", { 1, 1, 1, 1, 1, 1, 1, 1, 1 } },
        { "\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", { 2, 1, 3, 2, 1 } },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t at = 0;
        for (int k = 0; k < 9 && cases[i].parts[k]; k++) {
            size_t n;
            const char *b = cases[i].bytes + at;
            const enum utf8_found found = utf8_next(b, 9 - at, &n);
            cr_assert_eq(n, cases[i].parts[k], "case %zu, part %d has %zu bytes", i, k, n);
            cr_assert_eq(found, (signed char)*b > 0 ? UTF8_CHARACTER : UTF8_INVALID,
                         "case %zu, part %d", i, k);
            at += n;
        }
        cr_assert_eq(at, 9u);
    }
}

Test(utf8, tells_valid_texts_from_others)
{
    static const char good[] = "plain, \xc3\xa9, \xed\x95\x9c, \xf0\x9f\x9a\x97, \0.";

    cr_assert(utf8_valid(good, sizeof(good)));
    cr_assert(utf8_valid("", 0));
    cr_assert_not(utf8_valid("a\xed\x95", 3), "cut");
    cr_assert_not(utf8_valid("\xff", 1));
    cr_assert_not(utf8_valid("a\x80z", 3));
}
