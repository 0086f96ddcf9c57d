/* SPDX-License-Identifier: Apache-2.0 */
/* worker/post.h: messages to hearthd. The worker has nothing else to do than to be heard, so sending waits. */
#pragma once
#include <stdint.h>
#include <worker.pb-c.h>
#include "proto/link.h"

/** post_send() - queue and send; waits until all is with the kernel. Return: 0, LINK_E_CLOSED (hearthd is gone), -errno. */
int post_send(struct link *l, const Hearth__Worker__FromWorker *message);

/** post_failed() - the job cannot be done. */
int post_failed(struct link *l, Hearth__ErrorCode code, const char *sentence);

struct post_progress { /* at most ten messages a second */
    struct link *link;
    uint64_t last_ns;
};

/** post_progress() - @done of @total; the first, the last and now and then one between are sent. @context: struct post_progress. */
void post_progress(void *context, const char *what, uint64_t done, uint64_t total);
