/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/opening.h: a request as the worker gets it: its conversation so far, its own messages, and the answer's tokens that exist. */
#pragma once
#include "daemon/request.h"

/** opening_send() - send SeqOpen. Return: 0; -EMSGSIZE (more than a frame); -ENOMEM. */
int opening_send(struct request *r);
