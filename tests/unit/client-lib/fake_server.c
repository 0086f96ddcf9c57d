/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client-lib/fake_server.h"
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000 };

static void await(int fd, short events)
{
    struct pollfd p = { .fd = fd, .events = events };

    cr_assert_eq(poll(&p, 1, PATIENCE_MS), 1, "nothing came");
}

void fake_server_start(struct fake_server *s)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    memset(s, 0, sizeof(*s));
    (void)snprintf(s->dir, sizeof(s->dir), "/tmp/hearth-test-XXXXXX");
    cr_assert_not_null(mkdtemp(s->dir));
    (void)snprintf(s->path, sizeof(s->path), "%s/hearth.sock", s->dir);
    memcpy(a.sun_path, s->path, strlen(s->path) + 1);
    s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(s->listen_fd, (struct sockaddr *)&a, sizeof(a)), 0);
    cr_assert_eq(listen(s->listen_fd, 8), 0);
}

static void forget(struct fake_server *s)
{
    if (s->frame) hearth__client_frame__free_unpacked(s->frame, NULL);
    s->frame = NULL;
    while (s->n_fds > 0)
        (void)close(s->fds[--s->n_fds]);
}

void fake_server_hang_up(struct fake_server *s)
{
    if (s->connected) link_deinit(&s->link);
    s->connected = false;
}

void fake_server_stop(struct fake_server *s)
{
    forget(s);
    fake_server_hang_up(s);
    (void)close(s->listen_fd);
    (void)unlink(s->path);
    (void)rmdir(s->dir);
}

void fake_server_accept(struct fake_server *s)
{
    await(s->listen_fd, POLLIN);
    int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    cr_assert(fd >= 0);
    cr_assert_eq(link_init(&s->link, fd, 64 << 20), 0);
    s->connected = true;
    (void)fake_server_receive(s, HEARTH__CLIENT_FRAME__BODY_HELLO);
}

void fake_server_welcome(struct fake_server *s)
{
    Hearth__Welcome w = HEARTH__WELCOME__INIT;

    fake_server_accept(s);
    w.version = 1;
    w.server = (char *)(uintptr_t) "hearthd 9";
    w.max_frame_bytes = FRAME_BODY_MAX;
    w.max_in_flight = 7;
    w.class_ceiling = HEARTH__CLASS__CLASS_REALTIME;
    w.administrator = 1;
    fake_server_send(s, HEARTH__SERVER_FRAME__BODY_WELCOME, &w.base);
}

const Hearth__ClientFrame *fake_server_receive(struct fake_server *s,
                                               Hearth__ClientFrame__BodyCase kind)
{
    struct link_frame f;
    struct reason why = { "" };
    int r;

    forget(s);
    while ((r = link_next(&s->link, &f, &why)) == LINK_E_NONE) {
        if (s->pumped) cr_assert_eq(hearth_client_process(s->pumped), 0);
        await(s->link.fd, POLLIN);
        cr_assert_eq(link_read(&s->link), 0);
    }
    cr_assert_eq(r, 0, "%s", why.text);
    s->frame = hearth__client_frame__unpack(NULL, f.size, f.body);
    memcpy(s->fds, f.fds, sizeof(s->fds));
    s->n_fds = f.n_fds;
    cr_assert_not_null(s->frame);
    cr_assert_eq(s->frame->body_case, kind, "kind %d came for %d", (int)s->frame->body_case,
                 (int)kind);
    return s->frame;
}

bool fake_server_quiet(struct fake_server *s)
{
    struct link_frame f;

    (void)link_read(&s->link);
    return link_next(&s->link, &f, NULL) == LINK_E_NONE && !link_partial(&s->link);
}

static void flush(struct fake_server *s)
{
    while (link_pending(&s->link) > 0) {
        cr_assert_eq(link_flush(&s->link), 0);
        if (link_pending(&s->link) > 0) await(s->link.fd, POLLOUT);
    }
}

void fake_server_send(struct fake_server *s, Hearth__ServerFrame__BodyCase kind,
                      ProtobufCMessage *body)
{
    Hearth__ServerFrame f = HEARTH__SERVER_FRAME__INIT;

    f.body_case = kind;
    f.welcome = (Hearth__Welcome *)body; /* a union of pointers */
    cr_assert_eq(link_send(&s->link, &f.base, NULL, 0), 0);
    flush(s);
}

void fake_server_raw(struct fake_server *s, const void *bytes, size_t n)
{
    cr_assert_eq(write(s->link.fd, bytes, n), (ssize_t)n);
}

void fake_server_token(struct fake_server *s, uint64_t id, const char *text)
{
    Hearth__Token m = HEARTH__TOKEN__INIT;
    uint32_t token_id = 42;

    m.id = id;
    m.text.data = (uint8_t *)(uintptr_t)text;
    m.text.len = strlen(text);
    m.token_ids = &token_id;
    m.n_token_ids = 1;
    fake_server_send(s, HEARTH__SERVER_FRAME__BODY_TOKEN, &m.base);
}

void fake_server_done(struct fake_server *s, uint64_t id, Hearth__Finish finish)
{
    Hearth__Done m = HEARTH__DONE__INIT;

    m.id = id;
    m.finish = finish;
    fake_server_send(s, HEARTH__SERVER_FRAME__BODY_DONE, &m.base);
}

void fake_server_reply(struct fake_server *s, uint64_t id)
{
    Hearth__Reply m = HEARTH__REPLY__INIT;

    m.id = id;
    fake_server_send(s, HEARTH__SERVER_FRAME__BODY_REPLY, &m.base);
}

void fake_server_error(struct fake_server *s, uint64_t id, int code, const char *message)
{
    Hearth__Error m = HEARTH__ERROR__INIT;

    m.id = id;
    m.code = (Hearth__ErrorCode)code;
    m.message = (char *)(uintptr_t)message;
    m.retry = 1;
    m.retry_after_ms = 250;
    fake_server_send(s, HEARTH__SERVER_FRAME__BODY_ERROR, &m.base);
}

void fake_server_see(void *context, const struct hearth_event *e)
{
    struct seen *s = context;

    s->n[e->type]++;
    s->id = e->id;
    if (e->type == HEARTH_EVENT_TEXT && s->text_size + e->text_size < sizeof(s->text)) {
        memcpy(s->text + s->text_size, e->text, e->text_size + 1);
        s->text_size += e->text_size;
    }
    if (e->type != HEARTH_EVENT_END) return;
    s->code = e->code;
    s->retry = e->retry;
    s->retry_after_ms = e->retry_after_ms;
    s->finish = e->finish;
    (void)snprintf(s->message, sizeof(s->message), "%s", e->message);
}

void fake_server_pump(struct hearth_client *c, const struct seen *seen, enum hearth_event_type type,
                      int n)
{
    while (seen->n[type] < n) {
        await(hearth_client_fd(c), POLLIN);
        cr_assert_eq(hearth_client_process(c), 0, "%s", hearth_client_error(c));
    }
}
