/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/token/json_short.h"
#include <stdlib.h>
#include "engine/token/json_bytes.h"

char *json_short(const json_t *value)
{
    const size_t flags = JSON_ENCODE_ANY | JSON_COMPACT;
    char *text = json_dumps(value, flags | JSON_REAL_PRECISION(JSON_BYTES_DIGITS_MAX));
    json_auto_t *same = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;

    if (same && json_equal(same, value)) return text;
    free(text);
    return json_dumps(value, flags);
}
