/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include "tests/unit/engine/token/vocab_make.h"
#include "worker/answer.h"

enum { BYTE_0 = 6 }; /* of vocab_make_small() */

static struct vocab_made small(void)
{
    struct gguf_make m;

    gguf_make_init(&m);
    vocab_make_small(&m);
    return vocab_make_load(&m);
}

/*
 * Push @bytes, a token each, until a stop text is complete. What comes out, "|" after each push; at the end "$" and
 * what was held back, or "!" if a stop text ended it.
 */
static const char *stream(struct answer *a, const char *bytes)
{
    static char text[4096];
    char out[ANSWER_OUT_MAX];
    size_t at = 0, n = 0;

    for (; *bytes; bytes++) {
        const int r = answer_push(a, BYTE_0 + (uint8_t)*bytes, out, &n);
        memcpy(text + at, out, n);
        at += n;
        text[at++] = r == ANSWER_E_STOP ? '!' : '|';
        text[at] = '\0';
        if (r == ANSWER_E_STOP) return text;
        cr_assert_eq(r, 0);
    }
    text[at++] = '$';
    n = answer_end(a, out);
    memcpy(text + at, out, n);
    text[at + n] = '\0';
    return text;
}

static struct answer with(const struct vocab *v, const char *const *stops)
{
    struct answer a;

    answer_init(&a, v, false, 0);
    for (; *stops; stops++)
        cr_assert_eq(answer_stop(&a, *stops, strlen(*stops), NULL), 0);
    return a;
}

Test(answer, without_stop_texts_gives_each_character_when_it_is_whole)
{
    struct vocab_made made = small();
    struct answer a = with(made.v, (const char *const[]){ NULL });

    cr_assert_str_eq(stream(&a, "ab\xc3\xa4z"), "a|b||\xc3\xa4|z|$");
    cr_assert_eq(a.made, 5);
    vocab_made_deinit(&made);
}

Test(answer, a_stop_text_split_over_tokens_ends_it_and_no_byte_of_it_is_given_out)
{
    static const struct {
        const char *stop[4], *in, *out;
    } cases[] = {
        { { "END" }, "so END more", "s|o| |||!" },
        { { "END" }, "EEND", "|E||!" },  /* the first E was no beginning */
        { { "END" }, "ENE", "||EN|$E" }, /* held back, then given out at the end */
        { { "abab" }, "aabaabab", "|a|||aba|||!" },
        { { "aab" }, "aaab", "||a|!" },
        { { "x", "abc" }, "abx", "||ab!" }, /* the shorter one inside a longer one's beginning */
        { { "bc", "abcd" }, "abcd", "||a!" },
        { { "z" }, "z", "!" },
        { { "\n\n" }, "a\nb\n\nc", "a||\nb||!" },
        { { "\xc3\xa4" }, "a\xc3\xa4", "a||!" },
    };
    struct vocab_made made = small();

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct answer a = with(made.v, cases[i].stop);
        const char *out = stream(&a, cases[i].in);
        cr_assert_str_eq(out, cases[i].out, "case %zu: %s, not %s", i, out, cases[i].out);
    }
    vocab_made_deinit(&made);
}

Test(answer, a_token_may_bring_text_and_stop_at_once)
{
    struct vocab_made made = small();
    struct answer a = with(made.v, (const char *const[]){ "e", NULL });
    char out[ANSWER_OUT_MAX];
    size_t n = 0;

    cr_assert_eq(answer_push(&a, vocab_find(made.v, "model", 5), out, &n), ANSWER_E_STOP);
    cr_assert_eq(n, 3);
    cr_assert_arr_eq(out, "mod", 3);
    vocab_made_deinit(&made);
}

Test(answer, the_space_of_the_form_is_dropped_once)
{
    struct vocab_made made = small();
    struct answer a;

    answer_init(&a, made.v, true, 0);
    cr_assert_str_eq(stream(&a, "  a"), "| |a|$");
    answer_init(&a, made.v, true, 0);
    cr_assert_str_eq(stream(&a, "a b"), "a| |b|$");
    answer_init(&a, made.v, false, 0);
    cr_assert_str_eq(stream(&a, " a"), " |a|$");
    vocab_made_deinit(&made);
}

Test(answer, what_was_delivered_before_is_not_given_out_again)
{
    static const char whole[] = "a\xc3\xa4 END EN.";
    struct vocab_made made = small();
    char plain[64] = "";

    for (size_t skip = 0; skip <= 8; skip++) {
        struct answer a = with(made.v, (const char *const[]){ "ENDE", NULL });
        char got[64] = "";
        size_t n = 0;
        a.skip = skip;
        for (const char *p = stream(&a, whole); *p; p++)
            if (*p != '|' && *p != '$') got[n++] = *p;
        if (skip == 0) (void)snprintf(plain, sizeof(plain), "%s", got);
        cr_assert_str_eq(got, plain + skip);
        cr_assert_eq(a.made, strlen(plain), "skipped bytes count as made");
    }
    vocab_made_deinit(&made);
}

Test(answer, refuses_stop_texts_that_are_empty_too_long_or_too_many)
{
    char text[ANSWER_STOP_BYTES + 1];
    struct vocab_made made = small();
    struct reason why = { "" };
    struct answer a;

    memset(text, 'x', sizeof(text));
    answer_init(&a, made.v, false, 0);
    cr_assert_eq(answer_stop(&a, "", 0, &why), ANSWER_E_INVALID);
    cr_assert_eq(answer_stop(&a, text, ANSWER_STOP_BYTES + 1, &why), ANSWER_E_INVALID);
    cr_assert_str_eq(why.text,
                     "stop text 1 has 65 bytes: up to 8 texts of 1 to 64 bytes are possible");
    for (int i = 0; i < ANSWER_STOPS_MAX; i++)
        cr_assert_eq(answer_stop(&a, text, ANSWER_STOP_BYTES, &why), 0);
    cr_assert_eq(answer_stop(&a, "y", 1, &why), ANSWER_E_INVALID);
    vocab_made_deinit(&made);
}

/* ---- calls ---- */

static int push(struct answer *a, const char *bytes, char *out, size_t *n)
{
    int r = 0;

    for (*n = 0; *bytes && r == 0; bytes++)
        r = answer_push(a, BYTE_0 + (uint8_t)*bytes, out, n);
    cr_assert_eq(*bytes, '\0', "%s is left", bytes);
    return r;
}

Test(answer, a_call_is_no_part_of_the_text)
{
    enum { MARK = 4 }; /* any control token */
    struct vocab_made made = small();
    struct answer a = with(made.v, (const char *const[]){ NULL });
    char out[ANSWER_OUT_MAX];
    size_t n;

    answer_calls(&a, MARK);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(answer_push(&a, MARK, out, &n), 0);
        cr_assert_eq(n, 0u);
        cr_assert_eq(push(&a, "{\"a\": \"\xea\xb0\x80\"}", out, &n), 0);
        cr_assert_eq(n, 0u);
        cr_assert(a.in_call);
        cr_assert_eq(push(&a, "\n", out, &n), ANSWER_E_CALL);
        cr_assert_eq(n, 0u);
        cr_assert_eq(a.n_call, 12u);
        cr_assert_arr_eq(a.call, "{\"a\": \"\xea\xb0\x80\"}", 12);
    }
    cr_assert_eq(push(&a, "o", out, &n), 0);
    cr_assert_eq(n, 1u);
    cr_assert_eq(out[0], 'o');
    cr_assert_eq(a.made, 1u);
    vocab_made_deinit(&made);
}

Test(answer, half_a_character_before_a_call_is_text_and_no_part_of_it)
{
    enum { MARK = 4 };
    struct vocab_made made = small();
    struct answer a = with(made.v, (const char *const[]){ NULL });
    char out[ANSWER_OUT_MAX];
    size_t n;

    answer_calls(&a, MARK);
    cr_assert_eq(answer_push(&a, BYTE_0 + 0xea, out, &n), 0);
    cr_assert_eq(answer_push(&a, MARK, out, &n), 0);
    cr_assert_eq(push(&a, "{}\n", out, &n), ANSWER_E_CALL);
    cr_assert_eq(a.n_call, 2u);
    cr_assert_arr_eq(a.call, "{}", 2);
    cr_assert_eq(n, 3u);
    cr_assert_arr_eq(out, "\xef\xbf\xbd", 3);
    vocab_made_deinit(&made);
}

Test(answer, a_call_that_does_not_end_gives_no_text_and_stays_in_its_bounds)
{
    enum { MARK = 4 };
    struct vocab_made made = small();
    struct answer a = with(made.v, (const char *const[]){ "x", NULL });
    char out[ANSWER_OUT_MAX];
    size_t n;

    answer_calls(&a, MARK);
    (void)answer_push(&a, MARK, out, &n);
    for (size_t i = 0; i < ANSWER_CALL_MAX + 100; i++)
        cr_assert_eq(push(&a, "x", out, &n), 0, "stop texts are looked for in the text alone");
    cr_assert_eq(a.n_call, (size_t)ANSWER_CALL_MAX + 100);
    cr_assert_eq(answer_push(&a, BYTE_0 + 0xea, out, &n), 0, "half a character");
    cr_assert_eq(answer_end(&a, out), 0u);
    vocab_made_deinit(&made);
}

Test(answer, without_calls_the_mark_is_a_token_like_others)
{
    struct vocab_made made = small();
    struct answer a = with(made.v, (const char *const[]){ NULL });
    char out[ANSWER_OUT_MAX];
    size_t n;

    cr_assert_eq(answer_push(&a, 4, out, &n), 0);
    cr_assert_eq(push(&a, "\n", out, &n), 0);
    cr_assert_eq(n, 1u);
    vocab_made_deinit(&made);
}
