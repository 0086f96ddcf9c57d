/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/token/tools.h"
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/err.h"
#include "engine/token/json_bytes.h"
#include "engine/token/json_short.h"

#define refuse(why, ...) (reason_set((why), __VA_ARGS__), TOOLS_E_INVALID)

struct tools {
    struct buf lines;
    struct tools_tool *tool; /* [n] sorted by name */
    size_t n;
};

struct tools *tools_new(void)
{
    struct tools *t = calloc(1, sizeof(*t));

    if (t) buf_init(&t->lines, TOOLS_LINES_MAX);
    return t;
}

static void clear(struct tools_tool *tool)
{
    for (size_t a = 0; a < tool->n_arguments; a++) {
        for (size_t v = 0; v < tool->arguments[a].n_values; v++)
            free(tool->arguments[a].values[v]);
        free(tool->arguments[a].values);
        free(tool->arguments[a].name);
    }
    free(tool->arguments);
    free(tool->name);
}

struct tools *tools_free(struct tools *t)
{
    if (!t) return NULL;
    for (size_t i = 0; i < t->n; i++)
        clear(&t->tool[i]);
    free(t->tool);
    buf_deinit(&t->lines);
    free(t);
    return NULL;
}

struct gguf_string tools_lines(const struct tools *t)
{
    return (struct gguf_string){ t->lines.n ? (const char *)buf_front(&t->lines) : NULL,
                                 t->lines.n };
}

bool tools_verbatim(const struct tools *t)
{
    for (size_t i = 0; i < t->n; i++)
        for (size_t a = 0; a < t->tool[i].n_arguments; a++)
            if (t->tool[i].arguments[a].verbatim) return true;
    return false;
}

const struct tools_tool *tools_sorted(const struct tools *t, size_t *ret_n)
{
    *ret_n = t->n;
    return t->tool;
}

bool tools_name_ok(const char *s)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    const size_t n = strlen(s);

    return n > 0 && n <= TOOLS_NAME_MAX && strspn(s, letters) == n;
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
        if (!tools_name_ok(key))
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

/* The bits of a name of JSON Schema's "type"; 0: there is no such one. */
static unsigned kind_of(const json_t *name)
{
    static const struct {
        const char *name;
        unsigned kinds;
    } known[] = {
        { "string", JSON_BYTES_STRING }, { "integer", JSON_BYTES_INTEGER },
        { "number", JSON_BYTES_NUMBER }, { "boolean", JSON_BYTES_BOOLEAN },
        { "null", JSON_BYTES_NULL },     { "array", JSON_BYTES_ARRAY },
        { "object", JSON_BYTES_OBJECT },
    };

    for (size_t i = 0; json_is_string(name) && i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(json_string_value(name), known[i].name) == 0) return known[i].kinds;
    return 0;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int take_type(const char *tool, const json_t *type, struct tools_argument *a,
                     struct reason *why)
{
    size_t i;
    json_t *v;

    a->kinds = json_is_array(type) ? 0 : kind_of(type);
    json_array_foreach(type, i, v)
    {
        const unsigned kind = kind_of(v);
        a->kinds = kind ? a->kinds | kind : 0;
        if (!kind) break;
    }
    if (a->kinds) return 0;
    return refuse(why,
                  "tool '%s': the 'type' of '%s' is none of JSON Schema's, nor a list of them: use "
                  "string, integer, number, "
                  "boolean, null, array or object",
                  tool, a->name);
}

static int add_value(struct tools_argument *a, const json_t *value)
{
    char **more = realloc(a->values, (a->n_values + 1) * sizeof(*more));

    if (!more) return err_raise(-ENOMEM);
    a->values = more;
    more[a->n_values] = json_short(value);
    if (!more[a->n_values]) return err_raise(-ENOMEM);
    a->n_values++;
    return 0;
}

static int take_values(const char *tool, const json_t *property, struct tools_argument *a,
                       struct reason *why)
{
    const json_t *values = json_object_get(property, "enum"),
                 *only = json_object_get(property, "const");
    size_t i;
    json_t *v;
    int r = 0;

    if (only) return add_value(a, only);
    if (!values) return 0;
    if (json_array_size(values) == 0)
        return refuse(why, "tool '%s': 'enum' of '%s' is no list of values", tool, a->name);
    json_array_foreach(values, i, v)
    {
        r = add_value(a, v);
        if (r != 0) return err_pass(r);
    }
    qsort(a->values, a->n_values, sizeof(*a->values), by_bytes);
    return 0;
}

static int take_verbatim(const char *tool, const json_t *verbatim, struct tools_argument *a,
                         struct reason *why)
{
    if (!json_is_boolean(verbatim))
        return refuse(why, "tool '%s': 'x-verbatim' of '%s' is neither true nor false", tool,
                      a->name);
    a->verbatim = json_is_true(verbatim);
    if (!a->verbatim || (a->kinds == JSON_BYTES_STRING && a->n_values == 0)) return 0;
    return refuse(why,
                  "tool '%s': '%s' has 'x-verbatim', which goes with the type string and without "
                  "'enum' and 'const'",
                  tool, a->name);
}

/* What may be said of a property that is no object (true, as JSON Schema has it, or anything): any value fits. */
static int take_argument(const char *tool, const char *name, const json_t *property,
                         struct tools_argument *ret, struct reason *why)
{
    const json_t *type = json_object_get(property, "type"),
                 *verbatim = json_object_get(property, "x-verbatim");

    ret->kinds = JSON_BYTES_ANY;
    ret->name = strdup(name);
    if (!ret->name) return err_raise(-ENOMEM);
    int r = type ? take_type(tool, type, ret, why) : 0;
    if (r == 0) r = take_values(tool, property, ret, why);
    if (r == 0 && verbatim) r = take_verbatim(tool, verbatim, ret, why);
    return r < 0 ? err_pass(r) : r;
}

static int take_tool(const json_t *tool, const char *name, struct tools_tool *ret,
                     struct reason *why)
{
    json_t *properties = NULL, *required = NULL, *v;
    const char *key;

    int r = check_schema(tool, name, &properties, &required, why);
    if (r != 0) return r;
    ret->name = strdup(name);
    ret->arguments = calloc(json_object_size(properties) + 1, sizeof(*ret->arguments));
    if (!ret->name || !ret->arguments) return err_raise(-ENOMEM);
    json_object_foreach(properties, key, v)
    {
        struct tools_argument *a = &ret->arguments[ret->n_arguments++];
        a->required = is_required(required, key);
        r = take_argument(name, key, v, a, why);
        if (r != 0) return r < 0 ? err_pass(r) : r;
    }
    return 0;
}

/* Where @name belongs among the sorted tools. */
static size_t place_of(const struct tools *t, const char *name)
{
    size_t at = 0;

    while (at < t->n && strcmp(t->tool[at].name, name) < 0)
        at++;
    return at;
}

static int put(struct buf *b, const char *text)
{
    return buf_append(b, text, strlen(text));
}

static int put_line(struct buf *b, const struct tools_tool *tool)
{
    int r = put(b, tool->name);

    if (r == 0) r = put(b, "(");
    for (size_t i = 0; i < tool->n_arguments && r == 0; i++) {
        r = put(b, i > 0 ? "," : "");
        if (r == 0) r = put(b, tool->arguments[i].name);
        if (r == 0 && !tool->arguments[i].required) r = put(b, "?");
    }
    return r == 0 ? put(b, ")\n") : r;
}

static int insert(struct tools *t, struct tools_tool *tool, struct reason *why)
{
    const size_t at = place_of(t, tool->name), lines = t->lines.n;
    struct tools_tool *more = realloc(t->tool, (t->n + 1) * sizeof(*more));

    if (!more) return err_raise(-ENOMEM);
    t->tool = more;
    const int r = put_line(&t->lines, tool);
    if (r != 0) {
        t->lines.n = lines;
        return r < 0 ? err_pass(r) : refuse(why, "the tools are too many to be told to a model");
    }
    memmove(more + at + 1, more + at, (t->n++ - at) * sizeof(*more));
    more[at] = *tool;
    return 0;
}

int tools_add(struct tools *t, const char *json, size_t n, struct reason *why)
{
    json_error_t e;
    struct tools_tool tool = { 0 };

    if (n > TOOLS_JSON_MAX)
        return refuse(why, "a tool has %zu bytes of JSON, at most %d are possible", n,
                      TOOLS_JSON_MAX);
    json_auto_t *read = json_loadb(json, n, JSON_REJECT_DUPLICATES, &e);
    if (!read) return refuse(why, "a tool is no JSON, at byte %d: %s", e.position, e.text);
    const char *name = json_string_value(json_object_get(read, "name"));
    if (!name) return refuse(why, "a tool is no object with a 'name'");
    if (!tools_name_ok(name))
        return refuse(why, "'%.80s' is no name for a tool: use 1 to %d of A-Z a-z 0-9 _ . -", name,
                      TOOLS_NAME_MAX);
    const size_t at = place_of(t, name);
    if (at < t->n && strcmp(t->tool[at].name, name) == 0)
        return refuse(why, "two tools have the name '%s'", name);
    int r = take_tool(read, name, &tool, why);
    if (r == 0) r = insert(t, &tool, why);
    if (r != 0) clear(&tool);
    return r < 0 ? err_pass(r) : r;
}
