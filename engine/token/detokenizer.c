/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/token/detokenizer.h"
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

static size_t copy_spaced(struct gguf_string text, char *out)
{
    enum { SPACE = sizeof(VOCAB_SPACE) - 1 };
    size_t n = 0;

    for (size_t i = 0; i < text.n;) {
        if (text.n - i >= SPACE && memcmp(text.bytes + i, VOCAB_SPACE, SPACE) == 0) {
            out[n++] = ' ';
            i += SPACE;
        } else {
            out[n++] = text.bytes[i++];
        }
    }
    return n;
}

size_t detokenizer_piece(const struct vocab *v, uint32_t id, bool special, char *out)
{
    const struct gguf_string text = vocab_text(v, id);

    switch (vocab_kind(v, id)) {
    case VOCAB_NORMAL:
        return copy_spaced(text, out);
    case VOCAB_BYTE:
        out[0] = (char)vocab_byte_value(v, id);
        return 1;
    case VOCAB_CONTROL:
    case VOCAB_UNKNOWN:
        if (!special) return 0;
        break;
    case VOCAB_UNUSED:
        return 0;
    case VOCAB_USER:
        break;
    }
    memcpy(out, text.bytes, text.n);
    return text.n;
}

/* Add one byte to those held, and give out what is then certain. */
static size_t push_byte(struct detokenizer *d, char byte, char *out)
{
    size_t written = 0, n;

    d->held[d->n_held++] = byte;
    while (d->n_held > 0) {
        const enum utf8_found found = utf8_next(d->held, d->n_held, &n);
        if (found == UTF8_CUT) break;
        if (found == UTF8_CHARACTER)
            memcpy(out + written, d->held, n);
        else
            memcpy(out + written, REPLACEMENT, 3);
        written += found == UTF8_CHARACTER ? n : 3;
        d->n_held = (uint8_t)(d->n_held - n);
        memmove(d->held, d->held + n, d->n_held);
    }
    return written;
}

size_t detokenizer_push(struct detokenizer *d, const struct vocab *v, uint32_t id, bool special,
                        char *out)
{
    char piece[VOCAB_TEXT_MAX];
    const size_t n = detokenizer_piece(v, id, special, piece);
    size_t written = 0;

    for (size_t i = 0; i < n; i++)
        written += push_byte(d, piece[i], out + written);
    return written;
}

size_t detokenizer_end(struct detokenizer *d, char *out)
{
    const bool held = d->n_held > 0; /* the beginning of one character: one maximal subpart */

    if (held) memcpy(out, REPLACEMENT, 3);
    d->n_held = 0;
    return held ? 3 : 0;
}
