/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/token/plain.h: how a base model, which only continues texts, is asked: a few questions with answers, then the
 * user's question, "Q: ...\nA:". The answer is what follows up to the line's end. A request for a translation is
 * asked with examples of that language instead. The examples are tuned on Gemma 3 270M.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "engine/token/chat.h"
#include "engine/token/prompt.h"

/* A request for a translation, inside the text that it was found in. */
struct plain_translation {
    const struct plain_language *to;
    struct gguf_string phrase;
};

struct plain_language {
    const char *name;
    const char *examples[3]; /* "Good morning." "Thank you very much." "Where is the station?" */
};

/**
 * plain_find_translation() - whether @text: [n] asks for a translation into a language with examples
 * Known: "translate [this] [from X] to|into LANGUAGE: PHRASE", "translate PHRASE to|into LANGUAGE", "how do you say
 * PHRASE in LANGUAGE", in English, any case, with "please" in front or not; a phrase in double quotes counts alone.
 */
bool plain_find_translation(const char *text, size_t n, struct plain_translation *ret);

/**
 * plain_render() - the plain form of a conversation (chat_render()), without bos
 * The system text stands first; line ends in texts become spaces, because the end of the line ends a turn. A request
 * for a translation is asked alone, without the conversation before it.
 * @turns: [n > 0] in the order that chat_render() wants. Return: 0, PROMPT_E_LONG, -ENOMEM.
 */
int plain_render(struct prompt *p, const struct chat_turn *turns, size_t n, bool answer);
