/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "engine/token/special.h"
#include "tests/unit/engine/token/vocab_make.h"
#include "tests/unit/oom.h"

/* A vocabulary of bytes and of these special tokens, which follow id 256. */
static const struct vocab_make_token tokens[] = {
    { "abc", 0, VOCAB_USER },  { "bcde", 0, VOCAB_USER },  { "aa", 0, VOCAB_USER },
    { "aaa", 0, VOCAB_USER },  { "x", 0, VOCAB_USER },     { "<c>", 0, VOCAB_CONTROL },
    { "c><", 0, VOCAB_USER },  { "??", 0, VOCAB_UNKNOWN }, { "nn", 0, VOCAB_NORMAL },
    { "uu", 0, VOCAB_UNUSED }, { "</s>", 0, VOCAB_USER },
};
enum { N_TOKENS = sizeof(tokens) / sizeof(tokens[0]), FIRST = 256 };

static struct vocab_made load(void)
{
    struct vocab_make_token list[FIRST + N_TOKENS];
    char bytes[FIRST][8];
    struct gguf_make m;

    for (unsigned b = 0; b < FIRST; b++) {
        (void)snprintf(bytes[b], sizeof(bytes[b]), "<0x%02X>", b);
        list[b] = (struct vocab_make_token){ bytes[b], 0, VOCAB_BYTE };
    }
    memcpy(list + FIRST, tokens, N_TOKENS * sizeof(*list));
    gguf_make_init(&m);
    vocab_make_keys(&m, list, FIRST + N_TOKENS);
    return vocab_make_load(&m);
}

/* The cuts of @text as "[token]" between what is left. */
static const char *cut(const char *text, bool control)
{
    static char out[4096];
    struct vocab_made made = load();
    struct special *s = NULL;
    struct special_scratch x = { 0 };
    size_t at = 0, done = 0;
    const size_t n = strlen(text);
    char *copy = malloc(n ? n : 1); /* without a terminator: a sanitizer sees a read behind it */

    memcpy(copy, text, n);
    cr_assert_eq(special_new(made.v, &s), 0);
    cr_assert_eq(special_find(s, copy, n, control, &x), 0);
    for (size_t i = 0; i < x.n_cuts; i++) {
        const struct gguf_string token = vocab_text(made.v, x.cuts[i].id);
        cr_assert_geq(x.cuts[i].at, done);
        cr_assert_eq(x.cuts[i].n, token.n);
        cr_assert_eq(memcmp(text + x.cuts[i].at, token.bytes, token.n), 0);
        at += (size_t)snprintf(out + at, sizeof(out) - at, "%.*s[%.*s]", (int)(x.cuts[i].at - done),
                               text + done, (int)token.n, token.bytes);
        done = x.cuts[i].at + x.cuts[i].n;
    }
    (void)snprintf(out + at, sizeof(out) - at, "%s", text + done);
    free(copy);
    special_scratch_deinit(&x);
    cr_assert_null(special_free(s));
    vocab_made_deinit(&made);
    return out;
}

Test(special, cuts_the_longest_token_first_over_the_whole_text)
{
    cr_assert_str_eq(cut("", false), "");
    cr_assert_str_eq(cut("none", false), "none");
    cr_assert_str_eq(cut("abc", false), "[abc]");
    cr_assert_str_eq(cut("abcde", false), "a[bcde]", "although abc begins further left");
    cr_assert_str_eq(cut("zabcabcdez", false), "z[abc]a[bcde]z");
    cr_assert_str_eq(cut("a", false), "a");
    cr_assert_str_eq(cut("ab", false), "ab", "cut off at the end of the text");
    cr_assert_str_eq(cut("xx-x", false), "[x][x]-[x]");
}

Test(special, cuts_runs_from_the_left)
{
    cr_assert_str_eq(cut("aa", false), "[aa]");
    cr_assert_str_eq(cut("aaaa", false), "[aaa]a");
    cr_assert_str_eq(cut("aaaaa", false), "[aaa][aa]");
    cr_assert_str_eq(cut("aaaaaaa", false), "[aaa][aaa]a");
    cr_assert_str_eq(cut("aaaaaaabc", false), "[aaa][aaa][abc]",
                     "of one length the leftmost is first");
}

Test(special, control_and_unknown_tokens_only_where_they_are_asked_for)
{
    cr_assert_str_eq(cut("<c>", false), "<c>");
    cr_assert_str_eq(cut("<c>", true), "[<c>]");
    cr_assert_str_eq(cut("<c><c>", false), "<[c><]c>");
    cr_assert_str_eq(cut("<c><c>", true), "[<c>][<c>]",
                     "both have three bytes: the leftmost is first");
    cr_assert_str_eq(cut("what??", false), "what??");
    cr_assert_str_eq(cut("what??", true), "what[??]");
    cr_assert_str_eq(cut("</s>", false), "</s>", "an end mark of other models");
    cr_assert_str_eq(cut("</s>", true), "[</s>]");
}

Test(special, normal_unused_and_byte_tokens_cut_nothing)
{
    cr_assert_str_eq(cut("nn uu <0X41>", true), "nn uu <0X41>");
}

/* The rule word by word: each length, the longest first, from left to right. */
static void cut_plainly(const char *text, size_t n, bool control, char *taken, char *out)
{
    size_t at = 0;
    const char *start[64] = { NULL };

    memset(taken, 0, n);
    for (size_t length = 8; length > 0; length--) {
        for (size_t i = 0; i + length <= n; i++) {
            for (int k = 0; k < N_TOKENS; k++) {
                const int kind = tokens[k].kind;
                const bool wanted =
                    kind == VOCAB_USER
                        ? control || strcmp(tokens[k].text, "</s>") != 0
                        : control && (kind == VOCAB_CONTROL || kind == VOCAB_UNKNOWN);
                if (!wanted || strlen(tokens[k].text) != length ||
                    memcmp(text + i, tokens[k].text, length) != 0)
                    continue;
                if (memchr(taken + i, 1, length)) continue;
                memset(taken + i, 1, length);
                start[i] = tokens[k].text;
            }
        }
    }
    for (size_t i = 0; i < n;) {
        if (start[i]) {
            at += (size_t)snprintf(out + at, 16, "[%s]", start[i]);
            i += strlen(start[i]);
        } else {
            out[at++] = text[i++];
        }
    }
    out[at] = 0;
}

Test(special, cuts_random_texts_as_the_rule_says)
{
    uint32_t state = 7;
    char text[64], taken[64], want[512];

    for (int round = 0; round < 400; round++) {
        const size_t n = (size_t)round % 60;
        for (size_t i = 0; i < n; i++) {
            state = state * 1664525u + 1013904223u;
            text[i] = "aaabcde<>cx?/s"[(state >> 16) % 14];
        }
        text[n] = 0;
        for (int control = 0; control < 2; control++) {
            cut_plainly(text, n, control, taken, want);
            cr_assert_str_eq(cut(text, control), want, "'%s'", text);
        }
    }
}

Test(special, gives_up_cleanly_at_each_allocation)
{
    struct vocab_made made = load();
    struct special *s = NULL;
    struct special_scratch x = { 0 };
    unsigned n = 1;

    OOM_OR_SKIP();
    oom_fail_at(1);
    cr_assert_eq(special_new(made.v, &s), -ENOMEM);
    cr_assert_null(s);
    oom_fail_at(0);
    cr_assert_eq(special_new(made.v, &s), 0);
    for (;; n++) {
        oom_fail_at(n);
        const int r = special_find(s, "abcxaaabcde", 11, false, &x);
        if (!oom_happened()) break;
        cr_assert_eq(r, -ENOMEM, "allocation %u", n);
        special_scratch_deinit(&x);
    }
    oom_fail_at(0);
    cr_assert_gt(n, 3u);
    special_scratch_deinit(&x);
    special_free(s);
    vocab_made_deinit(&made);
}
