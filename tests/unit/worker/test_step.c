/* SPDX-License-Identifier: Apache-2.0 */
/* Sequences and steps with tiny golden models. Their answers are noise, but always the same noise. */
#include <criterion/criterion.h>
#include <string.h>
#include "tests/unit/worker/seq_run.h"

static struct seq_model m;
static struct seq_run_answer whole, part, many[6];

static const struct seq_run_ask ask = { .text = "Turn the lights on in the kitchen",
                                        .temperature = 1.5f,
                                        .max_tokens = 40 };

Test(step, an_answer_goes_on_after_a_replay_as_if_nothing_had_happened)
{
    seq_run_open(&m, "g3-basic", 0, 0);
    seq_run_one(&m, &ask, 32, &whole);
    cr_assert_geq(whole.n, 10);
    for (uint32_t cut = 0; cut < whole.n; cut++) {
        struct seq_run_ask again = ask;
        again.prior = whole.id;
        again.n_prior = cut;
        again.prior_text_bytes = whole.text_at[cut];
        seq_run_one(&m, &again, 5, &part);
        cr_assert_eq(part.n, whole.n - cut, "cut at %u", cut);
        cr_assert_arr_eq(part.id, whole.id + cut, part.n * sizeof(*part.id));
        cr_assert_str_eq(part.text, whole.text + whole.text_at[cut], "cut at %u", cut);
        cr_assert_eq(part.finish, whole.finish);
    }
    seq_run_close(&m);
}

static uint32_t n_asked, n_stopped;

/* Every 37th time: the models have fewer layers, so that a step is made in the end, and each place between two of them is met. */
static bool now_and_then(void *context)
{
    (void)context;
    n_stopped += ++n_asked % 37 == 0;
    return n_asked % 37 == 0;
}

Test(step, a_step_that_is_given_up_between_two_layers_changes_no_answer)
{
    static const char *const models[] = { "g3-basic", "n3-slices" };

    for (size_t i = 0; i < 2; i++) {
        seq_run_open(&m, models[i], 0, 0);
        seq_run_one(&m, &ask, 8, &whole);
        n_asked = n_stopped = 0;
        engine_stop(m.engine, (struct forward_stop){ .ask = now_and_then });
        seq_run_one(&m, &ask, 8, &part);
        cr_assert_gt(n_stopped, 10, "%s", models[i]);
        cr_assert_eq(part.n, whole.n);
        cr_assert_arr_eq(part.id, whole.id, whole.n * sizeof(*whole.id));
        cr_assert_str_eq(part.text, whole.text);
        cr_assert_eq(part.prefilled, whole.prefilled, "what was given up is not counted");
        seq_run_close(&m);
    }
}

Test(step, an_answer_does_not_depend_on_chunks_or_on_who_runs_beside_it)
{
    static const char *const texts[] = {
        "a", "the mode", "Q: user", "in the end", "A: an hour", "d"
    };
    static const uint32_t chunks[] = { 1, 3, 32 };
    struct seq *q[6];

    seq_run_open(&m, "g3-basic", 0, 0);
    for (size_t c = 0; c < 3; c++) {
        for (size_t i = 0; i < 6; i++) {
            struct seq_run_ask one = ask;
            one.text = texts[i];
            one.max_tokens = 5 + (uint32_t)i * 4;
            (void)seq_run_new(&m, &one, 10 + i, &q[i], NULL);
        }
        seq_run_steps(&m, q, 6, chunks[c], many);
        for (size_t i = 0; i < 6; i++)
            seq_free(q[i]);
        for (size_t i = 0; i < 6; i++) {
            struct seq_run_ask one = ask;
            one.text = texts[i];
            one.max_tokens = 5 + (uint32_t)i * 4;
            seq_run_one(&m, &one, 32, &whole);
            cr_assert_eq(many[i].n, whole.n);
            cr_assert_arr_eq(many[i].id, whole.id, whole.n * sizeof(*whole.id));
            cr_assert_str_eq(many[i].text, whole.text);
            cr_assert_eq(many[i].prefilled, whole.prefilled);
        }
    }
    seq_run_close(&m);
}

Test(step, an_answer_ends_at_its_length)
{
    seq_run_open(&m, "g3-basic", 0, 0);
    struct seq_run_ask one = ask;
    one.temperature = 0;
    one.max_tokens = 3;
    seq_run_one(&m, &one, 32, &whole);
    cr_assert_eq(whole.n, 3);
    cr_assert_eq(whole.finish, HEARTH__FINISH__FINISH_LENGTH);
    seq_run_close(&m);
}

Test(step, a_stop_text_ends_the_answer_before_it_also_after_a_replay)
{
    char stop[4] = "";

    seq_run_open(&m, "g3-basic", 0, 0);
    seq_run_one(&m, &ask, 32, &whole);
    /* Any piece of the answer that begins behind its first byte and is split over tokens. */
    uint32_t at = 0;
    for (uint32_t i = 2; i < whole.n && at == 0; i++)
        if (whole.text_at[i] > 4 && whole.text_at[i + 1] > whole.text_at[i])
            at = whole.text_at[i] - 1;
    memcpy(stop, whole.text + at, 2);
    const uint32_t first = (uint32_t)(strstr(whole.text, stop) - whole.text);
    struct seq_run_ask one = ask;
    one.stop = stop;
    seq_run_one(&m, &one, 32, &part);
    cr_assert_eq(part.finish, HEARTH__FINISH__FINISH_STOP);
    cr_assert_eq(part.n_text, first);
    cr_assert_arr_eq(part.text, whole.text, first);
    cr_assert_lt(part.n, whole.n);
    one.prior = whole.id;
    one.n_prior = part.n - 1; /* the stop text is begun */
    one.prior_text_bytes = part.text_at[part.n - 1];
    static struct seq_run_answer rest;
    seq_run_one(&m, &one, 32, &rest);
    cr_assert_eq(rest.n, 1);
    cr_assert_eq(rest.finish, HEARTH__FINISH__FINISH_STOP);
    cr_assert_str_eq(rest.text, part.text + part.text_at[part.n - 1]);
    seq_run_close(&m);
}

Test(step, a_prefix_is_computed_and_nothing_sampled)
{
    seq_run_open(&m, "g3-basic", 0, 0);
    struct seq_run_ask one = ask;
    one.prefix_only = true;
    seq_run_one(&m, &one, 4, &whole);
    cr_assert_eq(whole.n, 0);
    cr_assert_gt(whole.prefilled, 4);
    cr_assert_eq(whole.finish, HEARTH__FINISH__FINISH_STOP);
    seq_run_close(&m);
}

Test(step, levels_of_a_replay_are_those_that_processed_each_token)
{
    static const char levels[] =
        "{\"half\": {\"width\": ["
        "128,128,128,128,128,128,128,128,128,128,128,128,128,128,128,128,128,128,"
        "128,128,128,128,128,128,128,128,128,128,128,128,128,128,128,128,128], \"skip\": []}}";
    struct reason why = { "" };
    struct seq *q = NULL;
    static struct step s;

    seq_run_open(&m, "n3-slices", 0, 0);
    cr_assert_eq(engine_levels_json(m.engine, levels, strlen(levels), &why), 0, "%s", why.text);
    const struct level *full = level_find(engine_levels(m.engine), ""),
                       *half = level_find(engine_levels(m.engine), "half");
    /* The plan changes the level after ten tokens: those that are processed from then on are of the other. */
    memset(&whole, 0, sizeof(whole));
    (void)seq_run_new(&m, &ask, 1, &q, NULL);
    s.n_entries = 1;
    while (!q->finish) {
        const bool prompt = seq_in_prompt(q);
        s.entry[0] = (struct step_entry){ q, 32, whole.n < 10 ? full : half };
        cr_assert_eq(step_run(&m, &s), 0);
        cr_assert_str_eq(s.report.seqs[0]->level, prompt || whole.n < 10 ? "full" : "half");
        for (size_t i = 0; i < s.report.seqs[0]->n_ids; i++)
            whole.id[whole.n++] = s.report.seqs[0]->ids[i];
    }
    seq_free(q);
    cr_assert_geq(whole.n, 20);
    /* When ten are made, nine are processed. */
    const struct seq_run_levels right = { 9, "full", "half" }, wrong = { 0, "full", "full" };
    for (uint32_t cut = 12; cut < whole.n; cut += 3)
        for (int with_runs = 0; with_runs < 2; with_runs++) {
            struct seq_run_ask again = ask;
            again.prior = whole.id;
            again.n_prior = cut;
            again.runs = with_runs ? &right : &wrong;
            (void)seq_run_new(&m, &again, 1, &q, NULL);
            uint32_t n = cut, equal = 0;
            while (!q->finish) {
                s.entry[0] = (struct step_entry){ q, 32, half };
                cr_assert_eq(step_run(&m, &s), 0);
                for (size_t i = 0; i < s.report.seqs[0]->n_ids; i++, n++)
                    equal += n < whole.n && s.report.seqs[0]->ids[i] == whole.id[n];
            }
            seq_free(q);
            if (with_runs) cr_assert(n == whole.n && equal == n - cut, "cut at %u", cut);
            if (!with_runs && cut == 12) cr_assert_lt(equal, whole.n - cut, "the levels matter");
        }
    step_deinit(&s);
    seq_run_close(&m);
}

Test(step, who_finds_no_page_starves_and_is_reported)
{
    struct seq *q[2];

    seq_run_open(&m, "g3-basic", 64,
                 1); /* too small for anything: the least that an engine takes */
    struct seq_run_ask one = ask;
    one.max_tokens = 0;
    one.temperature = 0;
    for (uint64_t i = 0; i < 2; i++)
        (void)seq_run_new(&m, &one, i + 1, &q[i], NULL);
    seq_run_steps(&m, q, 2, 32, many);
    cr_assert_gt(many[0].starved + many[1].starved, 0);
    cr_assert(many[0].finish == 0 || many[1].finish == 0, "somebody is stuck");
    const size_t stuck = many[0].finish == 0 ? 0 : 1;
    seq_free(q[1 - stuck]);
    const uint32_t made = many[stuck].n;
    seq_run_steps(&m, &q[stuck], 1, 32, &whole);
    cr_assert_neq(whole.finish, 0, "with the pages of the other it goes to its end");
    seq_free(q[stuck]);
    seq_run_one(&m, &one, 32, &part);
    cr_assert_eq(part.n, made + whole.n);
    cr_assert_arr_eq(part.id + made, whole.id, whole.n * sizeof(*whole.id),
                     "as if it had not waited");
    seq_run_close(&m);
}

Test(step, a_forgotten_sequence_is_left_out)
{
    static struct step s;
    struct seq *q = NULL;

    seq_run_open(&m, "g3-basic", 0, 0);
    cr_assert_not(step_runnable(&s), "an empty plan");
    (void)seq_run_new(&m, &ask, 1, &q, NULL);
    s.entry[s.n_entries++] = (struct step_entry){ q, 32, engine_levels(m.engine)->row };
    cr_assert(step_runnable(&s));
    step_forget(&s, q);
    cr_assert_not(step_runnable(&s));
    seq_free(q);
    step_deinit(&s);
    seq_run_close(&m);
}

Test(step, what_cannot_be_served_is_refused_with_a_code_and_a_sentence)
{
    static char huge[4096];
    static const uint32_t impossible[] = { 1u << 30 };
    const struct {
        struct seq_run_ask ask;
        Hearth__ErrorCode code;
    } cases[] = {
        { { .text = "a", .level = "none" }, HEARTH__ERROR_CODE__ERROR_INVALID },
        { { .text = huge }, HEARTH__ERROR_CODE__ERROR_TOO_LONG },
        { { .text = "a", .stop = "" }, HEARTH__ERROR_CODE__ERROR_INVALID },
        { { .text = "a", .temperature = -1 }, HEARTH__ERROR_CODE__ERROR_INVALID },
        { { .text = "a", .prior = impossible, .n_prior = 1 }, HEARTH__ERROR_CODE__ERROR_INTERNAL },
    };

    memset(huge, 'x', sizeof(huge) - 1);
    seq_run_open(&m, "g3-basic", 128, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        Hearth__ErrorCode code = HEARTH__ERROR_CODE__ERROR_UNKNOWN;
        struct seq *q = NULL;
        cr_assert_eq(seq_run_new(&m, &cases[i].ask, 1, &q, &code), SEQ_E_REFUSED, "case %zu", i);
        cr_assert_null(q);
        cr_assert_eq(code, cases[i].code, "case %zu: %d", i, code);
    }
    seq_run_close(&m);
}
