/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/printable.h"

static void becomes(const char *text, size_t n, const char *expected)
{
    char *written = NULL;
    size_t size = 0;
    FILE *const f = open_memstream(&written, &size);

    cr_assert(f);
    printable_write(f, text, n);
    (void)fclose(f);
    cr_assert_str_eq(written, expected);
    free(written);
}
#define BECOMES(text, expected) becomes(text, sizeof(text) - 1, expected)

Test(printable, ordinary_text_stays_as_it_is)
{
    BECOMES("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\tx\n",
            "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\tx\n");
}

Test(printable, no_control_character_reaches_the_terminal)
{
    BECOMES("\033[31mred\033[0m", "^[[31mred^[[0m");
    BECOMES("\033]0;title\a", "^[]0;title^G");
    BECOMES("a\rb\bc\x7f", "a^Mb^Hc^?");
    BECOMES("a\0b", "a^@b");
    BECOMES("\xc2\x9b"
            "31m",
            "\xef\xbf\xbd"
            "31m"); /* C1 as UTF-8 */
    BECOMES("\x9b"
            "31m",
            "\xef\xbf\xbd"
            "31m"); /* and as one byte */
}

Test(printable, invalid_bytes_are_replaced_one_by_one)
{
    BECOMES("\xff", "\xef\xbf\xbd");
    BECOMES("\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd");                 /* overlong NUL */
    BECOMES("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* a surrogate */
    BECOMES("\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* > 10FFFF */
    BECOMES("\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd");                                 /* cut */
}

Test(printable, every_byte_pair_gives_text_without_control_characters)
{
    char pair[2], out[PRINTABLE_MAX];
    size_t n_out;
    uint32_t c;

    for (unsigned i = 0; i < 65536; i++) {
        pair[0] = (char)(i >> 8);
        pair[1] = (char)i;
        const size_t used = printable_step(pair, 2, false, out, &n_out);
        cr_assert(used >= 1 && used <= 2 && n_out >= 1 && n_out <= PRINTABLE_MAX);
        for (size_t k = 0; k < n_out;) {
            const size_t size = printable_utf8(out + k, n_out - k, &c);
            cr_assert(size > 0 && c >= 0x20 && c != 0x7f && (c < 0x80 || c >= 0xa0), "%04x", i);
            k += size;
        }
    }
}

Test(printable, copy_is_one_line_and_cut_between_characters)
{
    char out[6];

    cr_assert_str_eq(printable_copy(out, sizeof(out), "a\nb"), "a^Jb");
    cr_assert_str_eq(printable_copy(out, sizeof(out), "abc\xe2\x82\xac"), "abc");
    cr_assert_str_eq(printable_copy(out, sizeof(out), "ab\xe2\x82\xac"), "ab\xe2\x82\xac");
    cr_assert_str_eq(printable_copy(out, 1, "ab"), "");
}
