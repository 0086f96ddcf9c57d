/* SPDX-License-Identifier: Apache-2.0 */
/*
 * two_apps.c: two clients in one event loop, as two programs would be. Both answers stream side by
 * side, because hearthd gives both their share of the model. Each line that is complete is shown with
 * the name of its app.
 */
#include <hearth.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

struct app {
    const char *name, *question;
    struct hearth_client *client;
    char line[256];
    size_t size;
    int ended, code;
};

static void show(struct app *a)
{
    printf("%-8s| %.*s\n", a->name, (int)a->size, a->line);
    fflush(stdout);
    a->size = 0;
}

static void on_event(void *context, const struct hearth_event *e)
{
    struct app *a = context;

    for (size_t i = 0; e->type == HEARTH_EVENT_TEXT && i < e->text_size; i++) {
        if (e->text[i] != '\n') a->line[a->size++] = e->text[i];
        if (e->text[i] == '\n' || a->size == sizeof(a->line)) show(a);
    }
    if (e->type != HEARTH_EVENT_END) return;
    if (a->size > 0) show(a);
    a->ended = 1;
    a->code = e->code;
    if (e->code) fprintf(stderr, "%s: %s\n", a->name, e->message);
}

/* Send the app's question; the answer comes from hearth_client_process(). Return: 0, or what failed. */
static int ask(struct app *a)
{
    struct hearth_request *request = NULL;
    uint64_t id = 0;
    int r = hearth_request_new(&request);

    if (r == 0) r = hearth_request_message(request, HEARTH_ROLE_USER);
    if (r == 0) r = hearth_request_text(request, a->question, HEARTH_TEXT_SIZE);
    if (r == 0) r = hearth_client_set_name(a->client, a->name);
    if (r == 0) r = hearth_generate(a->client, request, on_event, a, &id);
    if (r != 0) fprintf(stderr, "%s: %s\n", a->name, hearth_client_error(a->client));
    request = hearth_request_free(request);
    return r;
}

int main(void)
{
    struct app apps[2] = { { .name = "radio", .question = "Name three songs about rain." },
                           { .name = "map", .question = "What is the capital of Italy?" } };
    struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLIN } };
    int r = 0;

    for (int i = 0; i < 2 && r == 0; i++) {
        r = hearth_client_new(NULL, &apps[i].client);
        if (r == 0) r = ask(&apps[i]);
        if (r == 0) fds[i].fd = hearth_client_fd(apps[i].client);
    }
    while (r == 0 && !(apps[0].ended && apps[1].ended)) {
        if (poll(fds, 2, -1) < 0) continue; /* a signal */
        for (int i = 0; i < 2 && r == 0; i++)
            if (fds[i].revents) r = hearth_client_process(apps[i].client);
    }
    for (int i = 0; i < 2; i++) {
        if (apps[i].code) r = apps[i].code;
        apps[i].client = hearth_client_free(apps[i].client);
    }
    return r != 0;
}
