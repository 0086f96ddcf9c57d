/* SPDX-License-Identifier: Apache-2.0 */
/*
 * car.c: a simulated car that does what two people in it say, each with an app of their own, at once.
 *
 *     printf 'driver: set the temperature to 21 degrees\npassenger: 내 창문 반만 열어 줘\n' | example-car
 *
 * A line is what somebody says, "driver: ..." or "passenger: ..."; without a name it is the driver. The model
 * calls tools; the calls change the car, after their values were looked at. At the end the car is shown.
 * It needs a model that calls tools, as hearth-mini. cc car.c $(pkg-config --cflags --libs hearth jansson)
 */
#include <hearth.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the car ---- */

struct thing {
    const char *name;
    const char *places[5]; /* until NULL; { "" } where there is only one */
    double least, most, value[4];
};

enum { AC, TEMPERATURE, WINDOW, SEAT, VOLUME, LIGHT, LOCK, N_THINGS };

#define ZONES                                                                                      \
    {                                                                                              \
        "driver", "passenger", "rear", NULL                                                        \
    }
#define CORNERS                                                                                    \
    {                                                                                              \
        "driver", "passenger", "rear_left", "rear_right", NULL                                     \
    }
#define ONE                                                                                        \
    {                                                                                              \
        "", NULL                                                                                   \
    }

static struct thing car[N_THINGS] = {
    [AC] = { "air conditioning", ZONES, 0, 1, { 0 } },
    [TEMPERATURE] = { "temperature", ZONES, 16, 30, { 20, 20, 20 } },
    [WINDOW] = { "window", CORNERS, 0, 100, { 0 } },
    [SEAT] = { "seat heating", CORNERS, 0, 3, { 0 } },
    [VOLUME] = { "volume", ONE, 0, 100, { 30 } },
    [LIGHT] = { "light", ONE, 0, 1, { 0 } },
    [LOCK] = { "lock", ONE, 0, 1, { 1 } },
};

/* What the model may call, and what it does to the car. */
static const struct tool {
    const char *name, *place, *value; /* its arguments; place is NULL where the thing is one */
    int thing, relative;
    const char *json;
} tools[] = {
#define SCHEMA(name, properties, required)                                                         \
    "{\"name\":\"" name "\",\"parameters\":{\"type\":\"object\",\"properties\":{" properties       \
    "},\"required\":[" required "]}}"
#define ZONE  ",\"zone\":{\"enum\":[\"driver\",\"passenger\",\"rear\",\"all\"]}"
#define SIDES "{\"enum\":[\"driver\",\"passenger\",\"rear_left\",\"rear_right\",\"all\"]}"
    { "climate_power", "zone", "on", AC, 0,
      SCHEMA("climate_power", "\"on\":{\"type\":\"boolean\"}" ZONE, "\"on\"") },
    { "climate_temperature", "zone", "celsius", TEMPERATURE, 0,
      SCHEMA("climate_temperature", "\"celsius\":{\"type\":\"number\"}" ZONE, "\"celsius\"") },
    { "climate_adjust", "zone", "delta", TEMPERATURE, 1,
      SCHEMA("climate_adjust", "\"delta\":{\"type\":\"number\"}" ZONE, "\"delta\"") },
    { "window_set", "window", "percent", WINDOW, 0,
      SCHEMA("window_set", "\"window\":" SIDES ",\"percent\":{\"type\":\"integer\"}",
             "\"window\",\"percent\"") },
    { "seat_heat", "seat", "level", SEAT, 0,
      SCHEMA("seat_heat", "\"seat\":" SIDES ",\"level\":{\"type\":\"integer\"}",
             "\"seat\",\"level\"") },
    { "volume_set", NULL, "percent", VOLUME, 0,
      SCHEMA("volume_set", "\"percent\":{\"type\":\"integer\"}", "\"percent\"") },
    { "volume_adjust", NULL, "delta", VOLUME, 1,
      SCHEMA("volume_adjust", "\"delta\":{\"type\":\"integer\"}", "\"delta\"") },
    { "cabin_light", NULL, "on", LIGHT, 0,
      SCHEMA("cabin_light", "\"on\":{\"type\":\"boolean\"}", "\"on\"") },
    { "car_lock", NULL, "locked", LOCK, 0,
      SCHEMA("car_lock", "\"locked\":{\"type\":\"boolean\"}", "\"locked\"") },
};
enum { N_TOOLS = sizeof(tools) / sizeof(tools[0]) };

/* The model chose the values: they are checked like anybody's. Return: NULL, or what is wrong. */
static const char *change(const char *who, const struct tool *tool, json_t *arguments)
{
    struct thing *t = &car[tool->thing];
    const json_t *v = json_object_get(arguments, tool->value);
    const char *place =
        tool->place ? json_string_value(json_object_get(arguments, tool->place)) : "";
    const double number = json_is_boolean(v) ? json_is_true(v) : json_number_value(v);
    int known = 0;

    if (!json_is_boolean(v) && !json_is_number(v)) return "its value is no number and no truth";
    if (!place) place = "all"; /* it was left out */
    for (int i = 0; t->places[i]; i++) {
        if (strcmp(place, "all") != 0 && strcmp(place, t->places[i]) != 0) continue;
        const double to = tool->relative ? t->value[i] + number : number;
        known = 1;
        if (to < t->least || to > t->most) return "its value is out of range";
        printf("%-9s | %s%s%s: %g -> %g\n", who, t->name, *t->places[i] ? " " : "", t->places[i],
               t->value[i], to);
        t->value[i] = to;
    }
    return known ? NULL : "there is no such place";
}

static void carry_out(const char *who, const char *call)
{
    json_t *j = json_loads(call, 0, NULL);
    const char *name = json_string_value(json_object_get(j, "name")),
               *wrong = "the car has no such thing";

    for (int i = 0; name && i < N_TOOLS; i++)
        if (strcmp(name, tools[i].name) == 0)
            wrong = change(who, &tools[i], json_object_get(j, "arguments"));
    if (wrong) printf("%-9s | %s: not done, %s\n", who, call, wrong);
    json_decref(j);
}

static void show_car(void)
{
    for (int i = 0; i < N_THINGS; i++) {
        printf("%-16s", car[i].name);
        for (int k = 0; car[i].places[k]; k++)
            printf(" %s%s%g", car[i].places[k], *car[i].places[k] ? " " : "", car[i].value[k]);
        puts("");
    }
}

/* ---- the apps ---- */

enum { LINE = 512, WAITING = 64 };

struct app {
    const char *name;
    struct hearth_client *client;
    char conversation[64], waiting[WAITING][LINE], said[4 * LINE];
    int n_waiting, busy, failed;
};

static void on_event(void *context, const struct hearth_event *e)
{
    struct app *a = context;
    const size_t n = strlen(a->said);

    if (e->type == HEARTH_EVENT_CALL) carry_out(a->name, e->text);
    if (e->type == HEARTH_EVENT_TEXT && n + e->text_size < sizeof(a->said))
        memcpy(a->said + n, e->text, e->text_size + 1);
    if (e->type != HEARTH_EVENT_END) return;
    if (*a->said) printf("%-9s < %s\n", a->name, a->said);
    if (e->code) fprintf(stderr, "%s: %s\n", a->name, e->message);
    fflush(stdout);
    a->failed |= e->code != 0;
    a->busy = 0;
}

/* hearthd keeps the conversation, so that "warmer" can follow "set it to 20 degrees". Return: 0, or what failed. */
static int start(struct app *a)
{
    int r = hearth_client_new(NULL, &a->client);

    if (r == 0) r = hearth_client_set_name(a->client, a->name);
    snprintf(a->conversation, sizeof(a->conversation), "car-%s-%ld", a->name, (long)getpid());
    if (r == 0) r = hearth_conversation_open(a->client, a->conversation, NULL, NULL, NULL, NULL);
    if (r != 0)
        fprintf(stderr, "%s: %s\n", a->name,
                a->client ? hearth_client_error(a->client) : strerror(-r));
    return r;
}

/* Send the oldest line that waits. Return: 0, or what failed. */
static int ask(struct app *a)
{
    struct hearth_request *q = NULL;
    uint64_t id = 0;
    int r = hearth_request_new(&q);

    printf("%-9s > %s\n", a->name, a->waiting[0]);
    a->said[0] = '\0';
    for (int i = 0; r == 0 && i < N_TOOLS; i++)
        r = hearth_request_tool(q, tools[i].json, HEARTH_TEXT_SIZE);
    if (r == 0) r = hearth_request_set_conversation(q, a->conversation);
    if (r == 0) r = hearth_request_message(q, HEARTH_ROLE_USER);
    if (r == 0) r = hearth_request_text(q, a->waiting[0], HEARTH_TEXT_SIZE);
    if (r == 0) r = hearth_generate(a->client, q, on_event, a, &id);
    if (r != 0) fprintf(stderr, "%s: %s\n", a->name, hearth_client_error(a->client));
    hearth_request_free(q);
    memmove(a->waiting[0], a->waiting[1], (size_t)--a->n_waiting * LINE);
    a->busy = r == 0;
    return r;
}

/* A line was said; who is "driver: " in front of it. */
static void hear(struct app apps[2], char *line)
{
    struct app *a = &apps[0];

    line[strcspn(line, "\n")] = '\0';
    for (int i = 0; i < 2; i++) {
        const size_t n = strlen(apps[i].name);
        if (strncmp(line, apps[i].name, n) != 0 || line[n] != ':') continue;
        a = &apps[i];
        line += n + 1 + strspn(line + n + 1, " ");
        break;
    }
    if (!*line) return;
    if (a->n_waiting == WAITING)
        fprintf(stderr, "%s: too many lines wait, this one is not heard: %s\n", a->name, line);
    else
        snprintf(a->waiting[a->n_waiting++], LINE, "%s", line);
}

int main(void)
{
    static struct app apps[2] = { { .name = "driver" }, { .name = "passenger" } };
    struct pollfd fds[3] = { { .fd = STDIN_FILENO, .events = POLLIN },
                             { .events = POLLIN },
                             { .events = POLLIN } };
    char line[LINE];
    int r = 0;

    setvbuf(stdin, NULL, _IONBF, 0); /* what poll() sees and what is read are the same */
    for (int i = 0; i < 2 && r == 0; i++) {
        r = start(&apps[i]);
        if (r == 0) fds[i + 1].fd = hearth_client_fd(apps[i].client);
    }
    while (r == 0 && (fds[0].fd >= 0 || apps[0].busy || apps[1].busy || apps[0].n_waiting ||
                      apps[1].n_waiting)) {
        for (int i = 0; i < 2 && r == 0; i++)
            if (!apps[i].busy && apps[i].n_waiting) r = ask(&apps[i]);
        if (r != 0 || poll(fds, 3, -1) < 0) continue; /* a signal */
        if (fds[0].revents && fgets(line, sizeof(line), stdin))
            hear(apps, line);
        else if (fds[0].revents)
            fds[0].fd = -1; /* the end */
        for (int i = 0; i < 2 && r == 0; i++)
            if (fds[i + 1].revents) r = hearth_client_process(apps[i].client);
    }
    if (r == 0) show_car();
    for (int i = 0; i < 2; i++) {
        if (apps[i].client && *apps[i].conversation)
            (void)hearth_conversation_close(apps[i].client, apps[i].conversation, NULL, NULL, NULL);
        r |= apps[i].failed;
        apps[i].client = hearth_client_free(apps[i].client);
    }
    return r != 0;
}
