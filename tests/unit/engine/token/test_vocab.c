/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "engine/token/vocab.h"
#include "tests/unit/engine/token/vocab_make.h"
#include "tests/unit/oom.h"

enum { N_BYTES = 256, FIRST_BYTE = 6 };

/* A list of tokens that vocab_load() takes, to be made wrong in one place. */
struct list {
    struct vocab_make_token tokens[N_BYTES + 32];
    char bytes[N_BYTES][8];
    size_t n;
};

static struct list *good(void)
{
    static struct list l;
    static const char *const controls[FIRST_BYTE] = { "<pad>", "<eos>",           "<bos>",
                                                      "<unk>", "<start_of_turn>", "<end_of_turn>" };

    l.n = 0;
    for (int i = 0; i < FIRST_BYTE; i++)
        l.tokens[l.n++] =
            (struct vocab_make_token){ controls[i], -1000, i == 3 ? VOCAB_UNKNOWN : VOCAB_CONTROL };
    for (unsigned b = 0; b < N_BYTES; b++) {
        (void)snprintf(l.bytes[b], sizeof(l.bytes[b]), "<0x%02X>", b);
        l.tokens[l.n++] = (struct vocab_make_token){ l.bytes[b], 0, VOCAB_BYTE };
    }
    l.tokens[l.n++] = (struct vocab_make_token){ "hello", -3, VOCAB_NORMAL };
    l.tokens[l.n++] = (struct vocab_make_token){ "\n\n", -1000, VOCAB_USER };
    l.tokens[l.n++] = (struct vocab_make_token){ "[PAD0]", -1000, VOCAB_UNUSED };
    return &l;
}

static void add(struct list *l, const char *text, float score, int kind)
{
    l->tokens[l->n++] = (struct vocab_make_token){ text, score, kind };
}

static struct vocab_made load(const struct list *l)
{
    struct gguf_make m;

    gguf_make_init(&m);
    vocab_make_keys(&m, l->tokens, l->n);
    return vocab_make_load(&m);
}

/* The vocabulary that @m describes must be refused with a sentence that contains @says. */
static void refuse_made(struct gguf_make *m, const char *says)
{
    struct gguf *g = NULL;
    struct vocab *v = NULL;
    struct reason why = { "" };

    cr_assert_eq(gguf_make_open(m, &why, &g), 0, "%s", why.text);
    cr_assert_eq(vocab_load(g, &why, &v), GGUF_E_REFUSED, "expected: %s", says);
    cr_assert_not_null(strstr(why.text, says), "'%s' should say '%s'", why.text, says);
    cr_assert_null(v);
    gguf_free(g);
    gguf_make_deinit(m);
}

static void refuse_list(const struct list *l, const char *says)
{
    struct gguf_make m;

    gguf_make_init(&m);
    vocab_make_keys(&m, l->tokens, l->n);
    refuse_made(&m, says);
}

Test(vocab, gives_text_score_and_kind_of_each_token_and_finds_it_again)
{
    struct list *l = good();
    struct vocab_made made = load(l);
    const struct vocab *v = made.v;

    cr_assert_eq(vocab_size(v), l->n);
    for (uint32_t i = 0; i < l->n; i++) {
        const struct gguf_string text = vocab_text(v, i);
        cr_assert_eq(text.n, strlen(l->tokens[i].text));
        cr_assert_eq(memcmp(text.bytes, l->tokens[i].text, text.n), 0);
        cr_assert_eq(vocab_score(v, i), l->tokens[i].score);
        cr_assert_eq((int)vocab_kind(v, i), l->tokens[i].kind);
        cr_assert_eq(vocab_find(v, text.bytes, text.n), i);
        const bool piece = vocab_kind(v, i) == VOCAB_NORMAL || vocab_kind(v, i) == VOCAB_USER;
        cr_assert_eq(vocab_find_piece(v, text.bytes, text.n), piece ? i : VOCAB_NONE, "%s",
                     l->tokens[i].text);
    }
    cr_assert_eq(vocab_find(v, "hell", 4), VOCAB_NONE);
    cr_assert_eq(vocab_find(v, "", 0), VOCAB_NONE);
    cr_assert_eq(vocab_find_piece(v, "a text longer than any piece", 28), VOCAB_NONE);
    vocab_made_deinit(&made);
    cr_assert_null(vocab_free(NULL));
}

Test(vocab, has_a_token_for_every_byte)
{
    struct vocab_made made = load(good());

    for (unsigned b = 0; b < N_BYTES; b++) {
        cr_assert_eq(vocab_byte(made.v, (uint8_t)b), FIRST_BYTE + b);
        cr_assert_eq(vocab_byte_value(made.v, FIRST_BYTE + b), b);
    }
    vocab_made_deinit(&made);
}

Test(vocab, a_byte_without_a_byte_token_is_the_normal_token_of_that_byte)
{
    struct list *l = good();

    l->tokens[FIRST_BYTE + 'x'] = (struct vocab_make_token){ "x", 0, VOCAB_NORMAL };
    struct vocab_made made = load(l);
    cr_assert_eq(vocab_byte(made.v, 'x'), FIRST_BYTE + 'x');
    vocab_made_deinit(&made);
    l->tokens[FIRST_BYTE + 'x'] = (struct vocab_make_token){ "xx", 0, VOCAB_NORMAL };
    refuse_list(l, "no token for the byte 0x78");
    l->tokens[FIRST_BYTE + 'x'] = (struct vocab_make_token){ "x", 0, VOCAB_CONTROL };
    refuse_list(l, "no token for the byte 0x78");
}

Test(vocab, knows_the_tokens_that_begin_and_end_texts)
{
    struct vocab_made made = load(good());
    unsigned stops = 0;

    cr_assert_eq(vocab_bos(made.v), 2u);
    cr_assert_eq(vocab_eos(made.v), 1u);
    cr_assert(vocab_add_bos(made.v));
    for (uint32_t i = 0; i < vocab_size(made.v); i++)
        stops += vocab_is_stop(made.v, i);
    cr_assert_eq(stops, 2u);
    cr_assert(vocab_is_stop(made.v, 1));
    cr_assert(vocab_is_stop(made.v, 5), "<end_of_turn>, although no key says so");
    cr_assert_not(vocab_is_stop(made.v, VOCAB_NONE));
    vocab_made_deinit(&made);
}

/* Keys of good() with other ids. */
static void make_ids(struct gguf_make *m, const int32_t *eos_ids, size_t n_eos)
{
    struct list *l = good();
    struct gguf_make_bytes *keys = &m->keys;

    gguf_make_init(m);
    vocab_make_keys(m, l->tokens, l->n);
    /* drop the four keys of vocab_make_keys() that come last: bos, eos, add_bos, add_space_prefix */
    for (size_t i = 0; i + 28 < keys->n; i++) {
        if (memcmp(keys->bytes + i, "tokenizer.ggml.bos_token_id", 27) != 0) continue;
        keys->n = i - 8;
        m->n_keys -= 4;
    }
    if (eos_ids)
        gguf_make_array(m, "tokenizer.ggml.eos_token_ids", GGUF_I32, eos_ids, n_eos,
                        sizeof(*eos_ids));
}

Test(vocab, all_these_keys_may_be_absent)
{
    struct gguf_make m;

    make_ids(&m, NULL, 0);
    struct vocab_made made = vocab_make_load(&m);
    cr_assert_eq(vocab_bos(made.v), VOCAB_NONE);
    cr_assert_eq(vocab_eos(made.v), VOCAB_NONE);
    cr_assert_not(vocab_add_bos(made.v), "there is none to add");
    cr_assert(vocab_is_stop(made.v, 1), "<eos> by its text");
    vocab_made_deinit(&made);
    make_ids(&m, NULL, 0);
    gguf_make_u32(&m, "tokenizer.ggml.eos_token_id", UINT32_MAX);
    gguf_make_u32(&m, "tokenizer.ggml.bos_token_id", 2);
    gguf_make_bool(&m, "tokenizer.ggml.add_bos_token", false);
    made = vocab_make_load(&m);
    cr_assert_eq(vocab_eos(made.v), VOCAB_NONE);
    cr_assert_eq(vocab_bos(made.v), 2u);
    cr_assert_not(vocab_add_bos(made.v));
    vocab_made_deinit(&made);
}

Test(vocab, further_keys_name_further_ends)
{
    struct gguf_make m;

    make_ids(&m, (const int32_t[]){ 1, 10, 11 }, 3);
    gguf_make_u32(&m, "tokenizer.ggml.eos_token_id", 5);
    gguf_make_u32(&m, "tokenizer.ggml.eot_token_id", 12);
    struct vocab_made made = vocab_make_load(&m);
    cr_assert_eq(vocab_eos(made.v), 5u);
    for (uint32_t i = 0; i < vocab_size(made.v); i++)
        cr_assert_eq(vocab_is_stop(made.v, i), i == 1 || i == 5 || (i >= 10 && i <= 12), "%u", i);
    vocab_made_deinit(&made);
}

Test(vocab, refuses_ids_out_of_range)
{
    static const char *const keys[] = { "tokenizer.ggml.bos_token_id",
                                        "tokenizer.ggml.eos_token_id",
                                        "tokenizer.ggml.eot_token_id" };
    struct gguf_make m;
    int32_t many[VOCAB_STOPS_MAX + 1];

    for (int i = 0; i < 3; i++) {
        make_ids(&m, NULL, 0);
        gguf_make_u32(&m, keys[i], 265);
        refuse_made(&m, "_token_id' is 265, but there are 265 tokens");
        make_ids(&m, NULL, 0);
        gguf_make_text(&m, keys[i], "5");
        refuse_made(&m, keys[i]);
    }
    make_ids(&m, (const int32_t[]){ 1, 265 }, 2);
    refuse_made(&m, "eos_token_ids' has 265, but there are 265 tokens");
    for (int i = 0; i <= VOCAB_STOPS_MAX; i++)
        many[i] = 20 + i;
    make_ids(&m, many, VOCAB_STOPS_MAX + 1);
    refuse_made(&m, "17 elements, at most 16");
    make_ids(&m, many, VOCAB_STOPS_MAX);
    refuse_made(&m, "more than 16 tokens end an answer");
}

Test(vocab, the_marks_of_turns_are_control_tokens_whatever_the_file_says)
{
    struct list *l = good();

    l->tokens[4].kind = VOCAB_USER;
    l->tokens[5].kind = VOCAB_NORMAL;
    struct vocab_made made = load(l);
    cr_assert_eq(vocab_kind(made.v, 4), VOCAB_CONTROL);
    cr_assert_eq(vocab_kind(made.v, 5), VOCAB_CONTROL);
    cr_assert(vocab_is_stop(made.v, 5));
    vocab_made_deinit(&made);
}

Test(vocab, a_score_that_is_no_number_is_the_lowest)
{
    struct list *l = good();

    l->tokens[262].score = NAN;
    struct vocab_made made = load(l);
    cr_assert_eq(vocab_score(made.v, 262), -INFINITY);
    vocab_made_deinit(&made);
}

Test(vocab, refuses_other_kinds_of_vocabularies)
{
    struct gguf_make m;
    struct list *l = good();

    gguf_make_init(&m);
    refuse_made(&m, "the key 'tokenizer.ggml.model' is missing");
    gguf_make_init(&m);
    gguf_make_text(&m, "tokenizer.ggml.model", "gpt2");
    refuse_made(&m, "of kind 'gpt2'");
    gguf_make_init(&m);
    gguf_make_u32(&m, "tokenizer.ggml.model", 2);
    refuse_made(&m, "'tokenizer.ggml.model' is of type u32");
    make_ids(&m, NULL, 0);
    gguf_make_bool(&m, "tokenizer.ggml.add_space_prefix", true);
    refuse_made(&m, "'tokenizer.ggml.add_space_prefix' is true");
    add(l, "again", 0, 7);
    refuse_list(l, "token 265 has the unknown kind 7");
    l->tokens[265].kind = 0;
    refuse_list(l, "token 265 has the unknown kind 0");
}

Test(vocab, refuses_arrays_that_are_missing_or_of_another_length)
{
    struct gguf_make m;
    static const struct gguf_string texts[] = { { "a", 1 }, { "b", 1 } };

    gguf_make_init(&m);
    gguf_make_text(&m, "tokenizer.ggml.model", "llama");
    refuse_made(&m, "'tokenizer.ggml.tokens' has 0 elements");
    gguf_make_init(&m);
    gguf_make_text(&m, "tokenizer.ggml.model", "llama");
    gguf_make_array(&m, "tokenizer.ggml.tokens", GGUF_U8, NULL, VOCAB_TOKENS_MAX + 1, 1);
    refuse_made(&m, "2097153 elements, it must have 1 to 2097152");
    gguf_make_init(&m);
    gguf_make_text(&m, "tokenizer.ggml.model", "llama");
    gguf_make_array(&m, "tokenizer.ggml.tokens", GGUF_U8, NULL, 7, 1);
    refuse_made(&m, "'tokenizer.ggml.tokens' has elements of type u8");
    gguf_make_init(&m);
    gguf_make_text(&m, "tokenizer.ggml.model", "llama");
    gguf_make_texts(&m, "tokenizer.ggml.tokens", texts, 2);
    refuse_made(&m, "'tokenizer.ggml.scores' is missing");
    gguf_make_init(&m);
    gguf_make_text(&m, "tokenizer.ggml.model", "llama");
    gguf_make_texts(&m, "tokenizer.ggml.tokens", texts, 2);
    gguf_make_array(&m, "tokenizer.ggml.scores", GGUF_F32, NULL, 2, 4);
    gguf_make_array(&m, "tokenizer.ggml.token_type", GGUF_I32, NULL, 1, 4);
    refuse_made(&m, "'tokenizer.ggml.token_type' has 1 elements where 2 are expected");
}

Test(vocab, refuses_texts_that_are_empty_too_long_not_utf8_or_doubled)
{
    static char text[VOCAB_TEXT_MAX + 2];
    struct list *l = good();

    add(l, "", 0, VOCAB_NORMAL);
    refuse_list(l, "the text of token 265 is empty");
    l->tokens[265].text = "hello";
    refuse_list(l, "the tokens 262 and 265 have the same text 'hello'");
    l->tokens[265].text = "<eos>";
    refuse_list(l, "the tokens 1 and 265 have the same text");
    l->tokens[265].text = "a\xff";
    refuse_list(l, "the text of token 265 is not UTF-8");
    memset(text, 'a', VOCAB_TEXT_MAX + 1);
    l->tokens[265].text = text;
    refuse_list(l, "the text of token 265 has 4097 bytes, at most 4096");
    text[VOCAB_SPECIAL_MAX + 1] = 0;
    l->tokens[265].kind = VOCAB_USER;
    refuse_list(l, "the text of token 265 has 257 bytes, at most 256");
    l->tokens[265].kind = VOCAB_NORMAL;
    struct vocab_made made = load(l);
    vocab_made_deinit(&made);
}

Test(vocab, refuses_byte_tokens_with_another_spelling)
{
    static const char *const bad[] = { "<0x4a>", "<0x4>", "<0x04A>", "<0xGG>", "byte", "<0x4A]" };
    struct list *l = good();

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        l->tokens[FIRST_BYTE + 0x4a].text = bad[i];
        refuse_list(l, "the byte token 80 is called");
    }
}

Test(vocab, loading_gives_up_cleanly_at_each_allocation)
{
    struct gguf_make m;
    struct gguf *g = NULL;
    struct vocab *v = NULL;
    unsigned n = 1;

    OOM_OR_SKIP();
    gguf_make_init(&m);
    vocab_make_small(&m);
    cr_assert_eq(gguf_make_open(&m, NULL, &g), 0);
    for (;; n++) {
        oom_fail_at(n);
        const int r = vocab_load(g, NULL, &v);
        if (!oom_happened()) break;
        cr_assert_eq(r, -ENOMEM, "allocation %u", n);
        cr_assert_null(v);
    }
    oom_fail_at(0);
    cr_assert_gt(n, 5u);
    vocab_free(v);
    gguf_free(g);
    gguf_make_deinit(&m);
}
