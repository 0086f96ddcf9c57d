/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/worker/seq_run.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include "tests/golden/golden.h"
#include "tests/unit/engine/engine_run.h"

void seq_run_open(struct seq_model *m, const char *folder, uint32_t context, uint64_t kv_bytes)
{
    const struct engine_options o = { .kernels = "c",
                                      .threads = 1,
                                      .chunk = 32,
                                      .context = context,
                                      .kv_bytes = kv_bytes,
                                      .kv_f32 = true };
    char rel[128], path[512];

    (void)snprintf(rel, sizeof(rel), "text/%s/model.gguf", folder);
    cr_assert_not_null(golden_find(rel, path, sizeof(path)), "%s", rel);
    memset(m, 0, sizeof(*m));
    m->engine = engine_run_open(path, &o);
    const struct vocab *v = engine_vocab(m->engine);
    cr_assert_eq(chat_init(&m->chat, engine_file(m->engine), v, NULL), 0);
    cr_assert_eq(tokenizer_new(v, &m->tokenizer), 0);
    cr_assert_eq(sampler_new(vocab_size(v), &m->sampler), 0);
    m->defaults = (struct sampler_config){ .top_p = 1, .repetition_penalty = 1 };
}

void seq_run_close(struct seq_model *m)
{
    sampler_free(m->sampler);
    tokenizer_free(m->tokenizer);
    engine_free(m->engine);
}

static ProtobufCBinaryData bytes_of(const char *text)
{
    return (ProtobufCBinaryData){ .len = strlen(text), .data = (uint8_t *)(size_t)text };
}

int seq_run_new(const struct seq_model *m, const struct seq_run_ask *ask, uint64_t id,
                struct seq **ret, Hearth__ErrorCode *ret_code)
{
    Hearth__Worker__SeqOpen open = HEARTH__WORKER__SEQ_OPEN__INIT;
    Hearth__Worker__Turn turn = HEARTH__WORKER__TURN__INIT, *turns[] = { &turn };
    Hearth__Part part, *parts[] = { &part };
    Hearth__Sampling sampling = HEARTH__SAMPLING__INIT;
    Hearth__Worker__Tokens prior = HEARTH__WORKER__TOKENS__INIT;
    Hearth__Worker__LevelRun run[2] = { HEARTH__WORKER__LEVEL_RUN__INIT,
                                        HEARTH__WORKER__LEVEL_RUN__INIT },
                             *runs[] = { &run[0], &run[1] };
    ProtobufCBinaryData stop = bytes_of(ask->stop ? ask->stop : "");
    Hearth__ErrorCode code = HEARTH__ERROR_CODE__ERROR_UNKNOWN;
    struct reason why = { "" };

    hearth__part__init(&part);
    open.seq = id;
    open.raw = true;
    open.n_turns = 1;
    open.turns = turns;
    turn.n_parts = 1;
    turn.parts = parts;
    part.kind_case = HEARTH__PART__KIND_TEXT;
    part.text = bytes_of(ask->text);
    if (ask->level) open.level = (char *)(size_t)ask->level;
    open.max_tokens = ask->max_tokens;
    open.prefix_only = ask->prefix_only;
    open.sampling = &sampling;
    sampling.has_temperature_case = HEARTH__SAMPLING__HAS_TEMPERATURE_TEMPERATURE;
    sampling.temperature = ask->temperature;
    sampling.has_seed_case = HEARTH__SAMPLING__HAS_SEED_SEED;
    sampling.seed = 4711;
    open.n_stop = ask->stop ? 1 : 0;
    open.stop = &stop;
    open.prior = &prior;
    open.prior_text_bytes = ask->prior_text_bytes;
    prior.n_ids = ask->n_prior;
    prior.ids = (uint32_t *)(size_t)ask->prior;
    if (ask->runs && ask->n_prior > 0) {
        const uint32_t at = ask->runs->at < ask->n_prior ? ask->runs->at : ask->n_prior;
        prior.runs = runs;
        prior.n_runs = 2;
        run[0].n_tokens = at;
        run[0].level = (char *)(size_t)ask->runs->first;
        run[1].n_tokens = ask->n_prior - at;
        run[1].level = (char *)(size_t)ask->runs->second;
    }
    const int r = seq_new(m, &open, NULL, 0, &code, &why, ret);
    if (ret_code)
        *ret_code = code;
    else
        cr_assert_eq(r, 0, "%s", why.text);
    cr_assert_eq(r != 0, why.text[0] != '\0', "a refusal has a sentence");
    return r;
}

static void take(struct seq_run_answer *a, const Hearth__Worker__SeqStep *r)
{
    a->prefilled += r->prefilled;
    a->starved += r->starved;
    cr_assert_eq(r->error, 0, "%s", r->message);
    cr_assert_leq(a->n_text + r->text.len, SEQ_RUN_TEXT_MAX - 1);
    if (r->text.len > 0) memcpy(a->text + a->n_text, r->text.data, r->text.len);
    a->n_text += (uint32_t)r->text.len;
    for (size_t i = 0; i < r->n_ids; i++)
        a->id[a->n++] = r->ids[i];
    a->text_at[a->n] = a->n_text;
    a->finish = r->finish;
}

void seq_run_steps(const struct seq_model *m, struct seq *const *seqs, size_t n, uint32_t chunk,
                   struct seq_run_answer *answer)
{
    static struct step s; /* large */

    memset(&s, 0, sizeof(s));
    memset(answer, 0, n * sizeof(*answer));
    for (size_t i = 0; i < n; i++)
        s.entry[s.n_entries++] =
            (struct step_entry){ seqs[i], chunk, engine_levels(m->engine)->row };
    while (step_runnable(&s)) {
        const int r = step_run(m, &s);
        if (r == STEP_E_STOPPED) {
            cr_assert(s.report.abandoned && s.report.n_seqs == 0);
            continue;
        }
        cr_assert_eq(r, 0);
        for (size_t k = 0; k < s.report.n_seqs; k++)
            for (size_t i = 0; i < n; i++)
                if (seqs[i]->id == s.report.seqs[k]->seq) take(&answer[i], s.report.seqs[k]);
        if (s.report.prefill_tokens + s.report.decode_tokens == 0) break; /* all starve */
    }
    step_deinit(&s);
}

void seq_run_one(const struct seq_model *m, const struct seq_run_ask *ask, uint32_t chunk,
                 struct seq_run_answer *ret)
{
    struct seq *q = NULL;

    (void)seq_run_new(m, ask, 1, &q, NULL);
    seq_run_steps(m, &q, 1, chunk, ret);
    seq_free(q);
    cr_assert_eq(engine_pages_used(m->engine), 0, "an ended sequence holds no pages");
}
