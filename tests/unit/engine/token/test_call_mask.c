/* SPDX-License-Identifier: Apache-2.0 */
/* The mask has a bit for exactly those tokens whose bytes may follow, one by one. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "engine/token/call_mask.h"
#include "engine/token/detokenizer.h"
#include "tests/golden/golden.h"
#include "tests/unit/engine/token/vocab_make.h"

static const char offered[] =
    "{\"name\": \"the\", \"parameters\": {\"properties\": {\"a\": {\"type\": \"string\"}, \"b\": "
    "{\"enum\": [\"he\", \"hen\"]}, \"c\": {\"type\": \"number\"}, \"d\": {\"type\": "
    "\"string\", \"x-verbatim\": true}}, \"required\": [\"a\"]}}";

static const char conversation[] = "then the hen\" is \xea\xb0\x80";

static struct vocab_made made;
static struct tools *tools;
static struct verbatim *said;
static struct call_mask *mask;

static void open_mask(void)
{
    struct reason why = { "" };

    tools = tools_new();
    cr_assert_eq(tools_add(tools, offered, strlen(offered), &why), 0, "%s", why.text);
    cr_assert_eq(verbatim_new(conversation, sizeof(conversation) - 1, &said), 0);
    cr_assert_eq(call_mask_new(made.v, &mask), 0);
}

static void setup(void)
{
    struct gguf_make m;

    gguf_make_init(&m);
    vocab_make_small(&m);
    made = vocab_make_load(&m);
    open_mask();
}

/* hearth-mini's vocabulary: pieces of a call are tokens, with quotation marks at any place. */
static void setup_mini(void)
{
    struct reason why = { "" };
    char path[4096];

    cr_assert_not_null(golden_find("tools-v1/vocab.gguf", path, sizeof(path)));
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_eq(gguf_open(fd, &why, &made.g), 0, "%s", why.text);
    (void)close(fd);
    cr_assert_eq(vocab_load(made.g, &why, &made.v), 0, "%s", why.text);
    open_mask();
}

static void drop(void)
{
    call_mask_free(mask);
    tools_free(tools);
    verbatim_free(said);
    vocab_made_deinit(&made);
}

static bool may_follow(const struct call_form *f, uint32_t id)
{
    char piece[VOCAB_TEXT_MAX];
    const size_t n = detokenizer_piece(made.v, id, false, piece);
    struct call_form next = *f;

    for (size_t i = 0; i < n; i++)
        if (!call_form_push(&next, (uint8_t)piece[i])) return false;
    return n > 0;
}

static void check_each_place(void)
{
    static const char call[] =
        "{\"name\":\"the\",\"arguments\":{\"a\":\"the \xea\xb0\x80\\\"\xc3\xa9"
        "\",\"b\":\"hen\",\"c\":-1.5e3,\"d\":\"the hen\\\" is \xea\xb0\x80\"}}\n";
    struct call_form f = call_form_begin(tools, said);
    uint64_t *got = calloc(call_mask_words(mask), sizeof(*got));
    size_t many = 0;

    for (size_t at = 0; at < sizeof(call) - 1; at++) {
        size_t n = 0;
        call_mask_fill(mask, &f, got);
        for (uint32_t id = 0; id < vocab_size(made.v); id++) {
            const bool bit = got[id / 64] >> id % 64 & 1;
            cr_assert_eq(bit, may_follow(&f, id), "token %u after %.*s", id, (int)at, call);
            n += bit;
        }
        cr_assert_gt(n, 0, "after %.*s", (int)at, call);
        many += n > 100;
        cr_assert(call_form_push(&f, (uint8_t)call[at]), "%.*s", (int)at, call);
    }
    cr_assert(call_form_done(&f));
    cr_assert_gt(many, 5, "in a text nearly all tokens may follow");
    call_mask_fill(mask, &f, got);
    for (size_t i = 0; i < call_mask_words(mask); i++)
        cr_assert_eq(got[i], 0, "nothing follows a call");
    free(got);
}

Test(call_mask, has_the_tokens_that_may_follow_and_no_other, .init = setup, .fini = drop)
{
    check_each_place();
}

Test(call_mask, knows_tokens_that_end_a_text, .init = setup_mini, .fini = drop)
{
    check_each_place();
}

Test(call_mask, pushes_whole_tokens_and_none_without_bytes, .init = setup, .fini = drop)
{
    struct call_form f = call_form_begin(tools, said);
    static const char begin[] = "{\"name\":\"the\",\"arguments\":{\"a\":\"";

    for (size_t i = 0; i < sizeof(begin) - 1; i++)
        cr_assert(call_form_push(&f, (uint8_t)begin[i]));
    struct call_form other = f;
    cr_assert(call_mask_push(mask, &f, vocab_find(made.v, "\xe2\x96\x81the", 6)));
    cr_assert(call_form_in_text(&f));
    cr_assert_not(call_mask_push(mask, &other, vocab_eos(made.v)));
    other = f;
    cr_assert_not(call_mask_push(mask, &other, vocab_find(made.v, "\n", 1)));
}
