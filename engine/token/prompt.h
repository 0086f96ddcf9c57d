/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/token/prompt.h: a prompt in the making: texts and ready tokens, one after the other. Adjacent texts are
 * encoded as one, without control tokens: whatever a text spells, it makes none.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/reason.h"
#include "engine/token/tokenizer.h"

enum {
    PROMPT_E_FULL = 1, /* outcome: more tokens than there is room for */
    PROMPT_E_LONG = 2, /* outcome: a text has more than TOKENIZER_TEXT_MAX bytes */
};

struct prompt {
    struct tokenizer *t; /* borrowed */
    struct buf text;     /* not encoded yet */
    uint32_t *out;       /* [max] borrowed */
    size_t max, n;       /* n: tokens so far, also those that had no room */
};

/** prompt_init() - empty; tokens go to @out: [max]. Both are borrowed. */
void prompt_init(struct prompt *p, struct tokenizer *t, uint32_t *out, size_t max);

/** prompt_deinit() - free the text that was not encoded; @out keeps what it has. */
void prompt_deinit(struct prompt *p);

/** prompt_text() - append a text. Return: 0, PROMPT_E_LONG, -ENOMEM. */
int prompt_text(struct prompt *p, const char *text, size_t n);

/** prompt_line() - append a text in which each run of line ends becomes a space. Return: as prompt_text(). */
int prompt_line(struct prompt *p, const char *text, size_t n);

/** prompt_ids() - append tokens @ids: [n]. Return: 0, -ENOMEM. */
int prompt_ids(struct prompt *p, const uint32_t *ids, size_t n);

/** prompt_id() - append a token. Return: as prompt_ids(). */
int prompt_id(struct prompt *p, uint32_t id);

/**
 * prompt_end() - encode what is left
 * @ret_n: tokens of the whole prompt. Return: 0; PROMPT_E_FULL (@ret_n is set, @out has the first max); -ENOMEM.
 */
int prompt_end(struct prompt *p, size_t *ret_n);

/** prompt_trim() - without the white space at both ends; white space is what Python's str.strip() removes. */
struct gguf_string prompt_trim(const char *text, size_t n);
