/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/running.h: requests and the worker: opening them there, planning its steps, delivering what comes of them, and
 * replaying all of it after the worker died.
 */
#pragma once
#include <stdbool.h>
#include <worker.pb-c.h>
#include "daemon/request.h"

struct server;

/** running_pump() - open what can be opened, and send a plan if the scheduler has a new one. Called by the loop, once for many changes. */
void running_pump(struct server *s);

/** running_opened(), running_seq_failed(), running_step() - what the worker says. */
void running_opened(struct server *s, const Hearth__Worker__SeqOpened *m);
void running_seq_failed(struct server *s, const Hearth__Worker__SeqFailed *m);
void running_step(struct server *s, const Hearth__Worker__Step *m);

/**
 * running_worker_lost() - the worker is gone, with all KV
 * @died: it did not end by our will: who ran then is suspected, and who is suspected for the second time is failed.
 */
void running_worker_lost(struct server *s, bool died);

/** running_close() - @r ends: the worker forgets it. Harmless if it is not there. */
void running_close(struct request *r);

/** running_owed() - true while the worker owes an answer: an opening, or a step of a plan that has something to do. */
bool running_owed(const struct server *s);
