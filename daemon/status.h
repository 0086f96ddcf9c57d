/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/status.h: what hearthd says of itself: Status, the list of requests, live events, metrics. */
#pragma once
#include <hearth.pb-c.h>
#include "daemon/conn.h"

/** Each answers one message. A subscription ends when it is cancelled. */
void status_get(struct conn *c, uint64_t id);
void status_requests(struct conn *c, uint64_t id);
void status_subscribe(struct conn *c, const Hearth__Subscribe *m);
void status_metrics(struct conn *c, uint64_t id);
