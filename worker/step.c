/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/step.h"
#include <errno.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/err.h"

struct batch {
    struct engine_item item[STEP_SEQS_MAX];
    struct step_entry *entry[STEP_SEQS_MAX];
    bool prefill[STEP_SEQS_MAX];
    size_t n;
};

void step_deinit(struct step *s)
{
    free(s->logits);
    s->logits = NULL;
}

void step_forget(struct step *s, const struct seq *seq)
{
    for (size_t i = 0; i < s->n_entries; i++)
        if (s->entry[i].seq == seq) s->entry[i].seq = NULL;
}

static bool has_work(const struct step_entry *e)
{
    return e->seq && !e->seq->finish;
}

bool step_runnable(const struct step *s)
{
    for (size_t i = 0; i < s->n_entries; i++)
        if (has_work(&s->entry[i])) return true;
    return false;
}

/* Answers first: they need one row each and somebody waits for every token. Then prompts, in the order of the plan. */
static void fill(struct step *s, struct batch *b, uint32_t rows)
{
    for (int prefill = 0; prefill < 2; prefill++)
        for (size_t i = 0; i < s->n_entries && rows > 0; i++) {
            struct step_entry *e = &s->entry[i];
            if (!has_work(e) || seq_in_prompt(e->seq) != prefill) continue;
            const uint32_t most = prefill && e->prefill_tokens < rows ? e->prefill_tokens : rows;
            if (most == 0) continue;
            seq_item(e->seq, most, e->level, &b->item[b->n]);
            b->entry[b->n] = e;
            b->prefill[b->n] = prefill;
            rows -= b->item[b->n++].n;
        }
}

static int reserve_logits(struct step *s, const struct batch *b, uint32_t vocab)
{
    size_t n = 0;

    for (size_t i = 0; i < b->n; i++)
        n += b->item[i].want == ENGINE_WANT_LAST;
    if (n <= s->n_logits) return 0;
    free(s->logits);
    s->logits = malloc(n * vocab * sizeof(float));
    s->n_logits = s->logits ? n : 0;
    return s->logits ? 0 : err_raise(-ENOMEM);
}

static void report_item(const struct seq_model *m, struct step *s, const struct batch *b, size_t i,
                        float *logits)
{
    struct seq *seq = b->entry[i]->seq;
    struct seq_result *got = &s->result[i];
    Hearth__Worker__SeqStep *r = &s->seq[i];

    hearth__worker__seq_step__init(r);
    s->seqs[i] = r;
    r->seq = seq->id;
    r->starved = b->item[i].starved;
    if (!r->starved) {
        r->level = (char *)(size_t)b->item[i].level->name;
        r->prefilled = b->prefill[i] ? b->item[i].n : 0;
        s->report.prefill_tokens += r->prefilled;
        s->report.decode_tokens += b->prefill[i] ? 0 : 1;
        if (logits && seq_sample(m, seq, logits, got, &s->why[i]) != 0) {
            r->error = HEARTH__ERROR_CODE__ERROR_INTERNAL;
            r->message = s->why[i].text;
            seq->finish = HEARTH__FINISH__FINISH_STOP; /* nothing more comes of it */
        } else if (logits) {
            r->ids = &got->id;
            r->n_ids = 1;
            r->text.data = (uint8_t *)got->text;
            r->text.len = got->n_text;
            r->call.data = (uint8_t *)(size_t)got->call;
            r->call.len = got->call ? got->n_call : 0;
        } else if (seq->prefix_only && !seq_in_prompt(seq)) {
            seq->finish = HEARTH__FINISH__FINISH_STOP;
        }
    }
    r->finish = r->error ? HEARTH__FINISH__FINISH_UNKNOWN : seq->finish;
    r->pages = engine_seq_pages(seq->kv);
    r->text_total = (uint32_t)seq->answer.made;
}

int step_run(const struct seq_model *m, struct step *s)
{
    const uint64_t from_ns = clock_now_ns();
    struct batch b;
    size_t row = 0;

    b.n = 0;
    fill(s, &b, engine_info(m->engine)->chunk);
    int r = reserve_logits(s, &b, engine_info(m->engine)->vocab);
    if (r == 0) r = engine_step(m->engine, b.item, b.n, s->logits);
    if (r < 0) return err_pass(r);
    hearth__worker__step__init(&s->report);
    if (r == ENGINE_E_STOPPED) {
        s->report.plan = s->version;
        s->report.abandoned = true;
        s->report.took_ns = clock_now_ns() - from_ns;
        return STEP_E_STOPPED;
    }
    for (size_t i = 0; i < b.n; i++) {
        const bool sampled = !b.item[i].starved && b.item[i].want == ENGINE_WANT_LAST;
        if (!b.item[i].starved) seq_processed(b.entry[i]->seq, b.item[i].level);
        report_item(m, s, &b, i,
                    sampled ? s->logits + row++ * engine_info(m->engine)->vocab : NULL);
    }
    s->report.plan = s->version;
    s->report.n_seqs = b.n;
    s->report.seqs = s->seqs;
    s->report.pages_used = engine_pages_used(m->engine);
    s->report.took_ns = clock_now_ns() - from_ns;
    return 0;
}
