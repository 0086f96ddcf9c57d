/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/conversation.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "daemon/server.h"

#define UNUSED_NS (UINT64_C(3600) * CLOCK_NS_PER_S)

static struct conversation *find(struct server *s, uint32_t uid, const char *name)
{
    LIST_EACH(c, &s->conversations, struct conversation, node)
    if (c->uid == uid && !c->closed && strcmp(c->name, name) == 0) return c;
    return NULL;
}

static void conversation_free(struct conversation *c)
{
    for (size_t i = 0; i < c->n; i++) {
        frame_unpacked_free(&c->entry[i].frame->base);
        runs_deinit(&c->entry[i].runs);
        free(c->entry[i].ids);
    }
    free(c->entry);
    list_remove(&c->node);
    free(c);
}

void conversation_free_all(struct list *list)
{
    LIST_EACH(c, list, struct conversation, node)
    conversation_free(c);
}

Hearth__Message **conversation_messages(const struct conversation_entry *e, size_t *ret_n)
{
    if (e->frame->body_case == HEARTH__CLIENT_FRAME__BODY_GENERATE) {
        *ret_n = e->frame->generate->n_messages;
        return e->frame->generate->messages;
    }
    *ret_n = e->frame->conversation_open->n_messages;
    return e->frame->conversation_open->messages;
}

static bool name_ok(const char *name)
{
    size_t n = 0;

    for (; name[n]; n++)
        if (!isalnum((unsigned char)name[n]) && !strchr("._-", name[n])) return false;
    return n >= 1 && n <= CONVERSATION_NAME_MAX;
}

/* Parts that came as files would have to be kept open for as long as the conversation lives. */
static bool in_frame(Hearth__Message **m, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < m[i]->n_parts; k++) {
            const Hearth__Part *p = m[i]->parts[k];
            const Hearth__Media *media = p->kind_case == HEARTH__PART__KIND_IMAGE   ? p->image
                                         : p->kind_case == HEARTH__PART__KIND_AUDIO ? p->audio
                                         : p->kind_case == HEARTH__PART__KIND_VIDEO_FRAME
                                             ? p->video_frame
                                             : NULL;
            if (p->kind_case == HEARTH__PART__KIND_TEXT_FD_INDEX || (media && media->fd_index > 0))
                return false;
        }
    return true;
}

static size_t bytes_of(const Hearth__ClientFrame *f)
{
    return protobuf_c_message_get_packed_size(&f->base);
}

static struct conversation_entry *append(struct conversation *c, Hearth__ClientFrame *f)
{
    struct conversation_entry *e = reallocarray(c->entry, c->n + 1, sizeof(*e));

    if (!e) return NULL;
    c->entry = e;
    e += c->n++;
    *e = (struct conversation_entry){ .frame = f };
    c->bytes += bytes_of(f);
    c->used_ns = clock_now_ns();
    return e;
}

/* Room for one more of this owner? A long unused one makes room. */
static bool make_room(struct server *s, uint32_t uid, uint32_t max)
{
    struct conversation *oldest = NULL;
    uint32_t n = 0;

    LIST_EACH(c, &s->conversations, struct conversation, node)
    {
        if (c->uid != uid) continue;
        n++;
        if (!c->running && (!oldest || c->used_ns < oldest->used_ns)) oldest = c;
    }
    if (n < max) return true;
    if (max == 0 || !oldest || clock_now_ns() - oldest->used_ns < UNUSED_NS) return false;
    conversation_free(oldest);
    return true;
}

static Hearth__ErrorCode check_open(struct conn *c, const Hearth__ConversationOpen *m,
                                    struct reason *why)
{
    if (!c->policy.generate) {
        reason_set(why, "policy does not let you generate: see generate in hearthd.conf(5)");
        return HEARTH__ERROR_CODE__ERROR_DENIED;
    }
    if (!name_ok(m->name)) {
        reason_set(why, "'%.80s' is no name for a conversation: use 1 to %d of A-Z a-z 0-9 . _ -",
                   m->name, CONVERSATION_NAME_MAX);
        return HEARTH__ERROR_CODE__ERROR_INVALID;
    }
    if (find(c->server, c->peer.who.uid, m->name)) {
        reason_set(why, "you have a conversation '%s' already: continue or close it", m->name);
        return HEARTH__ERROR_CODE__ERROR_EXISTS;
    }
    if (m->n_tools > 0 || !in_frame(m->messages, m->n_messages)) {
        reason_set(why, "a conversation takes texts that travel in the frame, no tools and no "
                        "files yet: send them with each request");
        return HEARTH__ERROR_CODE__ERROR_UNSUPPORTED;
    }
    if (!make_room(c->server, c->peer.who.uid, c->policy.conversations_max)) {
        reason_set(why, "you have %u conversations, which is what policy allows: close one",
                   c->policy.conversations_max);
        return HEARTH__ERROR_CODE__ERROR_QUOTA;
    }
    return HEARTH__ERROR_CODE__ERROR_UNKNOWN;
}

bool conversation_open(struct conn *c, Hearth__ClientFrame *f)
{
    const Hearth__ConversationOpen *m = f->conversation_open;
    struct reason why = { "" };
    const uint64_t id = m->id;
    const Hearth__ErrorCode code = check_open(c, m, &why);

    if (code) {
        conn_error(c, id, code, CONN_NO_RETRY, "%s", why.text);
        return false;
    }
    struct conversation *v = calloc(1, sizeof(*v));
    if (v) list_init(&v->node);
    if (!v || !append(v, f)) {
        free(v);
        conn_error(c, id, HEARTH__ERROR_CODE__ERROR_INTERNAL, 1000, "hearthd is out of memory");
        return false;
    }
    v->uid = c->peer.who.uid;
    (void)snprintf(v->name, sizeof(v->name), "%s", m->name);
    list_push_back(&c->server->conversations, &v->node);
    conn_ok(c, id);
    return true;
}

void conversation_close(struct conn *c, const Hearth__ConversationClose *m)
{
    struct conversation *v = find(c->server, c->peer.who.uid, m->name);

    if (!v) {
        conn_error(c, m->id, HEARTH__ERROR_CODE__ERROR_NOT_FOUND, CONN_NO_RETRY,
                   "you have no conversation '%.80s'", m->name);
        return;
    }
    v->closed = true;
    if (!v->running) conversation_free(v);
    conn_ok(c, m->id);
}

Hearth__ErrorCode conversation_join(const struct conn *c, const Hearth__Generate *g,
                                    struct conversation **ret, struct reason *why)
{
    struct conversation *v = find(c->server, c->peer.who.uid, g->conversation);

    if (!v) {
        reason_set(why, "you have no conversation '%.80s': open it first", g->conversation);
        return HEARTH__ERROR_CODE__ERROR_NOT_FOUND;
    }
    if (v->running) {
        reason_set(why, "conversation '%s' is making an answer: wait for it, or cancel it",
                   v->name);
        return HEARTH__ERROR_CODE__ERROR_BUSY;
    }
    if (!in_frame(g->messages, g->n_messages)) {
        reason_set(why, "in a conversation, texts must travel in the frame");
        return HEARTH__ERROR_CODE__ERROR_UNSUPPORTED;
    }
    if (v->bytes > CONVERSATION_BYTES_MAX || v->n >= CONVERSATION_ENTRIES_MAX) {
        reason_set(why, "conversation '%s' has %zu bytes in %zu turns: close it and open a new one",
                   v->name, v->bytes, v->n);
        return HEARTH__ERROR_CODE__ERROR_TOO_LONG;
    }
    *ret = v;
    return HEARTH__ERROR_CODE__ERROR_UNKNOWN;
}

void conversation_enter(struct request *r, struct conversation *c)
{
    r->conversation = c;
    c->running = r;
}

void conversation_leave(struct request *r)
{
    struct conversation *c = r->conversation;

    r->conversation = NULL;
    c->running = NULL;
    if (c->closed) conversation_free(c);
}

void conversation_add(struct request *r)
{
    if (r->n_ids == 0) return; /* cancelled before it began: as if it had not been asked */
    struct conversation_entry *e = append(r->conversation, r->frame);
    if (!e) return;
    e->ids = r->ids;
    e->n_ids = r->n_ids;
    e->runs = r->runs;
    (void)snprintf(e->level, sizeof(e->level), "%s", r->level);
    (void)snprintf(e->prompt_level, sizeof(e->prompt_level), "%s", r->prompt_level);
    r->conversation->bytes += e->n_ids * 5; /* a token's varint has 3 bytes, 5 at most */
    r->frame = NULL;
    r->ids = NULL;
    r->runs = (struct runs){ 0 };
}
