/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The form tools-v1 with hearth-mini's vocabulary: hearth must render each conversation as the training did
 * (tools/train/make_golden.py), token for token.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "engine/token/chat.h"
#include "engine/token/detokenizer.h"
#include "engine/token/tools.h"
#include "tests/golden/golden.h"

enum { TURNS_MAX = 16, IDS_MAX = 4096, TEXT_MAX = 4096, CALLS_MAX = 8 };

static struct gguf *g;
static struct vocab *v;
static struct tokenizer *t;
static struct chat chat;

static void open_vocab(void)
{
    struct reason why = { "" };
    char path[4096];

    cr_assert_not_null(golden_find("tools-v1/vocab.gguf", path, sizeof(path)));
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0, "%s", path);
    cr_assert_eq(gguf_open(fd, &why, &g), 0, "%s", why.text);
    (void)close(fd);
    cr_assert_eq(vocab_load(g, &why, &v), 0, "%s", why.text);
    cr_assert_eq(tokenizer_new(v, &t), 0);
    cr_assert_eq(chat_init(&chat, g, v, &why), 0, "%s", why.text);
    cr_assert_eq(chat.form, CHAT_FORM_TOOLS);
}

static void drop(void)
{
    tokenizer_free(t);
    vocab_free(v);
    gguf_free(g);
}

static struct chat_turn text_turn(enum chat_role role, const json_t *text)
{
    return (struct chat_turn){ .role = role,
                               .text = json_string_value(text),
                               .n = json_string_length(text) };
}

/* @ids: [IDS_MAX] place for an answer. */
static struct chat_turn turn_of(const json_t *turn, uint32_t *ids)
{
    const char *role = json_string_value(json_object_get(turn, "role"));
    const json_t *list = json_object_get(turn, "ids");
    struct chat_turn out = text_turn(strcmp(role, "tool") == 0 ? CHAT_ROLE_TOOL : CHAT_ROLE_USER,
                                     json_object_get(turn, "text"));

    if (!list) return out;
    out = (struct chat_turn){ .role = CHAT_ROLE_MODEL, .ids = ids, .n_ids = json_array_size(list) };
    for (size_t i = 0; i < out.n_ids; i++)
        ids[i] = (uint32_t)json_integer_value(json_array_get(list, i));
    return out;
}

static void add_tools(const json_t *list, struct tools *tools)
{
    struct reason why = { "" };
    size_t i;
    json_t *tool;

    json_array_foreach(list, i, tool)
    {
        char *text = json_dumps(tool, 0);
        cr_assert_eq(tools_add(tools, text, strlen(text), &why), 0, "%s", why.text);
        free(text);
    }
}

/* The answer that @turn has as tokens, as calls: [n_calls] and a text instead. @text: [TEXT_MAX] holds all. */
static void as_text(struct chat_turn *turn, char *text, struct gguf_string *calls)
{
    char *to = text, *begin = NULL;

    turn->n_calls = 0;
    turn->text = text;
    for (size_t i = 0; i < turn->n_ids; i++) {
        if (turn->ids[i] == chat.call) begin = to;
        to += detokenizer_piece(v, turn->ids[i], false, to);
        if (!begin || to == begin || to[-1] != '\n') continue;
        cr_assert_lt(turn->n_calls, (size_t)CALLS_MAX);
        calls[turn->n_calls++] = (struct gguf_string){ begin, (size_t)(to - begin) - 1 };
        begin = NULL;
        turn->text = to;
    }
    turn->n = (size_t)(to - turn->text);
    turn->calls = calls;
    turn->ids = NULL;
}

/* The same conversation, its earlier answers given as calls and texts. */
static size_t render_texts(struct chat_turn *turns, size_t n, const struct tools *tools,
                           uint32_t *ids)
{
    static char text[TURNS_MAX][TEXT_MAX];
    static struct gguf_string calls[TURNS_MAX][CALLS_MAX];
    struct reason why = { "" };
    size_t n_ids = 0;

    for (size_t i = 0; i < n; i++)
        if (turns[i].ids) as_text(&turns[i], text[i], calls[i]);
    cr_assert_eq(
        chat_render(&chat, t, tools_lines(tools), turns, n, true, ids, IDS_MAX, &n_ids, &why), 0,
        "%s", why.text);
    return n_ids;
}

static void check(const json_t *row, size_t number)
{
    static uint32_t answers[TURNS_MAX][IDS_MAX], ids[IDS_MAX], again[IDS_MAX];
    struct chat_turn turns[TURNS_MAX];
    struct reason why = { "" };
    struct tools *tools = tools_new();
    size_t n = 0, n_ids = 0, i;
    const json_t *system = json_object_get(row, "system"), *want = json_object_get(row, "ids");
    json_t *turn;

    add_tools(json_object_get(row, "tools"), tools);
    if (json_string_length(system) > 0) turns[n++] = text_turn(CHAT_ROLE_SYSTEM, system);
    json_array_foreach(json_object_get(row, "turns"), i, turn)
    {
        turns[n] = turn_of(turn, answers[n]);
        n++;
    }
    cr_assert_eq(
        chat_render(&chat, t, tools_lines(tools), turns, n, true, ids, IDS_MAX, &n_ids, &why), 0,
        "%s", why.text);
    cr_assert_eq(n_ids, json_array_size(want), "conversation %zu: %zu tokens", number, n_ids);
    for (i = 0; i < n_ids; i++)
        cr_assert_eq(ids[i], (uint32_t)json_integer_value(json_array_get(want, i)),
                     "conversation %zu, token %zu", number, i);
    cr_assert_eq(render_texts(turns, n, tools, again), n_ids, "conversation %zu", number);
    cr_assert_arr_eq(again, ids, n_ids * sizeof(*ids), "conversation %zu", number);
    tools_free(tools);
}

Test(tools_golden, conversations_are_rendered_as_in_training, .init = open_vocab, .fini = drop)
{
    char path[4096];
    json_error_t e;
    json_t *row, *rows;
    size_t i;

    cr_assert_not_null(golden_find("tools-v1/conversations.json", path, sizeof(path)));
    rows = json_load_file(path, 0, &e);
    cr_assert_not_null(rows, "%s", e.text);
    cr_assert_geq(json_array_size(rows), 40u);
    json_array_foreach(rows, i, row)
    {
        check(row, i);
    }
    json_decref(rows);
}
