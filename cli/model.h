/* SPDX-License-Identifier: Apache-2.0 */
/* cli/model.h: names of models. */
#pragma once
#include <stddef.h>

enum { MODEL_NAME_MAX = 64 };

/**
 * model_name_of() - a name in the store for the file @path: its last part without ".gguf", where each byte that a name may not have
 * (all but A-Z a-z 0-9 . _ -) becomes '-', and leading '.' and '-' are left out
 * @buf: [MODEL_NAME_MAX + 1]; "" if nothing is left. Return: @buf.
 */
char *model_name_of(const char *path, char *buf);
