/* SPDX-License-Identifier: Apache-2.0 */
/* The examples as a new user runs them, with a server whose answers are known. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/unit/client-lib/fake_server.h"

static struct fake_server server;
static int to_program, from_program;
static pid_t program;

static void start(void)
{
    fake_server_start(&server);
    cr_assert_eq(setenv("HEARTH_SOCKET", server.path, 1), 0);
}

static void stop(void)
{
    fake_server_stop(&server);
}

TestSuite(examples, .init = start, .fini = stop, .timeout = 60);

static void run(const char *name, char *argument)
{
    char path[512];
    int in[2], out[2];

    (void)snprintf(path, sizeof(path), "%s/example-%s", EXAMPLES_DIR, name);
    cr_assert_eq(pipe2(in, O_CLOEXEC), 0);
    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    program = fork();
    if (program == 0) {
        char *args[] = { path, argument, NULL };
        (void)dup2(in[0], STDIN_FILENO);
        (void)dup2(out[1], STDOUT_FILENO);
        (void)dup2(out[1], STDERR_FILENO);
        execv(path, args);
        _exit(127);
    }
    cr_assert(program > 0);
    (void)close(in[0]);
    (void)close(out[1]);
    to_program = in[1];
    from_program = out[0];
}

/* Read until @end was printed; all that was printed since the start of the test is in @text. */
static char text[4096];

static void expect(const char *end)
{
    size_t n = strlen(text);

    while (!strstr(text, end)) {
        const ssize_t k = read(from_program, text + n, sizeof(text) - 1 - n);
        cr_assert(k > 0, "'%s' instead of '%s'", text, end);
        n += (size_t)k;
    }
}

static int ends(void)
{
    int status = 0;

    (void)close(to_program);
    cr_assert_eq(waitpid(program, &status, 0), program);
    (void)close(from_program);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool asked(const Hearth__Message *m, const char *question)
{
    return m->n_parts == 1 && m->parts[0]->text.len == strlen(question) &&
           memcmp(m->parts[0]->text.data, question, strlen(question)) == 0;
}

static const Hearth__Generate *question(struct fake_server *s)
{
    return fake_server_receive(s, HEARTH__CLIENT_FRAME__BODY_GENERATE)->generate;
}

Test(examples, ask_prints_the_answer)
{
    run("ask", (char *)(uintptr_t) "Why?");
    fake_server_welcome(&server);
    const Hearth__Generate *g = question(&server);
    cr_assert(g->n_messages == 1 && asked(g->messages[0], "Why?"));
    fake_server_token(&server, g->id, "Because");
    fake_server_token(&server, g->id, " it is.");
    fake_server_done(&server, g->id, HEARTH__FINISH__FINISH_STOP);
    expect("Because it is.\n");
    cr_assert_eq(ends(), 0);
}

Test(examples, ask_says_why_there_is_no_answer)
{
    run("ask", NULL);
    fake_server_welcome(&server);
    fake_server_error(&server, question(&server)->id, HEARTH_E_NO_MODEL, "no model is active");
    expect("no answer: no model is active\n");
    cr_assert_eq(ends(), 1);
}

Test(examples, chat_sends_all_turns_and_ctrl_c_ends_the_answer_only)
{
    run("chat", NULL);
    cr_assert_eq(write(to_program, "Hello\n", 6), 6);
    fake_server_welcome(&server);
    const Hearth__Generate *g = question(&server);
    cr_assert_eq(g->n_messages, 1u);
    const uint64_t id = g->id;
    fake_server_token(&server, id, "Hi");
    expect("Hi"); /* printed by a callback, hence while it waits for the answer */
    cr_assert_eq(kill(program, SIGINT), 0);
    cr_assert_eq(fake_server_receive(&server, HEARTH__CLIENT_FRAME__BODY_CANCEL)->cancel->id, id);
    fake_server_done(&server, id, HEARTH__FINISH__FINISH_CANCELLED);
    cr_assert_eq(write(to_program, "Again\n", 6), 6);
    g = question(&server);
    cr_assert_eq(g->n_messages, 3u);
    cr_assert(asked(g->messages[0], "Hello") && asked(g->messages[1], "Hi") &&
              asked(g->messages[2], "Again"));
    cr_assert_eq(g->messages[1]->role, HEARTH__ROLE__ROLE_MODEL);
    fake_server_token(&server, g->id, "Once more");
    fake_server_done(&server, g->id, HEARTH__FINISH__FINISH_STOP);
    expect("Once more\n");
    cr_assert_eq(ends(), 0, "the end of the input ends it");
}

Test(examples, two_apps_stream_side_by_side)
{
    struct fake_server other = { .listen_fd = server.listen_fd };

    run("two_apps", NULL);
    fake_server_welcome(&server);
    cr_assert_str_eq(server.frame->hello->client_name, "radio");
    fake_server_welcome(&other);
    cr_assert_str_eq(other.frame->hello->client_name, "map");
    const uint64_t a = question(&server)->id, b = question(&other)->id;
    fake_server_token(&server, a, "One\nTw");
    expect("radio   | One\n");
    fake_server_token(&other, b, "Rome\n");
    expect("map     | Rome\n");
    fake_server_token(&server, a, "o");
    fake_server_done(&server, a, HEARTH__FINISH__FINISH_STOP);
    expect("radio   | Two\n");
    fake_server_done(&other, b, HEARTH__FINISH__FINISH_STOP);
    cr_assert_eq(ends(), 0);
    hearth__client_frame__free_unpacked(other.frame, NULL);
    fake_server_hang_up(&other);
}
