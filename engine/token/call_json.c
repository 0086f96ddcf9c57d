/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/token/call_json.h"
#include <errno.h>
#include <jansson.h>
#include "base/err.h"
#include "engine/token/json_short.h"
#include "engine/token/tools.h"

#define refuse(why, ...) (reason_set((why), __VA_ARGS__), CALL_JSON_E_INVALID)

int call_json(const char *json, size_t n, char **ret, struct reason *why)
{
    json_error_t e;

    if (n > TOOLS_JSON_MAX)
        return refuse(why, "a call has %zu bytes of JSON, at most %d are possible", n,
                      TOOLS_JSON_MAX);
    json_auto_t *read = json_loadb(json, n, 0, &e);
    if (!read) return refuse(why, "a call is no JSON, at byte %d: %s", e.position, e.text);
    json_t *name = json_object_get(read, "name"), *arguments = json_object_get(read, "arguments");
    if (!json_is_string(name) || !tools_name_ok(json_string_value(name)))
        return refuse(why, "a call has no 'name' of a tool: use 1 to %d of A-Z a-z 0-9 _ . -",
                      TOOLS_NAME_MAX);
    if (!json_is_object(arguments) || json_object_size(read) != 2)
        return refuse(why, "a call of '%s' has not 'name' and 'arguments', an object, alone",
                      json_string_value(name));
    json_auto_t *call = json_pack("{s:O, s:O}", "name", name, "arguments", arguments);
    *ret = call ? json_short(call) : NULL;
    return *ret ? 0 : err_raise(-ENOMEM);
}
