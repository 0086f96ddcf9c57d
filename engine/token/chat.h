/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/token/chat.h: a conversation as the tokens that a model was trained to continue. Marks of turns are
 * inserted as tokens; texts are encoded without control tokens, so that nothing in them is taken for a mark.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/reason.h"
#include "engine/format/gguf.h"
#include "engine/token/tokenizer.h"
#include "engine/token/vocab.h"

enum {
    CHAT_E_TURNS =
        1, /* outcome: the turns are in no order that the form has; the reason says which */
    CHAT_E_FULL = 2, /* outcome: more tokens than there is room for */
    CHAT_E_LONG =
        3, /* outcome: the texts of a turn have more than TOKENIZER_TEXT_MAX bytes; the reason says so */
};

/* How a model is spoken to. Each form is a module with one render function. */
enum chat_form {
    CHAT_FORM_CHAT,  /* Gemma's turns (below) */
    CHAT_FORM_PLAIN, /* a base model: questions and answers as lines (plain.h) */
    CHAT_FORM_TOOLS, /* tools-v1: Gemma's turns with tools and calls (docs/TOOLS.md) */
};

enum chat_role {
    CHAT_ROLE_USER,
    CHAT_ROLE_MODEL,
    CHAT_ROLE_SYSTEM, /* the first turn only */
    CHAT_ROLE_TOOL,   /* result of a tool call */
};

struct chat_turn {
    enum chat_role role;
    const char *text; /* [n] any bytes; white space at both ends is not used */
    size_t n;
    const uint32_t
        *ids; /* [n_ids] an earlier answer as it was made, instead of text; CHAT_ROLE_MODEL only */
    size_t n_ids;
    const struct gguf_string
        *calls; /* [n_calls] of an earlier answer that is given as text: the calls that it begins
                                        with, as call_json() makes them; CHAT_ROLE_MODEL and CHAT_FORM_TOOLS only */
    size_t n_calls;
};

#define CHAT_NO_TOOLS ((struct gguf_string){ NULL, 0 })

/* What a model's file says about its form; a value, immutable. */
struct chat {
    enum chat_form form;
    uint32_t start,
        end; /* CHAT_FORM_CHAT and _TOOLS: the tokens <start_of_turn> and <end_of_turn> */
    uint32_t tools, call, result; /* CHAT_FORM_TOOLS: the tokens <tools>, <call> and <result> */
};

/**
 * chat_init() - find the form of the model @g with vocabulary @v
 * CHAT_FORM_TOOLS if the file says so (`hearth.prompt_form` = "tools-v1"). Else CHAT_FORM_CHAT if both marks of turns are in the vocabulary and the file has `tokenizer.chat_template` (which is
 * not interpreted: every Gemma has the same), else CHAT_FORM_PLAIN.
 * Return: 0; GGUF_E_REFUSED (the template is no string, the form is not known here, a mark of it is missing; @why).
 */
int chat_init(struct chat *c, const struct gguf *g, const struct vocab *v, struct reason *why);

/** chat_form_name() - "chat", "plain", "tools-v1": as Model.prompt_form in hearth.proto. */
const char *chat_form_name(enum chat_form form);

/**
 * chat_stop() - a text that ends an answer besides the stop tokens of the vocabulary, and is no part of it
 * Return: "\n" for the plain form, NULL for others.
 */
const char *chat_stop(const struct chat *c);

/** chat_leading_space() - true if an answer begins with a space that is no part of it (plain form: "A: Rome"). */
bool chat_leading_space(const struct chat *c);

/**
 * chat_render() - the tokens of a conversation
 * @tools: lines as tools_line() makes them (tools.h), none: CHAT_NO_TOOLS. Other forms than CHAT_FORM_TOOLS have none.
 * @turns: [n] optionally a system turn, then user and model in turns. A tool's result stands where a user's turn does.
 * @answer: true: the last turn is the user's or a tool's, and the model's answer is to follow. False: the conversation so
 * far, as the beginning of a longer one (its tokens are the first ones of the longer one's, but perhaps for those of
 * a system text alone, whose end may merge with the user's text).
 * @out: [max]. @ret_n: how many tokens the conversation has.
 * The chat form (source: chat template of Gemma 3 and 3n): bos, then for each turn <start_of_turn>, role ("user" or
 * "model"), line end, text, <end_of_turn>, line end; the system text and a blank line stand before the first user's
 * text; at last <start_of_turn>, "model", line end. Ends of earlier answers given as @ids are not doubled. The tools form
 * (docs/TOOLS.md) has the tools after the system text: <tools>, their lines, a blank line; and <result> before a tool's text.
 * Tools alone, without turns and @answer, are the beginning of such a conversation.
 * Return: 0; CHAT_E_TURNS, CHAT_E_LONG (@why); CHAT_E_FULL (@ret_n is set, @out has the first max); -ENOMEM.
 */
int chat_render(const struct chat *c, struct tokenizer *t, struct gguf_string tools,
                const struct chat_turn *turns, size_t n, bool answer, uint32_t *out, size_t max,
                size_t *ret_n, struct reason *why);

/**
 * chat_texts() - what was said to the model in a conversation: append the system text, users' texts and results to @out, with a
 * zero byte before each
 * @c: of the form CHAT_FORM_TOOLS. @ids: [n] as rendered. The model's own turns, roles, marks and the list of tools are no part of
 * it; the system text and the first user's text are two, if tools stand between them.
 * Return: 0, -ENOMEM, BUF_E_FULL.
 */
int chat_texts(const struct chat *c, const struct vocab *v, const uint32_t *ids, size_t n,
               struct buf *out);

/**
 * chat_raw() - the tokens of a text to be continued as it is: bos, if the model has one, and the text
 * Return: as chat_render(), but never CHAT_E_TURNS.
 */
int chat_raw(struct tokenizer *t, const char *text, size_t n, uint32_t *out, size_t max,
             size_t *ret_n, struct reason *why);
