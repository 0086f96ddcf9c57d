/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/token/json_bytes.h: one JSON value (RFC 8259), byte by byte: which byte may stand next. A value type, so that what would
 * become of it can be tried on a copy. Stricter than JSON where a model needs no choice: no blanks, no \u escapes (characters
 * stand as UTF-8), whole characters only, numbers of at most 15 digits, which a double holds.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "engine/token/utf8.h"

enum { /* kinds of values, as bits */
       JSON_BYTES_STRING = 1,
       JSON_BYTES_INTEGER = 2, /* a number without fraction and exponent */
       JSON_BYTES_NUMBER = 4,
       JSON_BYTES_BOOLEAN = 8,
       JSON_BYTES_NULL = 16,
       JSON_BYTES_ARRAY = 32,
       JSON_BYTES_OBJECT = 64,
       JSON_BYTES_ANY = 127,
};
enum { JSON_BYTES_DEPTH_MAX = 16, JSON_BYTES_DIGITS_MAX = 15 };

struct json_bytes {
    uint8_t state, kinds;
    uint8_t n;           /* digits, or bytes of a word */
    char held[UTF8_MAX]; /* the beginning of a character */
    uint8_t n_held;
    uint8_t depth;    /* arrays and objects around */
    bool in_key;      /* the string is the name of a member */
    bool whole;       /* the number may have no fraction or exponent */
    uint8_t word;     /* true, false, null */
    uint32_t objects; /* bit d: at depth d + 1 it is an object */
};

enum json_bytes_found {
    JSON_BYTES_NO,     /* this byte cannot follow; the state is then of no use */
    JSON_BYTES_MORE,   /* it may, and the value goes on (a number may also be complete) */
    JSON_BYTES_DONE,   /* it may, and the value is complete */
    JSON_BYTES_BEFORE, /* the value, a number, was complete before it: the byte is not taken */
};

/** json_bytes_begin() - the beginning of a value of one of @kinds (bits of JSON_BYTES_...). */
struct json_bytes json_bytes_begin(unsigned kinds);

/** json_bytes_push() - append @byte. */
enum json_bytes_found json_bytes_push(struct json_bytes *j, uint8_t byte);

/** json_bytes_in_text() - true where any whole characters but quotation marks, backslashes and controls may follow. */
bool json_bytes_in_text(const struct json_bytes *j);
