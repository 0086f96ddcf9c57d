/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top: the live view. A status event is turned into text when it comes (its memory is gone afterwards); keys and a new size
 * of the window only draw that text again. When hearthd restarts, the view waits for it.
 */
#include <curses.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/command.h"
#include "cli/json_out.h"
#include "cli/out.h"
#include "cli/printable.h"
#include "cli/status_view.h"
#include "cli/talk.h"

enum {
    FIRST_ROW = STATUS_VIEW_HEAD + 2, /* an empty line and the heading stand between */
    RETRY_MS = 1000,
    NARROW = 80, /* columns that the head may have on any terminal */
};
enum { COLOR_GOOD = 1, COLOR_BUSY, COLOR_BAD, COLOR_QUIET };

struct seen { /* of a request, in the picture before */
    uint64_t serial, tokens;
    float tok_s;
};

struct top {
    struct talk talk;
    uint32_t interval_ms;
    bool json, leave, shown, ended;
    int code;   /* of the subscription's END */
    char *text; /* owned: head, heading, a line for each request */
    uint64_t serials[OUT_ROWS_MAX];
    char states[OUT_ROWS_MAX]; /* first letters */
    struct seen seen[OUT_ROWS_MAX];
    size_t n_seen;
    uint64_t seen_ns;
    enum hearth_state state;
    bool limited;
    size_t n, selected, first; /* requests; the one under the cursor; the first on the screen */
    uint64_t selected_serial;  /* the cursor stays on its request when others come and go */
    char message[200];
};

/* What runs is above what is parked, that above what waits. */
static int place(const struct hearth_request_info *q)
{
    switch (q->state ? q->state[0] : 'q') {
    case 'd': /* decode */
        return 0;
    case 'p': /* prefill, parked, paused */
        return strcmp(q->state, "prefill") == 0 ? 1 : 2;
    default:
        return 3;
    }
}

static int by_place(const void *a, const void *b)
{
    const struct hearth_request_info *const x = a, *const y = b;

    if (place(x) != place(y)) return place(x) - place(y);
    return x->serial < y->serial ? -1 : x->serial > y->serial;
}

/* Tokens a second since the picture before, for each of @q: [n]. */
static void measure(struct top *t, const struct hearth_request_info *q, size_t n, float *ret)
{
    const uint64_t now_ns = clock_now_ns();
    const double dt = (double)(now_ns - t->seen_ns) * 1e-9;
    static struct seen now[OUT_ROWS_MAX]; /* too large for the stack */

    for (size_t i = 0; i < n; i++) {
        now[i] =
            (struct seen){ q[i].serial, (uint64_t)q[i].prefilled_tokens + q[i].output_tokens, 0 };
        for (size_t k = 0; k < t->n_seen; k++)
            if (t->seen[k].serial == q[i].serial && now[i].tokens > t->seen[k].tokens && dt > 0)
                now[i].tok_s = (float)((double)(now[i].tokens - t->seen[k].tokens) / dt);
        ret[i] = now[i].tok_s;
    }
    memcpy(t->seen, now, n * sizeof(*now));
    t->n_seen = n;
    t->seen_ns = now_ns;
}

static void print_picture(struct top *t, const struct hearth_status *s,
                          const struct hearth_request_info *q, FILE *f)
{
    const size_t n = t->n;
    struct out_table table = { 0 };
    float *const tok_s = calloc(n + 1, sizeof(*tok_s));

    status_view_head(s, COLS > NARROW ? (unsigned)COLS : NARROW, f);
    (void)fputc('\n', f);
    if (tok_s) {
        measure(t, q, n, tok_s);
        status_view_live(&table, q, tok_s, n);
        (void)out_table_print(&table, f, OUT_PLAIN);
    }
    out_table_deinit(&table);
    free(tok_s);
}

static void render(struct top *t, const struct hearth_status *s)
{
    const size_t n = s->n_requests < OUT_ROWS_MAX ? s->n_requests : OUT_ROWS_MAX;
    struct hearth_request_info *const q = calloc(n + 1, sizeof(*q));
    size_t size = 0;
    char *text = NULL;
    FILE *const f = q ? open_memstream(&text, &size) : NULL;

    if (!f) { /* the old picture stays; memory may be back for the next */
        free(q);
        return;
    }
    if (n > 0) memcpy(q, s->requests, n * sizeof(*q));
    qsort(q, n, sizeof(*q), by_place);
    t->n = n;
    print_picture(t, s, q, f);
    t->state = s->state;
    t->limited = (s->level_reason && *s->level_reason) || (s->last_error && *s->last_error);
    for (size_t i = 0; i < n; i++) {
        t->serials[i] = q[i].serial;
        t->states[i] = (char)('0' + place(&q[i]));
        if (t->serials[i] == t->selected_serial) t->selected = i;
    }
    free(q);
    if (fclose(f) != 0) {
        free(text);
        text = NULL;
    }
    free(t->text);
    t->text = text;
    if (t->n > 0 && t->selected >= t->n) t->selected = t->n - 1;
    t->selected_serial = t->n ? t->serials[t->selected] : 0;
}

/* @text: [n] into line @y of the screen, cut at its right edge. */
static void put(int y, const char *text, size_t n)
{
    const size_t columns = COLS > 0 ? (size_t)COLS : 0;

    (void)mvaddnstr(y, 0, text, (int)out_fit(text, n, columns));
}

/* How line @i of the picture looks; @request: its number, if it is one of them. */
static void style(const struct top *t, size_t i, size_t request)
{
    const bool color = out_has_color(stdout), is_row = i >= FIRST_ROW && request < t->n;
    const bool ready = t->state == HEARTH_STATE_READY || t->state == HEARTH_STATE_UNLOADED;
    int pair = 0;

    (void)attrset(i == FIRST_ROW - 1                 ? (int)(A_BOLD | A_UNDERLINE)
                  : is_row && request == t->selected ? (int)A_REVERSE
                  : i == 0                           ? (int)A_BOLD
                                                     : (int)A_NORMAL);
    if (i == 0) pair = ready ? COLOR_GOOD : COLOR_BAD;
    if (i == STATUS_VIEW_HEAD - 1 && t->limited) pair = COLOR_BUSY;
    if (is_row && request != t->selected)
        pair = t->states[request] == '0'   ? COLOR_GOOD
               : t->states[request] == '1' ? COLOR_BUSY
                                           : COLOR_QUIET;
    if (color && pair) (void)attron(COLOR_PAIR(pair));
}

static void draw(struct top *t)
{
    const size_t rows = LINES > FIRST_ROW + 1 ? (size_t)(LINES - FIRST_ROW - 1) : 0;
    const char *const foot =
        t->message[0] ? t->message : "q leave  k cancel the request  up, down select";
    const char *at = t->text ? t->text : "";

    if (t->selected < t->first) t->first = t->selected;
    if (rows > 0 && t->selected >= t->first + rows) t->first = t->selected - rows + 1;
    (void)erase();
    for (size_t i = 0; *at; i++) {
        const size_t n = strcspn(at, "\n"), request = i - FIRST_ROW;
        const bool is_row = i >= FIRST_ROW;
        const bool hidden = is_row && (request < t->first || request >= t->first + rows);
        const int y = (int)(is_row && !hidden ? i - t->first : i);
        style(t, i, request);
        if (!hidden && y < LINES - 1) put(y, at, n);
        at += n + (at[n] == '\n');
    }
    (void)attrset(A_NORMAL);
    if (t->n == 0) put(FIRST_ROW, "no requests now", 15);
    if (out_has_color(stdout)) (void)attron(COLOR_PAIR(COLOR_BUSY));
    put(LINES - 1, foot, strlen(foot));
    (void)attrset(A_NORMAL);
    (void)refresh();
}

static void on_event(void *context, const struct hearth_event *e)
{
    struct top *const t = context;

    if (e->type == HEARTH_EVENT_STATUS && t->json)
        t->leave = json_out_print(json_out_status(e->status)) != 0;
    else if (e->type == HEARTH_EVENT_STATUS)
        render(t, e->status);
    if (e->type == HEARTH_EVENT_STATUS) t->shown = true;
    if (e->type == HEARTH_EVENT_END) t->ended = true;
    if (e->type == HEARTH_EVENT_END) t->code = e->code;
}

static void on_kill(void *context, const struct hearth_event *e)
{
    struct top *const t = context;

    if (e->type != HEARTH_EVENT_END) return;
    (void)printable_copy(t->message, sizeof(t->message),
                         e->code == 0 ? "the request is cancelled" : e->message);
}

static void kill_selected(struct top *t)
{
    uint64_t id;

    if (t->n == 0) return;
    if (hearth_request_kill(t->talk.client, t->selected_serial, on_kill, t, &id) < 0)
        (void)snprintf(t->message, sizeof(t->message), "%s", hearth_client_error(t->talk.client));
}

static void move_to(struct top *t, size_t row)
{
    if (t->n == 0) return;
    t->selected = row < t->n ? row : t->n - 1;
    t->selected_serial = t->serials[t->selected];
}

static void key(struct top *t, int k)
{
    if (k != KEY_RESIZE) t->message[0] = '\0';
    switch (k) {
    case 'q':
    case 'Q':
    case 3: /* Ctrl-C where the terminal makes no signal of it */
        t->leave = true;
        break;
    case 'k':
        kill_selected(t);
        break;
    case KEY_UP:
        move_to(t, t->selected ? t->selected - 1 : 0);
        break;
    case KEY_DOWN:
    case 'j':
        move_to(t, t->selected + 1);
        break;
    case KEY_HOME:
        move_to(t, 0);
        break;
    case KEY_END:
        move_to(t, SIZE_MAX);
        break;
    default:
        break;
    }
}

/* Return: as hearth_subscribe(). */
static int subscribe(struct top *t)
{
    uint64_t id;

    t->ended = false;
    return hearth_subscribe(t->talk.client, t->interval_ms, on_event, t, &id);
}

/* Handle what comes within @timeout_ms. @keys: also those of the person. Return: 0, -errno. */
static int step(struct top *t, int timeout_ms, bool keys)
{
    struct pollfd p[3] = { { .fd = hearth_client_fd(t->talk.client), .events = POLLIN },
                           { .fd = t->talk.signal_fd, .events = POLLIN },
                           { .fd = keys ? STDIN_FILENO : -1, .events = POLLIN } };
    int k;

    if (poll(p, 3, timeout_ms) < 0 && errno != EINTR) return -errno;
    if (talk_interrupted(&t->talk)) t->leave = true;
    if (p[2].revents & (POLLHUP | POLLERR | POLLNVAL)) t->leave = true; /* the terminal is gone */
    while (keys && (k = getch()) != ERR)
        key(t, k);
    return hearth_client_process(t->talk.client);
}

/* The connection was lost: wait for the next hearthd. */
static void reconnect(struct top *t)
{
    (void)snprintf(t->message, sizeof(t->message), "hearthd is gone; waiting for it (q leaves)");
    if (subscribe(t) < 0) t->ended = true; /* again in a second */
}

static int live(struct top *t)
{
    uint64_t retry_ns = 0;
    int r = 0;

    if (!initscr()) return -ENOTTY;
    (void)cbreak();
    (void)noecho();
    (void)nodelay(stdscr, TRUE);
    (void)keypad(stdscr, TRUE);
    (void)curs_set(0);
    if (out_has_color(stdout) && start_color() == OK) {
        (void)use_default_colors();
        (void)init_pair(COLOR_GOOD, COLOR_GREEN, -1);
        (void)init_pair(COLOR_BUSY, COLOR_YELLOW, -1);
        (void)init_pair(COLOR_BAD, COLOR_RED, -1);
        (void)init_pair(COLOR_QUIET, COLOR_CYAN, -1);
    }
    while (r == 0 && !t->leave) {
        const bool was_ended = t->ended;
        draw(t);
        r = step(t, RETRY_MS, true);
        if (t->ended && clock_now_ns() >= retry_ns) {
            retry_ns = clock_now_ns() + RETRY_MS * CLOCK_NS_PER_MS;
            reconnect(t);
        } else if (was_ended && !t->ended) {
            t->message[0] = '\0';
        }
    }
    (void)endwin();
    return r;
}

/* Until the first picture is there, errors belong on the ordinary terminal. Return: enum talk_exit. */
static int first_event(struct top *t)
{
    uint64_t id = 0;

    t->talk.json = false;
    talk_begin(&t->talk, on_event, t);
    int r = hearth_subscribe(t->talk.client, t->interval_ms, talk_event, &t->talk, &id);
    while (r == 0 && !t->shown && !t->talk.ended && !t->leave)
        r = step(t, -1, false);
    if (r == 0 && t->talk.ended && t->code == 0) return TALK_FAILED; /* ended without a reason */
    if (r == 0 && !t->talk.ended) return TALK_OK;
    return talk_finish(&t->talk, r, id);
}

int command_top(const struct args *a)
{
    struct top *const t = calloc(1, sizeof(*t));
    int r;

    if (!t) {
        out_error("not enough memory");
        return TALK_FAILED;
    }
    t->json = a->json;
    t->interval_ms = a->interval_ms.set ? (uint32_t)a->interval_ms.value : 1000;
    if (!a->json && !(isatty(STDIN_FILENO) && out_is_terminal(stdout))) {
        out_error("top needs a terminal; use `hearthctl status`, or `hearthctl top --json`");
        free(t);
        return TALK_USAGE;
    }
    r = talk_open(&t->talk, a);
    if (r == TALK_OK) r = first_event(t);
    if (r == TALK_OK && !a->json) {
        const int failed = live(t);
        if (failed)
            out_error("%s", failed == -ENOTTY ? "this terminal cannot show it"
                                              : hearth_client_error(t->talk.client));
        r = failed ? TALK_FAILED : TALK_OK;
    }
    while (r == TALK_OK && a->json && !t->leave && !t->ended)
        r = step(t, -1, false) < 0 ? TALK_FAILED : TALK_OK;
    if (r == TALK_OK && a->json && t->ended) r = talk_finish(&t->talk, 0, 0);
    talk_close(&t->talk);
    free(t->text);
    free(t);
    return r;
}
