/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/token/call_form.h: a call of a tool, byte by byte: which byte may stand next (docs/TOOLS.md):
 * {"name":NAME,"arguments":{...}} and a line's end; NAME one of the tools, its arguments in the order of its schema, those that are
 * required all there, each of its kind or one of its values. What was taken to the end is valid JSON and fits the schema so far as
 * tools.h reads it; an argument that is to be verbatim stands in what was said (verbatim.h), or is empty. A value type, so that what would become of it can be tried on a copy.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "engine/token/json_bytes.h"
#include "engine/token/tools.h"
#include "engine/token/verbatim.h"

struct call_form {
    const struct tools *tools;
    const struct verbatim *said;
    uint8_t state;
    const char *fixed; /* what has to follow, in a state that has nothing else */
    size_t low, high,
        n; /* candidates of a sorted list, [low, high), and how many of their bytes were taken; of a verbatim string, with its quotation mark */
    const struct tools_tool *tool;
    size_t
        next; /* arguments of the tool from here on may follow; the one before has the value that is being taken */
    uint64_t names; /* of them: those of whose names the bytes taken are a beginning */
    struct json_bytes value;
};

/**
 * call_form_begin() - the beginning of a call of one of @tools
 * @said: texts for arguments that are to be verbatim; NULL: those are as they come. Both are borrowed.
 */
struct call_form call_form_begin(const struct tools *tools, const struct verbatim *said);

/** call_form_push() - append @byte. Return: false: it cannot follow; the state is then of no use. */
bool call_form_push(struct call_form *f, uint8_t byte);

/** call_form_done() - true if the call and its line's end are complete. */
bool call_form_done(const struct call_form *f);

/** call_form_in_text() - true where any whole characters but quotation marks, backslashes and controls may follow. */
bool call_form_in_text(const struct call_form *f);
