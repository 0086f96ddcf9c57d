/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/conf_key.h: the keys of [daemon] and [model]; the table in conf_key.c is the one list of them. Internal to conf. */
#pragma once
#include "daemon/conf.h"

enum conf_key_section { CONF_KEY_DAEMON, CONF_KEY_MODEL };
enum {
    CONF_KEY_E_INVALID = 1, /* outcome: the value makes no sense (@why) */
    CONF_KEY_E_UNKNOWN = 2, /* outcome: the section has no such key */
};
enum { CONF_KEY_MAX = 32 }; /* keys of both sections together */

/** conf_key_set() - put @value into its member of @c. Return: 0, CONF_KEY_E_INVALID, CONF_KEY_E_UNKNOWN, -errno of the group database. */
int conf_key_set(struct conf *c, enum conf_key_section section, const char *name, const char *value,
                 struct reason *why);

/** conf_key_names() - the keys of @section. @ret: [CONF_KEY_MAX] receives them and then NULL. */
void conf_key_names(enum conf_key_section section, const char **ret);

/**
 * conf_key_group(), conf_key_user() - the id of a group or user, by name or number
 * Return: 0 and @ret; CONF_KEY_E_INVALID (there is none of this name: @why); -errno of the database.
 */
int conf_key_group(const char *name, struct reason *why, uint32_t *ret);
int conf_key_user(const char *name, struct reason *why, uint32_t *ret);
