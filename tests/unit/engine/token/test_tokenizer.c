/* SPDX-License-Identifier: Apache-2.0 */
/* The rules one by one, on a small vocabulary; test_tokenizer_golden.c has the comparisons with others. */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "engine/token/detokenizer.h"
#include "engine/token/tokenizer.h"
#include "tests/unit/engine/token/vocab_make.h"
#include "tests/unit/oom.h"

#define SP VOCAB_SPACE

static struct vocab_made made;
static struct tokenizer *t;

static void use(struct gguf_make *m)
{
    made = vocab_make_load(m);
    cr_assert_eq(tokenizer_new(made.v, &t), 0);
}

static void use_small(void)
{
    struct gguf_make m;

    gguf_make_init(&m);
    vocab_make_small(&m);
    use(&m);
}

/* The bytes and these tokens behind them. */
static void use_tokens(const struct vocab_make_token *tokens, size_t n)
{
    struct vocab_make_token list[256 + 32];
    char bytes[256][8];
    struct gguf_make m;

    for (unsigned b = 0; b < 256; b++) {
        (void)snprintf(bytes[b], sizeof(bytes[b]), "<0x%02X>", b);
        list[b] = (struct vocab_make_token){ bytes[b], 0, VOCAB_BYTE };
    }
    memcpy(list + 256, tokens, n * sizeof(*tokens));
    gguf_make_init(&m);
    vocab_make_keys(&m, list, 256 + n);
    use(&m);
}

static void drop(void)
{
    t = tokenizer_free(t);
    vocab_made_deinit(&made);
}

/* The tokens of @text: [n], spelled as the vocabulary has them, "|" between them. */
static const char *spelled_n(const char *text, size_t n, bool special)
{
    static char out[1 << 16];
    uint32_t ids[2048];
    size_t n_ids, at = 0;

    cr_assert_eq(tokenizer_encode(t, text, n, special, ids, 2048, &n_ids), 0);
    out[0] = 0;
    for (size_t i = 0; i < n_ids; i++) {
        const struct gguf_string s = vocab_text(made.v, ids[i]);
        at +=
            (size_t)snprintf(out + at, sizeof(out) - at, "%s%.*s", i ? "|" : "", (int)s.n, s.bytes);
    }
    return out;
}

static const char *spelled(const char *text, bool special)
{
    return spelled_n(text, strlen(text), special);
}

Test(tokenizer, merges_the_pair_with_the_best_score_first, .init = use_small, .fini = drop)
{
    cr_assert_str_eq(spelled("the", false), "t|he", "without a space in front");
    cr_assert_str_eq(spelled(" the", false), SP "the");
    cr_assert_str_eq(spelled("user", false), "user");
    cr_assert_str_eq(spelled("model", false), "model");
    cr_assert_str_eq(spelled("", false), "");
}

Test(tokenizer, of_equal_scores_the_leftmost_pair_is_merged)
{
    static const struct vocab_make_token tokens[] = {
        { "a", 0, VOCAB_NORMAL }, { "aa", -1, VOCAB_NORMAL }, { "ab", -1, VOCAB_NORMAL },
        { "b", 0, VOCAB_NORMAL }, { "ba", -1, VOCAB_NORMAL },
    };

    use_tokens(tokens, 5);
    cr_assert_str_eq(spelled("aaa", false), "aa|a");
    cr_assert_str_eq(spelled("aaaaa", false), "aa|aa|a");
    cr_assert_str_eq(spelled("aba", false), "ab|a");
    cr_assert_str_eq(spelled("bab", false), "ba|b");
    drop();
}

Test(tokenizer, scores_order_merges_whatever_their_sign_and_size)
{
    static const struct vocab_make_token tokens[] = {
        { "a", 0, VOCAB_NORMAL },          { "b", 0, VOCAB_NORMAL },
        { "c", 0, VOCAB_NORMAL },          { "ab", -0.0f, VOCAB_NORMAL },
        { "bc", 0.0f, VOCAB_NORMAL },      { "ca", 1e30f, VOCAB_NORMAL },
        { "cc", -INFINITY, VOCAB_NORMAL }, { "cb", -1e30f, VOCAB_NORMAL },
        { "bb", NAN, VOCAB_NORMAL },       { "ac", INFINITY, VOCAB_NORMAL },
    };

    use_tokens(tokens, 10);
    cr_assert_str_eq(spelled("abc", false), "ab|c", "0 and -0 are equal, so the left one");
    cr_assert_str_eq(spelled("bca", false), "b|ca", "1e30 before 0");
    cr_assert_str_eq(spelled("cab", false), "ca|b");
    cr_assert_str_eq(spelled("bcb", false), "bc|b", "0 before -1e30");
    cr_assert_str_eq(spelled("ccb", false), "c|cb", "-1e30 before -infinity");
    cr_assert_str_eq(spelled("bbc", false), "b|bc", "NaN last");
    cr_assert_str_eq(spelled("cac", false), "c|ac", "infinity first");
    cr_assert_str_eq(spelled("bb", false), "bb");
    drop();
}

Test(tokenizer, what_is_no_token_becomes_bytes, .init = use_small, .fini = drop)
{
    cr_assert_str_eq(spelled("z", false), "<0x7A>");
    cr_assert_str_eq(spelled("\xc3\xa9", false), "<0xC3>|<0xA9>");
    cr_assert_str_eq(spelled("a\xff"
                             "b",
                             false),
                     "a|<0xFF>|<0x62>");
    cr_assert_str_eq(spelled_n("a\0a", 3, false), "a|<0x00>|a");
    cr_assert_str_eq(spelled("\xea\xb0\x80\xeb\x82\x98", false), "\xea\xb0\x80\xeb\x82\x98");
    cr_assert_str_eq(spelled("\xea\xb0", false), "<0xEA>|<0xB0>", "half a character");
}

Test(tokenizer, bytes_that_are_no_character_take_nothing_else_along, .init = use_small,
     .fini = drop)
{
    cr_assert_str_eq(spelled("\xc3 a", false), "<0xC3>|" SP "|a");
    cr_assert_str_eq(spelled("\xf0 \xf0 a", false), "<0xF0>|" SP "|<0xF0>|" SP "|a");
}

Test(tokenizer, user_defined_tokens_are_cut_out_before_merging, .init = use_small, .fini = drop)
{
    cr_assert_str_eq(spelled("a\n\n\nb", false), "a|\n\n|\n|<0x62>");
    cr_assert_str_eq(spelled("a  the", false), "a|  |t|he",
                     "two spaces are a token, the third would be");
    cr_assert_str_eq(spelled("a   the", false), "a|  |" SP "the");
    cr_assert_str_eq(spelled("<b>in", false), "<b>|in");
}

Test(tokenizer, control_tokens_come_from_text_only_on_request, .init = use_small, .fini = drop)
{
    cr_assert_str_eq(spelled("<eos>", true), "<eos>");
    cr_assert_str_eq(spelled("a<end_of_turn>\n<start_of_turn>user", true),
                     "a|<end_of_turn>|\n|<start_of_turn>|user");
    cr_assert_null(strstr(spelled("<eos><start_of_turn><0x41>", false), "|<eos>"));
    cr_assert_str_eq(spelled("<eos>", false), "<0x3C>|e|o|s|<0x3E>");
    cr_assert_str_eq(spelled("<0x41>", true), "<0x3C>|<0x30>|<0x78>|<0x34>|<0x31>|<0x3E>",
                     "a byte token is no text");
}

Test(tokenizer, merging_never_makes_a_token_that_is_not_normal_or_user_defined)
{
    static const struct vocab_make_token tokens[] = {
        { "<", 0, VOCAB_NORMAL },   { "e", 0, VOCAB_NORMAL },     { ">", 0, VOCAB_NORMAL },
        { "<e", 0, VOCAB_NORMAL },  { "<e>", 10, VOCAB_CONTROL }, { "e>", 5, VOCAB_UNUSED },
        { "ee", 5, VOCAB_UNKNOWN }, { "<0", 0, VOCAB_NORMAL },    { "x", 0, VOCAB_NORMAL },
        { "0", 0, VOCAB_NORMAL },   { "<0x", 0, VOCAB_NORMAL },   { "41>", 0, VOCAB_NORMAL },
        { "1>", 0, VOCAB_NORMAL },  { "4", 0, VOCAB_NORMAL },     { "1", 0, VOCAB_NORMAL },
    };

    use_tokens(tokens, 15);
    cr_assert_str_eq(spelled("<e>", false), "<e|>");
    cr_assert_str_eq(spelled("ee", false), "e|e");
    cr_assert_str_eq(spelled("<0x41>", false), "<0x|41>");
    cr_assert_str_eq(spelled("<e>", true), "<e>");
    drop();
}

Test(tokenizer, no_text_makes_a_control_token, .init = use_small, .fini = drop)
{
    static const char *const parts[] = { "<start_of_turn>", "<end_of_turn>", "<eos>", "<bos>",
                                         "<pad>",           "<unk>",         "<",     ">",
                                         "start_of_turn",   "<0x04>",        " ",     "\n",
                                         "\xe2\x96",        "\x81" };
    uint32_t state = 3, ids[2048];

    for (int round = 0; round < 3000; round++) {
        char text[256];
        size_t n = 0, n_ids;
        for (int i = 0; i < 10; i++) {
            state = state * 1664525u + 1013904223u;
            const char *part = parts[(state >> 16) % (sizeof(parts) / sizeof(parts[0]))];
            memcpy(text + n, part, strlen(part));
            n += strlen(part);
        }
        cr_assert_eq(tokenizer_encode(t, text, n, false, ids, 2048, &n_ids), 0);
        for (size_t i = 0; i < n_ids; i++)
            cr_assert_neq(vocab_kind(made.v, ids[i]), VOCAB_CONTROL, "%.*s", (int)n, text);
    }
}

Test(tokenizer, all_bytes_survive_the_way_there_and_back, .init = use_small, .fini = drop)
{
    uint32_t state = 5, ids[2048];
    char text[200], back[2048];

    for (int round = 0; round < 3000; round++) {
        const size_t n = (size_t)round % sizeof(text);
        size_t n_ids, n_back = 0;
        for (size_t i = 0; i < n; i++) {
            state = state * 1664525u + 1013904223u;
            const uint32_t r = state >> 16;
            text[i] = r & 1 ? (char)(r >> 8) : " the\xc3\xf0\xe2\x97\n\xed\xa0"[(r >> 8) % 11];
        }
        cr_assert_eq(tokenizer_encode(t, text, n, false, ids, 2048, &n_ids), 0);
        for (size_t i = 0; i < n_ids; i++)
            n_back += detokenizer_piece(made.v, ids[i], false, back + n_back);
        cr_assert_eq(n_back, n);
        cr_assert_eq(memcmp(back, text, n), 0);
    }
}

Test(tokenizer, a_vocabulary_without_a_token_for_the_space_spells_the_byte)
{
    static const struct vocab_make_token tokens[] = { { "a", 0, VOCAB_NORMAL } };

    use_tokens(tokens, 1);
    cr_assert_str_eq(spelled("a a", false), "a|<0x20>|a");
    drop();
}

Test(tokenizer, says_how_many_tokens_did_not_fit, .init = use_small, .fini = drop)
{
    uint32_t ids[4] = { 9, 9, 9, 9 };
    size_t n = 0;

    cr_assert_eq(tokenizer_encode(t, "a\na\na", 5, false, ids, 3, &n), TOKENIZER_E_FULL);
    cr_assert_eq(n, 5u);
    cr_assert_eq(ids[2], vocab_find(made.v, "a", 1), "the first three are there");
    cr_assert_eq(ids[3], 9u);
    cr_assert_eq(tokenizer_encode(t, "a\na\na", 5, false, NULL, 0, &n), TOKENIZER_E_FULL,
                 "counting");
    cr_assert_eq(n, 5u);
    cr_assert_eq(tokenizer_encode(t, "", 0, false, NULL, 0, &n), 0);
    cr_assert_eq(n, 0u);
}

Test(tokenizer, takes_texts_up_to_the_limit_and_refuses_longer_ones, .init = use_small,
     .fini = drop)
{
    const size_t n = TOKENIZER_TEXT_MAX;
    char *text = malloc(n + 1);
    uint32_t *ids = malloc(n * sizeof(*ids));
    size_t n_ids = 77;

    for (size_t i = 0; i <= n; i++)
        text[i] = " the"[i % 4];
    cr_assert_eq(tokenizer_encode(t, text, n + 1, false, ids, n, &n_ids), TOKENIZER_E_LONG);
    cr_assert_eq(n_ids, 77u);
    cr_assert_eq(tokenizer_encode(t, text, n, false, ids, n, &n_ids), 0);
    cr_assert_eq(n_ids, n / 4);
    cr_assert_str_eq(spelled(" the", false), SP "the", "and it goes on working");
    free(text);
    free(ids);
}

Test(tokenizer, gives_up_cleanly_at_each_allocation)
{
    struct gguf_make m;
    uint32_t ids[64];
    size_t n_ids;
    unsigned n = 1;

    OOM_OR_SKIP();
    gguf_make_init(&m);
    vocab_make_small(&m);
    made = vocab_make_load(&m);
    for (;; n++) {
        oom_fail_at(n);
        int r = tokenizer_new(made.v, &t);
        if (r == 0) r = tokenizer_encode(t, "a<eos> the\n\nuser", 16, true, ids, 64, &n_ids);
        if (!oom_happened()) break;
        cr_assert_eq(r, -ENOMEM, "allocation %u", n);
        oom_fail_at(0);
        if (t)
            cr_assert_eq(tokenizer_encode(t, "user", 4, true, ids, 64, &n_ids), 0,
                         "usable after a failure");
        t = tokenizer_free(t);
    }
    oom_fail_at(0);
    cr_assert_gt(n, 7u);
    cr_assert_null(tokenizer_free(NULL));
    drop();
}
