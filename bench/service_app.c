/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One app of a scenario, in a process of its own: an event loop in which clients ask, wait for the answer, think and ask
 * again, or requests go out by rate. What came of each request goes to the parent as a record.
 */
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/err.h"
#include "bench/service.h"

/* Words that are one token of Gemma's vocabulary, with the space before them. */
static const char *const words[] = {
    "time",     "people",  "year",     "way",    "day",        "man",    "thing",   "woman",
    "life",     "child",   "world",    "school", "state",      "family", "student", "group",
    "country",  "problem", "hand",     "part",   "place",      "case",   "week",    "company",
    "system",   "program", "question", "work",   "government", "number", "night",   "point",
    "home",     "water",   "room",     "mother", "area",       "money",  "story",   "fact",
    "month",    "lot",     "right",    "study",  "book",       "eye",    "job",     "word",
    "business", "issue",   "side",     "kind",   "head",       "house",  "service", "friend",
    "father",   "power",   "hour",     "game",   "line",       "end",    "member",  "law",
};
#define AGAIN_S 0.05 /* after a refusal, if the server says nothing else */
enum { N_WORDS = 64, WORD_MAX = 16 };
static_assert(sizeof(words) / sizeof(words[0]) == N_WORDS, "drawn by six bits");

struct slot {
    struct service_app_state *state;
    struct service_job job;
    struct event *timer; /* when it asks next */
    void *connection;
    bool busy;
};

struct service_app_state {
    const struct service_app *app;
    const struct scenario_group *group;
    const struct service_target *target;
    struct event_base *base;
    struct slot *slot; /* [n_slots] clients; by rate: requests that can be in flight */
    uint32_t n_slots, sent, n_busy;
    struct event *arrival, *end, *patience;
    uint64_t random, end_ns;
    bool over;
    char *prompt;
};

/* ---- chance ---- */

static uint64_t next_random(uint64_t *random)
{
    *random ^= *random << 13; /* xorshift64: Marsaglia 2003 */
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static double apart_s(struct service_app_state *s, double mean_s)
{
    return -log((double)((next_random(&s->random) >> 11) + 1) * 0x1p-53) * mean_s;
}

static uint32_t draw(struct service_app_state *s, struct scenario_range r)
{
    return r.least + (uint32_t)(next_random(&s->random) % ((uint64_t)r.most - r.least + 1));
}

/* A text of about @n tokens: the group's prefix, then words by chance, so that no other prompt begins with it. */
static void make_prompt(struct service_app_state *s, uint32_t n)
{
    uint64_t common = s->app->group + UINT64_C(0x9e3779b97f4a7c15);
    size_t used = 0;

    for (uint32_t i = 0; i < n; i++) {
        const uint64_t chance = next_random(i < s->group->prefix ? &common : &s->random);
        const char *word = words[chance >> 58];
        const size_t length = strlen(word);
        s->prompt[used++] = ' ';
        memcpy(s->prompt + used, word, length);
        used += length;
    }
    s->prompt[used] = 0;
}

/* ---- time ---- */

static void set_timer(struct event *timer, double in_s)
{
    const double s = fmax(in_s, 0);
    const struct timeval t = { .tv_sec = (time_t)s,
                               .tv_usec = (suseconds_t)((s - floor(s)) * 1e6) };

    (void)evtimer_add(timer, &t);
}

static void finish_if_idle(struct service_app_state *s)
{
    const bool all = s->group->requests > 0 && s->sent >= s->group->requests;

    if ((s->over || all) && s->n_busy == 0) (void)event_base_loopbreak(s->base);
}

/* ---- requests ---- */

static void tell(const struct service_app_state *s, const struct service_record *r)
{
    /* shorter than PIPE_BUF: it goes as a whole or not at all */
    if (write(s->app->out, r, sizeof(*r)) != (ssize_t)sizeof(*r)) _exit(3);
}

static void ask(struct slot *q)
{
    struct service_app_state *s = q->state;
    const uint32_t output = draw(s, s->group->output);

    if (s->over || q->busy || (s->group->requests > 0 && s->sent >= s->group->requests)) return;
    make_prompt(s, draw(s, s->group->prompt));
    q->job = (struct service_job){ .state = s,
                                   .slot = (uint32_t)(q - s->slot),
                                   .connection = q->connection,
                                   .sent_ns = clock_now_ns(),
                                   .record = { .group = s->app->group, .app = s->app->app } };
    q->busy = true;
    s->sent++;
    s->n_busy++;
    const int r = s->target->send(q->connection, &q->job, s->group, s->prompt, output);
    if (r == 0) return;
    if (r == -EAGAIN) { /* the server accepts no faster: nothing was sent */
        q->busy = false;
        s->sent--;
        s->n_busy--;
        set_timer(q->timer, AGAIN_S);
        return;
    }
    q->job.record.code = SERVICE_LOST;
    service_job_over(&q->job);
}

void service_job_text(struct service_job *job)
{
    if (job->first_ns == 0) job->first_ns = clock_now_ns();
}

void service_job_over(struct service_job *job)
{
    struct service_app_state *s = job->state;
    struct slot *q = &s->slot[job->slot];
    const uint64_t now_ns = clock_now_ns();

    job->record.first_s = job->first_ns ? (double)(job->first_ns - job->sent_ns) * 1e-9 : -1;
    job->record.total_s = (double)(now_ns - job->sent_ns) * 1e-9;
    if (job->cut && job->record.code != SERVICE_LOST) job->record.code = SERVICE_CUT;
    tell(s, &job->record);
    q->busy = false;
    s->n_busy--;
    /* not from inside the library's callback; who was refused waits a little */
    const double wait_s = s->group->think_s > 0 ? apart_s(s, s->group->think_s) : 0;
    if (s->group->clients > 0 && !s->over)
        set_timer(q->timer, job->record.code ? fmax(wait_s, fmax(job->retry_s, AGAIN_S)) : wait_s);
    finish_if_idle(s);
}

static void on_slot(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    ask(context);
}

static void on_arrival(evutil_socket_t fd, short what, void *context)
{
    struct service_app_state *s = context;
    uint32_t i = 0;

    (void)fd, (void)what;
    if (s->over) return;
    while (i < s->n_slots && s->slot[i].busy)
        i++;
    if (i < s->n_slots) ask(&s->slot[i]); /* all in flight: this one is not sent */
    set_timer(s->arrival, apart_s(s, 1 / s->group->rate));
}

/* The time is over: what is in flight is cancelled. */
static void on_end(evutil_socket_t fd, short what, void *context)
{
    struct service_app_state *s = context;

    (void)fd, (void)what;
    s->over = true;
    set_timer(s->patience, SERVICE_PATIENCE_S);
    for (uint32_t i = 0; i < s->n_slots; i++)
        if (s->slot[i].busy) {
            s->slot[i].job.cut = true;
            s->target->cancel(s->slot[i].connection, &s->slot[i].job);
        }
    finish_if_idle(s);
}

static void on_patience(evutil_socket_t fd, short what, void *context)
{
    struct service_app_state *s = context;

    (void)fd, (void)what;
    for (uint32_t i = 0; i < s->n_slots; i++)
        if (s->slot[i].busy) {
            s->slot[i].job.record.code = SERVICE_LOST;
            service_job_over(&s->slot[i].job);
        }
}

/* ---- the whole ---- */

static int open_slots(struct service_app_state *s)
{
    const uint32_t most = s->group->in_flight ? s->group->in_flight : 64;

    s->n_slots = s->group->clients ? s->group->clients : most;
    s->slot = calloc(s->n_slots, sizeof(*s->slot));
    s->prompt = malloc((size_t)s->group->prompt.most * WORD_MAX + 1);
    s->arrival = evtimer_new(s->base, on_arrival, s);
    s->end = evtimer_new(s->base, on_end, s);
    s->patience = evtimer_new(s->base, on_patience, s);
    if (!s->slot || !s->prompt || !s->arrival || !s->end || !s->patience) return err_raise(-ENOMEM);
    for (uint32_t i = 0; i < s->n_slots; i++) {
        struct slot *q = &s->slot[i];
        q->state = s;
        q->timer = evtimer_new(s->base, on_slot, q);
        q->connection = s->target->open(s->base, s->app->options);
        if (!q->timer || !q->connection) return err_raise(-ENOMEM);
    }
    return 0;
}

static void start(struct service_app_state *s)
{
    const struct scenario_group *g = s->group;
    const double passed_s = (double)(clock_now_ns() - s->app->begin_ns) * 1e-9;
    const double whole_s = s->app->scenario->seconds;
    const double end_s = g->duration_s > 0 ? fmin(g->start_s + g->duration_s, whole_s) : whole_s;

    set_timer(s->end, end_s - passed_s);
    if (g->rate > 0) set_timer(s->arrival, g->start_s - passed_s + apart_s(s, 1 / g->rate));
    for (uint32_t i = 0; g->clients > 0 && i < s->n_slots; i++)
        set_timer(s->slot[i].timer,
                  g->start_s - passed_s + (g->think_s > 0 ? apart_s(s, g->think_s) : 0));
}

int service_app_run(const struct service_app *a)
{
    struct service_app_state s = { .app = a,
                                   .group = &a->scenario->group[a->group],
                                   .target = a->options->http ? &service_http : &service_hearth,
                                   .base = event_base_new(),
                                   .random = a->random };

    (void)sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
    if (!s.base) return err_raise(-ENOMEM);
    const int r = open_slots(&s);
    if (r < 0) return err_pass(r);
    start(&s);
    return event_base_dispatch(s.base) < 0 ? err_raise(-EIO)
                                           : 0; /* the process ends: nothing is freed */
}
