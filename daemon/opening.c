/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/opening.h"
#include <errno.h>
#include <stdlib.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "daemon/conversation.h"
#include "daemon/server.h"

struct turns { /* [n] of the SeqOpen; a turn that answers has tokens and runs of them */
    const struct supervisor *supervisor;
    Hearth__Worker__Turn *turn, **pointer;
    Hearth__Worker__Tokens *tokens;
    Hearth__Worker__LevelRun *run, **run_pointer; /* [n_runs] of all answers */
    size_t n, n_runs;
};

static void turns_deinit(const struct turns *t)
{
    free(t->turn);
    free(t->pointer);
    free(t->tokens);
    free(t->run);
    free(t->run_pointer);
}

static int turns_reserve(struct turns *t, size_t n, size_t n_runs)
{
    t->turn = calloc(n + 1, sizeof(*t->turn));
    t->pointer = calloc(n + 1, sizeof(*t->pointer));
    t->tokens = calloc(n + 1, sizeof(*t->tokens));
    t->run = calloc(n_runs + 1, sizeof(*t->run));
    t->run_pointer = calloc(n_runs + 1, sizeof(*t->run_pointer));
    return t->turn && t->pointer && t->tokens && t->run && t->run_pointer ? 0 : err_raise(-ENOMEM);
}

static Hearth__Worker__Turn *add(struct turns *t)
{
    Hearth__Worker__Turn *turn = &t->turn[t->n];

    hearth__worker__turn__init(turn);
    t->pointer[t->n++] = turn;
    return turn;
}

/* A conversation may be older than the model, which then has no such level: all is computed anew in any case. */
static char *known(const struct turns *t, const char *level)
{
    const struct supervisor *v = t->supervisor;
    const bool has = levels_find(v->level, v->n_levels, level) != SIZE_MAX;

    return (char *)(size_t)(has ? level : "");
}

static void add_messages(struct turns *t, Hearth__Message **m, size_t n, const char *level)
{
    for (size_t i = 0; i < n; i++) {
        Hearth__Worker__Turn *turn = add(t);
        turn->role = m[i]->role;
        turn->parts = m[i]->parts;
        turn->n_parts = m[i]->n_parts;
        turn->level = known(t, level);
    }
}

static void add_run(struct turns *t, uint32_t n_tokens, const char *level)
{
    Hearth__Worker__LevelRun *run = &t->run[t->n_runs];

    hearth__worker__level_run__init(run);
    run->n_tokens = n_tokens;
    run->level = known(t, level);
    t->run_pointer[t->n_runs++] = run;
}

/* @ids: [n] of an answer; @runs: all but the last one, which @level processes. */
static Hearth__Worker__Tokens *tokens(struct turns *t, size_t at, uint32_t *ids, size_t n,
                                      const struct runs *runs, const char *level)
{
    Hearth__Worker__Tokens *k = &t->tokens[at];
    const size_t first = t->n_runs;

    for (size_t i = 0; i < runs->n; i++)
        add_run(t, runs->run[i].n_tokens, runs->run[i].level);
    add_run(t, 1, level);
    hearth__worker__tokens__init(k);
    k->ids = ids;
    k->n_ids = n;
    k->runs = t->run_pointer + first;
    k->n_runs = t->n_runs - first;
    return k;
}

static void add_conversation(struct turns *t, const struct conversation *c)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct conversation_entry *e = &c->entry[i];
        size_t n = 0;
        Hearth__Message **m = conversation_messages(e, &n);
        add_messages(t, m, n, e->prompt_level);
        if (e->n_ids == 0) continue;
        Hearth__Worker__Turn *turn = add(t);
        turn->role = HEARTH__ROLE__ROLE_MODEL;
        turn->level = known(t, e->level);
        turn->tokens = tokens(t, t->n - 1, e->ids, e->n_ids, &e->runs, e->level);
    }
}

static size_t count(const struct request *r, size_t *ret_runs)
{
    size_t n = r->frame->generate->n_messages, n_runs = r->runs.n + 1;

    for (size_t i = 0; r->conversation && i < r->conversation->n; i++) {
        size_t k = 0;
        (void)conversation_messages(&r->conversation->entry[i], &k);
        n += k + 1;
        n_runs += r->conversation->entry[i].runs.n + 1;
    }
    *ret_runs = n_runs;
    return n;
}

int opening_send(struct request *r)
{
    CLEANUP(turns_deinit) struct turns t = { .supervisor = &r->server->supervisor };
    const Hearth__Generate *g = r->frame->generate;
    Hearth__Worker__ToWorker f = HEARTH__WORKER__TO_WORKER__INIT;
    Hearth__Worker__SeqOpen m = HEARTH__WORKER__SEQ_OPEN__INIT;
    Hearth__Sampling sampling = HEARTH__SAMPLING__INIT;
    size_t n_runs;
    const size_t n = count(r, &n_runs);

    if (turns_reserve(&t, n, n_runs) < 0) return err_raise(-ENOMEM);
    if (r->conversation) add_conversation(&t, r->conversation);
    add_messages(&t, g->messages, g->n_messages, r->prompt_level);
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
    m.level = r->prompt_level;
    if (r->n_ids > 0) m.prior = tokens(&t, n, r->ids, r->n_ids, &r->runs, r->level);
    m.prior_text_bytes = (uint32_t)r->text_bytes;
    m.shareable = r->shareable;
    f.body_case = HEARTH__WORKER__TO_WORKER__BODY_SEQ_OPEN;
    f.seq_open = &m;
    return child_send(&r->server->supervisor.child, &f, r->fds, r->n_fds);
}
