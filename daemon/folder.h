/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/folder.h: folders of hearthd on disk. */
#pragma once
#include <sys/types.h>

/** folder_make() - make @path (with @mode) and the folders above it (0755) if they are missing. Return: 0 (opening it will tell), -errno. */
int folder_make(const char *path, mode_t mode);
