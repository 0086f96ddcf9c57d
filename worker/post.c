/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/post.h"
#include <errno.h>
#include <poll.h>
#include "base/clock.h"
#include "base/err.h"

int post_send(struct link *l, const Hearth__Worker__FromWorker *message)
{
    int r = link_send(l, &message->base, NULL, 0);

    if (r != 0)
        return r < 0 ? err_pass(r)
                     : err_raise(-ENOBUFS); /* the queue is empty before each message */
    while ((r = link_flush(l)) == 0 && link_pending(l) > 0) {
        struct pollfd p = { .fd = l->fd, .events = POLLOUT };
        if (poll(&p, 1, -1) < 0 && errno != EINTR) return err_raise(-errno);
    }
    return r < 0 ? err_pass(r) : r;
}

int post_failed(struct link *l, Hearth__ErrorCode code, const char *sentence)
{
    Hearth__Worker__FromWorker f = HEARTH__WORKER__FROM_WORKER__INIT;
    Hearth__Worker__Failed m = HEARTH__WORKER__FAILED__INIT;

    m.code = code;
    m.message = (char *)(size_t)sentence;
    f.body_case = HEARTH__WORKER__FROM_WORKER__BODY_FAILED;
    f.failed = &m;
    return post_send(l, &f);
}

void post_progress(void *context, const char *what, uint64_t done, uint64_t total)
{
    struct post_progress *p = context;
    const uint64_t now_ns = clock_now_ns();
    Hearth__Worker__FromWorker f = HEARTH__WORKER__FROM_WORKER__INIT;
    Hearth__Worker__Progress m = HEARTH__WORKER__PROGRESS__INIT;

    if (done < total && p->last_ns != 0 && now_ns - p->last_ns < CLOCK_NS_PER_S / 10) return;
    p->last_ns = now_ns;
    m.what = (char *)(size_t)what;
    m.done = done;
    m.total = total;
    f.body_case = HEARTH__WORKER__FROM_WORKER__BODY_PROGRESS;
    f.progress = &m;
    (void)post_send(p->link, &f); /* if hearthd is gone, the next receive says so */
}
