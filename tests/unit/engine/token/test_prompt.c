/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "engine/token/prompt.h"
#include "tests/unit/engine/token/vocab_make.h"
#include "tests/unit/oom.h"

static struct vocab_made made;
static struct tokenizer *t;
static struct prompt p;
static uint32_t ids[32];

static void setup(void)
{
    struct gguf_make m;

    gguf_make_init(&m);
    vocab_make_small(&m);
    made = vocab_make_load(&m);
    cr_assert_eq(tokenizer_new(made.v, &t), 0);
    prompt_init(&p, t, ids, 32);
}

static void drop(void)
{
    prompt_deinit(&p);
    t = tokenizer_free(t);
    vocab_made_deinit(&made);
}

static uint32_t id(const char *text)
{
    return vocab_find(made.v, text, strlen(text));
}

Test(prompt, adjacent_texts_are_encoded_as_one, .init = setup, .fini = drop)
{
    size_t n;

    cr_assert_eq(prompt_text(&p, "us", 2), 0);
    cr_assert_eq(prompt_text(&p, NULL, 0), 0);
    cr_assert_eq(prompt_text(&p, "er", 2), 0);
    cr_assert_eq(prompt_id(&p, 5), 0);
    cr_assert_eq(prompt_ids(&p, (const uint32_t[]){ 7, 8 }, 2), 0);
    cr_assert_eq(prompt_text(&p, "mo", 2), 0);
    cr_assert_eq(prompt_ids(&p, NULL, 0), 0);
    cr_assert_eq(prompt_text(&p, "del", 3), 0);
    cr_assert_eq(prompt_end(&p, &n), 0);
    cr_assert_eq(n, 6u);
    const uint32_t want[] = { id("user"), 5, 7, 8, id("mo"), id("del") };
    cr_assert_arr_eq(ids, want, sizeof(want));
}

Test(prompt, texts_make_no_control_tokens, .init = setup, .fini = drop)
{
    size_t n;

    cr_assert_eq(prompt_text(&p, "<eos>", 5), 0);
    cr_assert_eq(prompt_end(&p, &n), 0);
    cr_assert_gt(n, 1u);
    for (size_t i = 0; i < n; i++)
        cr_assert_neq(vocab_kind(made.v, ids[i]), VOCAB_CONTROL);
}

Test(prompt, a_line_has_no_line_ends, .init = setup, .fini = drop)
{
    size_t n;

    cr_assert_eq(prompt_line(&p, "he\r\n\nhe\n", 8), 0);
    cr_assert_eq(prompt_line(&p, "", 0), 0);
    cr_assert_eq(prompt_end(&p, &n), 0);
    cr_assert_eq(n, 4u);
    const uint32_t want[] = { id("he"), id(VOCAB_SPACE), id("he"), id(VOCAB_SPACE) };
    cr_assert_arr_eq(ids, want, sizeof(want));
}

Test(prompt, counts_what_has_no_room, .init = setup, .fini = drop)
{
    size_t n;

    prompt_init(&p, t, ids, 3);
    ids[3] = 99;
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(prompt_text(&p, "user", 4), 0);
        cr_assert_eq(prompt_id(&p, 5), 0);
    }
    cr_assert_eq(prompt_end(&p, &n), PROMPT_E_FULL);
    cr_assert_eq(n, 8u);
    cr_assert_eq(ids[2], id("user"));
    cr_assert_eq(ids[3], 99u);
    prompt_deinit(&p);
    prompt_init(&p, t, NULL, 0);
    cr_assert_eq(prompt_text(&p, "user", 4), 0);
    cr_assert_eq(prompt_id(&p, 5), 0);
    cr_assert_eq(prompt_end(&p, &n), PROMPT_E_FULL);
    cr_assert_eq(n, 2u);
}

Test(prompt, refuses_a_text_that_is_too_long, .init = setup, .fini = drop)
{
    char *text = calloc(1, TOKENIZER_TEXT_MAX);

    cr_assert_eq(prompt_text(&p, "x", 1), 0);
    cr_assert_eq(prompt_text(&p, text, TOKENIZER_TEXT_MAX), PROMPT_E_LONG);
    cr_assert_eq(prompt_line(&p, text, TOKENIZER_TEXT_MAX), PROMPT_E_LONG);
    free(text);
}

Test(prompt, trims_white_space_at_both_ends)
{
    static const char *const cases[][2] = {
        { "", "" },
        { " \t\n\v\f\r", "" },
        { "a", "a" },
        { "  a b \n", "a b" },
        { "\x1c\x1d\x1e\x1f"
          "a\x1f",
          "a" },
        { "\xe3\x80\x80\xec\x95\x88\xe3\x80\x80", "\xec\x95\x88" }, /* ideographic space */
        { "\xc2\xa0\xc2\x85"
          "a\xe2\x80\xa8\xe2\x80\x8a ",
          "a" },
        { "\xe2\x80\x8b"
          "a\xe2\x80\x8b",
          "\xe2\x80\x8b"
          "a\xe2\x80\x8b" }, /* zero width space is none */
        { "\x80\xa0", "\x80\xa0" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct gguf_string s = prompt_trim(cases[i][0], strlen(cases[i][0]));
        cr_assert_eq(s.n, strlen(cases[i][1]), "case %zu", i);
        cr_assert_eq(memcmp(s.bytes, cases[i][1], s.n), 0, "case %zu", i);
    }
    cr_assert_eq(prompt_trim(NULL, 0).n, 0u);
}

Test(prompt, gives_up_cleanly_at_each_allocation, .init = setup, .fini = drop)
{
    size_t n;
    unsigned k = 1;

    OOM_OR_SKIP();
    for (;; k++) {
        prompt_init(&p, t, ids, 32);
        oom_fail_at(k);
        int r = prompt_text(&p, "user", 4);
        if (r == 0) r = prompt_id(&p, 5);
        if (r == 0) r = prompt_line(&p, "a\nb", 3);
        if (r == 0) r = prompt_end(&p, &n);
        const bool failed = oom_happened();
        oom_fail_at(0);
        prompt_deinit(&p);
        if (!failed) break;
        cr_assert_eq(r, -ENOMEM);
    }
    cr_assert_gt(k, 1u);
}
