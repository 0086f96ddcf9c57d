/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/conversation.h: what was said so far, kept under a name for one owner (uid). Each answered request adds its messages and
 * the tokens of its answer; they are the beginning of the next request of the conversation. It ends when it is closed, or when its
 * owner opens another one beyond the limit and this one is the longest unused for an hour or more.
 */
#pragma once
#include <hearth.pb-c.h>
#include <stdbool.h>
#include <stdint.h>
#include "daemon/conn.h"
#include "daemon/request.h"

enum {
    CONVERSATION_NAME_MAX = 64,
    CONVERSATION_ENTRIES_MAX = 1024,
    CONVERSATION_BYTES_MAX = 512 << 10
};

struct conversation_entry {
    Hearth__ClientFrame *frame; /* Generate or ConversationOpen, owned */
    uint32_t *ids;              /* [n_ids] of the answer, owned */
    size_t n_ids;
    struct runs runs; /* levels of these but the last one, owned */
    char level[RUNS_LEVEL_SIZE],
        prompt_level[RUNS_LEVEL_SIZE]; /* of the last one, of the messages */
};

struct conversation {
    struct list node; /* in server->conversations */
    uint32_t uid;
    char name[CONVERSATION_NAME_MAX + 1];
    struct request *running;          /* NULL: none */
    bool closed;                      /* while it ran: it is freed when the request leaves */
    struct conversation_entry *entry; /* [n] */
    size_t n, bytes;
    uint64_t used_ns;
};

/** conversation_open() - answer a ConversationOpen. Return: true if @f was taken over. */
bool conversation_open(struct conn *c, Hearth__ClientFrame *f);
/** conversation_close() - answer a ConversationClose. */
void conversation_close(struct conn *c, const Hearth__ConversationClose *m);

/** conversation_join() - may this request continue its conversation now? Return: 0 and @ret, or the error (@why). */
Hearth__ErrorCode conversation_join(const struct conn *c, const Hearth__Generate *g,
                                    struct conversation **ret, struct reason *why);
/** conversation_enter(), conversation_leave() - the request begins and ends; one at a time. */
void conversation_enter(struct request *r, struct conversation *c);
void conversation_leave(struct request *r);
/** conversation_add() - the request was answered (perhaps not to the end): its message goes from it to the conversation, with the tokens. */
void conversation_add(struct request *r);
/** conversation_messages() - [ret_n] of one entry; borrowed. */
Hearth__Message **conversation_messages(const struct conversation_entry *e, size_t *ret_n);
/** conversation_free_all() - hearthd ends. @list: server->conversations. */
void conversation_free_all(struct list *list);
