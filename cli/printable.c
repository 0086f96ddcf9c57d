/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/printable.h"
#include <assert.h>
#include <string.h>

size_t printable_utf8(const char *text, size_t n, uint32_t *ret)
{
    static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 }; /* that needs so many bytes */
    const uint8_t *const s = (const uint8_t *)text;
    const size_t size = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    uint32_t c = size == 1 ? s[0] : s[0] & (0x7fU >> size);

    if (size == 0 || size > n || s[0] > 0xf4) return 0;
    for (size_t i = 1; i < size; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < least[size] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) return 0;
    *ret = c;
    return size;
}

size_t printable_step(const char *text, size_t n, bool keep_lines, char *out, size_t *ret_n_out)
{
    static const char replacement[3] = { '\xef', '\xbf', '\xbd' }; /* U+FFFD */
    uint32_t c = 0;
    const size_t size = printable_utf8(text, n, &c);

    if (size == 0 || (c >= 0x80 && c < 0xa0)) {
        memcpy(out, replacement, sizeof(replacement));
        *ret_n_out = sizeof(replacement);
        return size ? size : 1;
    }
    if ((c < 0x20 && !(keep_lines && (c == '\n' || c == '\t'))) || c == 0x7f) {
        out[0] = '^';
        out[1] = (char)(c ^ 0x40); /* 0x1b is "^[", 0x7f is "^?" */
        *ret_n_out = 2;
        return size;
    }
    memcpy(out, text, size);
    *ret_n_out = size;
    return size;
}

char *printable_copy(char *out, size_t size, const char *text)
{
    const size_t n = strlen(text);
    char step[PRINTABLE_MAX];
    size_t used = 0, n_step;

    assert(size > 0);
    for (size_t i = 0; i < n;) {
        i += printable_step(text + i, n - i, false, step, &n_step);
        if (used + n_step >= size) break;
        memcpy(out + used, step, n_step);
        used += n_step;
    }
    out[used] = '\0';
    return out;
}

void printable_write(FILE *f, const char *text, size_t n)
{
    char step[PRINTABLE_MAX];
    size_t n_step;

    for (size_t i = 0; i < n;) {
        i += printable_step(text + i, n - i, true, step, &n_step);
        (void)fwrite(step, 1, n_step, f); /* the stream remembers errors: out_flush() */
    }
}
