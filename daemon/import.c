/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/import.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "daemon/server.h"
#include "proto/build_id.h"

void import_init(struct import *i, struct server *s)
{
    memset(i, 0, sizeof(*i));
    i->server = s;
    i->from = -1;
}

/* Whatever became of it, this one is over. */
static void clear(struct import *i)
{
    child_stop(&i->child);
    i->place = store_import_abort(i->place);
    if (i->from >= 0) (void)close(i->from);
    i->from = -1;
    if (i->call) conn_call_over(&i->call->call);
    free(i->call);
    i->call = NULL;
}

void import_deinit(struct import *i)
{
    if (i->server) clear(i);
}

static void fail(struct import *i, Hearth__ErrorCode code, const char *why)
{
    log_warn("model refused", "name=%s why=\"%s\"", i->name, why);
    if (i->call) conn_error(i->call->call.conn, i->call->call.id, code, CONN_NO_RETRY, "%s", why);
    clear(i);
}

/* Cancelled, or hung up: nobody wants the model any more. */
static void on_end(struct call *call, bool gone)
{
    struct import *i = LIST_ENTRY(call, struct import_call, call)->import;

    if (!gone) conn_cancelled(call->conn, call->id);
    clear(i);
}

static void on_gone(void *context, const char *why)
{
    struct reason text;

    (void)why;
    reason_set(
        &text,
        "the worker died while it checked the file: it may be damaged, or memory may be short");
    fail(context, HEARTH__ERROR_CODE__ERROR_BAD_MODEL, text.text);
}

static void send_job(struct import *i)
{
    Hearth__Worker__ToWorker m = HEARTH__WORKER__TO_WORKER__INIT;
    Hearth__Worker__Import job = HEARTH__WORKER__IMPORT__INIT;
    const int fds[2] = { i->from, store_import_fd(i->place) };

    job.from_fd_index = 1;
    job.to_fd_index = 2;
    job.sha256 = i->sha256;
    m.body_case = HEARTH__WORKER__TO_WORKER__BODY_IMPORT;
    m.import = &job;
    (void)child_send(&i->child, &m, fds, 2);
}

static void take_model(const Hearth__Model *from, struct store_model *to)
{
    memset(to, 0, sizeof(*to));
    (void)snprintf(to->sha256, sizeof(to->sha256), "%s", from->sha256);
    (void)snprintf(to->architecture, sizeof(to->architecture), "%s", from->architecture);
    (void)snprintf(to->description, sizeof(to->description), "%s", from->description);
    (void)snprintf(to->types, sizeof(to->types), "%s", from->types);
    (void)snprintf(to->prompt_form, sizeof(to->prompt_form), "%s", from->prompt_form);
    to->size_bytes = from->size_bytes;
    to->parameters = from->parameters;
    to->context = from->context;
    to->layers = from->layers;
}

static void on_imported(struct import *i, const Hearth__Worker__Imported *m)
{
    struct store_model model;
    struct reason why = { "" };
    Hearth__Reply reply = HEARTH__REPLY__INIT;
    Hearth__Model out;

    if (!m->model) {
        fail(i, HEARTH__ERROR_CODE__ERROR_INTERNAL, "the worker did not say what the model is");
        return;
    }
    take_model(m->model, &model);
    const int r = store_import_commit(i->place, &model, &why);
    i->place = NULL;
    if (r != 0 && r != STORE_E_EXISTS) { /* the same file again is no mistake */
        fail(i, HEARTH__ERROR_CODE__ERROR_STORAGE, r > 0 ? why.text : strerror(-r));
        return;
    }
    cache_tidy_store(i->server->cache, i->server->store); /* old versions may have gone */
    log_notice("model added", "name=%s version=%s bytes=%llu", model.name, model.version,
               (unsigned long long)model.size_bytes);
    struct conn *c = i->call ? i->call->call.conn : NULL;
    const uint64_t id = i->call ? i->call->call.id : 0;
    const bool activate = i->activate;
    clear(i);
    if (activate) {
        supervisor_switch(&i->server->supervisor, &model, c, id);
        return;
    }
    supervisor_model_fill(&i->server->supervisor, &model, &out, NULL, NULL);
    reply.body_case = HEARTH__REPLY__BODY_MODEL;
    reply.model = &out;
    if (c) conn_reply(c, id, &reply);
}

static void on_message(void *context, const Hearth__Worker__FromWorker *m)
{
    struct import *i = context;

    switch ((int)m->body_case) {
    case HEARTH__WORKER__FROM_WORKER__BODY_READY:
        if (strcmp(m->ready->build_id, PROTO_BUILD_ID) == 0)
            send_job(i);
        else
            fail(i, HEARTH__ERROR_CODE__ERROR_INTERNAL,
                 "hearthd and hearth-worker are of different builds: install both again");
        break;
    case HEARTH__WORKER__FROM_WORKER__BODY_PROGRESS:
        if (i->call)
            conn_progress(i->call->call.conn, i->call->call.id, m->progress->what,
                          m->progress->done, m->progress->total);
        break;
    case HEARTH__WORKER__FROM_WORKER__BODY_FAILED:
        fail(i, m->failed->code, m->failed->message);
        break;
    case HEARTH__WORKER__FROM_WORKER__BODY_IMPORTED:
        on_imported(i, m->imported);
        break;
    default:
        break;
    }
}

/* Text for 64 hex digits, or nothing. */
static bool sha256_ok(const char *text)
{
    size_t n = 0;

    while (isxdigit((unsigned char)text[n]))
        n++;
    return text[n] == '\0' && (n == 0 || n == 64);
}

static Hearth__ErrorCode check(const struct import *i, const Hearth__ModelAdd *m,
                               const struct link_frame *frame, struct reason *why)
{
    struct stat st;

    if (i->place) {
        reason_set(why, "model %s is being added: one at a time", i->name);
        return HEARTH__ERROR_CODE__ERROR_BUSY;
    }
    if (m->fd_index == 0 || m->fd_index > frame->n_fds) {
        reason_set(why,
                   "the request names descriptor %u and brought %zu: send the model's file with it",
                   m->fd_index, frame->n_fds);
        return HEARTH__ERROR_CODE__ERROR_INVALID;
    }
    const int fd = frame->fds[m->fd_index - 1];
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
        (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY) {
        reason_set(why, "the model must be a regular file that is open for reading");
        return HEARTH__ERROR_CODE__ERROR_INVALID;
    }
    if (!sha256_ok(m->sha256)) {
        reason_set(why, "sha256 must be 64 hex digits");
        return HEARTH__ERROR_CODE__ERROR_INVALID;
    }
    return HEARTH__ERROR_CODE__ERROR_UNKNOWN;
}

void import_start(struct import *i, struct conn *c, const Hearth__ModelAdd *m,
                  struct link_frame *frame)
{
    struct reason why = { "" };
    Hearth__ErrorCode code = check(i, m, frame, &why);
    int r = 0;

    if (!code && (r = store_import_new(i->server->store, m->name, &why, &i->place)) != 0)
        code = r == STORE_E_NAME ? HEARTH__ERROR_CODE__ERROR_INVALID
                                 : HEARTH__ERROR_CODE__ERROR_STORAGE;
    if (code) {
        conn_error(c, m->id, code, CONN_NO_RETRY, "%s",
                   why.text[0] ? why.text : strerror(r < 0 ? -r : EIO));
        return;
    }
    i->call = calloc(1, sizeof(*i->call));
    i->activate = m->activate;
    (void)snprintf(i->name, sizeof(i->name), "%s", m->name);
    (void)snprintf(i->sha256, sizeof(i->sha256), "%s", m->sha256);
    if (i->call) {
        i->call->import = i;
        conn_call(c, &i->call->call, m->id, on_end);
        i->from = frame->fds[m->fd_index - 1];
        frame->fds[m->fd_index - 1] =
            frame->fds[--frame->n_fds]; /* the others are closed with the frame */
        r = child_start(&i->child, i->server->base, i->server->conf.worker, on_message, on_gone, i,
                        &why);
    } else {
        conn_error(c, m->id, HEARTH__ERROR_CODE__ERROR_INTERNAL, 1000, "hearthd is out of memory");
        clear(i);
        return;
    }
    if (r < 0) fail(i, HEARTH__ERROR_CODE__ERROR_INTERNAL, why.text[0] ? why.text : strerror(-r));
}
