/* SPDX-License-Identifier: Apache-2.0 */
/* ask.c: one question, its answer as it is made. cc ask.c $(pkg-config --cflags --libs hearth) */
#include <hearth.h>
#include <stdio.h>

static void on_event(void *context, const struct hearth_event *e)
{
    if (e->type == HEARTH_EVENT_TEXT) fwrite(e->text, 1, e->text_size, context);
}

int main(int argc, char **argv)
{
    struct hearth_client *client = NULL;
    struct hearth_request *request = NULL;
    int r = 1;

    if (hearth_client_new(NULL, &client) || hearth_request_new(&request)) return 1;
    if (hearth_request_message(request, HEARTH_ROLE_USER) == 0 &&
        hearth_request_text(request, argc > 1 ? argv[1] : "Hello!", HEARTH_TEXT_SIZE) == 0)
        r = hearth_generate(client, request, on_event, stdout, NULL);
    if (r) fprintf(stderr, "no answer: %s\n", hearth_client_error(client));
    puts("");
    hearth_request_free(request);
    hearth_client_free(client);
    return r != 0;
}
