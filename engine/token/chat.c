/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/token/chat.h"
#include <assert.h>
#include <errno.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "engine/token/detokenizer.h"
#include "engine/token/plain.h"
#include "engine/token/prompt.h"

static uint32_t find_mark(const struct vocab *v, const char *text)
{
    const uint32_t id = vocab_find(v, text, strlen(text));

    return id != VOCAB_NONE && vocab_kind(v, id) == VOCAB_CONTROL ? id : VOCAB_NONE;
}

/* The form that the file names. */
static int init_named(struct chat *c, const struct vocab *v, struct gguf_string name,
                      struct reason *why)
{
    static const char known[] = "tools-v1";
    const struct {
        const char *text;
        uint32_t *to;
    } marks[] = { { "<start_of_turn>", &c->start },
                  { "<end_of_turn>", &c->end },
                  { "<tools>", &c->tools },
                  { "<call>", &c->call },
                  { "<result>", &c->result } };

    if (name.n != strlen(known) || memcmp(name.bytes, known, name.n) != 0) {
        reason_set(why, "key 'hearth.prompt_form': only '%s' is known here", known);
        return GGUF_E_REFUSED;
    }
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        *marks[i].to = find_mark(v, marks[i].text);
        if (*marks[i].to != VOCAB_NONE) continue;
        reason_set(why, "key 'hearth.prompt_form': the vocabulary has no control token '%s'",
                   marks[i].text);
        return GGUF_E_REFUSED;
    }
    c->form = CHAT_FORM_TOOLS;
    return 0;
}

int chat_init(struct chat *c, const struct gguf *g, const struct vocab *v, struct reason *why)
{
    struct gguf_string template, form;
    int r = gguf_text(g, "tokenizer.chat_template", &template, why);

    if (r == 0) r = gguf_text(g, "hearth.prompt_form", &form, why);
    if (r != 0) return r;
    *c = (struct chat){ .tools = VOCAB_NONE, .call = VOCAB_NONE, .result = VOCAB_NONE };
    if (form.bytes) return init_named(c, v, form, why);
    c->start = find_mark(v, "<start_of_turn>");
    c->end = find_mark(v, "<end_of_turn>");
    const bool turns = c->start != VOCAB_NONE && c->end != VOCAB_NONE && template.n > 0;
    c->form = turns ? CHAT_FORM_CHAT : CHAT_FORM_PLAIN;
    return 0;
}

const char *chat_form_name(enum chat_form form)
{
    switch (form) {
    case CHAT_FORM_CHAT:
        return "chat";
    case CHAT_FORM_PLAIN:
        return "plain";
    case CHAT_FORM_TOOLS:
        return "tools-v1";
    }
    return "unknown";
}

const char *chat_stop(const struct chat *c)
{
    return c->form == CHAT_FORM_PLAIN ? "\n" : NULL;
}

bool chat_leading_space(const struct chat *c)
{
    return c->form == CHAT_FORM_PLAIN;
}

static const char *role_name(enum chat_role role)
{
    switch (role) {
    case CHAT_ROLE_USER:
        return "user";
    case CHAT_ROLE_MODEL:
        return "model";
    case CHAT_ROLE_SYSTEM:
        return "system";
    case CHAT_ROLE_TOOL:
        return "tool";
    }
    return "unknown";
}

#define refuse(why, ...) (reason_set((why), __VA_ARGS__), CHAT_E_TURNS)

/* The order that every form wants. @tools: some are given. */
static int check_turns(const struct chat_turn *turns, size_t n, bool tools, bool answer,
                       struct reason *why)
{
    const size_t first = n > 0 && turns[0].role == CHAT_ROLE_SYSTEM;

    if (n == 0 && tools && !answer) return 0;
    if (n == 0) return refuse(why, "there is no message");
    for (size_t i = first; i < n; i++) {
        const enum chat_role role = turns[i].role;
        const bool model = role == CHAT_ROLE_MODEL, models_turn = (i - first) % 2 == 1;
        if (role == CHAT_ROLE_SYSTEM)
            return refuse(why, "message %zu is a system text, which may only be the first", i + 1);
        if (i == first && role != CHAT_ROLE_USER)
            return refuse(why, "message %zu has the role %s, a conversation begins with the user",
                          i + 1, role_name(role));
        if (model != models_turn)
            return refuse(why, "message %zu has the role %s after %s: user and model take turns",
                          i + 1, role_name(role), role_name(turns[i - 1].role));
    }
    if (answer && n == first)
        return refuse(why, "a system text alone asks nothing: a user's message must follow");
    if (answer && turns[n - 1].role == CHAT_ROLE_MODEL)
        return refuse(why, "the last message is the model's: there is nothing to answer");
    return 0;
}

static int put(struct prompt *p, const char *text)
{
    return prompt_text(p, text, strlen(text));
}

static int put_trimmed(struct prompt *p, const char *text, size_t n)
{
    const struct gguf_string s = prompt_trim(text, n);

    return prompt_text(p, s.bytes, s.n);
}

/* The calls and the text of a turn, or the tokens of an answer without those that ended it. */
static int put_content(const struct chat *c, struct prompt *p, const struct chat_turn *turn)
{
    size_t n = turn->n_ids;
    int r = 0;

    for (size_t i = 0; i < turn->n_calls && r == 0; i++) {
        r = prompt_id(p, c->call);
        if (r == 0) r = prompt_text(p, turn->calls[i].bytes, turn->calls[i].n);
        if (r == 0) r = put(p, "\n");
    }
    if (r != 0) return r;
    if (!turn->ids) return put_trimmed(p, turn->text, turn->n);
    while (n > 0 && vocab_is_stop(tokenizer_vocab(p->t), turn->ids[n - 1]))
        n--;
    return prompt_ids(p, turn->ids, n);
}

/* The mark and role that a turn begins with. */
static int put_start(const struct chat *c, struct prompt *p, bool model)
{
    const int r = prompt_id(p, c->start);

    return r != 0 ? r : put(p, model ? "model\n" : "user\n");
}

/* What stands in the first user's turn before the text. */
static int put_head(const struct chat *c, struct prompt *p, struct gguf_string tools,
                    const struct chat_turn *system)
{
    int r = 0;

    if (system) {
        r = put_trimmed(p, system->text, system->n);
        if (r == 0) r = put(p, "\n\n");
    }
    if (r != 0 || tools.n == 0) return r;
    r = prompt_id(p, c->tools);
    if (r == 0) r = prompt_text(p, tools.bytes, tools.n);
    return r != 0 ? r : put(p, "\n");
}

static int put_turn(const struct chat *c, struct prompt *p, const struct chat_turn *turn)
{
    int r = 0;

    if (turn->role == CHAT_ROLE_TOOL && c->form == CHAT_FORM_TOOLS) r = prompt_id(p, c->result);
    if (r == 0) r = put_content(c, p, turn);
    if (r == 0) r = prompt_id(p, c->end);
    return r != 0 ? r : put(p, "\n");
}

/* The chat form, and that with tools. */
static int render_turns(const struct chat *c, struct prompt *p, struct gguf_string tools,
                        const struct chat_turn *turns, size_t n, bool answer)
{
    const size_t first = n > 0 && turns[0].role == CHAT_ROLE_SYSTEM;
    int r = put_start(c, p, false);

    if (r == 0) r = put_head(c, p, tools, first ? &turns[0] : NULL);
    for (size_t i = first; r == 0 && i < n; i++) {
        if (i > first) r = put_start(c, p, turns[i].role == CHAT_ROLE_MODEL);
        if (r == 0) r = put_turn(c, p, &turns[i]);
    }
    return r == 0 && answer ? put_start(c, p, true) : r;
}

/* Outcomes of prompt.h become those of this module. */
static int finish(int r, struct prompt *p, size_t *ret_n, struct reason *why)
{
    if (r == 0) r = prompt_end(p, ret_n);
    if (r < 0) return err_pass(r);
    if (r == PROMPT_E_FULL) return CHAT_E_FULL;
    if (r == PROMPT_E_LONG) {
        reason_set(why, "a message has more than %d bytes of text", TOKENIZER_TEXT_MAX);
        return CHAT_E_LONG;
    }
    return 0;
}

int chat_render(const struct chat *c, struct tokenizer *t, struct gguf_string tools,
                const struct chat_turn *turns, size_t n, bool answer, uint32_t *out, size_t max,
                size_t *ret_n, struct reason *why)
{
    CLEANUP(prompt_deinit) struct prompt p;
    const struct vocab *v = tokenizer_vocab(t);
    int r = check_turns(turns, n, tools.n > 0, answer, why);

    assert(tools.n == 0 || c->form == CHAT_FORM_TOOLS);
    prompt_init(&p, t, out, max);
    if (r != 0) return r;
    for (size_t i = 0; i < n; i++)
        assert(turns[i].n_calls == 0 ||
               (c->form == CHAT_FORM_TOOLS && turns[i].role == CHAT_ROLE_MODEL && !turns[i].ids));
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; turns[i].ids && k < turns[i].n_ids; k++)
            if (turns[i].role != CHAT_ROLE_MODEL || turns[i].ids[k] >= vocab_size(v))
                return refuse(why, "message %zu has tokens that are no answer of this model",
                              i + 1);
    if (vocab_add_bos(v)) r = prompt_id(&p, vocab_bos(v));
    switch (c->form) {
    case CHAT_FORM_CHAT:
    case CHAT_FORM_TOOLS:
        if (r == 0) r = render_turns(c, &p, tools, turns, n, answer);
        break;
    case CHAT_FORM_PLAIN:
        if (r == 0) r = plain_render(&p, turns, n, answer);
        break;
    }
    return finish(r, &p, ret_n, why);
}

/* What of a rendered conversation is being passed over. */
enum skip {
    SKIP_NOTHING,
    SKIP_ROLE,  /* to the end of the line */
    SKIP_TOOLS, /* to an empty line */
    SKIP_MODEL, /* to the next turn */
};

static enum skip skip_from(const struct chat *c, uint32_t id, enum skip now)
{
    return id == c->start ? SKIP_ROLE : id == c->tools ? SKIP_TOOLS : now;
}

/* What is passed over behind @byte; @before stands before it, '\0': a mark. */
static enum skip skip_on(enum skip now, char before, char byte)
{
    if (now == SKIP_ROLE && before == '\0' && byte == 'm') return SKIP_MODEL;
    const bool ends = byte == '\n' && (now == SKIP_ROLE || (now == SKIP_TOOLS && before == '\n'));

    return ends ? SKIP_NOTHING : now;
}

int chat_texts(const struct chat *c, const struct vocab *v, const uint32_t *ids, size_t n,
               struct buf *out)
{
    char piece[VOCAB_TEXT_MAX], before = '\0';
    enum skip skip = SKIP_NOTHING;
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i++) {
        const size_t size = detokenizer_piece(v, ids[i], false, piece);
        size_t at = 0;
        skip = skip_from(c, ids[i], skip);
        if (size == 0) before = '\0';
        for (; at < size && skip != SKIP_NOTHING; at++) {
            skip = skip_on(skip, before, piece[at]);
            before = piece[at];
        }
        r = size == 0 ? buf_append(out, "", 1) : buf_append(out, piece + at, size - at);
    }
    return r < 0 ? err_pass(r) : r;
}

int chat_raw(struct tokenizer *t, const char *text, size_t n, uint32_t *out, size_t max,
             size_t *ret_n, struct reason *why)
{
    CLEANUP(prompt_deinit) struct prompt p;
    const struct vocab *v = tokenizer_vocab(t);
    int r = 0;

    prompt_init(&p, t, out, max);
    if (vocab_add_bos(v)) r = prompt_id(&p, vocab_bos(v));
    if (r == 0) r = prompt_text(&p, text, n);
    return finish(r, &p, ret_n, why);
}
