/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/token/call_guard.h: holds the calls of one answer to what was offered: follows its tokens, and in a call knows which may
 * stand next (call_form.h, call_mask.h). For arguments that are to be verbatim the texts of the conversation are read when the first
 * call begins.
 */
#pragma once
#include <stdint.h>
#include "engine/token/call_mask.h"
#include "engine/token/chat.h"
#include "engine/token/tools.h"

enum { CALL_GUARD_E_UNFIT = 1 }; /* outcome: the token may not stand there */

struct call_guard;

/**
 * call_guard_new() - for answers to a prompt of form CHAT_FORM_TOOLS; outside of a call
 * @chat, @v, @mask, @tools are borrowed. Return: 0 and @ret, owned; -ENOMEM.
 */
int call_guard_new(const struct chat *chat, const struct vocab *v, const struct call_mask *mask,
                   const struct tools *tools, struct call_guard **ret);
struct call_guard *call_guard_free(struct call_guard *g);

/**
 * call_guard_follow() - the last of @tokens: [n], prompt and answer so far, was appended to the answer
 * The mark of a call begins one, its line's end ends it.
 * Return: 0; CALL_GUARD_E_UNFIT: call_guard_allow() has not this token; -ENOMEM. After a failure the guard is of no use.
 */
int call_guard_follow(struct call_guard *g, const uint32_t *tokens, size_t n);

/** call_guard_allow() - in a call: a bit for each token that may stand next, as in engine_item.allow; else NULL. Borrowed until the next call_guard_follow(). */
const uint64_t *call_guard_allow(struct call_guard *g);
