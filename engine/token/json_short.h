/* SPDX-License-Identifier: Apache-2.0 */
/* engine/token/json_short.h: JSON as a model writes it. */
#pragma once
#include <jansson.h>

/** json_short() - @value without blanks, its numbers with no more digits than they need: 0.1, not 0.10000000000000001. Return: a string to free(); NULL: no memory. */
char *json_short(const json_t *value);
