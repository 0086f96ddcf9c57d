/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/conf_file.h: one file of the configuration. Internal to conf. */
#pragma once
#include "daemon/conf.h"

/**
 * conf_file_read() - the settings of the file @path override those of @c
 * Return: 0 (also if it is missing and need not @must_exist); CONF_E_INVALID (@why; @c has then the settings before the refused one); -ENOMEM.
 */
int conf_file_read(const char *path, bool must_exist, struct conf *c, struct reason *why);
