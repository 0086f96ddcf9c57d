/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/token/tools.h"
#include <jansson.h>
#include <stdbool.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/err.h"

#define refuse(why, ...) (reason_set((why), __VA_ARGS__), TOOLS_E_INVALID)

static void json_freep(json_t **j)
{
    json_decref(*j);
}

static bool name_ok(const char *s)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    const size_t n = strlen(s);

    return n > 0 && n <= TOOLS_NAME_MAX && strspn(s, letters) == n;
}

/* The line of the tool @name in @lines, NULL if there is none. @ret_n: its bytes, without the line's end. */
static const char *find_line(const char *lines, size_t n_lines, const char *name, size_t *ret_n)
{
    const size_t n = strlen(name);

    for (const char *end; n_lines > 0; n_lines -= (size_t)(end + 1 - lines), lines = end + 1) {
        end = memchr(lines, '\n', n_lines);
        if (!end) return NULL;
        *ret_n = (size_t)(end - lines);
        if (*ret_n > n && memcmp(lines, name, n) == 0 && lines[n] == '(') return lines;
    }
    return NULL;
}

static bool is_required(const json_t *required, const char *name)
{
    size_t i;
    json_t *v;

    json_array_foreach(required, i, v)
    {
        const char *s = json_string_value(v);
        if (s && strcmp(s, name) == 0) return true;
    }
    return false;
}

/* What of the schema counts here. @ret_properties, @ret_required: borrowed, NULL if there are none. */
static int check_schema(const json_t *tool, const char *name, json_t **ret_properties,
                        json_t **ret_required, struct reason *why)
{
    const json_t *p = json_object_get(tool, "parameters");
    size_t i;
    json_t *v;
    const char *key;

    if (p && !json_is_object(p)) return refuse(why, "tool '%s': 'parameters' is no object", name);
    *ret_properties = json_object_get(p, "properties");
    *ret_required = json_object_get(p, "required");
    if (*ret_properties && !json_is_object(*ret_properties))
        return refuse(why, "tool '%s': 'properties' is no object", name);
    if (*ret_required && !json_is_array(*ret_required))
        return refuse(why, "tool '%s': 'required' is no array", name);
    if (json_object_size(*ret_properties) > TOOLS_ARGUMENTS_MAX)
        return refuse(why, "tool '%s' has %zu arguments, at most %d are possible", name,
                      json_object_size(*ret_properties), TOOLS_ARGUMENTS_MAX);
    json_object_foreach(*ret_properties, key, v)
    {
        if (!name_ok(key))
            return refuse(
                why,
                "tool '%s': '%.80s' is no name for an argument: use 1 to %d of A-Z a-z 0-9 _ . -",
                name, key, TOOLS_NAME_MAX);
    }
    json_array_foreach(*ret_required, i, v)
    {
        const char *s = json_string_value(v);
        if (!s || !json_object_get(*ret_properties, s))
            return refuse(why, "tool '%s': 'required' has an element that 'properties' has not",
                          name);
    }
    return 0;
}

static int put(struct buf *b, const char *text)
{
    return buf_append(b, text, strlen(text));
}

int tools_line(const char *json, size_t n, struct buf *lines, struct reason *why)
{
    json_error_t e;
    json_t *properties = NULL, *required = NULL, *v;
    const char *key, *comma = "";
    size_t n_found;

    if (n > TOOLS_JSON_MAX)
        return refuse(why, "a tool has %zu bytes of JSON, at most %d are possible", n,
                      TOOLS_JSON_MAX);
    CLEANUP(json_freep) json_t *tool = json_loadb(json, n, JSON_REJECT_DUPLICATES, &e);
    if (!tool) return refuse(why, "a tool is no JSON, at byte %d: %s", e.position, e.text);
    const char *name = json_string_value(json_object_get(tool, "name"));
    if (!name) return refuse(why, "a tool is no object with a 'name'");
    if (!name_ok(name))
        return refuse(why, "'%.80s' is no name for a tool: use 1 to %d of A-Z a-z 0-9 _ . -", name,
                      TOOLS_NAME_MAX);
    if (lines->n > 0 && find_line((const char *)buf_front(lines), lines->n, name, &n_found))
        return refuse(why, "two tools have the name '%s'", name);
    int r = check_schema(tool, name, &properties, &required, why);
    if (r != 0) return r;
    r = put(lines, name);
    if (r == 0) r = put(lines, "(");
    json_object_foreach(properties, key, v)
    {
        if (r == 0) r = put(lines, comma);
        if (r == 0) r = put(lines, key);
        if (r == 0 && !is_required(required, key)) r = put(lines, "?");
        comma = ",";
    }
    if (r == 0) r = put(lines, ")\n");
    if (r < 0) return err_pass(r);
    return r == 0 ? 0 : refuse(why, "the tools are too many to be told to a model");
}

struct argument {
    const char *name; /* [n] */
    size_t n;
    bool required;
};

/* The next argument of @line: [n], which begins after its "("; @at moves on. False: there is no more. */
static bool next_argument(const char *line, size_t n, size_t *at, struct argument *ret)
{
    size_t end = *at;

    while (end < n && !strchr(",?)", line[end]))
        end++;
    if (end >= n || end == *at) return false;
    *ret = (struct argument){ line + *at, end - *at, line[end] != '?' };
    *at = end + 1 + !ret->required;
    return true;
}

static bool takes(const char *line, size_t n, const char *name)
{
    struct argument a;

    for (size_t at = 0; next_argument(line, n, &at, &a);)
        if (a.n == strlen(name) && memcmp(a.name, name, a.n) == 0) return true;
    return false;
}

/* An argument that the line wants and @arguments has not; n is 0 if there is none. */
static struct argument missing(const char *line, size_t n, const json_t *arguments)
{
    struct argument a;
    char name[TOOLS_NAME_MAX + 1];

    for (size_t at = 0; next_argument(line, n, &at, &a);) {
        memcpy(name, a.name, a.n);
        name[a.n] = '\0';
        if (a.required && !json_object_get(arguments, name)) return a;
    }
    return (struct argument){ 0 };
}

int tools_call(const char *lines, size_t n_lines, const char *json, size_t n, struct reason *why)
{
    json_error_t e;
    CLEANUP(json_freep) json_t *call = json_loadb(json, n, JSON_REJECT_DUPLICATES, &e);
    const char *name = json_string_value(json_object_get(call, "name")), *key;
    const json_t *arguments = json_object_get(call, "arguments");
    size_t n_line = 0;
    json_t *v;

    if (!call) return refuse(why, "the call is no JSON, at byte %d: %s", e.position, e.text);
    if (!name || !json_is_object(arguments) || json_object_size(call) != 2)
        return refuse(why, "the call is no object of a 'name' and 'arguments'");
    const char *line = find_line(lines, n_lines, name, &n_line);
    if (!line) return refuse(why, "the call names '%.80s', which was not offered", name);
    line += strlen(name) + 1;
    n_line -= strlen(name) + 1;
    json_object_foreach((json_t *)(size_t)arguments, key, v)
    {
        if (!takes(line, n_line, key))
            return refuse(why, "the call of '%s' has an argument '%.80s', which it does not take",
                          name, key);
    }
    const struct argument lacks = missing(line, n_line, arguments);
    if (lacks.n > 0)
        return refuse(why, "the call of '%s' lacks the argument '%.*s'", name, (int)lacks.n,
                      lacks.name);
    return 0;
}
