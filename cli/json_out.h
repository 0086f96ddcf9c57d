/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/json_out.h: what hearthd says, as JSON for programs. Names are those of hearth.h, times in the unit that their name ends in.
 * Texts are always valid: bytes that are no UTF-8 become U+FFFD. A seed is a string, because it has 64 bits and most readers of JSON
 * keep 53. Functions that make a value return NULL when memory is short, which the enclosing value then hands up.
 */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "hearth.h"

/** json_out_text() - a string. @text: [n] any bytes; NULL with n = 0: "". */
json_t *json_out_text(const char *text, size_t n);

/** json_out_string() - a string. @text: ends with NUL; NULL: "". */
json_t *json_out_string(const char *text);

/** json_out_call() - the call that HEARTH_EVENT_CALL brought, as a value. @text: [n] its JSON. */
json_t *json_out_call(const char *text, size_t n);

/** json_out_ids() - an array of numbers. @ids: [n]. */
json_t *json_out_ids(const uint32_t *ids, size_t n);

/** json_out_seed() - a number of 64 bits, in decimal digits in a string. */
json_t *json_out_seed(uint64_t seed);

json_t *json_out_usage(const struct hearth_usage *u);
json_t *json_out_model(const struct hearth_model *m);
json_t *json_out_request(const struct hearth_request_info *q);

/** json_out_status() - with the requests if @s has them. */
json_t *json_out_status(const struct hearth_status *s);

/** json_out_error() - {"code": ..., "message": ..., "retry": ..., "retry_after_ms": ...}. @code: "BUSY". */
json_t *json_out_error(const char *code, const char *message, bool retry, uint32_t retry_after_ms);

/** json_out_event() - {"event": "text", ...}, with the members that hearth.h names for this type. */
json_t *json_out_event(const struct hearth_event *e);

/** json_out_finish() - "stop", "length", "cancelled", "bad call", "unknown"; static. */
const char *json_out_finish(enum hearth_finish finish);

/** json_out_state() - "no model", "unloaded", "loading", "ready", "crashed", "draining", "unknown"; static. */
const char *json_out_state(enum hearth_state state);

/** json_out_class() - "default", "background", "interactive", "realtime", "unknown"; static. */
const char *json_out_class(enum hearth_class request_class);

/**
 * json_out_print() - one line on stdout; control characters that JSON allows are replaced on a terminal
 * @value: taken; NULL is a failure. Return: 0; 1 (said on stderr).
 */
int json_out_print(json_t *value);
