/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/token/json_bytes.h"
#include <string.h>

enum state {
    VALUE,     /* a value begins */
    FIRST,     /* in an array: a value or its end */
    FIRST_KEY, /* in an object: a name or its end */
    KEY,       /* in an object: a name */
    COLON,     /* behind a name */
    AFTER,     /* behind a value in an array or object */
    TEXT,      /* in a string */
    ESCAPE,    /* behind a backslash */
    WORD,      /* in true, false, null */
    MINUS,     /* behind the sign of a number */
    ZERO,      /* behind a leading zero */
    WHOLE,     /* in the digits before the point */
    POINT,     /* behind the point */
    FRACTION,  /* in the digits behind it */
    EXPONENT,  /* behind e */
    SIGN,      /* behind its sign */
    POWER,     /* in its digits */
    COMPLETE,
};

static const char *const words[] = { "true", "false", "null" };

struct json_bytes json_bytes_begin(unsigned kinds)
{
    return (struct json_bytes){ .state = VALUE, .kinds = (uint8_t)kinds };
}

bool json_bytes_in_text(const struct json_bytes *j)
{
    return j->state == TEXT && j->n_held == 0;
}

static enum json_bytes_found go(struct json_bytes *j, enum state s)
{
    j->state = (uint8_t)s;
    return JSON_BYTES_MORE;
}

/* A value ended. */
static enum json_bytes_found complete(struct json_bytes *j)
{
    if (j->depth > 0) return go(j, AFTER);
    j->state = COMPLETE;
    return JSON_BYTES_DONE;
}

static enum json_bytes_found begin_text(struct json_bytes *j, bool in_key)
{
    j->in_key = in_key;
    j->n_held = 0;
    return go(j, TEXT);
}

static enum json_bytes_found begin_nested(struct json_bytes *j, bool object)
{
    if (j->depth == JSON_BYTES_DEPTH_MAX) return JSON_BYTES_NO;
    j->objects &= ~(1u << j->depth);
    j->objects |= (uint32_t)object << j->depth++;
    return go(j, object ? FIRST_KEY : FIRST);
}

static enum json_bytes_found begin(struct json_bytes *j, uint8_t byte)
{
    const unsigned kinds = j->depth > 0 ? JSON_BYTES_ANY : j->kinds;
    const bool number = kinds & (JSON_BYTES_NUMBER | JSON_BYTES_INTEGER);

    if (byte == '"' && kinds & JSON_BYTES_STRING) return begin_text(j, false);
    if (byte == '[' && kinds & JSON_BYTES_ARRAY) return begin_nested(j, false);
    if (byte == '{' && kinds & JSON_BYTES_OBJECT) return begin_nested(j, true);
    for (uint8_t w = 0; w < 3; w++)
        if (byte == (uint8_t)words[w][0] &&
            kinds & (w < 2 ? JSON_BYTES_BOOLEAN : JSON_BYTES_NULL)) {
            j->word = w;
            j->n = 1;
            return go(j, WORD);
        }
    if (!number) return JSON_BYTES_NO;
    j->whole = !(kinds & JSON_BYTES_NUMBER);
    j->n = byte != '-';
    return byte == '-'                  ? go(j, MINUS)
           : byte == '0'                ? go(j, ZERO)
           : byte >= '1' && byte <= '9' ? go(j, WHOLE)
                                        : JSON_BYTES_NO;
}

/* A byte of a string: characters come whole. */
static enum json_bytes_found text(struct json_bytes *j, uint8_t byte)
{
    size_t n;

    if (j->n_held == 0) {
        if (byte == '"') return j->in_key ? go(j, COLON) : complete(j);
        if (byte == '\\') return go(j, ESCAPE);
        if (byte < 0x20) return JSON_BYTES_NO;
    }
    j->held[j->n_held++] = (char)byte;
    const enum utf8_found found = utf8_next(j->held, j->n_held, &n);
    if (found == UTF8_CHARACTER) j->n_held = 0;
    return found == UTF8_INVALID ? JSON_BYTES_NO : JSON_BYTES_MORE;
}

/* Behind a number, or behind a value that is no number, in an array or object. */
static enum json_bytes_found after(struct json_bytes *j, uint8_t byte)
{
    const bool object = j->objects >> (j->depth - 1) & 1;

    if (byte == ',') return go(j, object ? KEY : VALUE);
    if (byte != (object ? '}' : ']')) return JSON_BYTES_NO;
    j->depth--;
    return complete(j);
}

static enum json_bytes_found number_end(struct json_bytes *j, uint8_t byte)
{
    return j->depth > 0 ? after(j, byte) : JSON_BYTES_BEFORE;
}

static enum json_bytes_found number(struct json_bytes *j, uint8_t byte)
{
    const bool digit = byte >= '0' && byte <= '9', fraction = !j->whole;

    if (digit && j->state != ZERO) {
        static const uint8_t next[] = {
            [MINUS] = WHOLE,    [WHOLE] = WHOLE, [POINT] = FRACTION, [FRACTION] = FRACTION,
            [EXPONENT] = POWER, [SIGN] = POWER,  [POWER] = POWER
        };
        if (j->n++ == JSON_BYTES_DIGITS_MAX) return JSON_BYTES_NO;
        return go(j, j->state == MINUS && byte == '0' ? ZERO : next[j->state]);
    }
    switch (j->state) {
    case ZERO:
    case WHOLE:
        if (byte == '.' && fraction && j->n < JSON_BYTES_DIGITS_MAX) return go(j, POINT);
        /* fall through */
    case FRACTION:
        if ((byte == 'e' || byte == 'E') && fraction) {
            j->n = JSON_BYTES_DIGITS_MAX - 2; /* of the power: more is no double */
            return go(j, EXPONENT);
        }
        /* fall through */
    case POWER:
        return digit ? JSON_BYTES_NO : number_end(j, byte);
    case EXPONENT:
        if (byte == '-' || byte == '+') return go(j, SIGN);
        break;
    default:
        break;
    }
    return JSON_BYTES_NO;
}

enum json_bytes_found json_bytes_push(struct json_bytes *j, uint8_t byte)
{
    switch ((enum state)j->state) {
    case VALUE:
        return begin(j, byte);
    case FIRST:
    case FIRST_KEY:
        if (byte == (j->state == FIRST ? ']' : '}')) {
            j->depth--;
            return complete(j);
        }
        if (j->state == FIRST) return begin(j, byte);
        /* fall through */
    case KEY:
        return byte == '"' ? begin_text(j, true) : JSON_BYTES_NO;
    case COLON:
        return byte == ':' ? go(j, VALUE) : JSON_BYTES_NO;
    case AFTER:
        return after(j, byte);
    case TEXT:
        return text(j, byte);
    case ESCAPE:
        return byte && strchr("\"\\/bfnrt", byte) ? go(j, TEXT) : JSON_BYTES_NO;
    case WORD:
        if (byte != (uint8_t)words[j->word][j->n]) return JSON_BYTES_NO;
        return words[j->word][++j->n] ? JSON_BYTES_MORE : complete(j);
    case MINUS:
    case ZERO:
    case WHOLE:
    case POINT:
    case FRACTION:
    case EXPONENT:
    case SIGN:
    case POWER:
        return number(j, byte);
    case COMPLETE:
        break;
    }
    return JSON_BYTES_NO;
}
