/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/token/tools.h: functions that a model may call: what an app says of them (JSON Schema), read once: the lines that the
 * model is given, and what a call may look like (call_form.h). docs/TOOLS.md has both.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/reason.h"
#include "engine/format/gguf.h"

enum {
    TOOLS_JSON_MAX = 64 << 10, /* bytes of a tool's description */
    TOOLS_NAME_MAX = 64,       /* bytes of the name of a tool or an argument */
    TOOLS_ARGUMENTS_MAX = 64,
    TOOLS_LINES_MAX = 512 << 10, /* bytes of all lines */
};
enum { TOOLS_E_INVALID = 1 }; /* outcome: @why says what is wrong */

struct tools_argument {
    char *name;
    bool required;
    unsigned kinds; /* of values: bits of json_bytes.h */
    char **
        values; /* [n_values] JSON of the only ones that it may have, sorted by bytes; none: any of its kinds */
    size_t n_values;
    bool verbatim; /* a string that stands word for word in what was said to the model */
};

struct tools_tool {
    char *name;
    struct tools_argument *arguments; /* [n_arguments] in the order of the schema */
    size_t n_arguments;
};

struct tools; /* a list of tools */

/** tools_new() - an empty list. Return: NULL: no memory. */
struct tools *tools_new(void);
struct tools *tools_free(struct tools *t);

/**
 * tools_add() - append the tool @json: [n] {"name": ..., "parameters": {"properties": {NAME: {"type", "enum", "const", "x-verbatim"}}, "required": [...]}}
 * Other members are not looked at. Names have 1 to TOOLS_NAME_MAX of A-Z a-z 0-9 _ . -
 * Return: 0; TOOLS_E_INVALID (@why; also a name that is there already, or no more room for lines); -ENOMEM. @t is then as before.
 */
int tools_add(struct tools *t, const char *json, size_t n, struct reason *why);

/** tools_lines() - a line for each tool, in the order of adding: "name(first,second?)\n", ? what is not required. Borrowed. */
struct gguf_string tools_lines(const struct tools *t);

/** tools_name_ok() - whether a tool or an argument may have the name @s. */
bool tools_name_ok(const char *s);

/** tools_verbatim() - true if an argument of a tool is to be verbatim. */
bool tools_verbatim(const struct tools *t);

/** tools_sorted() - the tools by the bytes of their names: [*ret_n], borrowed until the next tools_add(). */
const struct tools_tool *tools_sorted(const struct tools *t, size_t *ret_n);
