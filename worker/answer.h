/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker/answer.h: the text of one answer as its tokens come: whole UTF-8 characters, ended by stop texts, of which no byte is
 * given out. The same tokens give the same text in the same pieces, so that an answer can be continued after a crash:
 * what was delivered before is skipped by its length.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/reason.h"
#include "engine/token/detokenizer.h"

enum {
    ANSWER_STOPS_MAX = 9,
    ANSWER_STOP_BYTES = 64,
    ANSWER_CALL_MAX = 8192 /* bytes of a call's JSON */
};                         /* eight of the request, and that of the model's form */
enum { ANSWER_OUT_MAX = ANSWER_STOP_BYTES + 2 * DETOKENIZER_OUT_MAX };
enum {
    ANSWER_E_STOP = 1,    /* outcome: a stop text is complete, the answer ends before it */
    ANSWER_E_INVALID = 2, /* outcome: a stop text is empty, too long, or one too many */
    ANSWER_E_CALL =
        3, /* outcome: a call is complete, it is in call: [n_call] until the next push */
};

struct answer {
    const struct vocab *vocab;
    struct detokenizer decoder;
    bool skip_space; /* the first byte is a space of the model's form, no part of the answer */
    size_t n_stops;
    struct {
        char text[ANSWER_STOP_BYTES];
        size_t n;
    } stop[ANSWER_STOPS_MAX];
    char held[ANSWER_OUT_MAX]; /* [n_held] may be the beginning of a stop text */
    size_t n_held;
    uint64_t made; /* bytes given out, skipped ones included */
    uint64_t skip; /* of them: bytes that were delivered before */
    uint32_t mark; /* token that begins a call, VOCAB_NONE: there are no calls */
    bool in_call;  /* between the mark and the line's end */
    char call[ANSWER_CALL_MAX];
    size_t n_call; /* may be more than there is room for: then it is cut */
};

/** answer_init() - an empty answer; @skip_space: drop one leading space; @skip: bytes that were delivered before. */
void answer_init(struct answer *a, const struct vocab *v, bool skip_space, uint64_t skip);

/** answer_calls() - what follows token @mark up to the line's end is a call, and no part of the text. */
void answer_calls(struct answer *a, uint32_t mark);

/** answer_stop() - also end at @text: [n]. Return: 0, ANSWER_E_INVALID (@why). */
int answer_stop(struct answer *a, const char *text, size_t n, struct reason *why);

/**
 * answer_push() - append token @id, which is no stop token
 * @out: [ANSWER_OUT_MAX] receives what became certain. @ret_n: bytes of it.
 * Return: 0, ANSWER_E_CALL, ANSWER_E_STOP (@out has what came before the stop text; nothing may follow).
 */
int answer_push(struct answer *a, uint32_t id, char *out, size_t *ret_n);

/** answer_end() - the answer ends: give out what was held back. @out: [ANSWER_OUT_MAX]. Return: bytes written. */
size_t answer_end(struct answer *a, char *out);
