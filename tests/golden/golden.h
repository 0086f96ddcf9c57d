/* SPDX-License-Identifier: Apache-2.0 */
/*
 * golden.h: finds the files of expected numbers: in the folder that the environment variable HEARTH_GOLDEN names, then
 * in tests/golden of the source tree, then in shared/golden beside the source tree.
 */
#pragma once
#include <stddef.h>

/**
 * golden_find() - the path of an expected file, "text/g3-basic/expect.json"
 * @buf: [size] receives it. Return: @buf, NULL if there is no such file.
 */
char *golden_find(const char *name, char *buf, size_t size);

/** golden_gemma3_270m() - the path of the real Gemma 3 270M file (HEARTH_GEMMA3_270M). Return: NULL if there is none. */
const char *golden_gemma3_270m(void);
