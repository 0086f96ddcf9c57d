/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/token/call_form.h"
#include <string.h>

enum state {
    OPENING,  /* in {"name":" */
    NAME,     /* in the name of a tool */
    MIDDLE,   /* behind it, in ,"arguments":{ */
    FIRST,    /* at the first argument or the end of all */
    KEY,      /* at an argument */
    KEY_TEXT, /* in its name */
    COLON,    /* behind it */
    VALUE,    /* in a value of a kind */
    ONE_OF,   /* in one of a list of values */
    AFTER,    /* behind a value */
    CLOSING,  /* at the end, in } and the line's end */
    DONE,
};

struct call_form call_form_begin(const struct tools *tools, const struct verbatim *said)
{
    return (struct call_form){
        .tools = tools, .said = said, .state = OPENING, .fixed = "{\"name\":\""
    };
}

bool call_form_done(const struct call_form *f)
{
    return f->state == DONE;
}

static bool go(struct call_form *f, enum state s)
{
    f->state = (uint8_t)s;
    f->n = 0;
    return true;
}

static bool go_fixed(struct call_form *f, enum state s, const char *fixed)
{
    f->fixed = fixed;
    return go(f, s);
}

static const struct tools_argument *argument(const struct call_form *f)
{
    return &f->tool->arguments[f->next - 1];
}

static bool is_verbatim(const struct call_form *f)
{
    return f->said && argument(f)->verbatim;
}

bool call_form_in_text(const struct call_form *f)
{
    return f->state == VALUE && !is_verbatim(f) && json_bytes_in_text(&f->value);
}

/* An optional one may be left out, a required one may not: up to which argument the next one may be. */
static size_t names_end(const struct call_form *f)
{
    size_t end = f->next;

    while (end < f->tool->n_arguments && !f->tool->arguments[end].required)
        end++;
    return end < f->tool->n_arguments ? end + 1 : end;
}

static bool may_end(const struct call_form *f)
{
    const size_t end = names_end(f);

    return end == f->next || !f->tool->arguments[end - 1].required;
}

static bool begin_key(struct call_form *f)
{
    f->names = 0;
    for (size_t i = f->next; i < names_end(f); i++)
        f->names |= 1ull << i;
    return f->names != 0 && go(f, KEY_TEXT);
}

static bool begin_value(struct call_form *f)
{
    const struct tools_argument *a = argument(f);

    f->value = json_bytes_begin(a->kinds);
    f->low = 0;
    f->high = is_verbatim(f) ? verbatim_count(f->said) : a->n_values;
    return go(f, a->n_values > 0 ? ONE_OF : VALUE);
}

/* One byte more of a name among the arguments, or its end. */
static bool key_text(struct call_form *f, uint8_t byte)
{
    uint64_t left = 0;

    for (size_t i = f->next; i < names_end(f); i++) {
        if (!(f->names >> i & 1)) continue;
        const uint8_t next = (uint8_t)f->tool->arguments[i].name[f->n];
        if (byte == '"' && next == '\0') {
            f->next = i + 1;
            return go(f, COLON);
        }
        if (byte == next && next != '\0') left |= 1ull << i;
    }
    f->names = left;
    f->n++;
    return left != 0;
}

/* One byte more of @text of candidate low .. high: keep those that have it. */
static bool narrow(struct call_form *f, uint8_t byte,
                   const char *(*text)(const struct call_form *f, size_t i))
{
    while (f->low < f->high && (uint8_t)text(f, f->low)[f->n] < byte)
        f->low++;
    size_t end = f->low;
    while (end < f->high && (uint8_t)text(f, end)[f->n] == byte)
        end++;
    f->high = end;
    f->n++;
    return byte != '\0' && f->low < f->high;
}

static const char *name_of(const struct call_form *f, size_t i)
{
    size_t n;

    return tools_sorted(f->tools, &n)[i].name;
}

static const char *value_of(const struct call_form *f, size_t i)
{
    return argument(f)->values[i];
}

/* The name ends with a quotation mark: the shortest candidate is the first. */
static bool name(struct call_form *f, uint8_t byte)
{
    size_t n;

    if (byte != '"') return narrow(f, byte, name_of);
    if (name_of(f, f->low)[f->n] != '\0') return false;
    f->tool = &tools_sorted(f->tools, &n)[f->low];
    f->next = 0;
    return go_fixed(f, MIDDLE, ",\"arguments\":{");
}

static bool after(struct call_form *f, uint8_t byte)
{
    if (byte == ',') return f->next < f->tool->n_arguments && go(f, KEY);
    return byte == '}' && may_end(f) && go_fixed(f, CLOSING, "}\n");
}

/* A value that may be longer, as 3 of 3 and 30, ends with what follows it. */
static bool one_of(struct call_form *f, uint8_t byte)
{
    if (value_of(f, f->low)[f->n] == '\0' && (byte == ',' || byte == '}')) return after(f, byte);
    return narrow(f, byte, value_of);
}

/* One byte more of a string, after its quotation mark. */
static bool text_byte(struct call_form *f, uint8_t byte)
{
    if (!is_verbatim(f) || f->n++ == 0) return true;
    return verbatim_push(f->said, &f->low, &f->high, f->n - 2, byte);
}

static bool value(struct call_form *f, uint8_t byte)
{
    switch (json_bytes_push(&f->value, byte)) {
    case JSON_BYTES_NO:
        break;
    case JSON_BYTES_MORE:
        return text_byte(f, byte);
    case JSON_BYTES_DONE:
        return go(f, AFTER);
    case JSON_BYTES_BEFORE:
        return after(f, byte);
    }
    return false;
}

/* What follows a fixed part. */
static bool fixed_end(struct call_form *f)
{
    if (f->state == CLOSING) return go(f, DONE);
    if (f->state == MIDDLE) return go(f, FIRST);
    f->low = 0;
    (void)tools_sorted(f->tools, &f->high);
    return f->high > 0 && go(f, NAME);
}

bool call_form_push(struct call_form *f, uint8_t byte)
{
    switch ((enum state)f->state) {
    case OPENING:
    case MIDDLE:
    case CLOSING:
        if (byte != (uint8_t)*f->fixed++) return false;
        return *f->fixed != '\0' || fixed_end(f);
    case NAME:
        return name(f, byte);
    case FIRST:
        if (byte == '}') return after(f, byte);
        /* fall through */
    case KEY:
        return byte == '"' && begin_key(f);
    case KEY_TEXT:
        return key_text(f, byte);
    case COLON:
        return byte == ':' && begin_value(f);
    case VALUE:
        return value(f, byte);
    case ONE_OF:
        return one_of(f, byte);
    case AFTER:
        return after(f, byte);
    case DONE:
        break;
    }
    return false;
}
