/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/models.h: what clients ask about the models of the store, and what administrators do with them. */
#pragma once
#include <hearth.pb-c.h>
#include "daemon/conn.h"

/** Each answers one message; those that take long answer later. */
void models_list(struct conn *c, uint64_t id);
void models_load(struct conn *c, const Hearth__ModelLoad *m);
void models_unload(struct conn *c, uint64_t id);
void models_add(struct conn *c, const Hearth__ModelAdd *m, struct link_frame *frame);
void models_activate(struct conn *c, const Hearth__ModelActivate *m);
void models_remove(struct conn *c, const Hearth__ModelRemove *m);
