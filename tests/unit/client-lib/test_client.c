/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <hearth.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/unit/client-lib/fake_server.h"

static struct fake_server server;
static struct hearth_client *client;
static struct seen seen;

static void start(void)
{
    fake_server_start(&server);
    cr_assert_eq(hearth_client_new(server.path, &client), 0);
}

static void stop(void)
{
    client = hearth_client_free(client);
    fake_server_stop(&server);
}

TestSuite(client, .init = start, .fini = stop, .timeout = 60);

/* A small request in event-loop mode. */
static uint64_t ask(struct seen *s)
{
    uint64_t id = 0;

    cr_assert_eq(hearth_metrics(client, fake_server_see, s, &id), 0, "%s",
                 hearth_client_error(client));
    return id;
}

static bool readable(void)
{
    struct pollfd p = { .fd = hearth_client_fd(client), .events = POLLIN };

    return poll(&p, 1, 0) == 1;
}

static bool says(const char *text)
{
    return strstr(hearth_client_error(client), text) != NULL;
}

Test(client, uses_the_given_socket_then_the_environment_then_the_users_then_the_systems)
{
    struct hearth_client *c = NULL;
    char dir[128];

    cr_assert_str_eq(hearth_client_socket(client), server.path);
    (void)setenv("HEARTH_SOCKET", "/somewhere/else", 1);
    cr_assert_eq(hearth_client_new(NULL, &c), 0);
    cr_assert_str_eq(hearth_client_socket(c), "/somewhere/else");
    c = hearth_client_free(c);

    (void)unsetenv("HEARTH_SOCKET");
    (void)setenv("XDG_RUNTIME_DIR", server.dir, 1);
    cr_assert_eq(hearth_client_new(NULL, &c), 0);
    cr_assert_str_eq(hearth_client_socket(c), HEARTH_SOCKET_DEFAULT, "the user's does not exist");
    c = hearth_client_free(c);

    (void)snprintf(dir, sizeof(dir), "%s/hearth", server.dir);
    cr_assert_eq(symlink(server.dir, dir), 0);
    cr_assert_eq(hearth_client_new(NULL, &c), 0);
    cr_assert_eq(unlink(dir), 0);
    cr_assert_str_eq(hearth_client_socket(c) + strlen(server.dir), "/hearth/hearth.sock");
    c = hearth_client_free(c);
}

Test(client, refuses_a_path_that_no_socket_can_have)
{
    struct hearth_client *c = NULL;
    char path[109];

    memset(path, 'x', sizeof(path));
    path[108] = '\0';
    cr_assert_eq(hearth_client_new(path, &c), -ENAMETOOLONG);
    cr_assert_null(c);
    path[107] = '\0';
    cr_assert_eq(hearth_client_new(path, &c), 0);
    c = hearth_client_free(c);
    cr_assert_null(hearth_client_free(NULL));
}

Test(client, says_what_to_do_when_hearthd_does_not_run)
{
    struct hearth_client *c = NULL;

    cr_assert_eq(hearth_client_new("/nowhere/hearth.sock", &c), 0);
    cr_assert_eq(hearth_status(c, NULL, NULL, NULL), -ENOENT);
    cr_assert_not_null(strstr(hearth_client_error(c), "no socket at /nowhere/hearth.sock"));
    cr_assert_not_null(strstr(hearth_client_error(c), "hearthctl doctor"));
    c = hearth_client_free(c);
    (void)close(server.listen_fd);
    cr_assert_eq(hearth_status(client, NULL, NULL, NULL), -ECONNREFUSED);
    cr_assert(says("nobody answers"));
}

Test(client, says_who_may_use_a_socket_without_permission)
{
    if (geteuid() == 0) {
        cr_assert_eq(chmod(server.path, 0600), 0);
        cr_assert_eq(chmod(server.dir, 0755), 0);
        cr_assert_eq(seteuid(65534), 0);
    } else {
        cr_assert_eq(chmod(server.path, 0), 0);
    }
    cr_assert_eq(hearth_status(client, NULL, NULL, NULL), -EACCES);
    cr_assert(says("group hearth"));
    if (getuid() == 0) cr_assert_eq(seteuid(0), 0);
}

Test(client, does_not_wait_for_a_full_backlog_in_event_loop_mode)
{
    struct hearth_client *c[3] = { NULL };
    uint64_t id = 0;
    int r = 0;

    cr_assert_eq(listen(server.listen_fd, 0), 0);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(hearth_client_new(server.path, &c[i]), 0);
        if (r == 0) r = hearth_status(c[i], NULL, NULL, &id);
    }
    cr_assert_eq(r, -EAGAIN);
    for (int i = 0; i < 3; i++)
        c[i] = hearth_client_free(c[i]);
}

Test(client, has_a_name_of_1_to_64_bytes_until_it_is_connected)
{
    char name[66];

    memset(name, 'n', sizeof(name));
    name[65] = '\0';
    cr_assert_eq(hearth_client_set_name(client, name), -EINVAL);
    cr_assert_eq(hearth_client_set_name(client, ""), -EINVAL);
    cr_assert_eq(hearth_client_set_name(client, NULL), -EINVAL);
    name[64] = '\0';
    cr_assert_eq(hearth_client_set_name(client, name), 0);
    (void)ask(&seen);
    cr_assert_eq(hearth_client_set_name(client, "late"), -EBUSY);
    fake_server_accept(&server);
    cr_assert_str_eq(server.frame->hello->client_name, name);
    cr_assert_eq(server.frame->hello->version_min, 1u);
    cr_assert_eq(server.frame->hello->version_max, 1u);
}

Test(client, tells_the_programs_name_if_it_was_given_none)
{
    (void)ask(&seen);
    fake_server_accept(&server);
    cr_assert_str_eq(server.frame->hello->client_name, program_invocation_short_name);
}

Test(client, sends_its_requests_behind_hello_without_waiting_for_the_welcome)
{
    struct seen other = { { 0 } };
    const uint64_t a = ask(&seen), b = ask(&other);

    cr_assert_neq(a, b);
    fake_server_welcome(&server);
    cr_assert_eq(fake_server_receive(&server, HEARTH__CLIENT_FRAME__BODY_METRICS)->metrics->id, a);
    cr_assert_eq(fake_server_receive(&server, HEARTH__CLIENT_FRAME__BODY_METRICS)->metrics->id, b);
    fake_server_reply(&server, b);
    fake_server_pump(client, &other, HEARTH_EVENT_END, 1);
    cr_assert_eq(other.id, b);
    cr_assert_eq(seen.n[HEARTH_EVENT_END], 0);
    fake_server_reply(&server, a);
    fake_server_pump(client, &seen, HEARTH_EVENT_END, 1);
}

Test(client, knows_what_the_welcome_said_while_the_connection_lasts)
{
    const char *name = NULL;
    enum hearth_class ceiling = HEARTH_CLASS_DEFAULT;
    uint32_t n = 0;
    int administrator = 0;

    cr_assert_eq(hearth_client_info(client, NULL, NULL, NULL, NULL), -ENOTCONN);
    const uint64_t id = ask(&seen);
    cr_assert_eq(hearth_client_info(client, NULL, NULL, NULL, NULL), -ENOTCONN);
    fake_server_welcome(&server);
    fake_server_reply(&server, id);
    fake_server_pump(client, &seen, HEARTH_EVENT_END, 1);
    cr_assert_eq(hearth_client_info(client, &name, &ceiling, &n, &administrator), 0);
    cr_assert_str_eq(name, "hearthd 9");
    cr_assert_eq(ceiling, HEARTH_CLASS_REALTIME);
    cr_assert_eq(n, 7u);
    cr_assert_eq(administrator, 1);
    cr_assert_eq(hearth_client_info(client, NULL, NULL, NULL, NULL), 0);
    fake_server_hang_up(&server);
    cr_assert_eq(hearth_client_process(client), 0);
    cr_assert_eq(hearth_client_info(client, NULL, NULL, NULL, NULL), -ENOTCONN);
}

Test(client, ends_all_requests_when_the_connection_is_lost_and_connects_again_with_the_next)
{
    const int fd = hearth_client_fd(client);

    (void)ask(&seen);
    (void)ask(&seen);
    fake_server_welcome(&server);
    fake_server_hang_up(&server);
    fake_server_pump(client, &seen, HEARTH_EVENT_END, 2);
    cr_assert_eq(seen.code, HEARTH_E_DISCONNECTED);
    cr_assert_eq(seen.retry, 1);
    cr_assert_not_null(strstr(seen.message, "lost"));
    cr_assert(!readable());

    const uint64_t id = ask(&seen);
    fake_server_welcome(&server);
    cr_assert_eq(fake_server_receive(&server, HEARTH__CLIENT_FRAME__BODY_METRICS)->metrics->id, id);
    fake_server_reply(&server, id);
    fake_server_pump(client, &seen, HEARTH_EVENT_END, 3);
    cr_assert_eq(seen.code, 0);
    cr_assert_eq(hearth_client_fd(client), fd);
}

Test(client, replaces_a_connection_that_was_lost_while_idle_without_a_word)
{
    uint64_t id = ask(&seen);

    fake_server_welcome(&server);
    fake_server_reply(&server, id);
    fake_server_pump(client, &seen, HEARTH_EVENT_END, 1);
    fake_server_hang_up(&server); /* nobody processes events now: a blocking program */
    id = ask(&seen);
    fake_server_welcome(&server);
    fake_server_reply(&server, id);
    fake_server_pump(client, &seen, HEARTH_EVENT_END, 2);
    cr_assert_eq(seen.code, 0);
}

static void ask_again(void *context, const struct hearth_event *e)
{
    fake_server_see(context, e);
    if (seen.n[HEARTH_EVENT_END] < 3) (void)ask(&seen);
}

Test(client, may_begin_a_request_in_the_callback_that_tells_of_the_lost_connection)
{
    uint64_t id = 0;

    cr_assert_eq(hearth_metrics(client, ask_again, &seen, &id), 0);
    (void)ask(&seen);
    fake_server_welcome(&server);
    fake_server_hang_up(&server);
    fake_server_pump(client, &seen, HEARTH_EVENT_END, 2);
    cr_assert_eq(seen.n[HEARTH_EVENT_END], 2, "the new one lives on the new connection");
    fake_server_welcome(&server);
    cr_assert_eq(fake_server_receive(&server, HEARTH__CLIENT_FRAME__BODY_METRICS)->metrics->id,
                 id + 2);
    fake_server_reply(&server, id + 2);
    fake_server_pump(client, &seen, HEARTH_EVENT_END, 3);
    cr_assert_eq(seen.code, 0);
}

Test(client, passes_on_why_hearthd_refused_the_connection)
{
    (void)ask(&seen);
    (void)ask(&seen);
    fake_server_accept(&server);
    fake_server_error(&server, 0, HEARTH_E_VERSION, "update hearth on this machine");
    fake_server_hang_up(&server);
    fake_server_pump(client, &seen, HEARTH_EVENT_END, 2);
    cr_assert_eq(seen.code, HEARTH_E_VERSION);
    cr_assert_str_eq(seen.message, "update hearth on this machine");
}

Test(client, reads_why_hearthd_hung_up_even_when_sending_failed_before)
{
    static char text[900000];
    uint64_t id = 0;

    (void)ask(&seen);
    fake_server_accept(&server);
    cr_assert_eq(hearth_tokenize(client, text, sizeof(text), 0, 1, fake_server_see, &seen, &id),
                 0); /* more than the socket takes */
    fake_server_error(&server, 0, HEARTH_E_BUSY, "stopping");
    fake_server_hang_up(&server);
    fake_server_pump(client, &seen, HEARTH_EVENT_END, 2);
    cr_assert_eq(seen.code, HEARTH_E_BUSY);
    cr_assert_str_eq(seen.message, "stopping");
}

/* Send bytes instead of what hearthd would say; all ends with PROTOCOL and the next request connects anew. */
static void expect_protocol_error(const void *bytes, size_t n, const char *why)
{
    fake_server_raw(&server, bytes, n);
    fake_server_pump(client, &seen, HEARTH_EVENT_END, 1);
    cr_assert_eq(seen.code, HEARTH_E_PROTOCOL);
    cr_assert_not_null(strstr(seen.message, why), "%s", seen.message);
    fake_server_hang_up(&server);
    const uint64_t id = ask(&seen);
    fake_server_welcome(&server);
    fake_server_reply(&server, id);
    fake_server_pump(client, &seen, HEARTH_EVENT_END, 2);
    cr_assert_eq(seen.code, 0);
}

Test(client, takes_no_garbage_for_frames)
{
    (void)ask(&seen);
    fake_server_accept(&server);
    expect_protocol_error("SSH-2.0-x\r\n", 11, "not hearth's protocol");
}

Test(client, takes_no_garbage_for_messages)
{
    (void)ask(&seen);
    fake_server_accept(&server);
    expect_protocol_error("H1\0\0\4\0\0\0\377\377\377\377", 12, "not a valid message");
}

Test(client, takes_no_frame_for_one_that_is_too_long)
{
    (void)ask(&seen);
    fake_server_accept(&server);
    expect_protocol_error("H1\0\0\0\0\0\377", 8, "at most 1048576");
}

Test(client, takes_no_answer_before_the_welcome)
{
    const uint64_t id = ask(&seen);

    fake_server_accept(&server);
    fake_server_reply(&server, id);
    expect_protocol_error("", 0, "before the welcome");
}

Test(client, takes_one_welcome_only)
{
    Hearth__Welcome w = HEARTH__WELCOME__INIT;

    (void)ask(&seen);
    fake_server_welcome(&server);
    w.version = 1;
    fake_server_send(&server, HEARTH__SERVER_FRAME__BODY_WELCOME, &w.base);
    expect_protocol_error("", 0, "second welcome");
}

Test(client, takes_no_version_that_it_did_not_offer)
{
    Hearth__Welcome w = HEARTH__WELCOME__INIT;

    (void)ask(&seen);
    fake_server_accept(&server);
    w.version = 2;
    fake_server_send(&server, HEARTH__SERVER_FRAME__BODY_WELCOME, &w.base);
    expect_protocol_error("", 0, "version 2");
}

Test(client, takes_no_descriptors_that_no_frame_announces)
{
    int fds[FDPASS_MAX];

    (void)ask(&seen);
    fake_server_accept(&server);
    for (int i = 0; i < FDPASS_MAX; i++)
        fds[i] = STDERR_FILENO;
    cr_assert_eq(fdpass_send(server.link.fd, "H", 1, fds, FDPASS_MAX), 1);
    cr_assert_eq(fdpass_send(server.link.fd, "1", 1, fds, 1), 1);
    expect_protocol_error("", 0, "belong to nothing");
}

Test(client, ignores_what_is_newer_than_itself_and_what_is_about_nothing_in_flight)
{
    const uint64_t id = ask(&seen);

    fake_server_welcome(&server);
    fake_server_raw(&server, "H1\0\0\3\0\0\0\372\6\0", 11); /* field 111, empty */
    fake_server_token(&server, id + 1, "nobody's");
    fake_server_done(&server, id + 1, HEARTH__FINISH__FINISH_STOP);
    fake_server_reply(&server, id + 1);
    fake_server_error(&server, id + 1, HEARTH_E_BUSY, "nobody's");
    fake_server_token(&server, id, "mine");
    fake_server_reply(&server, id);
    fake_server_pump(client, &seen, HEARTH_EVENT_END, 1);
    cr_assert_str_eq(seen.text, "mine");
    cr_assert_eq(seen.code, 0);
}

Test(client, is_readable_only_when_there_is_something_to_do)
{
    static char text[900000];
    uint64_t id = ask(&seen);

    cr_assert(!readable(), "sent at once");
    fake_server_welcome(&server);
    cr_assert(readable());
    cr_assert_eq(hearth_client_process(client), 0);
    cr_assert(!readable());
    cr_assert_eq(hearth_tokenize(client, text, sizeof(text), 0, 1, fake_server_see, &seen, &id), 0);
    cr_assert(!readable(), "the socket is full");
    (void)fake_server_receive(&server, HEARTH__CLIENT_FRAME__BODY_METRICS);
    while (link_read(&server.link) == 0 && !readable())
        ;
    cr_assert(readable(), "there is room again");
    server.pumped = client;
    (void)fake_server_receive(&server, HEARTH__CLIENT_FRAME__BODY_TOKENIZE);
    cr_assert_eq(server.frame->tokenize->text.len, sizeof(text));
    cr_assert(!readable());
}

Test(client, refuses_more_than_it_can_keep_until_hearthd_reads)
{
    static char text[900000];
    uint64_t id = 0;
    int n = 0, r;

    while ((r = hearth_tokenize(client, text, sizeof(text), 0, 1, fake_server_see, &seen, &id)) ==
           0)
        n++;
    cr_assert_eq(r, -EAGAIN);
    cr_assert(n >= 4 && n < 10, "%d", n);
    cr_assert(says("keep up"));
    fake_server_welcome(&server);
    for (int i = 0; i < n; i++) {
        struct link_frame f;
        while ((r = link_next(&server.link, &f, NULL)) == LINK_E_NONE) {
            cr_assert_eq(hearth_client_process(client), 0);
            (void)link_read(&server.link);
        }
        cr_assert_eq(r, 0);
    }
    cr_assert_eq(hearth_tokenize(client, text, sizeof(text), 0, 1, fake_server_see, &seen, &id), 0);
}

Test(client, keeps_at_most_1024_requests_in_flight)
{
    uint64_t id = 0;

    for (int i = 0; i < 1024; i++)
        (void)ask(&seen);
    cr_assert_eq(hearth_metrics(client, NULL, NULL, &id), -EAGAIN);
    cr_assert(says("1024 requests"));
    fake_server_welcome(&server);
    fake_server_reply(&server, 1);
    fake_server_pump(client, &seen, HEARTH_EVENT_END, 1);
    (void)ask(&seen);
}

Test(client, leaves_in_the_socket_what_the_app_does_not_take)
{
    Hearth__ServerFrame f = HEARTH__SERVER_FRAME__INIT;
    Hearth__Token m = HEARTH__TOKEN__INIT;
    const uint64_t id = ask(&seen);
    int n = 0;

    fake_server_welcome(&server);
    m.id = id;
    m.text.data = (uint8_t *)(uintptr_t) "abcdefgh";
    m.text.len = 8;
    f.body_case = HEARTH__SERVER_FRAME__BODY_TOKEN;
    f.token = &m;
    while (link_pending(&server.link) == 0) { /* hearthd pauses here */
        cr_assert_eq(link_send(&server.link, &f.base, NULL, 0), 0);
        cr_assert_eq(link_flush(&server.link), 0);
        n++;
    }
    cr_assert(n > 100 && n < 100000);
    while (seen.n[HEARTH_EVENT_TEXT] < n) {
        cr_assert_eq(hearth_client_process(client), 0);
        cr_assert_eq(link_flush(&server.link), 0);
    }
    fake_server_reply(&server, id);
    fake_server_pump(client, &seen, HEARTH_EVENT_END, 1);
    cr_assert_eq(seen.n[HEARTH_EVENT_TEXT], n);
}

Test(client, calls_nobody_back_when_it_is_freed)
{
    (void)ask(&seen);
    fake_server_welcome(&server);
    client = hearth_client_free(client);
    cr_assert_eq(seen.n[HEARTH_EVENT_END], 0);
    cr_assert_eq(fake_server_receive(&server, HEARTH__CLIENT_FRAME__BODY_METRICS)->metrics->id, 1u);
    cr_assert_eq(link_read(&server.link), LINK_E_CLOSED);
}

static struct hearth_request *request;
static int results[4];

static void misbehave(void *context, const struct hearth_event *e)
{
    fake_server_see(context, e);
    cr_assert_null(hearth_client_free(client));
    results[0] = hearth_client_process(client);
    results[1] = hearth_client_wait(client, e->id, 0);
    results[2] = hearth_status(client, NULL, NULL, NULL);
    results[3] = hearth_generate(client, request, NULL, NULL, NULL);
}

Test(client, does_not_wait_inside_a_callback)
{
    uint64_t id = 0;

    cr_assert_eq(hearth_request_new(&request), 0);
    cr_assert_eq(hearth_metrics(client, misbehave, &seen, &id), 0);
    fake_server_welcome(&server);
    fake_server_reply(&server, id);
    fake_server_pump(client, &seen, HEARTH_EVENT_END, 1);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(results[i], -EDEADLK, "%d", i);
    cr_assert(says("callback"));
    (void)ask(&seen);
    request = hearth_request_free(request);
}
