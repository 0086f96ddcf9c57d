/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/dispatch.h: which module answers which message, and the rules that all messages share. */
#pragma once
#include <hearth.pb-c.h>
#include "daemon/conn.h"

enum { DISPATCH_VERSION = 1 }; /* of the protocol */

/**
 * dispatch_frame() - answer a message that is not Hello
 * @f: taken over (and set to NULL) by requests that keep their message. @frame: came with it; descriptors that a request keeps
 * are taken out of it.
 * Each id may be in use once; an unknown message gets ERROR_UNSUPPORTED with the id that stands in its field 1.
 */
void dispatch_frame(struct conn *c, Hearth__ClientFrame **f, struct link_frame *frame);
