/* SPDX-License-Identifier: Apache-2.0 */
/* client-lib/receive.h: what hearthd says becomes events. */
#pragma once
#include "client-lib/client.h"

enum {
    RECEIVE_E_GARBAGE = 1
}; /* outcome: the connection is of no use any more; the reason says why */

/**
 * receive_frame() - act on one ServerFrame: callbacks are called, requests end
 * @body: [size]. An Error about the whole connection ends everything in flight and closes it.
 * Messages about requests that are not in flight and kinds that this version does not know are ignored.
 * Return: 0, RECEIVE_E_GARBAGE (@why), -ENOMEM.
 */
int receive_frame(struct hearth_client *c, const uint8_t *body, size_t size, struct reason *why);
