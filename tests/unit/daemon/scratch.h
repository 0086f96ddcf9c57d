/* SPDX-License-Identifier: Apache-2.0 */
/* scratch.h: a folder for one test's files. Failures end the test. */
#pragma once
#include <stddef.h>

/** scratch_make() - a new empty folder below $TMPDIR, /dev/shm (it syncs in no time) or /tmp; the working directory does not change. */
void scratch_make(void);
/** scratch_remove() - the folder and all below it. */
void scratch_remove(void);
/** scratch_path() - @name in the folder ("" for the folder itself); valid until the fourth call after it. */
const char *scratch_path(const char *name);
/** scratch_write() - a file with these bytes (folders above it are made). @n: (size_t)-1 for a text. */
void scratch_write(const char *name, const char *bytes, size_t n);
/** scratch_tree() - all below the folder, a line each, sorted: "name TYPE size-or-target"; to be freed. */
char *scratch_tree(void);
