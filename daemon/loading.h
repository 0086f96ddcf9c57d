/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/loading.h: what a worker gets to load the supervisor's model, and what it says of itself when it has; a part of supervisor. */
#pragma once
#include "daemon/supervisor.h"
#include "worker.pb-c.h"

/**
 * loading_send() - send the Load: the model file, files for packed weights, the table of levels, settings
 * Return: ERROR_UNKNOWN (it is on its way); ERROR_STORAGE, ERROR_NO_MODEL (@why).
 */
Hearth__ErrorCode loading_send(struct supervisor *v, struct reason *why);

/** loading_done() - the worker is ready: keep what it says in @v; its packed file is kept or removed. */
void loading_done(struct supervisor *v, const Hearth__Worker__Loaded *m);
