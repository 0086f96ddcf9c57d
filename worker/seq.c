/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/seq.h"
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "engine/token/tools.h"
#include "worker/turns.h"

enum { RAW_LONG = 256 }; /* tokens of a raw prompt of which most is kept for others */

static int refuse(Hearth__ErrorCode *ret_code, Hearth__ErrorCode code)
{
    *ret_code = code;
    return SEQ_E_REFUSED;
}

static int take_sampling(const struct seq_model *m, struct seq *s, const Hearth__Sampling *from,
                         Hearth__ErrorCode *ret_code, struct reason *why)
{
    struct sampler_config c = m->defaults;

    if (from) {
        if (from->has_temperature_case) c.temperature = from->temperature;
        if (from->has_top_k_case) c.top_k = from->top_k;
        if (from->has_top_p_case) c.top_p = from->top_p;
        if (from->has_min_p_case) c.min_p = from->min_p;
        if (from->has_repetition_penalty_case) c.repetition_penalty = from->repetition_penalty;
        if (from->has_seed_case) c.seed = from->seed;
    }
    if (sampler_check(&c, why) != 0) return refuse(ret_code, HEARTH__ERROR_CODE__ERROR_INVALID);
    s->sampling = c;
    return 0;
}

static struct gguf_string tool_lines(const struct seq *s)
{
    return s->tools ? tools_lines(s->tools) : (struct gguf_string){ NULL, 0 };
}

static int take_tools(const struct seq_model *m, struct seq *s, const Hearth__Worker__SeqOpen *open,
                      Hearth__ErrorCode *ret_code, struct reason *why)
{
    if (open->n_tools > 0 && (m->chat.form != CHAT_FORM_TOOLS || open->raw)) {
        reason_set(why, open->raw ? "a raw request takes no tools: leave them out"
                                  : "this model was not trained to call tools: leave them out");
        return refuse(ret_code, HEARTH__ERROR_CODE__ERROR_UNSUPPORTED);
    }
    if (open->n_tools == 0) return 0;
    s->tools = tools_new();
    if (!s->tools) return err_raise(-ENOMEM);
    for (size_t i = 0; i < open->n_tools; i++) {
        const int r = tools_add(s->tools, (const char *)open->tools[i]->json.data,
                                open->tools[i]->json.len, why);
        if (r < 0) return err_pass(r);
        if (r > 0) return refuse(ret_code, HEARTH__ERROR_CODE__ERROR_INVALID);
    }
    const int r = call_guard_new(&m->chat, engine_vocab(m->engine), m->calls, s->tools, &s->calls);
    return r < 0 ? err_pass(r) : 0;
}

static int take_stops(const struct seq_model *m, struct seq *s, const Hearth__Worker__SeqOpen *open,
                      Hearth__ErrorCode *ret_code, struct reason *why)
{
    const char *own = open->raw ? NULL : chat_stop(&m->chat);

    answer_init(&s->answer, engine_vocab(m->engine), !open->raw && chat_leading_space(&m->chat),
                open->prior_text_bytes);
    if (own) (void)answer_stop(&s->answer, own, strlen(own), NULL);
    if (s->tools) answer_calls(&s->answer, m->chat.call);
    for (size_t i = 0; i < open->n_stop; i++)
        if (answer_stop(&s->answer, (const char *)open->stop[i].data, open->stop[i].len, why) != 0)
            return refuse(ret_code, HEARTH__ERROR_CODE__ERROR_INVALID);
    return 0;
}

/* The tokens that an interrupted answer had, and their text, which is not given out again. */
static int take_prior(const struct seq_model *m, struct seq *s, const Hearth__Worker__Tokens *prior,
                      struct turns_out *spans, Hearth__ErrorCode *ret_code, struct reason *why)
{
    char text[ANSWER_OUT_MAX];
    size_t n;
    int r = turns_runs(m, prior, s->n, spans, ret_code, why);

    if (r != 0) return r < 0 ? err_pass(r) : r;

    for (size_t i = 0; prior && i < prior->n_ids; i++) {
        if (s->n == s->n_max || prior->ids[i] >= vocab_size(engine_vocab(m->engine))) {
            reason_set(why, "token %zu of the earlier answer cannot be", i);
            return refuse(ret_code, HEARTH__ERROR_CODE__ERROR_INTERNAL);
        }
        s->tokens[s->n++] = prior->ids[i];
        (void)answer_push(&s->answer, prior->ids[i], text, &n);
        if (s->calls) r = call_guard_follow(s->calls, s->tokens, s->n);
        if (r < 0) return err_pass(r);
        if (r > 0) {
            reason_set(why, "token %zu of the earlier answer is none of its call", i);
            return refuse(ret_code, HEARTH__ERROR_CODE__ERROR_INTERNAL);
        }
    }
    s->n_fixed = s->n;
    return 0;
}

static int check_length(const struct seq_model *m, struct seq *s,
                        const Hearth__Worker__SeqOpen *open, Hearth__ErrorCode *ret_code,
                        struct reason *why)
{
    const uint32_t context = engine_info(m->engine)->context;

    if (s->n_prompt == 0) {
        reason_set(why, "the prompt is empty and this model has no begin mark: give it a text");
        return refuse(ret_code, HEARTH__ERROR_CODE__ERROR_INVALID);
    }
    if (s->n_prompt + (open->prefix_only ? 0 : 1) > context) {
        reason_set(why,
                   "the prompt has %u tokens, the context holds %u with the answer: shorten it",
                   s->n_prompt, context);
        return refuse(ret_code, HEARTH__ERROR_CODE__ERROR_TOO_LONG);
    }
    s->n_out_max = context - s->n_prompt;
    if (open->max_tokens > 0 && open->max_tokens < s->n_out_max) s->n_out_max = open->max_tokens;
    return 0;
}

/*
 * Many requests of one app begin with the same system text and tools: they are worth an entry of its own in the prefix cache. Where it
 * ends in the prompt is found by rendering it alone: the first tokens that both have. A long raw prompt says nothing of its parts; most
 * of it is kept, for others that end otherwise. The first of them shows where they part, and leaves an entry there (prefix_use()).
 */
static int plan_snapshot(const struct seq_model *m, struct seq *s,
                         const Hearth__Worker__SeqOpen *open, const int *fds, size_t n_fds)
{
    Hearth__Worker__SeqOpen alone = *open;
    Hearth__ErrorCode code;

    const size_t system = open->n_turns > 0 && open->turns[0]->role == HEARTH__ROLE__ROLE_SYSTEM;
    if (open->raw && s->n_prompt >= RAW_LONG) {
        s->snapshot_at = s->n_prompt - s->n_prompt / 8;
        s->snapshot_guess = true;
    }
    if (open->raw || open->n_turns == system || system + open->n_tools == 0) return 0;
    CLEANUP(freep) uint32_t *tokens = malloc(s->n_max * sizeof(*tokens));
    struct turns_out out = { .tools = tool_lines(s), .tokens = tokens, .max = s->n_max };
    if (!tokens) return err_raise(-ENOMEM);
    alone.n_turns = system;
    alone.prefix_only = true;
    const int r = turns_render(m, &alone, fds, n_fds, &out, &code, NULL);
    free(out.span);
    if (r != 0) return r < 0 ? err_pass(r) : 0; /* a form that cannot have it alone */
    uint32_t n = 0;
    while (n < out.n && n + 1 < s->n && tokens[n] == s->tokens[n])
        n++;
    s->snapshot_at = n;
    return 0;
}

static int fill(const struct seq_model *m, struct seq *s, const Hearth__Worker__SeqOpen *open,
                const int *fds, size_t n_fds, Hearth__ErrorCode *ret_code, struct reason *why)
{
    int r = take_sampling(m, s, open->sampling, ret_code, why);

    if (r == 0) r = take_tools(m, s, open, ret_code, why);
    if (r == 0) r = take_stops(m, s, open, ret_code, why);
    if (r != 0) return r;
    struct turns_out out = { .tools = tool_lines(s), .tokens = s->tokens, .max = s->n_max };
    r = turns_render(m, open, fds, n_fds, &out, ret_code, why);
    s->n = s->n_prompt = out.n;
    if (r == 0) r = check_length(m, s, open, ret_code, why);
    if (r == 0) r = plan_snapshot(m, s, open, fds, n_fds);
    if (r == 0) r = take_prior(m, s, open->prior, &out, ret_code, why);
    s->span = out.span; /* owned from here on, also when refused */
    s->n_spans = out.n_spans;
    return r;
}

int seq_new(const struct seq_model *m, const Hearth__Worker__SeqOpen *open, const int *fds,
            size_t n_fds, Hearth__ErrorCode *ret_code, struct reason *why, struct seq **ret)
{
    struct seq *s = calloc(1, sizeof(*s));

    if (!s) return err_raise(-ENOMEM);
    list_init(&s->node);
    s->id = open->seq;
    s->owner = open->owner;
    s->shareable = open->shareable;
    s->engine = m->engine;
    s->prefix_only = open->prefix_only;
    s->n_max =
        engine_info(m->engine)->context + 1; /* the last token of an answer is never processed */
    s->tokens = malloc(s->n_max * sizeof(*s->tokens));
    int r = s->tokens ? engine_seq_new(m->engine, &s->kv) : err_raise(-ENOMEM);
    if (r == 0) r = fill(m, s, open, fds, n_fds, ret_code, why);
    if (r != 0) {
        seq_free(s);
        return r < 0 ? err_pass(r) : r;
    }
    *ret = s;
    return 0;
}

struct seq *seq_free(struct seq *s)
{
    if (!s) return NULL;
    list_remove(&s->node);
    engine_seq_free(s->kv);
    call_guard_free(s->calls);
    tools_free(s->tools);
    free(s->tokens);
    free(s->span);
    free(s);
    return NULL;
}

void seq_item(const struct seq *s, uint32_t most, const struct level *level,
              struct engine_item *ret)
{
    const uint32_t at = engine_seq_length(s->kv);
    uint32_t end = s->n;

    assert(at < s->n && most > 0);
    for (uint32_t i = 0; i < s->n_spans; i++)
        if (at < s->span[i].end) {
            level = s->span[i].level;
            end = s->span[i].end;
            break;
        }
    if (s->snapshot_at > at && s->snapshot_at < end) end = s->snapshot_at;
    const uint32_t n = end - at < most ? end - at : most;
    *ret = (struct engine_item){ .seq = s->kv,
                                 .tokens = s->tokens + at,
                                 .n = n,
                                 .level = level,
                                 .want = at + n == s->n && !s->prefix_only ? ENGINE_WANT_LAST
                                                                           : ENGINE_WANT_NONE,
                                 .allow = s->calls ? call_guard_allow(s->calls) : NULL };
}

void seq_processed(struct seq *s, const struct level *level)
{
    const uint32_t length = engine_seq_length(s->kv);
    struct seq_span *last = &s->span[s->n_spans - 1]; /* of the prompt: there is one */

    if (last->end >= length) return;
    if (last->level == level) {
        last->end = length;
        return;
    }
    struct seq_span *more = realloc(s->span, (s->n_spans + 1) * sizeof(*more));
    if (!more) {
        s->unnoted = true;
        return;
    }
    s->span = more;
    more[s->n_spans++] = (struct seq_span){ level, length };
}

static void end_answer(struct seq *s, Hearth__Finish finish, struct seq_result *ret)
{
    s->finish = finish;
    ret->n_text += answer_end(&s->answer, ret->text + ret->n_text);
}

/* A call is complete. */
static void take_call(struct seq *s, struct seq_result *ret)
{
    if (s->answer.n_call > sizeof(s->answer.call)) {
        end_answer(s, HEARTH__FINISH__FINISH_LENGTH, ret);
        return;
    }
    ret->call = s->answer.call;
    ret->n_call = s->answer.n_call;
}

int seq_sample(const struct seq_model *m, struct seq *s, float *logits, struct seq_result *ret,
               struct reason *why)
{
    uint32_t id = 0;

    assert(engine_seq_length(s->kv) == s->n && s->n < s->n_max);
    if (m->chat.form == CHAT_FORM_TOOLS && !s->tools) logits[m->chat.call] = -INFINITY;
    if (sampler_pick(m->sampler, &s->sampling, logits, s->tokens, s->n, s->n, &id) != 0) {
        reason_set(why, "the model computed no usable number: its file may be damaged");
        return SEQ_E_REFUSED;
    }
    s->tokens[s->n++] = id;
    ret->sampled = true;
    ret->id = id;
    ret->n_text = 0;
    ret->call = NULL;
    if (vocab_is_stop(engine_vocab(m->engine), id)) {
        end_answer(s, HEARTH__FINISH__FINISH_STOP, ret);
        return 0;
    }
    const int r = answer_push(&s->answer, id, ret->text, &ret->n_text);
    if (r == ANSWER_E_STOP) s->finish = HEARTH__FINISH__FINISH_STOP;
    if (r == ANSWER_E_CALL) take_call(s, ret);
    if (!s->finish && s->n - s->n_prompt >= s->n_out_max)
        end_answer(s, HEARTH__FINISH__FINISH_LENGTH, ret);
    if (s->finish || !s->calls || call_guard_follow(s->calls, s->tokens, s->n) == 0) return 0;
    reason_set(why, "no memory to go on with a call");
    return SEQ_E_REFUSED;
}
