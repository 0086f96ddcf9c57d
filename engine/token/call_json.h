/* SPDX-License-Identifier: Apache-2.0 */
/* engine/token/call_json.h: a call that an app gives back, in the form in which the model made it. */
#pragma once
#include <stddef.h>
#include "base/reason.h"

enum { CALL_JSON_E_INVALID = 1 }; /* outcome: @why says what is wrong */

/**
 * call_json() - {"name": NAME, "arguments": {...}} without blanks, the name first
 * @json: [n] bytes, at most TOOLS_JSON_MAX. The arguments stay in their order; numbers and escapes are in their shortest form (json_short.h), in which a model
 * writes them, too, where it is not told another. Whether such a tool is or was offered is not looked at.
 * Return: 0 and @ret, a string to free(); CALL_JSON_E_INVALID (@why); -ENOMEM.
 */
int call_json(const char *json, size_t n, char **ret, struct reason *why);
