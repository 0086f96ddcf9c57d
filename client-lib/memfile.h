/* SPDX-License-Identifier: Apache-2.0 */
/* client-lib/memfile.h: bytes in a sealed memory file, which the receiver may map without fear of changes. */
#pragma once
#include <stddef.h>

/**
 * memfile_new() - a memory file with a copy of @bytes, sealed against writing, growing and shrinking
 * @bytes: [size]. Return: a descriptor for the caller to close, -errno.
 */
int memfile_new(const void *bytes, size_t size);
