/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/opening.h"
#include <errno.h>
#include <stdlib.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "daemon/conversation.h"
#include "daemon/server.h"

struct turns { /* [n] of the SeqOpen; a turn that answers has tokens and one run of them */
    Hearth__Worker__Turn *turn, **pointer;
    Hearth__Worker__Tokens *tokens;
    Hearth__Worker__LevelRun *run, **run_pointer;
    size_t n;
};

static void turns_deinit(const struct turns *t)
{
    free(t->turn);
    free(t->pointer);
    free(t->tokens);
    free(t->run);
    free(t->run_pointer);
}

static int turns_reserve(struct turns *t, size_t n)
{
    t->turn = calloc(n + 1, sizeof(*t->turn));
    t->pointer = calloc(n + 1, sizeof(*t->pointer));
    t->tokens = calloc(n + 1, sizeof(*t->tokens));
    t->run = calloc(n + 1, sizeof(*t->run));
    t->run_pointer = calloc(n + 1, sizeof(*t->run_pointer));
    return t->turn && t->pointer && t->tokens && t->run && t->run_pointer ? 0 : err_raise(-ENOMEM);
}

static Hearth__Worker__Turn *add(struct turns *t)
{
    Hearth__Worker__Turn *turn = &t->turn[t->n];

    hearth__worker__turn__init(turn);
    t->pointer[t->n++] = turn;
    return turn;
}

static void add_messages(struct turns *t, Hearth__Message **m, size_t n, const char *level)
{
    for (size_t i = 0; i < n; i++) {
        Hearth__Worker__Turn *turn = add(t);
        turn->role = m[i]->role;
        turn->parts = m[i]->parts;
        turn->n_parts = m[i]->n_parts;
        turn->level = (char *)(size_t)level;
    }
}

/* @ids: [n] of an answer, all made at @level. */
static Hearth__Worker__Tokens *tokens(struct turns *t, size_t at, uint32_t *ids, size_t n,
                                      const char *level)
{
    Hearth__Worker__Tokens *k = &t->tokens[at];

    hearth__worker__level_run__init(&t->run[at]);
    t->run[at].n_tokens = (uint32_t)n;
    t->run[at].level = (char *)(size_t)level;
    t->run_pointer[at] = &t->run[at];
    hearth__worker__tokens__init(k);
    k->ids = ids;
    k->n_ids = n;
    k->runs = &t->run_pointer[at];
    k->n_runs = 1;
    return k;
}

static void add_conversation(struct turns *t, const struct conversation *c)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct conversation_entry *e = &c->entry[i];
        size_t n = 0;
        Hearth__Message **m = conversation_messages(e, &n);
        add_messages(t, m, n, e->level);
        if (e->n_ids == 0) continue;
        Hearth__Worker__Turn *turn = add(t);
        turn->role = HEARTH__ROLE__ROLE_MODEL;
        turn->level = (char *)(size_t)e->level;
        turn->tokens = tokens(t, t->n - 1, e->ids, e->n_ids, e->level);
    }
}

static size_t count(const struct request *r)
{
    size_t n = r->frame->generate->n_messages;

    for (size_t i = 0; r->conversation && i < r->conversation->n; i++) {
        size_t k = 0;
        (void)conversation_messages(&r->conversation->entry[i], &k);
        n += k + 1;
    }
    return n;
}

int opening_send(struct request *r)
{
    CLEANUP(turns_deinit) struct turns t = { 0 };
    const Hearth__Generate *g = r->frame->generate;
    Hearth__Worker__ToWorker f = HEARTH__WORKER__TO_WORKER__INIT;
    Hearth__Worker__SeqOpen m = HEARTH__WORKER__SEQ_OPEN__INIT;
    Hearth__Sampling sampling = HEARTH__SAMPLING__INIT;
    const size_t n = count(r);

    if (turns_reserve(&t, n) < 0) return err_raise(-ENOMEM);
    if (r->conversation) add_conversation(&t, r->conversation);
    add_messages(&t, g->messages, g->n_messages, r->level);
    if (g->sampling) sampling = *g->sampling;
    sampling.has_seed_case = HEARTH__SAMPLING__HAS_SEED_SEED;
    sampling.seed = r->seed;
    m.seq = r->sched.serial;
    m.owner = (uint64_t)r->uid + 1; /* 0: nobody */
    m.turns = t.pointer;
    m.n_turns = t.n;
    m.tools = g->tools;
    m.n_tools = g->n_tools;
    m.raw = g->raw;
    m.sampling = &sampling;
    m.max_tokens = g->max_tokens;
    m.stop = g->stop;
    m.n_stop = g->n_stop;
    m.level = r->level;
    if (r->n_ids > 0) m.prior = tokens(&t, n, r->ids, r->n_ids, r->level);
    m.prior_text_bytes = (uint32_t)r->text_bytes;
    m.shareable = r->shareable;
    f.body_case = HEARTH__WORKER__TO_WORKER__BODY_SEQ_OPEN;
    f.seq_open = &m;
    return child_send(&r->server->supervisor.child, &f, r->fds, r->n_fds);
}
