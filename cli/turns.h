/* SPDX-License-Identifier: Apache-2.0 */
/* cli/turns.h: what was said in a chat, in memory only. */
#pragma once
#include <stddef.h>
#include <stdio.h>
#include "hearth.h"

enum { TURNS_MAX = 1000 };    /* a request may have 1024 messages */
enum { TURNS_E_FULL = 1 };    /* outcome: TURNS_MAX are there */
enum { TURNS_E_NOTHING = 2 }; /* outcome: there was no question to take back */

struct turn {
    enum hearth_role role;
    char *text; /* [size] owned, also ends with NUL */
    size_t size;
};

struct turns {         /* make it of { 0 } */
    struct turn *turn; /* [n] owned */
    size_t n, room;
};

/** turns_add() - append a copy of @text: [size]. Return: 0, TURNS_E_FULL, -ENOMEM. */
int turns_add(struct turns *t, enum hearth_role role, const char *text, size_t size);

/**
 * turns_take_back() - forget the last question and what came after it
 * @ret: its text, which the caller frees; NULL: not wanted. Return: 0, TURNS_E_NOTHING.
 */
int turns_take_back(struct turns *t, char **ret);

/** turns_clear() - forget all. */
void turns_clear(struct turns *t);

/** turns_build() - put all of it into @q, after @system (NULL: none). Return: what hearth_request_message() and ..._text() return. */
int turns_build(const struct turns *t, const char *system, struct hearth_request *q);

/** turns_write() - for people, "You:" and "Model:" before each turn. @system: NULL: none. */
void turns_write(const struct turns *t, const char *system, FILE *f);
