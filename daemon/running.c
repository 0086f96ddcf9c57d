/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replay. Whoever was in the plan (or was being opened) when a worker died may be the reason, and becomes a suspect. The next
 * worker gets the suspects one after the other, alone: nothing else is opened until the newest one has made a token. If
 * the worker dies again, it was that one, and it alone is failed; the others never notice more than a pause.
 *
 * A replayed request is opened with the tokens that its answer has so far (SeqOpen.prior): they are processed like a prompt, and
 * because the logits of a token depend on nothing but the sequence, the answer goes on as it would have.
 */
#include "daemon/running.h"
#include <errno.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "daemon/conversation.h"
#include "daemon/leveling.h"
#include "daemon/opening.h"
#include "daemon/server.h"

enum {
    PREFILL_TOLD = 64, /* a prompt so short is processed before anybody could read its progress */
};

static struct request *find(struct server *s, uint64_t serial)
{
    LIST_EACH(r, &s->requests, struct request, node)
    if (r->sched.serial == serial) return r;
    return NULL;
}

/* ---- to the worker ---- */

void running_close(struct request *r)
{
    Hearth__Worker__ToWorker f = HEARTH__WORKER__TO_WORKER__INIT;
    Hearth__Worker__SeqClose m = HEARTH__WORKER__SEQ_CLOSE__INIT;

    if (r->seat == REQUEST_OUTSIDE) return;
    r->seat = REQUEST_OUTSIDE;
    m.seq = r->sched.serial;
    m.keep = r->keep;
    f.body_case = HEARTH__WORKER__TO_WORKER__BODY_SEQ_CLOSE;
    f.seq_close = &m;
    (void)child_send(&r->server->supervisor.child, &f, NULL, 0);
}

static void open_request(struct request *r)
{
    if (!leveling_choose(r)) return;
    const int e = opening_send(r);
    if (e == 0) {
        r->seat = REQUEST_OPENING;
        if (sched_urgent(&r->server->sched, &r->sched)) supervisor_nudge(&r->server->supervisor);
        return;
    }
    if (e == -EMSGSIZE)
        request_error(r, HEARTH__ERROR_CODE__ERROR_TOO_LONG, CONN_NO_RETRY,
                      "the request and its conversation have more than %d bytes: shorten them",
                      FRAME_BODY_MAX);
    else
        request_error(r, HEARTH__ERROR_CODE__ERROR_INTERNAL, 1000, "opening the request: %s",
                      strerror(-e));
}

/* True if a suspect is on trial now, or is put there: then nobody else is opened. */
static bool try_suspect(struct server *s)
{
    LIST_EACH(r, &s->requests, struct request, node)
    if (r->suspect && r->seat != REQUEST_OUTSIDE) return true;
    LIST_EACH(r, &s->requests, struct request, node)
    if (r->suspect && !r->sched.paused) {
        open_request(r);
        return true;
    }
    return false;
}

static void open_all(struct server *s)
{
    if (s->supervisor.state != SUPERVISOR_READY || s->supervisor.switching || try_suspect(s))
        return;
    LIST_EACH(r, &s->requests, struct request, node)
    if (r->seat == REQUEST_OUTSIDE && !r->suspect) open_request(r);
}

static void send_plan(struct server *s, const struct sched_plan *p)
{
    static uint64_t version;
    Hearth__Worker__ToWorker f = HEARTH__WORKER__TO_WORKER__INIT;
    Hearth__Worker__Plan m = HEARTH__WORKER__PLAN__INIT;
    Hearth__Worker__PlanEntry entry[SCHED_PLAN_MAX], *entries[SCHED_PLAN_MAX];

    for (size_t i = 0; i < p->n; i++) {
        const struct request *r = LIST_ENTRY(p->entry[i].req, struct request, sched);
        hearth__worker__plan_entry__init(&entry[i]);
        entry[i].seq = r->sched.serial;
        entry[i].prefill_tokens = p->entry[i].prefill_tokens;
        entry[i].level = (char *)(size_t)r->level;
        entries[i] = &entry[i];
    }
    m.version = ++version;
    m.entries = entries;
    m.n_entries = p->n;
    m.opened = s->plans_owed;
    f.body_case = HEARTH__WORKER__TO_WORKER__BODY_PLAN;
    f.plan = &m;
    (void)child_send(&s->supervisor.child, &f, NULL, 0);
    if (p->n > 0) climate_step_begins(&s->climate);
}

/* Levels follow what the machine can bear and deadlines need. Return: true if one of the plan changed. */
static bool update_levels(const struct sched_plan *p)
{
    bool changed = false;

    for (size_t i = 0; i < p->n; i++)
        changed |= leveling_update(LIST_ENTRY(p->entry[i].req, struct request, sched));
    return changed;
}

/* Opened again, so that its length is known; its KV comes when it runs. */
static void reopen(struct server *s, struct request *r)
{
    running_close(r);
    sched_reopen(&s->sched, &r->sched);
    server_pump(s);
}

static void reopen_outdated(struct server *s)
{
    if (s->supervisor.switching) return; /* what is open ends with the old model */
    LIST_EACH(r, &s->requests, struct request, node)
    if (leveling_outdated(r)) reopen(s, r);
}

static bool any_open(const struct server *s)
{
    LIST_EACH(r, &s->requests, struct request, node)
    if (r->seat != REQUEST_OUTSIDE) return true;
    return false;
}

void running_pump(struct server *s)
{
    struct sched_plan plan;

    if (s->supervisor.switching && !any_open(s)) supervisor_switch_now(&s->supervisor);
    if (!list_empty(&s->requests) && s->supervisor.state == SUPERVISOR_UNLOADED &&
        !s->supervisor.switching) {
        struct reason why = { "" };
        const Hearth__ErrorCode code = supervisor_want(&s->supervisor, &why);
        if (code) request_fail_waiting(s, code, why.text);
    }
    open_all(s);
    if (s->supervisor.state != SUPERVISOR_READY) return;
    reopen_outdated(s);
    LIST_EACH(r, &s->requests, struct request, node)
    leveling_pace(r);
    bool changed = sched_plan(&s->sched, clock_now_ns(), &plan);
    for (size_t i = 0; i < plan.n_evict; i++)
        reopen(s, LIST_ENTRY(plan.evict[i], struct request, sched));
    changed |= update_levels(&plan);
    if (changed || s->plans_owed > 0) send_plan(s, &plan);
    s->plans_owed = 0;
    if (plan.n == 0) s->climate.metered = false;
    supervisor_busy(&s->supervisor);
}

bool running_owed(const struct server *s)
{
    LIST_EACH(r, &s->requests, struct request, node)
    if (r->seat == REQUEST_OPENING || r->sched.state == SCHED_RUNNING) return true;
    return false;
}

/* ---- from the worker ---- */

static void send_started(struct request *r, const Hearth__Worker__SeqOpened *m)
{
    Hearth__ServerFrame f = HEARTH__SERVER_FRAME__INIT;
    Hearth__Started started = HEARTH__STARTED__INIT;

    if (r->started) return;
    r->started = true;
    started.id = r->call.id;
    started.prompt_tokens = m->prompt_tokens;
    started.cached_tokens =
        m->cached_tokens < m->prompt_tokens ? m->cached_tokens : m->prompt_tokens;
    started.seed = r->seed;
    f.body_case = HEARTH__SERVER_FRAME__BODY_STARTED;
    f.started = &started;
    conn_send(r->call.conn, &f);
}

void running_opened(struct server *s, const Hearth__Worker__SeqOpened *m)
{
    struct request *r = find(s, m->seq);
    const uint32_t quota = r ? r->sched.pages_quota : 0;

    s->plans_owed++; /* the worker waits for one that knows of it */
    server_pump(s);
    if (!r || r->seat != REQUEST_OPENING) return; /* it ended meanwhile */
    r->seat = REQUEST_OPEN;
    if (m->pages_most > s->sched.pages_total || (quota && m->pages_most > quota)) {
        request_error(r, HEARTH__ERROR_CODE__ERROR_TOO_LONG, CONN_NO_RETRY,
                      "prompt (%u tokens) and answer (at most %u) take %u KV pages, %s has %u: ask "
                      "for fewer max_tokens, or shorten the prompt",
                      m->prompt_tokens, m->max_tokens, m->pages_most,
                      quota && quota < s->sched.pages_total ? "policy allows; this app"
                                                            : "the pool",
                      quota && quota < s->sched.pages_total ? quota : s->sched.pages_total);
        return;
    }
    sched_opened(&s->sched, &r->sched, m->prompt_tokens, m->cached_tokens,
                 m->prompt_tokens + (uint32_t)r->n_ids, m->max_tokens, m->pages_most);
    if (r->frame->generate->max_tokens == 0 && m->max_tokens > SCHED_GUESS_TOKENS)
        r->sched.output_likely = SCHED_GUESS_TOKENS;
    if (request_promise(r)) send_started(r, m);
}

void running_seq_failed(struct server *s, const Hearth__Worker__SeqFailed *m)
{
    struct request *r = find(s, m->seq);

    if (!r || r->seat != REQUEST_OPENING) return;
    r->seat = REQUEST_OUTSIDE;
    request_error(r, m->code, CONN_NO_RETRY, "%s", m->message);
}

static void tell_progress(struct request *r, uint64_t now_ns)
{
    const struct sched_req *q = &r->sched;

    if (q->given_tokens < PREFILL_TOLD || r->n_ids > 0 ||
        now_ns - r->progress_ns < CLOCK_NS_PER_S / 10)
        return;
    r->progress_ns = now_ns;
    conn_progress(r->call.conn, r->call.id, "prefill", q->prefilled_tokens, q->given_tokens);
}

static void send_token(struct request *r, const Hearth__Worker__SeqStep *m)
{
    Hearth__ServerFrame f = HEARTH__SERVER_FRAME__INIT;
    Hearth__Token t = HEARTH__TOKEN__INIT;

    t.id = r->call.id;
    t.text = m->text;
    t.n_token_ids = m->n_ids;
    t.token_ids = m->ids;
    t.call = m->call;
    f.body_case = HEARTH__SERVER_FRAME__BODY_TOKEN;
    f.token = &t;
    conn_send(r->call.conn, &f);
}

static void deliver(struct request *r, const Hearth__Worker__SeqStep *m, uint64_t now_ns)
{
    if (m->error) {
        request_error(r, m->error, CONN_NO_RETRY, "%s", m->message);
        return;
    }
    if (m->prefilled > 0) tell_progress(r, now_ns);
    for (size_t i = 0; i < m->n_ids; i++)
        if (leveling_ran(r, m->level) < 0 || request_token(r, m->ids[i]) < 0) {
            request_error(r, HEARTH__ERROR_CODE__ERROR_INTERNAL, 1000, "hearthd is out of memory");
            return;
        }
    if (m->n_ids > 0) {
        if (r->first_token_ns == 0) r->first_token_ns = now_ns;
        if (r->suspect) server_pump(r->server); /* it was not that one: the next may be opened */
        r->suspect = false;
        r->text_bytes = m->text_total;
        send_token(r, m);
    }
    if (m->finish != HEARTH__FINISH__FINISH_UNKNOWN) request_done(r, m->finish);
}

/* What the step costs most and what it read. */
static void learn_levels(struct server *s, const Hearth__Worker__Step *m, uint64_t now_ns)
{
    const char *dearest = NULL;

    for (size_t i = 0; i < m->n_seqs; i++)
        if (!m->seqs[i]->starved &&
            (!dearest || leveling_cost(s, m->seqs[i]->level) > leveling_cost(s, dearest)))
            dearest = m->seqs[i]->level;
    if (!dearest) return;
    leveling_learn(s, dearest);
    if (m->prefill_tokens > 0) return; /* bound by arithmetic */
    rate_add(&s->read_bytes,
             (uint64_t)((double)s->supervisor.bytes_per_token * leveling_cost(s, dearest)), now_ns);
    rate_add(&s->read_ns, m->took_ns, now_ns);
}

/* Charge the step, its energy in the same parts. */
static void charge(struct server *s, const struct sched_done *done, size_t n, uint64_t took_ns,
                   uint64_t now_ns)
{
    const double uj = (double)climate_step_energy(&s->climate, now_ns);
    uint64_t before[SCHED_PLAN_MAX];

    for (size_t i = 0; i < n; i++)
        before[i] = done[i].req->engine_ns;
    sched_charge(&s->sched, done, n, took_ns);
    for (size_t i = 0; i < n && took_ns > 0; i++)
        LIST_ENTRY(done[i].req, struct request, sched)->energy_uj +=
            uj * (double)(done[i].req->engine_ns - before[i]) / (double)took_ns;
}

void running_step(struct server *s, const Hearth__Worker__Step *m)
{
    const uint64_t now_ns = clock_now_ns();
    struct sched_done done[SCHED_PLAN_MAX];
    size_t n = 0;

    if (m->abandoned) {
        sched_abandoned(&s->sched); /* nothing of it counts, and nobody is charged for it */
        log_debug("step abandoned", "plan=%llu took_us=%llu", (unsigned long long)m->plan,
                  (unsigned long long)m->took_ns / 1000);
        return;
    }
    for (size_t i = 0; i < m->n_seqs && n < SCHED_PLAN_MAX; i++) {
        const Hearth__Worker__SeqStep *q = m->seqs[i];
        struct request *r = find(s, q->seq);
        if (!r || r->seat != REQUEST_OPEN)
            continue; /* ended, or opened again, since the step began */
        done[n++] = (struct sched_done){ .req = &r->sched,
                                         .prefilled = q->prefilled,
                                         .decoded = (uint32_t)q->n_ids,
                                         .pages = q->pages };
        quota_charge(&r->app->tokens, q->prefilled + (uint32_t)q->n_ids, now_ns);
    }
    charge(s, done, n, m->took_ns, now_ns);
    learn_levels(s, m, now_ns);
    rate_add(&s->prefill_rate, m->prefill_tokens, now_ns);
    rate_add(&s->decode_rate, m->decode_tokens, now_ns);
    for (size_t i = 0; i < m->n_seqs; i++) {
        struct request *r = find(s, m->seqs[i]->seq);
        if (r && r->seat == REQUEST_OPEN) deliver(r, m->seqs[i], now_ns);
    }
    server_pump(s);
}

/* ---- the worker is gone ---- */

static bool blamed(const struct request *r)
{
    return r->seat == REQUEST_OPENING ||
           (r->seat == REQUEST_OPEN && r->sched.state == SCHED_RUNNING);
}

static bool suspect_on_trial(const struct server *s)
{
    LIST_EACH(r, &s->requests, struct request, node)
    if (r->suspect && blamed(r)) return true;
    return false;
}

void running_worker_lost(struct server *s, bool died)
{
    const bool trial = died && suspect_on_trial(s);

    s->climate.metered = false; /* no step runs until the next worker is ready */
    s->plans_owed = 0;
    LIST_EACH(r, &s->requests, struct request, node)
    {
        const bool guilty = died && blamed(r) && (!trial || r->suspect);
        const bool again = guilty && r->suspect;
        if (died && blamed(r)) r->crashes++;
        r->seat = REQUEST_OUTSIDE;
        sched_reopen(&s->sched, &r->sched);
        if (guilty) r->suspect = true;
        if (again)
            request_error(
                r, HEARTH__ERROR_CODE__ERROR_CRASHED, CONN_NO_RETRY,
                "the worker died twice while it served this request: it is not tried again");
    }
    server_pump(s);
}
