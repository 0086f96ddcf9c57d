/* SPDX-License-Identifier: Apache-2.0 */
/* worker/info.h: what there is to say of a model file, as the Model message of the protocol. */
#pragma once
#include <hearth.pb-c.h>
#include "base/reason.h"
#include "engine/engine.h"
#include "engine/token/chat.h"

struct info {
    Hearth__Model model; /* points into what follows: do not copy the struct */
    char architecture[16], description[128], types[160], form[16], sha256[65];
    Hearth__Level level[LEVEL_TABLE_MAX], *levels[LEVEL_TABLE_MAX];
    char level_name[LEVEL_TABLE_MAX][LEVEL_NAME_MAX];
};

/**
 * info_file() - what the file itself says: architecture, description, context, layers, parameters, types, form
 * Return: 0; GGUF_E_REFUSED (not a model that could be loaded: @why); -ENOMEM.
 */
int info_file(const struct gguf *g, struct info *ret, struct reason *why);

/** info_engine() - as info_file(), and the levels and context in use. */
int info_engine(const struct engine *e, struct info *ret, struct reason *why);
