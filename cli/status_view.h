/* SPDX-License-Identifier: Apache-2.0 */
/* cli/status_view.h: the state of hearthd as text, for status, ps and top. */
#pragma once
#include <stddef.h>
#include <stdio.h>
#include "cli/out.h"
#include "hearth.h"

/** status_view_print() - all of @s but its requests, "name  value" lines to @f. */
void status_view_print(const struct hearth_status *s, FILE *f);

/** status_view_head() - the short form for the top of a live view: three lines of at most 80 columns, to @f. */
void status_view_head(const struct hearth_status *s, FILE *f);

/** status_view_requests() - columns and a row for each of @q: [n] into the empty table @t, for out_table_deinit(). */
void status_view_requests(struct out_table *t, const struct hearth_request_info *q, size_t n);
