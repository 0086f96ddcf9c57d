/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/token/tools.h: functions that a model may call: what an app says of one (JSON Schema) as the line that the model
 * is given, and whether a call that the model made is one of them. docs/TOOLS.md has the form.
 */
#pragma once
#include <stddef.h>
#include "base/buf.h"
#include "base/reason.h"

enum {
    TOOLS_JSON_MAX = 64 << 10, /* bytes of a tool's description */
    TOOLS_NAME_MAX = 64,       /* bytes of the name of a tool or an argument */
    TOOLS_ARGUMENTS_MAX = 64,
};
enum { TOOLS_E_INVALID = 1 }; /* outcome: @why says what is wrong */

/**
 * tools_line() - append "name(first,second?)\n" to @lines: arguments in the order of the schema's properties, with ? what is not required
 * @json: [n] {"name": ..., "parameters": {"properties": {...}, "required": [...]}}; other members are not looked at. Names
 * have 1 to TOOLS_NAME_MAX of A-Z a-z 0-9 _ . -
 * Return: 0; TOOLS_E_INVALID (@why; also a name that @lines has already, or @lines is full); -ENOMEM.
 */
int tools_line(const char *json, size_t n, struct buf *lines, struct reason *why);

/**
 * tools_call() - is this {"name": N, "arguments": {...}}, N one of @lines, with the arguments that it must have and no others?
 * Types of arguments are not looked at: that is for the app, which knows its schema.
 * @lines: [n_lines] as tools_line() made them. @json: [n]. Return: 0; TOOLS_E_INVALID (@why).
 */
int tools_call(const char *lines, size_t n_lines, const char *json, size_t n, struct reason *why);
