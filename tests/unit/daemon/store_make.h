/* SPDX-License-Identifier: Apache-2.0 */
/* store_make.h: models for tests of the store. Failures end the test. */
#pragma once
#include "daemon/store.h"

/** store_make_found() - what an import of the text @content would find out; @digit (one of 0-9a-f) 64 times is its sha256. */
struct store_model store_make_found(char digit, const char *content);
/** store_make_import() - import @content as @name. Return: as store_import_commit(); @ret may be NULL. */
int store_make_import(struct store *s, const char *name, char digit, const char *content,
                      struct store_model *ret);
/** store_make_list() - the list as a text, "name:DIGIT[*][-] ..." (* active, - previous); valid until the fourth call after it. */
const char *store_make_list(struct store *s);
/** store_make_version() - 16 times @digit; static. */
const char *store_make_version(char digit);
