/* SPDX-License-Identifier: Apache-2.0 */
/* cli/offer.h: a file of tools, for ask --tools. */
#pragma once
#include "hearth.h"

/**
 * offer_tools() - offer the tools of the file @path to @q
 * The file has a JSON array of tools, {"name": ..., "description": ..., "parameters": {JSON Schema}}, or one tool.
 * Return: enum talk_exit, said on stderr.
 */
int offer_tools(struct hearth_request *q, const char *path);

/** offer_file() - the file of tools in use: @path if it is given, else $HEARTH_TOOLS. Return: NULL if there is none. */
const char *offer_file(const char *path);
