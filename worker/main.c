/* SPDX-License-Identifier: Apache-2.0 */
/* hearth-worker: started by hearthd with a socket as descriptor 3; see proto/worker.proto. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include "base/err.h"
#include "base/log.h"
#include "engine/kernels/matrix.h"
#include "proto/build_id.h"
#include "worker/import.h"
#include "worker/post.h"
#include "worker/sandbox.h"
#include "worker/serve.h"

enum { SOCKET_FD = 3, OUT_MAX = 4 << 20 };

static int send_ready(struct link *l, char *sandbox)
{
    Hearth__Worker__FromWorker f = HEARTH__WORKER__FROM_WORKER__INIT;
    Hearth__Worker__Ready m = HEARTH__WORKER__READY__INIT;

    m.build_id = (char *)(size_t)PROTO_BUILD_ID;
    m.sandbox = sandbox;
    m.packed_layout = MATRIX_LAYOUT;
    f.body_case = HEARTH__WORKER__FROM_WORKER__BODY_READY;
    f.ready = &m;
    return post_send(l, &f);
}

/* Wait for the job. Return: 0 and @ret, owned; LINK_E_CLOSED; -errno. */
static int receive_job(struct link *l, struct link_frame *frame, ProtobufCMessage **ret)
{
    struct reason why = { "" };
    int r;

    while ((r = link_next(l, frame, &why)) == LINK_E_NONE) {
        struct pollfd p = { .fd = l->fd, .events = POLLIN };
        if (poll(&p, 1, -1) < 0 && errno != EINTR) return err_raise(-errno);
        r = link_read(l);
        if (r < 0) return err_pass(r);
        if (r > 0 && r != LINK_E_NONE) return LINK_E_CLOSED;
    }
    if (r == 0)
        r = frame_unpack(&hearth__worker__to_worker__descriptor, frame->body, frame->size, ret,
                         &why);
    return r == 0 ? 0 : err_raise(-EPROTO);
}

static int work(struct link *l)
{
    struct link_frame frame;
    ProtobufCMessage *m = NULL;
    int r = receive_job(l, &frame, &m);

    if (r != 0) return r < 0 ? err_pass(r) : r;
    const Hearth__Worker__ToWorker *job = (const Hearth__Worker__ToWorker *)(const void *)m;
    if (job->body_case == HEARTH__WORKER__TO_WORKER__BODY_LOAD)
        r = serve_run(l, job->load, frame.fds, frame.n_fds);
    else if (job->body_case == HEARTH__WORKER__TO_WORKER__BODY_IMPORT)
        r = import_run(l, job->import, frame.fds, frame.n_fds);
    else
        r = err_raise(-EPROTO);
    link_frame_close(&frame);
    frame_unpacked_free(m);
    return r < 0 ? err_pass(r) : r;
}

int main(int argc, char **argv)
{
    const struct sigaction ignore = { .sa_handler = SIG_IGN };
    char sandbox[SANDBOX_TEXT_MAX], trace[512];
    struct reason why = { "" };
    struct link l;

    if (argc > 1 || fcntl(SOCKET_FD, F_GETFD) < 0) {
        const int version = argc == 2 && strcmp(argv[1], "--version") == 0;
        (void)fprintf(version ? stdout : stderr,
                      version ? "hearth-worker %s\n"
                              : "hearth-worker %s: hearthd starts it; see hearthd(8)\n",
                      PROTO_VERSION);
        return version ? 0 : 2;
    }
    (void)prctl(PR_SET_NAME, "hearth-worker");
    (void)sigaction(SIGINT, &ignore, NULL); /* Ctrl-C at hearthd's terminal is hearthd's business */
    (void)sigaction(SIGPIPE, &ignore, NULL);
    (void)sigaction(SIGXFSZ, &ignore,
                    NULL); /* a packed file beyond a limit is an error of write(2) */
    int r = link_init(&l, SOCKET_FD, OUT_MAX);
    if (r == 0) r = sandbox_enter(sandbox, &why);
    if (r == 0) r = send_ready(&l, sandbox);
    if (r == 0) r = work(&l);
    if (r < 0)
        log_err("worker failed", "what=\"%s\" %s", why.text, err_trace(trace, sizeof(trace)));
    link_deinit(&l);
    return r < 0 ? 1 : 0;
}
