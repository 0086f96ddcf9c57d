/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When will promises be done? The steps that sched_plan() would make if promises ran alone: the highest class first, in it those that are
 * due next, as many as have places, prompts in chunks beside answers. Steps that are alike are taken at once, so that it takes
 * a handful of them for each request, however long its answer is.
 *
 * What it leaves out is small, and what the reserve of sched_promise() is for: places that are empty for a step, the share of
 * lower classes.
 */
#include <math.h>
#include "daemon/core/sched.h"
#include "daemon/core/sched_state.h"

struct forecast {
    const struct sched *s;
    struct sched_req *first; /* those that are not done, by order; sched_req.after */
    double now_ns;
};

struct step {
    struct sched_req *req[SCHED_PLAN_MAX];
    double tokens[SCHED_PLAN_MAX]; /* of prompts; 0: its answer, or nothing */
    size_t n, n_prompts, n_answers;
    double answers_ns, times; /* cost of the answers together; equal steps in a row */
};

static bool goes_before(const struct sched_req *a, const struct sched_req *b)
{
    return a->class != b->class ? a->class > b->class : sched_state_first(a, b);
}

static void insert(struct forecast *f, struct sched_req *r)
{
    const uint32_t answer = sched_state_answer(r);
    struct sched_req **at = &f->first;

    while (*at && !goes_before(r, *at))
        at = &(*at)->after;
    r->after = *at;
    *at = r;
    r->prompt_left = sched_state_prompt_left(r);
    r->answer_left = answer > r->output_tokens ? answer - r->output_tokens : 1;
    r->done_ns = r->charge_ns = 0;
}

static void gather(struct forecast *f, enum sched_class class, bool paused,
                   const struct sched_req *without)
{
    LIST_EACH(r, &f->s->reqs, struct sched_req, node)
    {
        const bool counts = r->class > class ? r->prompt_tokens > 0 : r->due_ns > 0;
        if (r->class >= class && r != without && counts && (paused || !r->paused)) insert(f, r);
    }
}

/* Prompt tokens of the step: as sched_plan() hands them out. */
static void hand_out(const struct forecast *f, struct step *p)
{
    double left =
        p->n_answers > 0 ? sched_state_budget(f->s, p->n_answers) : (double)f->s->config.chunk_max;
    double others = (double)p->n_prompts;

    for (size_t i = 0; i < p->n; i++) {
        struct sched_req *r = p->req[i];
        if (r->prompt_left <= 0) continue;
        others--;
        p->tokens[i] = fmin(r->prompt_left, left > others ? left - others : left > 0);
        left -= p->tokens[i];
        if (p->tokens[i] > 0)
            p->times = fmin(p->times, fmax(floor(r->prompt_left / p->tokens[i]), 1));
    }
}

static bool alike(const struct sched_req *a, const struct sched_req *b)
{
    return a->class == b->class && (a->due_ns > 0) == (b->due_ns > 0);
}

/* The next step: those of the highest class that is left, as many as have places. */
static void plan(const struct forecast *f, struct step *p)
{
    double dearest = 0;

    *p = (struct step){ .times = HUGE_VAL };
    for (struct sched_req *r = f->first; r && alike(r, f->first) && p->n < f->s->config.running_max;
         r = r->after) {
        p->req[p->n++] = r;
        if (r->prompt_left > 0) {
            p->n_prompts++;
            continue;
        }
        p->n_answers++;
        p->times = fmin(p->times, r->answer_left);
        dearest = fmax(dearest, sched_state_pace(r->pace_answer));
    }
    p->answers_ns = sched_state_cautious_ns(f->s, (double)p->n_answers) * dearest;
    hand_out(f, p);
}

static void run(struct forecast *f, const struct step *p)
{
    double step_ns = p->answers_ns;
    size_t n_prompts = 0;

    for (size_t i = 0; i < p->n; i++)
        step_ns += p->tokens[i] * f->s->prefill_tok_ns * sched_state_pace(p->req[i]->pace_prompt);
    f->now_ns += step_ns * p->times;
    for (size_t i = 0; i < p->n; i++) {
        struct sched_req *r = p->req[i];
        if (r->prompt_left > 0) {
            const double tokens = p->tokens[i] * p->times;
            r->charge_ns += tokens * f->s->prefill_tok_ns * sched_state_pace(r->pace_prompt);
            r->prompt_left -= tokens;
            if (!(r->prompt_left > 0)) r->answer_left--; /* the first token comes with it */
            n_prompts += r->prompt_left > 0;
        } else {
            r->charge_ns += p->answers_ns * p->times / (double)p->n_answers;
            r->answer_left -= p->times;
        }
    }
    /* The worker begins a step before it knows who has the other's prompt tokens now. */
    if (n_prompts < p->n_prompts) f->now_ns += p->answers_ns;
    for (struct sched_req **at = &f->first; *at;) {
        struct sched_req *r = *at;
        if (r->prompt_left > 0 || r->answer_left > 0) {
            at = &r->after;
            continue;
        }
        r->done_ns = f->now_ns;
        *at = r->after;
    }
}

bool sched_state_forecast(struct sched *s, enum sched_class class, bool paused,
                          const struct sched_req *without, uint64_t now_ns)
{
    struct forecast f = { .s = s, .now_ns = (double)now_ns };
    struct step p;

    if (!(s->prefill_tok_ns > 0)) return false;
    gather(&f, class, paused, without);
    while (f.first) {
        plan(&f, &p);
        run(&f, &p);
    }
    return true;
}
