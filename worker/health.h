/* SPDX-License-Identifier: Apache-2.0 */
/* worker/health.h: does a model that was loaded compute? A file can be well-formed and still hold no usable weights. */
#pragma once
#include "base/reason.h"
#include "engine/engine.h"

enum { HEALTH_E_SICK = 1 }; /* outcome: it does not compute (@why) */

/**
 * health_check() - process one token and look at its logits, which must be finite and not all the same
 * Return: 0, HEALTH_E_SICK, -ENOMEM, -errno of reading the file.
 */
int health_check(struct engine *e, struct reason *why);
