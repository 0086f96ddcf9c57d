/* SPDX-License-Identifier: Apache-2.0 */
#include "client-lib/client.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/err.h"

int client_fail(struct hearth_client *c, int code, const char *format, ...)
{
    char text[sizeof(c->error.text)];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    reason_set(&c->error, "%s", text);
    return code < 0 ? err_raise(code) : code;
}

int client_fail_errno(struct hearth_client *c, int code, const char *what)
{
    errno = -code; /* %m is strerror() without its static buffer */
    return client_fail(c, code, "%s: %m", what);
}

/* secure_getenv(): a program with more rights than its caller is not told by the caller where to talk. */
static int choose_path(const char *asked, char *ret)
{
    const char *env = secure_getenv("HEARTH_SOCKET");
    const char *run = secure_getenv("XDG_RUNTIME_DIR");

    if (!asked && env && *env) asked = env;
    if (!asked && run && *run) {
        int n = snprintf(ret, CLIENT_PATH_MAX, "%s/hearth/hearth.sock", run);
        if (n > 0 && n < CLIENT_PATH_MAX && access(ret, F_OK) == 0) return 0;
    }
    if (!asked) asked = HEARTH_SOCKET_DEFAULT;
    const size_t n = strlen(asked);
    if (n >= CLIENT_PATH_MAX) return err_raise(-ENAMETOOLONG);
    memcpy(ret, asked, n + 1);
    return 0;
}

static void client_freep(struct hearth_client **c)
{
    (void)hearth_client_free(*c);
}

int hearth_client_new(const char *socket_path, struct hearth_client **ret)
{
    CLEANUP(client_freep) struct hearth_client *c = calloc(1, sizeof(*c));

    if (!c) return err_raise(-ENOMEM);
    c->epoll_fd = c->event_fd = -1;
    c->frame_max = FRAME_BODY_MAX;
    list_init(&c->calls);
    int r = choose_path(socket_path, c->path);
    if (r < 0) return err_pass(r);
    c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (c->epoll_fd < 0) return err_raise(-errno);
    c->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->event_fd < 0) return err_raise(-errno);
    struct epoll_event e = { .events = EPOLLIN, .data.fd = c->event_fd };
    if (epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, c->event_fd, &e) < 0) return err_raise(-errno);
    *ret = TAKE_PTR(c);
    return 0;
}

struct hearth_client *hearth_client_free(struct hearth_client *c)
{
    if (!c || c->in_callback) return NULL;
    if (c->connected) link_deinit(&c->link);
    LIST_EACH(call, &c->calls, struct call, node)
    {
        list_remove(&call->node);
        free(call);
    }
    if (c->event_fd >= 0) (void)close(c->event_fd);
    if (c->epoll_fd >= 0) (void)close(c->epoll_fd);
    free(c->text);
    free(c);
    return NULL;
}

int hearth_client_set_name(struct hearth_client *c, const char *name)
{
    const size_t n = name ? strlen(name) : 0;

    if (n == 0 || n > CLIENT_NAME_MAX)
        return client_fail(c, -EINVAL, "a client's name has 1 to %d bytes", CLIENT_NAME_MAX);
    if (c->connected)
        return client_fail(c, -EBUSY,
                           "the name is given before the first request: it has "
                           "already been sent");
    memcpy(c->name, name, n + 1);
    return 0;
}

const char *hearth_client_error(const struct hearth_client *c)
{
    return c->error.text;
}

const char *hearth_client_socket(const struct hearth_client *c)
{
    return c->path;
}

int hearth_client_fd(const struct hearth_client *c)
{
    return c->epoll_fd;
}

int hearth_client_info(const struct hearth_client *c, const char **ret_server,
                       enum hearth_class *ret_class_ceiling, uint32_t *ret_max_in_flight,
                       int *ret_administrator)
{
    if (!c->welcome) return err_raise(-ENOTCONN);
    if (ret_server) *ret_server = c->info.server;
    if (ret_class_ceiling) *ret_class_ceiling = c->info.class_ceiling;
    if (ret_max_in_flight) *ret_max_in_flight = c->info.max_in_flight;
    if (ret_administrator) *ret_administrator = c->info.administrator;
    return 0;
}
