/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chat.c: a conversation in a terminal. The program keeps the turns and sends them all each time;
 * hearthd finds what it has seen before in its prefix cache and computes the new turn only. Ctrl-C
 * cancels the answer, not the program: hearth_cancel() may be called from a signal handler.
 */
#include <hearth.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct hearth_client *client;
static volatile sig_atomic_t answering;
static uint64_t answering_id;

struct answer {
    char text[65536];
    size_t size;
};

static void on_interrupt(int number)
{
    (void)number;
    if (answering) (void)hearth_cancel(client, answering_id);
}

static void on_event(void *context, const struct hearth_event *e)
{
    struct answer *a = context;

    if (e->type != HEARTH_EVENT_TEXT) return;
    fwrite(e->text, 1, e->text_size, stdout);
    fflush(stdout);
    if (e->text_size > sizeof(a->text) - a->size) return; /* shown, but not remembered */
    memcpy(a->text + a->size, e->text, e->text_size);
    a->size += e->text_size;
}

/* One turn of the user and one of the model, both added to @request. Return: 0, or what failed. */
static int turn(struct hearth_request *request, const char *line)
{
    static struct answer a;

    a.size = 0;
    int r = hearth_request_message(request, HEARTH_ROLE_USER);
    if (r == 0) r = hearth_request_text(request, line, HEARTH_TEXT_SIZE);
    if (r == 0) r = hearth_generate(client, request, on_event, &a, &answering_id);
    if (r != 0) return r;
    answering = 1;
    r = hearth_client_wait(client, answering_id, -1);
    answering = 0;
    if (r != 0) return r;
    r = hearth_request_message(request, HEARTH_ROLE_MODEL);
    return r != 0 ? r : hearth_request_text(request, a.text, a.size);
}

int main(void)
{
    struct sigaction interrupt = { .sa_handler = on_interrupt };
    struct hearth_request *request = NULL;
    char line[4096];
    int r = hearth_client_new(NULL, &client);

    if (r == 0) r = hearth_request_new(&request);
    if (r != 0) return 1;
    interrupt.sa_flags = SA_RESTART;
    (void)sigaction(SIGINT, &interrupt, NULL);
    while (r == 0 && fputs("> ", stdout) >= 0 && fflush(stdout) == 0 &&
           fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        r = turn(request, line);
        puts("");
    }
    if (r != 0) fprintf(stderr, "the conversation ended: %s\n", hearth_client_error(client));
    request = hearth_request_free(request);
    client = hearth_client_free(client);
    return r != 0;
}
