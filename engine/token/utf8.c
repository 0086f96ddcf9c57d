/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/token/utf8.h"

/* Bytes of the character that @lead begins, 0 if it begins none; the range of the second byte. */
static size_t lead_length(uint8_t lead, uint8_t *low, uint8_t *high)
{
    *low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;  /* less would be overlong */
    *high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf; /* more: surrogate, above U+10FFFF */
    if (lead < 0x80) return 1;
    if (lead >= 0xc2 && lead <= 0xdf) return 2;
    if (lead >= 0xe0 && lead <= 0xef) return 3;
    if (lead >= 0xf0 && lead <= 0xf4) return 4;
    return 0;
}

enum utf8_found utf8_next(const char *bytes, size_t n, size_t *ret_n)
{
    uint8_t low, high;
    const size_t length = lead_length((uint8_t)bytes[0], &low, &high);

    *ret_n = 1;
    if (length == 0) return UTF8_INVALID;
    for (; *ret_n < length; ++*ret_n, low = 0x80, high = 0xbf) {
        if (*ret_n == n) return UTF8_CUT;
        const uint8_t b = (uint8_t)bytes[*ret_n];
        if (b < low || b > high) return UTF8_INVALID;
    }
    return UTF8_CHARACTER;
}

bool utf8_valid(const char *bytes, size_t n)
{
    for (size_t at = 0, length; at < n; at += length) {
        length = 1;
        if ((uint8_t)bytes[at] >= 0x80 && utf8_next(bytes + at, n - at, &length) != UTF8_CHARACTER)
            return false;
    }
    return true;
}
