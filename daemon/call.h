/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/call.h: something that a client asked for and that is not answered yet. Embedded as the first member of what the
 * kinds of calls need besides; a connection knows its calls only as these.
 */
#pragma once
#include <stdint.h>
#include "base/list.h"

struct conn;
struct call;

/* call_end_fn - the client cancels it (@gone false: answer and free it) or hung up (@gone true: free it, send nothing). */
typedef void (*call_end_fn)(struct call *call, bool gone);

struct call {
    struct list node; /* in conn->calls */
    struct conn *conn;
    uint64_t id; /* the client's */
    call_end_fn end;
};
