/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token of an answer is made by the step that processes the one before it. So when k tokens were made, k - 1 of them have
 * been processed; the levels of these are in runs. The last one has none yet: in a replay it gets the level of the moment.
 */
#include "daemon/leveling.h"
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/err.h"
#include "daemon/server.h"

double leveling_cost(const struct server *s, const char *level)
{
    const struct supervisor *v = &s->supervisor;
    const size_t i = levels_find(v->level, v->n_levels, level);

    return i == SIZE_MAX ? 1 : levels_cost(&v->level[i]);
}

void leveling_learn(struct server *s, const char *level)
{
    const double cost = leveling_cost(s, level);

    s->step_cost += s->step_cost > 0 ? (cost - s->step_cost) / 8 : cost;
}

/* ---- deadlines ---- */

static struct levels_work work_of(const struct request *r, uint64_t now_ns)
{
    const struct sched *s = &r->server->sched;
    const Hearth__Generate *g = r->frame->generate;
    const struct sched_req *q = &r->sched;
    struct levels_work w = { 0 };
    uint32_t position, wait_ms, left;

    sched_estimate(s, q, &position, &wait_ms);
    w.prefill_tokens = q->given_tokens - q->prefilled_tokens;
    if (q->state != SCHED_RUNNING && q->due_ns == 0) /* a promise waits as sched_keeps() says */
        w.wait_ns = wait_ms * 1e6 - w.prefill_tokens * s->prefill_tok_ns;
    if (!(w.wait_ns > 0)) w.wait_ns = 0;
    left = q->output_max > r->n_ids ? q->output_max - (uint32_t)r->n_ids : 0;
    w.decode_tokens = q->output_likely > 0 && left > q->output_likely ? q->output_likely : left;
    w.left_ns = (double)(q->arrived_ns + g->deadline_ms * CLOCK_NS_PER_MS) - (double)now_ns;
    return w;
}

/* What a token at row @i costs against those that were measured; 0: unknown. */
static double pace_of(const struct server *s, size_t i)
{
    return s->step_cost > 0 ? levels_cost(&s->supervisor.level[i]) / s->step_cost : 0;
}

/* The dearest row that costs less than row @i; the cheapest if none does. */
static size_t cheaper(const struct supervisor *v, size_t i)
{
    size_t best = SIZE_MAX;

    for (size_t k = 0; k < v->n_levels; k++)
        if (levels_cost(&v->level[k]) < levels_cost(&v->level[i]) &&
            (best == SIZE_MAX || levels_cost(&v->level[k]) > levels_cost(&v->level[best])))
            best = k;
    return best == SIZE_MAX ? i : best;
}

static size_t cheapest(const struct supervisor *v)
{
    return levels_under(v->level, v->n_levels, 0, 0);
}

static bool may_drop(const struct request *r)
{
    return r->frame->generate->level_may_drop && r->frame->generate->deadline_ms > 0;
}

static size_t in_time(struct request *r, size_t top, struct reason *why)
{
    struct server *server = r->server;
    const struct supervisor *v = &server->supervisor;
    struct sched *s = &server->sched;
    const struct levels_pace pace = { s->prefill_tok_ns, s->decode_step_ns, server->step_cost };

    if (!may_drop(r) || r->sched.state == SCHED_OPENING) return top;
    const uint64_t now_ns = clock_now_ns();
    const struct levels_work work = work_of(r, now_ns);
    const size_t found = levels_find(v->level, v->n_levels, r->level);
    const size_t has = found == SIZE_MAX ? top : found;
    size_t i = levels_in_time(v->level, v->n_levels, top, has, &pace, &work);
    while (r->sched.due_ns > 0 && cheaper(v, i) != i) {
        const bool up = levels_cost(&v->level[i]) > levels_cost(&v->level[has]);
        if (sched_keeps(s, &r->sched, pace_of(server, i) * (up ? 1.5 : 1), now_ns)) break;
        i = cheaper(v, i);
    }
    if (i != top)
        reason_set(why, "%s would miss the deadline of %u ms", v->level_name[top],
                   r->frame->generate->deadline_ms);
    return i;
}

void leveling_pace(struct request *r)
{
    const struct server *s = r->server;
    const struct supervisor *v = &s->supervisor;
    const size_t answer = levels_find(v->level, v->n_levels, r->level),
                 prompt = levels_find(v->level, v->n_levels, r->prompt_level);

    if (answer == SIZE_MAX || prompt == SIZE_MAX) return;
    r->sched.pace_prompt = pace_of(s, prompt);
    r->sched.pace_answer = pace_of(s, may_drop(r) ? cheapest(v) : answer);
}

bool leveling_promise(struct request *r, struct sched_late *ret)
{
    const struct supervisor *v = &r->server->supervisor;
    struct sched *s = &r->server->sched;
    const uint64_t now_ns = clock_now_ns(),
                   due_ns = r->sched.arrived_ns + r->frame->generate->deadline_ms * CLOCK_NS_PER_MS;

    leveling_pace(r);
    if (sched_promise(s, &r->sched, due_ns, now_ns, ret) == 0) return true;
    if (!may_drop(r)) return false;
    r->sched.pace_prompt = pace_of(r->server, cheapest(v));
    if (sched_promise(s, &r->sched, due_ns, now_ns, ret) != 0) return false;
    r->drops = true;
    return true;
}

/* ---- the choice ---- */

/* Without its deadline. Return: 0 and @ret; LEVELS_E_UNKNOWN (@why). @why with 0: why it is less than asked. */
static int choose(const struct request *r, size_t *ret, struct reason *why)
{
    const struct server *s = r->server;
    const struct supervisor *v = &s->supervisor;
    const char *reason;
    size_t i = 0;
    const int e =
        levels_pick(r->frame->generate->level, v->level, v->n_levels, s->level_ceiling, &i, why);

    if (e != 0) return e;
    const double share = climate_share(&s->climate, &reason);
    const size_t under = levels_under(v->level, v->n_levels, i, share);
    if (under != i) reason_set(why, "%s", reason);
    *ret = under;
    return 0;
}

static void take(struct request *r, size_t i, const struct reason *why)
{
    (void)snprintf(r->level, sizeof(r->level), "%s", r->server->supervisor.level_name[i]);
    if (why->text[0]) r->lowered = *why; /* stays: a part of the answer may be made so */
}

bool leveling_choose(struct request *r)
{
    const struct supervisor *v = &r->server->supervisor;
    struct reason why = { "" }, none;
    size_t i = 0;

    if (choose(r, &i, &why) != 0) {
        request_error(r, HEARTH__ERROR_CODE__ERROR_INVALID, CONN_NO_RETRY, "%s", why.text);
        return false;
    }
    if (r->drops && i != cheapest(v)) {
        reason_set(&why, "%s would miss the deadline of %u ms", v->level_name[i],
                   r->frame->generate->deadline_ms);
        i = cheapest(v);
    }
    take(r, i, &why);
    if (r->n_ids > 0) return true;
    (void)snprintf(r->prompt_level, sizeof(r->prompt_level), "%s", r->level);
    (void)levels_pick(r->frame->generate->level, v->level, v->n_levels, "", &i, &none);
    (void)snprintf(r->asked, sizeof(r->asked), "%s", v->level_name[i]);
    return true;
}

const char *leveling_preview(const struct request *r, struct reason *ret_why)
{
    const struct supervisor *v = &r->server->supervisor;
    size_t i = 0;

    reason_set(ret_why, "%s", "");
    if (v->n_levels > 0 && choose(r, &i, ret_why) == 0) return v->level_name[i];
    reason_set(ret_why, "%s", "");
    return "";
}

bool leveling_update(struct request *r)
{
    struct reason why = { "" };
    size_t i = 0;

    if (!runs_may_change(&r->runs) || choose(r, &i, &why) != 0) return false;
    i = in_time(r, i, &why);
    if (strcmp(r->server->supervisor.level_name[i], r->level) == 0) return false;
    take(r, i, &why);
    return true;
}

bool leveling_outdated(const struct request *r)
{
    struct reason why = { "" };
    size_t i = 0;

    if (r->seat != REQUEST_OPEN || r->sched.state != SCHED_QUEUED || r->n_ids > 0) return false;
    if (choose(r, &i, &why) != 0) return false;
    if (r->drops) i = cheapest(&r->server->supervisor);
    return strcmp(r->server->supervisor.level_name[i], r->prompt_level) != 0;
}

/* ---- what became of it ---- */

int leveling_ran(struct request *r, const char *level)
{
    return r->n_ids > 0 ? runs_add(&r->runs, level) : 0;
}

struct made {
    const char *level;
    uint32_t n_tokens;
};

/* Add @n tokens by @level to the tally. */
static void count(struct made *tally, size_t *n_levels, const char *level, uint32_t n)
{
    size_t i = 0;

    while (i < *n_levels && strcmp(tally[i].level, level) != 0)
        i++;
    if (i == *n_levels) tally[(*n_levels)++] = (struct made){ level, 0 };
    tally[i].n_tokens += n;
}

const char *leveling_made(const struct request *r, struct reason *ret_why)
{
    struct made tally[RUNS_MAX + 1];
    size_t n_levels = 0, most = 0, low = SIZE_MAX;
    uint32_t n_lower = 0, n = 0;

    count(tally, &n_levels, r->prompt_level, 1); /* the first token comes of the prompt */
    for (size_t i = 0; i < r->runs.n && i < RUNS_MAX; i++)
        count(tally, &n_levels, r->runs.run[i].level, r->runs.run[i].n_tokens);
    for (size_t i = 0; i < n_levels; i++) {
        n += tally[i].n_tokens;
        if (tally[i].n_tokens > tally[most].n_tokens) most = i;
        if (strcmp(tally[i].level, r->asked) == 0) continue;
        n_lower += tally[i].n_tokens;
        if (low == SIZE_MAX || tally[i].n_tokens > tally[low].n_tokens) low = i;
    }
    if (low == SIZE_MAX)
        reason_set(ret_why, "%s", "");
    else if (n_levels == 1)
        *ret_why = r->lowered;
    else
        reason_set(ret_why, "%u of %u tokens by %s%s: %s", n_lower, n, tally[low].level,
                   n_levels > 2 ? " and others" : "", r->lowered.text);
    return tally[most].level;
}

const char *leveling_ceiling(const struct server *s, const char **ret_why)
{
    const struct supervisor *v = &s->supervisor;
    struct reason why;
    const char *reason;
    size_t i = 0;

    *ret_why = "";
    if (v->n_levels == 0 ||
        levels_pick("best", v->level, v->n_levels, s->level_ceiling, &i, &why) != 0)
        return s->level_ceiling;
    const size_t under =
        levels_under(v->level, v->n_levels, i, climate_share(&s->climate, &reason));
    if (under == i) return s->level_ceiling;
    *ret_why = reason;
    return v->level_name[under];
}
