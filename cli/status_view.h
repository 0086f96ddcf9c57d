/* SPDX-License-Identifier: Apache-2.0 */
/* cli/status_view.h: the state of hearthd as text, for status, ps and top. */
#pragma once
#include <stddef.h>
#include <stdio.h>
#include "cli/out.h"
#include "hearth.h"

/** status_view_print() - all of @s but its requests, "name  value" lines to @f. */
void status_view_print(const struct hearth_status *s, FILE *f);

enum { STATUS_VIEW_HEAD = 5 }; /* lines of status_view_head() */

/**
 * status_view_head() - the short form for the top of a live view, to @f: STATUS_VIEW_HEAD lines of at most @columns columns
 * What runs, how fast, what it takes of the machine; the last line is why there is no model, or why levels are limited, or empty.
 */
void status_view_head(const struct hearth_status *s, unsigned columns, FILE *f);

/** status_view_requests() - columns and a row for each of @q: [n] into the empty table @t, for out_table_deinit(). */
void status_view_requests(struct out_table *t, const struct hearth_request_info *q, size_t n);

/** status_view_live() - as status_view_requests(), for a live view. @tok_s: [n] tokens a second of each, read or written; 0: not shown. */
void status_view_live(struct out_table *t, const struct hearth_request_info *q, const float *tok_s,
                      size_t n);
