/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "engine/token/detokenizer.h"
#include "tests/unit/engine/token/vocab_make.h"

enum { BYTE_0 = 6 };

static struct vocab_made small(void)
{
    struct gguf_make m;

    gguf_make_init(&m);
    vocab_make_small(&m);
    return vocab_make_load(&m);
}

/* What @bytes: [n], one byte token each, give as a stream, "|" after each push and at the end. */
static const char *stream(const struct vocab *v, const char *bytes, size_t n)
{
    static char text[4096];
    char out[DETOKENIZER_OUT_MAX];
    struct detokenizer d = { 0 };
    size_t at = 0;

    for (size_t i = 0; i <= n; i++) {
        const size_t got = i < n ? detokenizer_push(&d, v, BYTE_0 + (uint8_t)bytes[i], false, out)
                                 : detokenizer_end(&d, out);
        memcpy(text + at, out, got);
        at += got;
        text[at++] = '|';
    }
    text[at] = 0;
    return text;
}

Test(detokenizer, gives_the_text_of_each_kind_of_token)
{
    struct vocab_made made = small();
    char out[DETOKENIZER_OUT_MAX];
    static const struct {
        const char *token, *plain, *special;
    } cases[] = {
        { "\xe2\x96\x81the", " the", " the" },
        { "he", "he", "he" },
        { "\n\n", "\n\n", "\n\n" },
        { "<b>", "<b>", "<b>" },
        { "<0x41>", "A", "A" },
        { "<eos>", "", "<eos>" },
        { "<start_of_turn>", "", "<start_of_turn>" },
        { "\xea\xb0\x80", "\xea\xb0\x80", "\xea\xb0\x80" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const uint32_t id = vocab_find(made.v, cases[i].token, strlen(cases[i].token));
        for (int special = 0; special < 2; special++) {
            const char *want = special ? cases[i].special : cases[i].plain;
            struct detokenizer d = { 0 };
            cr_assert_eq(detokenizer_push(&d, made.v, id, special, out), strlen(want), "%s",
                         cases[i].token);
            cr_assert_eq(memcmp(out, want, strlen(want)), 0, "%s", cases[i].token);
            cr_assert_eq(detokenizer_piece(made.v, id, special, out), strlen(want));
            cr_assert_eq(memcmp(out, want, strlen(want)), 0);
        }
    }
    vocab_made_deinit(&made);
}

Test(detokenizer, unknown_tokens_are_spelled_on_request_and_unused_ones_never)
{
    struct vocab_make_token list[258] = { { "<unk>", 0, VOCAB_UNKNOWN },
                                          { "[PAD1]", 0, VOCAB_UNUSED } };
    char bytes[256][8], out[DETOKENIZER_OUT_MAX];
    struct gguf_make m;

    for (unsigned b = 0; b < 256; b++) {
        (void)snprintf(bytes[b], sizeof(bytes[b]), "<0x%02X>", b);
        list[2 + b] = (struct vocab_make_token){ bytes[b], 0, VOCAB_BYTE };
    }
    gguf_make_init(&m);
    vocab_make_keys(&m, list, 258);
    struct vocab_made made = vocab_make_load(&m);
    cr_assert_eq(detokenizer_piece(made.v, 0, false, out), 0u);
    cr_assert_eq(detokenizer_piece(made.v, 0, true, out), 5u);
    cr_assert_eq(detokenizer_piece(made.v, 1, true, out), 0u);
    vocab_made_deinit(&made);
}

Test(detokenizer, gives_a_character_when_its_last_byte_comes)
{
    struct vocab_made made = small();

    cr_assert_str_eq(stream(made.v, "a\xc3\xa9z", 4), "a||\xc3\xa9|z||");
    cr_assert_str_eq(stream(made.v, "\xf0\x9f\x9a\x97", 4), "|||\xf0\x9f\x9a\x97||");
    cr_assert_str_eq(stream(made.v, "\xe2\x96\x81", 3), "||\xe2\x96\x81||", "bytes are no space");
    vocab_made_deinit(&made);
}

#define BAD "\xef\xbf\xbd"

Test(detokenizer, gives_one_replacement_for_each_maximal_subpart)
{
    struct vocab_made made = small();

    cr_assert_str_eq(stream(made.v, "\xff", 1), BAD "||");
    cr_assert_str_eq(stream(made.v, "\x80\x80", 2), BAD "|" BAD "||");
    cr_assert_str_eq(stream(made.v, "\xc3", 1), "|" BAD "|", "cut at the end");
    cr_assert_str_eq(stream(made.v, "\xf0\x9f\x9a", 3), "|||" BAD "|",
                     "one for what began a character");
    cr_assert_str_eq(stream(made.v, "\xf0\x9fx", 3), "||" BAD "x||");
    cr_assert_str_eq(stream(made.v, "\xc3\xc3\xa9", 3), "|" BAD "|\xc3\xa9||");
    cr_assert_str_eq(stream(made.v, "\xed\xa0\x80", 3), "|" BAD BAD "|" BAD "||", "a surrogate");
    cr_assert_str_eq(stream(made.v, "\xe0\x80", 2), "|" BAD BAD "||", "overlong");
    vocab_made_deinit(&made);
}

Test(detokenizer, half_a_character_ends_where_another_token_begins)
{
    struct vocab_made made = small();
    struct detokenizer d = { 0 };
    char out[DETOKENIZER_OUT_MAX];

    cr_assert_eq(detokenizer_push(&d, made.v, BYTE_0 + 0xe2, false, out), 0u);
    cr_assert_eq(detokenizer_push(&d, made.v, 1, false, out), 0u, "a control token says nothing");
    const size_t n = detokenizer_push(&d, made.v, vocab_find(made.v, "he", 2), false, out);
    cr_assert_eq(n, 5u);
    cr_assert_eq(memcmp(out, BAD "he", 5), 0);
    cr_assert_eq(detokenizer_end(&d, out), 0u);
    vocab_made_deinit(&made);
}

Test(detokenizer, every_sequence_of_bytes_becomes_valid_text_of_bounded_length)
{
    struct vocab_made made = small();
    uint32_t state = 1;
    char out[DETOKENIZER_OUT_MAX];
    static const uint8_t odd[] = { 0x00, 0x41, 0x7f, 0x80, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xdf, 0xe0,
                                   0xe2, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff, 0x8f, 0x90 };

    for (int round = 0; round < 2000; round++) {
        struct detokenizer d = { 0 };
        for (int i = 0; i < 20; i++) {
            state = state * 1664525u + 1013904223u;
            const uint32_t id = BYTE_0 + odd[(state >> 16) % sizeof(odd)];
            const size_t n = detokenizer_push(&d, made.v, id, false, out);
            cr_assert_leq(n, 9u);
            cr_assert(utf8_valid(out, n));
        }
        cr_assert_leq(detokenizer_end(&d, out), 3u);
    }
    vocab_made_deinit(&made);
}
