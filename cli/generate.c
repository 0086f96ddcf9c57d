/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/generate.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/json_out.h"
#include "cli/offer.h"
#include "cli/out.h"

enum { READ_STEP = 1 << 16, IDS_MAX = 1 << 20 };

/* What is known of an answer while it is made. */
struct answer {
    struct buf text; /* for --json */
    struct buf ids;  /* uint32_t */
    json_t *calls;   /* of tools, for --json; owned */
    uint64_t seed;
    bool json, stream, short_of_memory;
    char last; /* byte that was written, '\n' if none */
};

static void requestp(struct hearth_request **q)
{
    *q = hearth_request_free(*q);
}

int generate_check(int r)
{
    if (r == 0) return TALK_OK;
    if (r == -E2BIG)
        out_error("the request is larger than hearth takes");
    else
        out_error("cannot build the request: %s", strerror(-r));
    return TALK_FAILED;
}

static enum hearth_class class_of(const char *name)
{
    if (strcmp(name, "background") == 0) return HEARTH_CLASS_BACKGROUND;
    return strcmp(name, "realtime") == 0 ? HEARTH_CLASS_REALTIME : HEARTH_CLASS_INTERACTIVE;
}

static int set_texts(struct hearth_request *q, const struct args *a)
{
    int r = a->level ? hearth_request_set_level(q, a->level) : 0;

    if (r == -EINVAL) {
        out_error("--level: '%s' is no level; `hearthctl model info` lists them", a->level);
        return TALK_USAGE;
    }
    if (r == 0 && a->conversation) r = hearth_request_set_conversation(q, a->conversation);
    if (r == -EINVAL) {
        out_error("--conversation: '%s' is no name; it has 1 to 64 of A-Z a-z 0-9 . _ -",
                  a->conversation);
        return TALK_USAGE;
    }
    for (size_t i = 0; r == 0 && i < a->stop.n; i++) {
        r = hearth_request_stop(q, a->stop.item[i], HEARTH_TEXT_SIZE);
        if (r != -EINVAL && r != -E2BIG) continue;
        out_error("--stop: '%s' has not 1 to 64 bytes", a->stop.item[i]);
        return TALK_USAGE;
    }
    return generate_check(r);
}

int generate_settings(struct hearth_request *q, const struct args *a)
{
    if (a->max_tokens.set) hearth_request_set_max_tokens(q, (uint32_t)a->max_tokens.value);
    if (a->temperature.set) hearth_request_set_temperature(q, (float)a->temperature.value);
    if (a->top_k.set) hearth_request_set_top_k(q, (uint32_t)a->top_k.value);
    if (a->top_p.set) hearth_request_set_top_p(q, (float)a->top_p.value);
    if (a->min_p.set) hearth_request_set_min_p(q, (float)a->min_p.value);
    if (a->repetition_penalty.set)
        hearth_request_set_repetition_penalty(q, (float)a->repetition_penalty.value);
    if (a->seed.set) hearth_request_set_seed(q, a->seed.value);
    if (a->request_class) hearth_request_set_class(q, class_of(a->request_class));
    if (a->deadline_ms.set) hearth_request_set_deadline_ms(q, (uint32_t)a->deadline_ms.value);
    return set_texts(q, a);
}

int generate_read(int fd, const char *name, struct buf *b)
{
    uint8_t *place;
    ssize_t n;

    for (;;) {
        int r = buf_reserve(b, READ_STEP, &place);
        if (r == BUF_E_FULL) {
            char limit[16];
            out_error("%s has more than %s, which is the most that is read", name,
                      out_bytes(limit, sizeof(limit), b->size_max - READ_STEP));
            return TALK_USAGE;
        }
        if (r < 0) {
            out_error("not enough memory to read %s", name);
            return TALK_FAILED;
        }
        n = read(fd, place, READ_STEP);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        buf_commit(b, (size_t)n);
    }
    if (n == 0) return TALK_OK;
    out_error("cannot read %s: %s", name, strerror(errno));
    return TALK_FAILED;
}

int generate_read_file(const char *path, struct buf *b)
{
    CLEANUP(closep) const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        out_error("cannot open %s: %s", path, strerror(errno));
        return TALK_FAILED;
    }
    return generate_read(fd, path, b);
}

/* Append text. Return: enum talk_exit, said on stderr. */
static int append(struct buf *b, const char *text)
{
    const int r = buf_append(b, text, strlen(text));

    if (r == 0) return TALK_OK;
    out_error(r == BUF_E_FULL ? "the prompt is too long" : "not enough memory for the prompt");
    return TALK_FAILED;
}

int generate_prompt(char *const *words, size_t n, bool trim, struct buf *b)
{
    static char dash[] = "-";
    char *const only_stdin[] = { dash };
    bool after_stdin = false;

    if (n == 0) words = only_stdin;
    if (n == 0) n = 1;
    for (size_t i = 0; i < n; i++) {
        const bool is_stdin = strcmp(words[i], "-") == 0;
        if (is_stdin && isatty(STDIN_FILENO) && out_is_terminal(stderr))
            out_note("Type the text; Ctrl-D on an empty line ends it.");
        int r = i == 0 ? TALK_OK : append(b, is_stdin || after_stdin ? "\n" : " ");
        if (r == TALK_OK)
            r = is_stdin ? generate_read(STDIN_FILENO, "standard input", b) : append(b, words[i]);
        if (r != TALK_OK) return r;
        after_stdin = is_stdin;
    }
    while (trim && after_stdin && b->n > 0 && buf_front(b)[b->n - 1] == '\n')
        b->n--;
    return TALK_OK;
}

/* A line of its own, or an element of the object's "calls". */
static void on_call(struct answer *a, const struct hearth_event *e)
{
    if (a->json) {
        if (!a->calls) a->calls = json_array();
        if (json_array_append_new(a->calls, json_out_call(e->text, e->text_size)) != 0)
            a->short_of_memory = true;
        return;
    }
    if (a->last != '\n') out_text("\n", 1);
    out_text(e->text, e->text_size);
    out_text("\n", 1);
    a->last = '\n';
    (void)fflush(stdout);
}

static void on_event(void *context, const struct hearth_event *e)
{
    struct answer *const a = context;

    if (e->type == HEARTH_EVENT_STARTED) a->seed = e->seed;
    if (a->stream) {
        (void)json_out_print(json_out_event(e));
        return;
    }
    if (e->type == HEARTH_EVENT_CALL) {
        on_call(a, e);
        return;
    }
    if (e->type != HEARTH_EVENT_TEXT) return;
    if (a->json) {
        if (buf_append(&a->text, e->text, e->text_size) != 0 ||
            buf_append(&a->ids, e->token_ids, e->n_token_ids * sizeof(uint32_t)) != 0)
            a->short_of_memory = true;
        return;
    }
    if (e->text_size == 0) return;
    out_text(e->text, e->text_size);
    a->last = e->text[e->text_size - 1];
    (void)fflush(stdout); /* out_flush() says at the end what went wrong */
}

void generate_stats(const struct talk_end *e, uint64_t seed)
{
    const struct hearth_usage *const u = &e->usage;
    char first[32], total[32], rate[32] = "", reason[220] = "", replays[40] = "";
    const double decode_s = (double)(u->total_us - u->first_token_us) * 1e-6;

    if (!e->has_usage) return;
    if (u->output_tokens > 1 && u->total_us > u->first_token_us)
        (void)snprintf(rate, sizeof(rate), ", then %.1f a second",
                       (double)(u->output_tokens - 1) / decode_s);
    if (e->level_reason[0]) (void)snprintf(reason, sizeof(reason), " (%s)", e->level_reason);
    if (u->replays > 0)
        (void)snprintf(replays, sizeof(replays), ", %" PRIu32 " crash(es) survived", u->replays);
    out_note("[%" PRIu32 " tokens in (%" PRIu32 " cached), %" PRIu32
             " out; first after %s%s, all in %s; %s, level %s%s, seed %" PRIu64 "%s]",
             u->prompt_tokens, u->cached_tokens, u->output_tokens,
             out_time(first, sizeof(first), u->first_token_us), rate,
             out_time(total, sizeof(total), u->total_us), e->model, e->level, reason, seed,
             replays);
}

/* The one object of --json. */
static int print_object(const struct talk *c, const struct answer *a)
{
    const struct talk_end *const e = &c->end;
    json_t *const o = json_pack(
        "{so ss so so so so so so}", "text",
        json_out_text(a->text.data ? (const char *)buf_front(&a->text) : "", a->text.n), "finish",
        e->code == 0 ? json_out_finish(e->finish) : "error", "model", json_out_string(e->model),
        "level", json_out_string(e->level), "level_reason", json_out_string(e->level_reason),
        "seed", json_out_seed(a->seed), "ids",
        json_out_ids(a->ids.data ? (const uint32_t *)(const void *)buf_front(&a->ids) : NULL,
                     a->ids.n / sizeof(uint32_t)),
        "usage", e->has_usage ? json_out_usage(&e->usage) : json_null());

    if (o && a->calls && json_object_set(o, "calls", a->calls) != 0) {
        json_decref(o);
        return json_out_print(NULL);
    }
    if (o && e->code != 0 &&
        json_object_set_new(o, "error",
                            json_out_error(talk_error_name(e->code), e->message, e->retry,
                                           e->retry_after_ms)) != 0) {
        json_decref(o);
        return json_out_print(NULL);
    }
    return json_out_print(o);
}

/* Send @q and show what comes. @raw: complete, whose text gets no line feed of ours in files and pipes. */
static int run(const struct args *a, const struct hearth_request *q, bool raw)
{
    CLEANUP(talk_closep) struct talk c = { 0 };
    struct answer answer = { .json = a->json, .stream = a->json && a->stream, .last = '\n' };
    uint64_t id = 0;
    int r = talk_open(&c, a), flushed = 0;

    if (r != TALK_OK) return r;
    c.json = false; /* the object below has the error in it */
    buf_init(&answer.text, GENERATE_INPUT_MAX);
    buf_init(&answer.ids, IDS_MAX * sizeof(uint32_t));
    talk_begin(&c, on_event, &answer);
    const int sent = hearth_generate(c.client, q, talk_event, &c, &id);
    r = talk_finish(&c, sent, id);
    if (answer.last != '\n' && (!raw || out_is_terminal(stdout))) out_text("\n", 1);
    if (answer.short_of_memory) {
        out_error("not enough memory for the answer");
        r = TALK_FAILED;
    } else if (answer.stream && !c.ended) { /* no END came: hearthd is not there */
        flushed = json_out_print(
            json_pack("{ss so}", "event", "end", "error",
                      json_out_error(talk_error_name(c.end.code), c.end.message, false, 0)));
    } else if (a->json && !answer.stream) {
        flushed = print_object(&c, &answer);
    }
    if (flushed == 0) flushed = out_flush();
    if (a->stats) generate_stats(&c.end, answer.seed);
    if (r == TALK_OK && c.end.finish == HEARTH_FINISH_LENGTH && !a->json && out_is_terminal(stderr))
        out_note("[cut here: --max-tokens or the model's context is used up]");
    json_decref(answer.calls);
    buf_deinit(&answer.text);
    buf_deinit(&answer.ids);
    return r == TALK_OK && flushed ? TALK_FAILED : r;
}

/* Images, then the prompt, then the texts of files: the parts of one message. */
static int add_parts(struct hearth_request *q, const struct args *a, const struct buf *prompt)
{
    struct buf b;
    int r = TALK_OK;

    buf_init(&b, GENERATE_INPUT_MAX);
    for (size_t i = 0; r == TALK_OK && i < a->images.n; i++) {
        r = generate_read_file(a->images.item[i], &b);
        if (r == TALK_OK) r = generate_check(hearth_request_image(q, buf_front(&b), b.n));
        buf_deinit(&b);
    }
    if (r == TALK_OK && prompt->n > 0)
        r = generate_check(hearth_request_text(q, (const char *)buf_front(prompt), prompt->n));
    for (size_t i = 0; r == TALK_OK && i < a->files.n; i++) {
        r = i > 0 || prompt->n > 0 ? append(&b, "\n\n") : TALK_OK;
        if (r == TALK_OK) r = generate_read_file(a->files.item[i], &b);
        if (r == TALK_OK && b.n > 0)
            r = generate_check(hearth_request_text(q, (const char *)buf_front(&b), b.n));
        buf_deinit(&b);
    }
    return r;
}

static int generate(const struct args *a, bool raw)
{
    CLEANUP(requestp) struct hearth_request *q = NULL;
    struct buf prompt;
    int r = TALK_OK;

    if (a->stream && !a->json) {
        out_error("--stream goes with --json; without it answers stream anyway");
        return TALK_USAGE;
    }
    buf_init(&prompt, GENERATE_INPUT_MAX);
    if (a->n_words > 0 || (a->files.n == 0 && a->images.n == 0))
        r = generate_prompt(a->words, a->n_words, !raw, &prompt);
    if (r == TALK_OK && prompt.n == 0 && a->files.n == 0 && a->images.n == 0) {
        out_error("there is no prompt: give it as arguments, on standard input, or with --file");
        r = TALK_USAGE;
    }
    if (r == TALK_OK) r = generate_check(hearth_request_new(&q));
    if (r == TALK_OK) {
        hearth_request_set_raw(q, raw);
        r = generate_settings(q, a);
    }
    if (r == TALK_OK && !raw && offer_file(a->tools)) r = offer_tools(q, offer_file(a->tools));
    if (r == TALK_OK && a->system) {
        r = generate_check(hearth_request_message(q, HEARTH_ROLE_SYSTEM));
        if (r == TALK_OK) r = generate_check(hearth_request_text(q, a->system, HEARTH_TEXT_SIZE));
    }
    if (r == TALK_OK) r = generate_check(hearth_request_message(q, HEARTH_ROLE_USER));
    if (r == TALK_OK) r = add_parts(q, a, &prompt);
    buf_deinit(&prompt);
    return r == TALK_OK ? run(a, q, raw) : r;
}

int command_ask(const struct args *a)
{
    return generate(a, false);
}

int command_complete(const struct args *a)
{
    return generate(a, true);
}
