/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/store_info.h: the file `info` beside a model. Internal to store. */
#pragma once
#include "daemon/store.h"

/**
 * store_info_write() - a new file `info` in the folder @dir, on disk when this returns
 * Bytes that INI gives a meaning are written as %XX; a text that then does not fit a line of 170 bytes is cut.
 * Return: 0, -errno (an incomplete file may be there).
 */
int store_info_write(int dir, const struct store_model *m);

/** store_info_read() - all of @ret but name, version and flags, which are empty. Return: 0; STORE_E_NOT_FOUND (no such file, or it is damaged). */
int store_info_read(int dir, struct store_model *ret);

/** store_info_clean() - control bytes in the texts of @m become '?', as for store_info_write(). */
void store_info_clean(struct store_model *m);
