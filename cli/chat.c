/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chat keeps its turns here and sends all of them each time: hearthd's prefix cache makes the old ones cheap, and a
 * restarted hearthd loses nothing. With --conversation hearthd has the turns, and only what is new is sent. With --tools, too: it
 * keeps the calls, which are no part of the text.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/generate.h"
#include "cli/json_out.h"
#include "cli/line.h"
#include "cli/nearest.h"
#include "cli/offer.h"
#include "cli/out.h"
#include "cli/turns.h"

struct chat {
    struct args args; /* a copy: /level, /system and /stats change it */
    struct talk talk;
    struct line line;
    struct turns turns;
    char *system, *level; /* owned, what args points to after the commands changed it */
    struct buf message;   /* the question while it is being put together */
    struct buf answer;
    uint64_t seed;
    bool leave, edits;
    int last; /* outcome of the last question, enum talk_exit */
    char model[80];
    char own[40]; /* name of the conversation that was opened for the tools */
};

static void on_event(void *context, const struct hearth_event *e)
{
    struct chat *const c = context;

    if (e->type == HEARTH_EVENT_STARTED) c->seed = e->seed;
    if (e->type == HEARTH_EVENT_CALL) {
        out_text(e->text, e->text_size);
        out_text("\n", 1);
    }
    if (e->type != HEARTH_EVENT_TEXT || e->text_size == 0) return;
    out_text(e->text, e->text_size);
    (void)fflush(stdout); /* out_flush() says at the end what went wrong */
    if (buf_append(&c->answer, e->text, e->text_size) != 0) /* the chat then lacks its end */
        c->talk.interrupted = hearth_cancel(c->talk.client, e->id) == 0;
}

/* Send what the turns hold. Return: enum talk_exit. */
static int send_turns(struct chat *c)
{
    struct hearth_request *q = NULL;
    uint64_t id = 0;
    int r = generate_check(hearth_request_new(&q));

    if (r == TALK_OK) r = generate_settings(q, &c->args);
    if (r == TALK_OK && c->args.tools) r = offer_tools(q, c->args.tools);
    if (r == TALK_OK) r = generate_check(turns_build(&c->turns, c->args.system, q));
    if (r == TALK_OK) {
        buf_deinit(&c->answer);
        talk_begin(&c->talk, on_event, c);
        const int sent = hearth_generate(c->talk.client, q, talk_event, &c->talk, &id);
        r = talk_finish(&c->talk, sent, id);
    }
    hearth_request_free(q);
    return r;
}

/* Have the last question of the turns answered, and keep the answer. */
static void answer(struct chat *c)
{
    line_quiet(&c->line, true);
    c->last = send_turns(c);
    line_quiet(&c->line, false);
    if (c->answer.n > 0 && buf_front(&c->answer)[c->answer.n - 1] != '\n') out_text("\n", 1);
    if (c->last == TALK_INTERRUPTED) out_note("[stopped]");
    if (c->args.stats) generate_stats(&c->talk.end, c->seed);
    if (out_flush() != 0) c->last = TALK_FAILED;
    if (c->args.conversation) {
        turns_clear(&c->turns); /* hearthd has them */
    } else if (c->last != TALK_OK && c->answer.n == 0) {
        (void)turns_take_back(&c->turns, NULL); /* unanswered: it would confuse the next one */
    } else if (turns_add(&c->turns, HEARTH_ROLE_MODEL, (const char *)c->answer.data, c->answer.n) !=
               0) {
        out_error("the chat is too long to remember this answer; /reset begins a new one");
    }
    if (c->talk.end.code == HEARTH_E_TOO_LONG && !c->args.conversation)
        out_note("/undo takes the last question back, /reset begins anew");
    buf_deinit(&c->answer);
}

static void ask(struct chat *c, const char *text, size_t size)
{
    const int r = turns_add(&c->turns, HEARTH_ROLE_USER, text, size);

    if (r == 0) {
        answer(c);
        return;
    }
    c->last = TALK_FAILED;
    out_error(r == TURNS_E_FULL
                  ? "the chat has %d turns, which is the limit; /reset begins a new one"
                  : "not enough memory for the question (turn %d at most)",
              TURNS_MAX);
}

/* ---- /commands: @rest is what follows the name ---- */

static void replace(char **at, const char **arg, const char *text)
{
    char *const copy = *text ? strdup(text) : NULL;

    free(*at);
    *at = copy;
    *arg = copy;
}

static void do_help(struct chat *c, const char *rest);

static void do_system(struct chat *c, const char *rest)
{
    if (c->args.conversation) {
        out_error("the instructions of a conversation are given when it is opened");
        return;
    }
    replace(&c->system, &c->args.system, rest);
    if (*rest)
        out_note("from the next question on, with these instructions");
    else
        out_note("no instructions from now on");
}

static void do_level(struct chat *c, const char *rest)
{
    if (!*rest) {
        out_note("level: %s", c->args.level ? c->args.level : "auto");
        return;
    }
    replace(&c->level, &c->args.level, rest);
    out_note("level %s from the next question on", rest);
}

static void do_stats(struct chat *c, const char *rest)
{
    (void)rest;
    c->args.stats = !c->args.stats;
    out_note(c->args.stats ? "statistics after each answer" : "no statistics");
}

static void do_reset(struct chat *c, const char *rest)
{
    (void)rest;
    if (c->args.conversation) {
        out_error("hearthd keeps conversation %s: `hearthctl conversation close %s` ends it",
                  c->args.conversation, c->args.conversation);
        return;
    }
    turns_clear(&c->turns);
    out_note("forgotten; a new chat begins");
}

static void do_undo(struct chat *c, const char *rest)
{
    (void)rest;
    out_note(turns_take_back(&c->turns, NULL) == 0
                 ? "the last question and its answer are forgotten"
                 : "there is nothing to take back");
}

static void do_retry(struct chat *c, const char *rest)
{
    CLEANUP(freep) char *text = NULL;

    (void)rest;
    if (turns_take_back(&c->turns, &text) != 0)
        out_note("there is no question to repeat");
    else
        ask(c, text, strlen(text));
}

static void do_save(struct chat *c, const char *rest)
{
    if (!*rest) {
        out_error("/save needs a file name");
        return;
    }
    /* private, and never over something that exists */
    const int fd = open(rest, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *const f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f) {
        out_error(errno == EEXIST ? "%s exists already; choose another name"
                                  : "cannot write %s: %s",
                  rest, strerror(errno));
        if (fd >= 0) (void)close(fd);
        return;
    }
    turns_write(&c->turns, c->args.system, f);
    const bool bad = ferror(f) != 0;
    if (fclose(f) != 0 || bad)
        out_error("cannot write %s: %s", rest, strerror(errno));
    else
        out_note("saved to %s", rest);
}

static void do_file(struct chat *c, const char *rest)
{
    if (!*rest) {
        out_error("/file needs a file name");
        return;
    }
    if (generate_read_file(rest, &c->message) != TALK_OK) return;
    if (buf_append(&c->message, "\n\n", 2) != 0) out_error("not enough memory for %s", rest);
    out_note("its text goes before your next question");
}

static void do_quit(struct chat *c, const char *rest)
{
    (void)rest;
    c->leave = true;
}

static const struct {
    const char *name, *arguments, *help;
    void (*run)(struct chat *c, const char *rest);
} verbs[] = {
    { "help", "", "this list", do_help },
    { "system", "[TEXT]", "instructions that precede all else; none: remove them", do_system },
    { "level", "[NAME]", "size of model: auto, fast, balanced, best, or a level of its own",
      do_level },
    { "stats", "", "statistics after each answer, on or off", do_stats },
    { "file", "PATH", "add the text of a file to the next question", do_file },
    { "retry", "", "ask the last question again", do_retry },
    { "undo", "", "forget the last question and its answer", do_undo },
    { "reset", "", "forget everything and begin anew", do_reset },
    { "save", "FILE", "write what was said to a new file that only you can read", do_save },
    { "quit", "", "leave, as Ctrl-D does", do_quit },
};
enum { N_VERBS = sizeof(verbs) / sizeof(verbs[0]) };

static void do_help(struct chat *c, const char *rest)
{
    char line[200];

    (void)c;
    (void)rest;
    for (size_t i = 0; i < N_VERBS; i++) {
        (void)snprintf(line, sizeof(line), "/%s %s", verbs[i].name, verbs[i].arguments);
        (void)fprintf(stderr, "  %-16s %s\n", line, verbs[i].help);
    }
    (void)fputs("  A line that ends in \\ goes on in the next one. // begins a question with /.\n"
                "  Ctrl-C stops an answer; Ctrl-D leaves.\n",
                stderr);
}

static void command(struct chat *c, const char *line)
{
    const size_t n = strcspn(line, " ");
    const char *names[N_VERBS];
    char name[NEAREST_WORD_MAX];

    (void)snprintf(name, sizeof(name), "%.*s", (int)n, line);
    if (strcmp(name, "exit") == 0) (void)snprintf(name, sizeof(name), "quit");
    for (size_t i = 0; i < N_VERBS; i++) {
        names[i] = verbs[i].name;
        if (strcmp(name, names[i]) != 0) continue;
        verbs[i].run(c, line + n + strspn(line + n, " "));
        return;
    }
    const char *const near = nearest_of(name, names, N_VERBS);
    if (near)
        out_error("there is no /%s; did you mean /%s?", name, near);
    else
        out_error("there is no /%s; /help lists what there is", name);
}

/* A line was typed. A last '\' waits for more of it. */
static void take_line(struct chat *c, const char *text, size_t size, bool *continues)
{
    const bool first = !*continues;

    if (first && size > 1 && text[0] == '/' && text[1] != '/') {
        command(c, text + 1);
        return;
    }
    if (first && size > 1 && text[0] == '/') text++, size--;
    *continues = size > 0 && text[size - 1] == '\\';
    int r = buf_append(&c->message, text, size - *continues);
    if (r == 0 && *continues) r = buf_append(&c->message, "\n", 1);
    if (r != 0) {
        out_error("the question is too long");
        buf_deinit(&c->message);
        *continues = false;
        return;
    }
    if (*continues || size == 0) return;
    ask(c, (const char *)buf_front(&c->message), c->message.n);
    buf_deinit(&c->message);
}

static void loop(struct chat *c)
{
    bool continues = false;
    const char *text;
    size_t size;

    while (!c->leave) {
        const int r = line_read(&c->line, continues ? ". " : "> ", &text, &size);
        if (r == LINE_E_INTERRUPT && c->edits) {
            buf_deinit(&c->message);
            continues = false;
            continue;
        }
        if (r == LINE_E_INTERRUPT) c->last = TALK_INTERRUPTED;
        if (r == LINE_E_END && c->edits) (void)fputs("\n", stdout);
        if (r == LINE_E_LONG) out_error("a line has more than %d bytes", LINE_MAX_BYTES);
        if (r < 0) out_error("cannot read standard input: %s", strerror(-r));
        if (r == LINE_E_LONG || r < 0) c->last = TALK_FAILED;
        if (r != 0) return;
        line_remember(&c->line, text);
        take_line(c, text, size, &continues);
        if (c->last == TALK_UNREACHABLE && !c->edits)
            return; /* the rest of the pipe would fail too */
        if (c->last == TALK_INTERRUPTED && !c->edits) return;
    }
}

static void on_status(void *context, const struct hearth_event *e)
{
    struct chat *const c = context;

    if (e->type == HEARTH_EVENT_STATUS && e->status->model)
        (void)snprintf(c->model, sizeof(c->model), "%s", e->status->model->name);
}

/* Is somebody there? Say who answers. Return: enum talk_exit. */
static int greet(struct chat *c)
{
    uint64_t id = 0;

    talk_begin(&c->talk, on_status, c);
    const int sent = hearth_status(c->talk.client, talk_event, &c->talk, &id);
    const int r = talk_finish(&c->talk, sent, id);
    if (r != TALK_OK || !c->edits) return r;
    if (c->model[0])
        out_note("%s answers. /help lists commands, Ctrl-D leaves.", c->model);
    else
        out_note("No model is active yet: `hearthctl model add FILE` brings one. Ctrl-D leaves.");
    return r;
}

/* A conversation for a chat with tools. Return: enum talk_exit. */
static int open_own(struct chat *c)
{
    struct hearth_request *q = NULL;
    uint64_t id = 0;
    int r = generate_check(hearth_request_new(&q));

    (void)snprintf(c->own, sizeof(c->own), "hearthctl-%ld", (long)getpid());
    if (r == TALK_OK) r = generate_check(turns_build(&c->turns, c->args.system, q));
    if (r == TALK_OK) {
        talk_begin(&c->talk, NULL, NULL);
        const int sent =
            hearth_conversation_open(c->talk.client, c->own, q, talk_event, &c->talk, &id);
        r = talk_finish(&c->talk, sent, id);
    }
    hearth_request_free(q);
    if (r != TALK_OK) {
        c->own[0] = '\0';
        return r;
    }
    c->args.conversation = c->own;
    c->args.system = NULL; /* it is in the conversation */
    return TALK_OK;
}

static void close_own(struct chat *c)
{
    uint64_t id = 0;

    if (!c->own[0]) return;
    talk_begin(&c->talk, NULL, NULL);
    c->talk.silent = true; /* hearthd may be gone, and the conversation with it */
    const int sent = hearth_conversation_close(c->talk.client, c->own, talk_event, &c->talk, &id);
    (void)talk_finish(&c->talk, sent, id);
}

int command_chat(const struct args *a)
{
    struct chat c = { .args = *a };
    int r;

    c.args.tools = offer_file(a->tools);

    if (a->json) {
        out_error("chat is for people and has no JSON form; use `hearthctl ask --json`");
        return TALK_USAGE;
    }
    if (a->conversation && a->system) {
        out_error("--system goes with `conversation open`: a conversation has its instructions");
        return TALK_USAGE;
    }
    r = talk_open(&c.talk, a);
    if (r != TALK_OK) return r;
    buf_init(&c.message, GENERATE_INPUT_MAX);
    buf_init(&c.answer, GENERATE_INPUT_MAX);
    c.edits = isatty(STDIN_FILENO) && out_is_terminal(stdout);
    r = greet(&c);
    if (r == TALK_OK && c.args.tools && !c.args.conversation) r = open_own(&c);
    if (r == TALK_OK && line_init(&c.line, c.talk.signal_fd, c.edits) == 0) {
        loop(&c);
        line_deinit(&c.line);
        r = c.edits ? TALK_OK : c.last;
    } else if (r == TALK_OK) {
        out_error("not enough memory");
        r = TALK_FAILED;
    }
    close_own(&c);
    turns_clear(&c.turns);
    buf_deinit(&c.message);
    buf_deinit(&c.answer);
    free(c.system);
    free(c.level);
    talk_close(&c.talk);
    return r;
}
