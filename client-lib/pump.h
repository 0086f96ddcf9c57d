/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client-lib/pump.h: the connection of a client: made when it is needed, served without waiting, and
 * what happens when it is lost.
 */
#pragma once
#include "client-lib/client.h"

/**
 * pump_connect() - see to it that there is a connection; Hello is then the first frame in its queue
 * A connection that hearthd has closed while nothing was in flight is replaced here, silently.
 * @blocking: wait a while when hearthd does not accept at once.
 * Return: 0, -errno with a sentence.
 */
int pump_connect(struct hearth_client *c, bool blocking);

/** pump_kick() - send what can be sent now; a failure shows itself in the next pump_process(). */
void pump_kick(struct hearth_client *c);

/** pump_process() - see hearth_client_process(). Return: 0, -EDEADLK, -ENOMEM. */
int pump_process(struct hearth_client *c);

/** pump_turn() - wait until there is something to do (@timeout_ms, -1: any time), then pump_process(). Return: as that, 0 also after the time. */
int pump_turn(struct hearth_client *c, int timeout_ms);

/** pump_wait() - see hearth_client_wait(). */
int pump_wait(struct hearth_client *c, uint64_t id, int timeout_ms);

/** pump_hang_up() - close the connection; each call in flight gets @end, an END. */
void pump_hang_up(struct hearth_client *c, const struct hearth_event *end);
