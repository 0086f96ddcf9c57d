/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which level processes which token. A request is rendered with the mark that begins the answer, and that whole prompt is
 * processed at the level of its last turn; then come the tokens of the answer, each at the level that its run names; the next
 * request adds the end of the answer's turn, its own turns and its begin mark at its level. A conversation that is
 * computed again after its KV was dropped thus gets the KV that it had.
 */
#include "worker/turns.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "engine/token/call_json.h"

struct texts {
    struct chat_turn *turn;     /* [n] */
    char **text;                /* [n] owned */
    struct gguf_string **calls; /* [n] of each turn, owned as their bytes are */
    size_t n;
};

static void texts_deinit(const struct texts *t)
{
    for (size_t i = 0; t->text && i < t->n; i++)
        free(t->text[i]);
    for (size_t i = 0; t->turn && t->calls && i < t->n; i++) {
        for (size_t k = 0; k < t->turn[i].n_calls; k++)
            free((char *)(size_t)t->calls[i][k].bytes);
        free(t->calls[i]);
    }
    free(t->calls);
    free(t->text);
    free(t->turn);
}

static int refuse(Hearth__ErrorCode *ret_code, Hearth__ErrorCode code)
{
    *ret_code = code;
    return SEQ_E_REFUSED;
}

/* ---- the texts of a turn ---- */

static int append(char **text, size_t *n, const void *bytes, size_t more)
{
    char *t = realloc(*text, *n + more + 1);

    if (!t) return err_raise(-ENOMEM);
    if (more > 0) memcpy(t + *n, bytes, more);
    *text = t;
    *n += more;
    return 0;
}

static int append_file(char **text, size_t *n, int fd)
{
    struct stat st;

    if (fstat(fd, &st) != 0) return err_raise(-errno);
    const size_t size = (size_t)st.st_size;
    char *t = realloc(*text, *n + size + 1);
    if (!t) return err_raise(-ENOMEM);
    *text = t;
    for (size_t got = 0; got < size;) {
        const ssize_t r = pread(fd, t + *n + got, size - got, (off_t)got);
        if (r < 0 && errno == EINTR) continue;
        if (r <= 0)
            return err_raise(r < 0 ? -errno
                                   : -EIO); /* hearthd checked its seals: it does not shrink */
        got += (size_t)r;
    }
    *n += size;
    return 0;
}

static int part_text(const Hearth__Part *p, const int *fds, size_t n_fds, char **text, size_t *n,
                     Hearth__ErrorCode *ret_code, struct reason *why)
{
    struct stat st;

    switch (p->kind_case) {
    case HEARTH__PART__KIND_TEXT:
        if (*n + p->text.len <= TOKENIZER_TEXT_MAX)
            return append(text, n, p->text.data, p->text.len);
        break;
    case HEARTH__PART__KIND_TEXT_FD_INDEX:
        if (p->text_fd_index == 0 || p->text_fd_index > n_fds ||
            fstat(fds[p->text_fd_index - 1], &st) != 0) {
            reason_set(why, "a text names descriptor %u of %zu", p->text_fd_index, n_fds);
            return refuse(ret_code, HEARTH__ERROR_CODE__ERROR_INVALID);
        }
        if ((uint64_t)st.st_size <= TOKENIZER_TEXT_MAX - *n)
            return append_file(text, n, fds[p->text_fd_index - 1]);
        break;
    case HEARTH__PART__KIND_IMAGE:
    case HEARTH__PART__KIND_AUDIO:
    case HEARTH__PART__KIND_VIDEO_FRAME:
        reason_set(why, "%s is not supported by this model: send text",
                   p->kind_case == HEARTH__PART__KIND_AUDIO ? "audio" : "an image");
        return refuse(ret_code, HEARTH__ERROR_CODE__ERROR_UNSUPPORTED);
    case HEARTH__PART__KIND_CALL: /* taken before */
    case HEARTH__PART__KIND__NOT_SET:
    default: /* a kind that a newer client knows */
        reason_set(why, "a part of the message is of a kind that is not known here");
        return refuse(ret_code, HEARTH__ERROR_CODE__ERROR_UNSUPPORTED);
    }
    reason_set(why, "the texts of a message have more than %d bytes: shorten them",
               TOKENIZER_TEXT_MAX);
    return refuse(ret_code, HEARTH__ERROR_CODE__ERROR_TOO_LONG);
}

/* A call that the model made, of turn @at. */
static int take_call(const struct seq_model *m, struct texts *t, size_t at,
                     ProtobufCBinaryData json, Hearth__ErrorCode *ret_code, struct reason *why)
{
    struct chat_turn *turn = &t->turn[at];
    char *call = NULL;

    if (m->chat.form != CHAT_FORM_TOOLS) {
        reason_set(why, "this model was not trained to call tools: leave the calls out");
        return refuse(ret_code, HEARTH__ERROR_CODE__ERROR_UNSUPPORTED);
    }
    if (turn->role != CHAT_ROLE_MODEL || turn->n > 0) {
        reason_set(why, "message %zu has a call %s", at + 1,
                   turn->role != CHAT_ROLE_MODEL
                       ? "and is not the model's: only the model makes calls"
                       : "behind a text: calls come first");
        return refuse(ret_code, HEARTH__ERROR_CODE__ERROR_INVALID);
    }
    struct gguf_string *more = realloc(t->calls[at], (turn->n_calls + 1) * sizeof(*more));
    if (!more) return err_raise(-ENOMEM);
    turn->calls = t->calls[at] = more;
    const int r = call_json((const char *)json.data, json.len, &call, why);
    if (r > 0) return refuse(ret_code, HEARTH__ERROR_CODE__ERROR_INVALID);
    if (r < 0) return err_pass(r);
    more[turn->n_calls++] = (struct gguf_string){ call, strlen(call) };
    return 0;
}

static enum chat_role role_of(Hearth__Role role)
{
    switch (role) {
    case HEARTH__ROLE__ROLE_MODEL:
        return CHAT_ROLE_MODEL;
    case HEARTH__ROLE__ROLE_SYSTEM:
        return CHAT_ROLE_SYSTEM;
    case HEARTH__ROLE__ROLE_TOOL:
        return CHAT_ROLE_TOOL;
    case HEARTH__ROLE__ROLE_USER:
    default:
        return CHAT_ROLE_USER;
    }
}

static int take_turns(const struct seq_model *m, const Hearth__Worker__SeqOpen *open,
                      const int *fds, size_t n_fds, struct texts *t, Hearth__ErrorCode *ret_code,
                      struct reason *why)
{
    t->turn = calloc(open->n_turns + 1, sizeof(*t->turn));
    t->text = calloc(open->n_turns + 1, sizeof(*t->text));
    t->calls = calloc(open->n_turns + 1, sizeof(*t->calls));
    t->n = open->n_turns;
    if (!t->turn || !t->text || !t->calls) return err_raise(-ENOMEM);
    for (size_t i = 0; i < t->n; i++) {
        const Hearth__Worker__Turn *from = open->turns[i];
        struct chat_turn *to = &t->turn[i];
        to->role = role_of(from->role);
        if (from->tokens) {
            to->ids = from->tokens->ids;
            to->n_ids = from->tokens->n_ids;
            continue;
        }
        for (size_t k = 0; k < from->n_parts; k++) {
            const Hearth__Part *p = from->parts[k];
            const int r = p->kind_case == HEARTH__PART__KIND_CALL
                              ? take_call(m, t, i, p->call, ret_code, why)
                              : part_text(p, fds, n_fds, &t->text[i], &to->n, ret_code, why);
            if (r != 0) return r < 0 ? err_pass(r) : r;
        }
        to->text = t->text[i] ? t->text[i] : "";
    }
    return 0;
}

/* ---- rendering ---- */

static int render_outcome(int r, const struct turns_out *out, Hearth__ErrorCode *ret_code,
                          struct reason *why)
{
    switch (r) {
    case CHAT_E_TURNS:
        return refuse(ret_code, HEARTH__ERROR_CODE__ERROR_INVALID);
    case CHAT_E_LONG:
        return refuse(ret_code, HEARTH__ERROR_CODE__ERROR_TOO_LONG);
    case CHAT_E_FULL:
        reason_set(why,
                   "the prompt has %u tokens, the context holds %u with the answer: shorten it",
                   out->n, out->max - 1);
        return refuse(ret_code, HEARTH__ERROR_CODE__ERROR_TOO_LONG);
    default:
        return r < 0 ? err_pass(r) : err_fold(r);
    }
}

static int render_raw(const struct seq_model *m, const struct texts *t, struct turns_out *out,
                      Hearth__ErrorCode *ret_code, struct reason *why)
{
    CLEANUP(freep) char *all = NULL;
    size_t n = 0, n_tokens = 0;

    for (size_t i = 0; i < t->n; i++) {
        if (t->turn[i].ids || t->turn[i].n_calls > 0) {
            reason_set(why, t->turn[i].ids ? "a raw request cannot continue a conversation"
                                           : "a raw request has no calls: leave them out");
            return refuse(ret_code, HEARTH__ERROR_CODE__ERROR_INVALID);
        }
        const int r = append(&all, &n, t->turn[i].text, t->turn[i].n);
        if (r < 0) return err_pass(r);
    }
    const int r =
        chat_raw(m->tokenizer, all ? all : "", n, out->tokens, out->max - 1, &n_tokens, why);
    out->n = (uint32_t)n_tokens;
    return r == 0 ? 0 : render_outcome(r, out, ret_code, why);
}

/* The first @n turns; with @answer the mark that begins the answer. */
static int render_chat(const struct seq_model *m, const struct texts *t, size_t n, bool answer,
                       struct turns_out *out, Hearth__ErrorCode *ret_code, struct reason *why)
{
    size_t n_tokens = 0;
    const int r = chat_render(&m->chat, m->tokenizer, out->tools, t->turn, n, answer, out->tokens,
                              out->max - 1, &n_tokens, why);

    out->n = (uint32_t)n_tokens;
    return r == 0 ? 0 : render_outcome(r, out, ret_code, why);
}

/* ---- levels ---- */

static int level_named(const struct seq_model *m, const char *name, const struct level **ret,
                       Hearth__ErrorCode *ret_code, struct reason *why)
{
    *ret = level_find(engine_levels(m->engine), name);
    if (*ret) return 0;
    reason_set(why, "this model has no level '%.40s': see hearthctl model info", name);
    return refuse(ret_code, HEARTH__ERROR_CODE__ERROR_INVALID);
}

/* Tokens up to @end are processed at @level, from where the last span ended. */
static int add_span(struct turns_out *out, const struct level *level, uint32_t end)
{
    struct seq_span *last = out->n_spans ? &out->span[out->n_spans - 1] : NULL;

    if (last && last->end >= end) return 0;
    if (last && last->level == level) {
        last->end = end;
        return 0;
    }
    struct seq_span *s = realloc(out->span, (out->n_spans + 1) * sizeof(*s));
    if (!s) return err_raise(-ENOMEM);
    out->span = s;
    s[out->n_spans++] = (struct seq_span){ level, end };
    return 0;
}

int turns_runs(const struct seq_model *m, const Hearth__Worker__Tokens *tokens, uint32_t from,
               struct turns_out *out, Hearth__ErrorCode *ret_code, struct reason *why)
{
    for (size_t i = 0; tokens && i < tokens->n_runs; i++) {
        const struct level *level = NULL;
        int r = level_named(m, tokens->runs[i]->level, &level, ret_code, why);
        from += tokens->runs[i]->n_tokens;
        if (r == 0 && from > out->max) from = out->max;
        if (r == 0) r = add_span(out, level, from);
        if (r != 0) return r < 0 ? err_pass(r) : r;
    }
    return 0;
}

static bool one_level(const Hearth__Worker__SeqOpen *open)
{
    for (size_t i = 0; i < open->n_turns; i++) {
        const Hearth__Worker__Turn *t = open->turns[i];
        if (t->level[0] != '\0' && strcmp(t->level, open->level) != 0) return false;
        for (size_t k = 0; t->tokens && k < t->tokens->n_runs; k++)
            if (strcmp(t->tokens->runs[k]->level, open->level) != 0) return false;
    }
    return true;
}

/* The spans of answers that earlier requests got, and of their prompts. */
static int earlier_spans(const struct seq_model *m, const Hearth__Worker__SeqOpen *open,
                         const struct texts *t, struct turns_out *out, Hearth__ErrorCode *ret_code,
                         struct reason *why)
{
    for (size_t i = 1; i < open->n_turns; i++) {
        const struct level *level = NULL;
        if (!open->turns[i]->tokens) continue;
        const char *name = open->turns[i - 1]->level;
        int r = level_named(m, name[0] ? name : open->level, &level, ret_code, why);
        if (r == 0) r = render_chat(m, t, i, true, out, ret_code, why);
        if (r == 0) r = add_span(out, level, out->n);
        if (r == 0) r = turns_runs(m, open->turns[i]->tokens, out->n, out, ret_code, why);
        if (r != 0) return r < 0 ? err_pass(r) : r;
    }
    return 0;
}

int turns_render(const struct seq_model *m, const Hearth__Worker__SeqOpen *open, const int *fds,
                 size_t n_fds, struct turns_out *out, Hearth__ErrorCode *ret_code,
                 struct reason *why)
{
    CLEANUP(texts_deinit) struct texts t = { 0 };
    const struct level *level = NULL;

    int r = level_named(m, open->level, &level, ret_code, why);
    if (r == 0) r = take_turns(m, open, fds, n_fds, &t, ret_code, why);
    if (r == 0 && !open->raw && !one_level(open))
        r = earlier_spans(m, open, &t, out, ret_code, why);
    if (r == 0)
        r = open->raw ? render_raw(m, &t, out, ret_code, why)
                      : render_chat(m, &t, t.n, !open->prefix_only, out, ret_code, why);
    if (r == 0) r = add_span(out, level, out->n);
    return r < 0 ? err_pass(r) : r;
}
