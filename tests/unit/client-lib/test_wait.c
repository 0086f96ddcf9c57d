/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking calls, waiting and cancelling: the fake server has a thread where the client blocks. */
#include <criterion/criterion.h>
#include <errno.h>
#include <hearth.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include "tests/unit/client-lib/fake_server.h"

static struct fake_server server;
static struct hearth_client *client;
static struct hearth_request *request;
static struct seen seen;

static void start(void)
{
    fake_server_start(&server);
    cr_assert_eq(hearth_client_new(server.path, &client), 0);
    cr_assert_eq(hearth_request_new(&request), 0);
    cr_assert_eq(hearth_request_message(request, HEARTH_ROLE_USER), 0);
    cr_assert_eq(hearth_request_text(request, "Why?", HEARTH_TEXT_SIZE), 0);
}

static void stop(void)
{
    request = hearth_request_free(request);
    client = hearth_client_free(client);
    fake_server_stop(&server);
}

TestSuite(wait, .init = start, .fini = stop, .timeout = 60);

static pthread_t run(void *(*fn)(void *))
{
    pthread_t t;

    cr_assert_eq(pthread_create(&t, NULL, fn, NULL), 0);
    return t;
}

static void join(pthread_t t)
{
    cr_assert_eq(pthread_join(t, NULL), 0);
}

static void *answer(void *arg)
{
    fake_server_welcome(&server);
    const uint64_t id =
        fake_server_receive(&server, HEARTH__CLIENT_FRAME__BODY_GENERATE)->generate->id;
    fake_server_token(&server, id, "Because");
    fake_server_token(&server, id, " \xc3\xa4.");
    fake_server_done(&server, id, HEARTH__FINISH__FINISH_STOP);
    return arg;
}

Test(wait, a_blocking_call_returns_when_its_answer_has_ended)
{
    pthread_t t = run(answer);

    cr_assert_eq(hearth_generate(client, request, fake_server_see, &seen, NULL), 0);
    cr_assert_str_eq(seen.text, "Because \xc3\xa4.");
    cr_assert_eq(seen.n[HEARTH_EVENT_END], 1);
    cr_assert_eq(seen.finish, HEARTH_FINISH_STOP);
    join(t);
}

static void *refuse(void *arg)
{
    fake_server_welcome(&server);
    fake_server_error(
        &server, fake_server_receive(&server, HEARTH__CLIENT_FRAME__BODY_GENERATE)->generate->id,
        HEARTH_E_TOO_LONG, "the prompt has 9000 tokens, the context 4096");
    return arg;
}

Test(wait, a_blocking_call_returns_the_code_and_keeps_the_sentence_of_a_refusal)
{
    pthread_t t = run(refuse);

    cr_assert_eq(hearth_generate(client, request, NULL, NULL, NULL), HEARTH_E_TOO_LONG);
    cr_assert_str_eq(hearth_client_error(client), "the prompt has 9000 tokens, the context 4096");
    join(t);
}

static void *hang_up(void *arg)
{
    fake_server_welcome(&server);
    (void)fake_server_receive(&server, HEARTH__CLIENT_FRAME__BODY_GENERATE);
    fake_server_hang_up(&server);
    return arg;
}

Test(wait, a_blocking_call_survives_a_lost_connection_and_the_next_one_connects)
{
    pthread_t t = run(hang_up);

    cr_assert_eq(hearth_generate(client, request, NULL, NULL, NULL), HEARTH_E_DISCONNECTED);
    join(t);
    t = run(answer);
    cr_assert_eq(hearth_generate(client, request, fake_server_see, &seen, NULL), 0);
    join(t);
}

static void *answer_at_last(void *arg)
{
    static const int big = 6;

    fake_server_welcome(&server);
    for (int i = 0; i < big; i++) {
        const uint64_t id =
            fake_server_receive(&server, HEARTH__CLIENT_FRAME__BODY_TOKENIZE)->tokenize->id;
        fake_server_reply(&server, id);
    }
    return arg;
}

Test(wait, a_blocking_call_waits_for_room_in_the_queue)
{
    static char text[1000000];
    uint64_t id = 0;

    for (int i = 0; i < 4; i++)
        cr_assert_eq(hearth_tokenize(client, text, sizeof(text), 0, 1, fake_server_see, &seen, &id),
                     0);
    cr_assert_eq(hearth_tokenize(client, text, sizeof(text), 0, 1, fake_server_see, &seen, &id),
                 -EAGAIN, "the queue is full");
    pthread_t t = run(answer_at_last);
    cr_assert_eq(hearth_tokenize(client, text, sizeof(text), 0, 1, fake_server_see, &seen, NULL),
                 0);
    cr_assert_eq(hearth_tokenize(client, text, sizeof(text), 0, 1, fake_server_see, &seen, NULL),
                 0);
    cr_assert_eq(seen.n[HEARTH_EVENT_END], 6);
    join(t);
}

Test(wait, ends_with_the_request_or_with_the_time)
{
    uint64_t a = 0, b = 0;

    cr_assert_eq(hearth_generate(client, request, fake_server_see, &seen, &a), 0);
    cr_assert_eq(hearth_metrics(client, NULL, NULL, &b), 0);
    cr_assert_eq(hearth_client_wait(client, a, 0), -ETIMEDOUT);
    cr_assert_eq(hearth_client_wait(client, a, 20), -ETIMEDOUT);
    cr_assert_not_null(strstr(hearth_client_error(client), "20 ms"));
    fake_server_welcome(&server);
    fake_server_done(&server, a, HEARTH__FINISH__FINISH_LENGTH);
    fake_server_error(&server, b, HEARTH_E_DENIED, "no");
    cr_assert_eq(hearth_client_wait(client, b, -1), HEARTH_E_DENIED);
    cr_assert_eq(seen.finish, HEARTH_FINISH_LENGTH, "others are served meanwhile");
    cr_assert_eq(hearth_client_wait(client, b, -1), 0, "it is not known any more");
    cr_assert_eq(hearth_client_wait(client, 12345, -1), 0);
}

static void on_alarm(int number)
{
    (void)number;
}

Test(wait, a_signal_does_not_end_it)
{
    struct sigaction a = { .sa_handler = on_alarm };
    const struct itimerval every = { .it_interval = { 0, 2000 }, .it_value = { 0, 2000 } };
    uint64_t id = 0;

    cr_assert_eq(sigaction(SIGALRM, &a, NULL), 0);
    cr_assert_eq(setitimer(ITIMER_REAL, &every, NULL), 0);
    cr_assert_eq(hearth_generate(client, request, fake_server_see, &seen, &id), 0);
    cr_assert_eq(hearth_client_wait(client, id, 30), -ETIMEDOUT);
}

/* ---- cancelling ---- */

static void *obey(void *arg)
{
    fake_server_welcome(&server);
    const uint64_t id =
        fake_server_receive(&server, HEARTH__CLIENT_FRAME__BODY_GENERATE)->generate->id;
    fake_server_token(&server, id, "and");
    cr_assert_eq(fake_server_receive(&server, HEARTH__CLIENT_FRAME__BODY_CANCEL)->cancel->id, id);
    fake_server_done(&server, id, HEARTH__FINISH__FINISH_CANCELLED);
    return arg;
}

static void cancel_at_once(void *context, const struct hearth_event *e)
{
    fake_server_see(context, e);
    if (e->type != HEARTH_EVENT_TEXT) return;
    cr_assert_eq(hearth_cancel(client, e->id), 0);
    cr_assert_eq(hearth_cancel(client, e->id), 0, "twice is sent once");
}

Test(wait, a_callback_can_cancel_the_blocking_call_that_it_serves)
{
    pthread_t t = run(obey);

    cr_assert_eq(hearth_generate(client, request, cancel_at_once, &seen, NULL), 0);
    cr_assert_eq(seen.finish, HEARTH_FINISH_CANCELLED);
    cr_assert_str_eq(seen.text, "and");
    join(t);
    cr_assert(fake_server_quiet(&server));
}

static void *cancel_one(void *arg)
{
    cr_assert_eq(hearth_cancel(client, 1), 0);
    return arg;
}

static pthread_t canceller;

static void let_another_cancel(void *context, const struct hearth_event *e)
{
    fake_server_see(context, e);
    if (e->type == HEARTH_EVENT_TEXT) canceller = run(cancel_one);
}

Test(wait, another_thread_can_cancel_a_blocking_call)
{
    pthread_t t = run(obey);

    cr_assert_eq(hearth_generate(client, request, let_another_cancel, &seen, NULL), 0);
    cr_assert_eq(seen.finish, HEARTH_FINISH_CANCELLED);
    join(canceller);
    join(t);
}

static void cancel_on_alarm(int number)
{
    (void)number;
    (void)hearth_cancel(client, 1);
}

static void let_a_signal_cancel(void *context, const struct hearth_event *e)
{
    const struct itimerval once = { .it_value = { 0, 1000 } };

    fake_server_see(context, e);
    if (e->type == HEARTH_EVENT_TEXT) cr_assert_eq(setitimer(ITIMER_REAL, &once, NULL), 0);
}

Test(wait, a_signal_handler_can_cancel_a_blocking_call)
{
    struct sigaction a = { .sa_handler = cancel_on_alarm };
    pthread_t t = run(obey);

    cr_assert_eq(sigaction(SIGALRM, &a, NULL), 0);
    cr_assert_eq(hearth_generate(client, request, let_a_signal_cancel, &seen, NULL), 0);
    cr_assert_eq(seen.finish, HEARTH_FINISH_CANCELLED);
    join(t);
}

Test(wait, a_cancel_for_what_is_not_in_flight_is_forgotten)
{
    uint64_t id = 0;

    cr_assert_eq(hearth_cancel(client, 0), -EINVAL);
    cr_assert_eq(hearth_cancel(client, 1), 0);
    cr_assert_eq(hearth_client_process(client), 0);
    cr_assert_eq(hearth_generate(client, request, fake_server_see, &seen, &id), 0);
    cr_assert_eq(id, 1u);
    cr_assert_eq(hearth_client_process(client), 0);
    fake_server_welcome(&server);
    (void)fake_server_receive(&server, HEARTH__CLIENT_FRAME__BODY_GENERATE);
    cr_assert(fake_server_quiet(&server));
}

Test(wait, at_most_64_cancels_wait_to_be_sent)
{
    uint64_t id = 0;

    for (int i = 0; i < 65; i++)
        cr_assert_eq(hearth_metrics(client, NULL, NULL, &id), 0);
    for (uint64_t i = 1; i <= 64; i++)
        cr_assert_eq(hearth_cancel(client, i), 0);
    cr_assert_eq(hearth_cancel(client, 65), -EAGAIN);
    cr_assert_eq(hearth_client_process(client), 0);
    cr_assert_eq(hearth_cancel(client, 65), 0);
    cr_assert_eq(hearth_client_process(client), 0);
    fake_server_welcome(&server);
    for (uint64_t i = 1; i <= 65; i++)
        (void)fake_server_receive(&server, HEARTH__CLIENT_FRAME__BODY_METRICS);
    for (uint64_t i = 1; i <= 65; i++)
        cr_assert_eq(fake_server_receive(&server, HEARTH__CLIENT_FRAME__BODY_CANCEL)->cancel->id,
                     i);
}

Test(wait, a_cancel_that_finds_the_queue_full_is_sent_later)
{
    static char text[1000000];
    uint64_t id = 0;
    int n = 0;

    while (hearth_tokenize(client, text, sizeof(text), 0, 1, NULL, NULL, &id) == 0)
        n++;
    /* Fill the rest of the queue with small requests, until not even a cancel fits. */
    while (hearth_tokenize(client, text, 9000, 0, 1, NULL, NULL, &id) == 0)
        ;
    while (hearth_tokenize(client, text, 1, 0, 1, NULL, NULL, &id) == 0)
        ;
    cr_assert_eq(hearth_cancel(client, 1), 0);
    cr_assert_eq(hearth_client_process(client), 0);
    fake_server_accept(&server);
    for (;;) {
        struct link_frame f;
        (void)link_read(&server.link);
        cr_assert_eq(hearth_client_process(client), 0);
        if (link_next(&server.link, &f, NULL) != 0) continue;
        Hearth__ClientFrame *m = hearth__client_frame__unpack(NULL, f.size, f.body);
        const bool cancel = m->body_case == HEARTH__CLIENT_FRAME__BODY_CANCEL;
        hearth__client_frame__free_unpacked(m, NULL);
        if (cancel) break;
    }
    cr_assert(n > 3);
}
