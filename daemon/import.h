/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/import.h: adding a model to the store: a worker of its own copies and checks the file, in the sandbox. One at a time. */
#pragma once
#include <hearth.pb-c.h>
#include <stdbool.h>
#include "daemon/call.h"
#include "daemon/child.h"
#include "daemon/conn.h"
#include "daemon/store.h"

struct server;

struct import;

struct import_call {
    struct call call;
    struct import *import;
};

struct import {
    struct server *server;
    struct child child;
    struct store_import *place; /* NULL: none is on its way */
    struct import_call *call;   /* owned; NULL: none is on its way */
    char name[STORE_NAME_MAX + 1], sha256[65];
    bool activate;
    int from; /* the client's file */
};

/** import_init() - none is on its way. */
void import_init(struct import *i, struct server *s);
/** import_deinit() - stop what is on its way; the store is as before. */
void import_deinit(struct import *i);
/** import_start() - answer a ModelAdd: Progress, then Reply or Error. Descriptors are taken out of @frame. */
void import_start(struct import *i, struct conn *c, const Hearth__ModelAdd *m,
                  struct link_frame *frame);
