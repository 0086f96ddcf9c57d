/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/tokenize.h"
#include <stdlib.h>
#include <string.h>
#include "daemon/server.h"

enum { TRIES_MAX = 2 };

struct tokenizing {
    struct call call;
    struct list node; /* in server->tokenizing */
    struct server *server;
    uint64_t serial;
    bool sent, parse_special, count_only;
    unsigned tries;
    size_t n;
    uint8_t text[]; /* [n] */
};

static void end(struct tokenizing *t)
{
    conn_call_over(&t->call);
    list_remove(&t->node);
    free(t);
}

static void on_end(struct call *call, bool gone)
{
    struct tokenizing *t = LIST_ENTRY(call, struct tokenizing, call);

    if (!gone) conn_cancelled(call->conn, call->id);
    end(t);
}

void tokenize_new(struct conn *c, const Hearth__Tokenize *m)
{
    struct server *s = c->server;
    struct reason why = { "" };
    Hearth__ErrorCode code = HEARTH__ERROR_CODE__ERROR_DENIED;

    if (c->policy.generate)
        code = supervisor_want(&s->supervisor, &why);
    else
        reason_set(&why, "policy does not let you use the model: see generate in hearthd.conf(5)");
    if (code) {
        conn_error(c, m->id, code, CONN_NO_RETRY, "%s", why.text);
        return;
    }
    struct tokenizing *t = calloc(1, sizeof(*t) + m->text.len);
    if (!t) {
        conn_error(c, m->id, HEARTH__ERROR_CODE__ERROR_INTERNAL, 1000, "hearthd is out of memory");
        return;
    }
    t->server = s;
    t->serial = ++s->serial;
    t->parse_special = m->parse_special;
    t->count_only = m->count_only;
    t->n = m->text.len;
    if (t->n > 0) memcpy(t->text, m->text.data, t->n);
    list_push_back(&s->tokenizing, &t->node);
    conn_call(c, &t->call, m->id, on_end);
    server_pump(s);
}

void tokenize_pump(struct server *s)
{
    if (s->supervisor.state != SUPERVISOR_READY) return;
    LIST_EACH(t, &s->tokenizing, struct tokenizing, node)
    {
        Hearth__Worker__ToWorker f = HEARTH__WORKER__TO_WORKER__INIT;
        Hearth__Worker__Tokenize m = HEARTH__WORKER__TOKENIZE__INIT;

        if (t->sent) continue;
        m.id = t->serial;
        m.text.data = t->text;
        m.text.len = t->n;
        m.parse_special = t->parse_special;
        m.count_only = t->count_only;
        f.body_case = HEARTH__WORKER__TO_WORKER__BODY_TOKENIZE;
        f.tokenize = &m;
        t->sent = true;
        t->tries++;
        if (child_send(&s->supervisor.child, &f, NULL, 0) == 0) continue;
        conn_error(t->call.conn, t->call.id, HEARTH__ERROR_CODE__ERROR_TOO_LONG, CONN_NO_RETRY,
                   "the text has too many bytes: split it");
        end(t);
    }
}

void tokenize_done(struct server *s, const Hearth__Worker__Tokenized *m)
{
    Hearth__Reply reply = HEARTH__REPLY__INIT;
    Hearth__Tokens tokens = HEARTH__TOKENS__INIT;

    LIST_EACH(t, &s->tokenizing, struct tokenizing, node)
    {
        if (t->serial != m->id) continue;
        tokens.count = m->count;
        tokens.ids = m->ids;
        tokens.n_ids = m->n_ids;
        reply.body_case = HEARTH__REPLY__BODY_TOKENS;
        reply.tokens = &tokens;
        if (m->n_ids < m->count && !t->count_only)
            conn_error(t->call.conn, t->call.id, HEARTH__ERROR_CODE__ERROR_TOO_LONG, CONN_NO_RETRY,
                       "the text has %u tokens, too many for one answer: split it, or ask for the "
                       "count alone",
                       m->count);
        else
            conn_reply(t->call.conn, t->call.id, &reply);
        end(t);
        return;
    }
}

void tokenize_worker_lost(struct server *s)
{
    LIST_EACH(t, &s->tokenizing, struct tokenizing, node)
    {
        t->sent = false;
        if (t->tries < TRIES_MAX) continue;
        conn_error(t->call.conn, t->call.id, HEARTH__ERROR_CODE__ERROR_CRASHED, CONN_NO_RETRY,
                   "the worker died twice while it had this text");
        end(t);
    }
}

void tokenize_fail(struct server *s, Hearth__ErrorCode code, const char *why)
{
    LIST_EACH(t, &s->tokenizing, struct tokenizing, node)
    {
        conn_error(t->call.conn, t->call.id, code, CONN_NO_RETRY, "%s", why);
        end(t);
    }
}

bool tokenize_owed(const struct server *s)
{
    LIST_EACH(t, &s->tokenizing, struct tokenizing, node)
    if (t->sent) return true;
    return false;
}
