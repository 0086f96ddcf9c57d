/* SPDX-License-Identifier: Apache-2.0 */
/* worker/serve.h: the Load job: one model, and steps over the newest plan until hearthd hangs up. */
#pragma once
#include <worker.pb-c.h>
#include "proto/link.h"

/**
 * serve_run() - load the model and serve it
 * @fds: [n_fds] that came with @job; borrowed. Return: LINK_E_CLOSED (hearthd hung up or the load was refused and said so), -errno.
 */
int serve_run(struct link *l, const Hearth__Worker__Load *job, const int *fds, size_t n_fds);
