/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/tokenize.h: Tokenize requests: the worker has the vocabulary. They wait for the model, and are asked again of the next worker. */
#pragma once
#include <hearth.pb-c.h>
#include <stdbool.h>
#include <worker.pb-c.h>
#include "daemon/conn.h"

struct server;

/** tokenize_new() - answer a Tokenize, now or when the model is ready. */
void tokenize_new(struct conn *c, const Hearth__Tokenize *m);
/** tokenize_pump() - the worker is ready: send what was not sent. */
void tokenize_pump(struct server *s);
/** tokenize_done() - the worker's answer. */
void tokenize_done(struct server *s, const Hearth__Worker__Tokenized *m);
/** tokenize_worker_lost() - what was sent has to be sent again; what was sent twice is failed. */
void tokenize_worker_lost(struct server *s);
/** tokenize_fail() - no worker can be had. */
void tokenize_fail(struct server *s, Hearth__ErrorCode code, const char *why);
/** tokenize_owed() - true while the worker owes an answer. */
bool tokenize_owed(const struct server *s);
