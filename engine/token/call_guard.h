/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/token/call_guard.h: holds the calls of one answer to what was offered: follows its tokens, and in a call knows which may
 * stand next (call_form.h, call_mask.h). For an argument that is to be verbatim the texts of the conversation so far are read when
 * a call begins.
 */
#pragma once
#include <stdint.h>
#include "engine/token/call_mask.h"
#include "engine/token/chat.h"
#include "engine/token/tools.h"

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
 * In a call it is one that call_guard_allow() has; the mark of a call begins one, its line's end ends it.
 * Return: 0; -ENOMEM: the answer cannot go on.
 */
int call_guard_follow(struct call_guard *g, const uint32_t *tokens, size_t n);

/** call_guard_allow() - in a call: a bit for each token that may stand next, as in engine_item.allow; else NULL. Borrowed until the next call_guard_follow(). */
const uint64_t *call_guard_allow(const struct call_guard *g);
