/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of an answer with hearth-mini's vocabulary: what may stand next, token by token, and what was said to the model. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "engine/token/call_guard.h"
#include "tests/golden/golden.h"
#include "tests/unit/oom.h"

enum { IDS_MAX = 512 };

static const char offered[] =
    "{\"name\": \"call\", \"parameters\": {\"properties\": {\"to\": {\"type\": \"string\", "
    "\"x-verbatim\": true}}, \"required\": [\"to\"]}}";

static struct gguf *g;
static struct vocab *v;
static struct tokenizer *t;
static struct chat chat;
static struct call_mask *mask;
static struct tools *tools;
static struct call_guard *guard;
static uint32_t ids[IDS_MAX]; /* prompt and answer */
static size_t n_ids;

static void setup(void)
{
    const struct chat_turn turns[] = {
        { .role = CHAT_ROLE_SYSTEM, .text = "Wife: Sora.", .n = 11 },
        { .role = CHAT_ROLE_USER, .text = "who is Mina?", .n = 12 },
        { .role = CHAT_ROLE_MODEL, .text = "Your neighbour Zed.", .n = 19 },
        { .role = CHAT_ROLE_USER, .text = "call my wife", .n = 12 },
    };
    struct reason why = { "" };
    char path[4096];

    cr_assert_not_null(golden_find("tools-v1/vocab.gguf", path, sizeof(path)));
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_eq(gguf_open(fd, &why, &g), 0, "%s", why.text);
    (void)close(fd);
    cr_assert_eq(vocab_load(g, &why, &v), 0, "%s", why.text);
    cr_assert_eq(tokenizer_new(v, &t), 0);
    cr_assert_eq(chat_init(&chat, g, v, &why), 0, "%s", why.text);
    tools = tools_new();
    cr_assert_eq(tools_add(tools, offered, strlen(offered), &why), 0, "%s", why.text);
    cr_assert_eq(call_mask_new(v, &mask), 0);
    cr_assert_eq(call_guard_new(&chat, v, mask, tools, &guard), 0);
    cr_assert_eq(
        chat_render(&chat, t, tools_lines(tools), turns, 4, true, ids, IDS_MAX, &n_ids, &why), 0,
        "%s", why.text);
}

static void drop(void)
{
    call_guard_free(guard);
    call_mask_free(mask);
    tools_free(tools);
    tokenizer_free(t);
    vocab_free(v);
    gguf_free(g);
}

static int follow(uint32_t id)
{
    ids[n_ids++] = id;
    return call_guard_follow(guard, ids, n_ids);
}

/* The tokens of @text, one by one; each must be one that may follow. Return: the first that may not, as an outcome. */
static int follow_text(const char *text)
{
    uint32_t made[64];
    size_t n;

    cr_assert_eq(tokenizer_encode(t, text, strlen(text), false, made, 64, &n), 0);
    for (size_t i = 0; i < n; i++) {
        const uint64_t *allow = call_guard_allow(guard);
        const bool may = !allow || allow[made[i] / 64] >> made[i] % 64 & 1;
        const int r = follow(made[i]);
        cr_assert_eq(may, r == 0, "token %u of %s", made[i], text);
        if (r != 0) return r;
    }
    return 0;
}

Test(call_guard, follows_calls_and_the_text_around_them, .init = setup, .fini = drop)
{
    cr_assert_null(call_guard_allow(guard));
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(follow(chat.call), 0);
        cr_assert_not_null(call_guard_allow(guard));
        cr_assert_eq(follow_text(i == 0 ? "{\"name\":\"call\",\"arguments\":{\"to\":\"Sora\"}}\n"
                                        : "{\"name\":\"call\",\"arguments\":{\"to\":\"Mina\"}}\n"),
                     0);
        cr_assert_null(call_guard_allow(guard));
    }
    cr_assert_eq(follow_text("Calling Zed."), 0);
    cr_assert_null(call_guard_allow(guard));
}

Test(call_guard, what_the_model_said_itself_was_not_said, .init = setup, .fini = drop)
{
    static const char *const not_said[] = { "Zed", "Yvonne", "user", "call(" };

    for (size_t i = 0; i < sizeof(not_said) / sizeof(not_said[0]); i++) {
        char call[64];
        const size_t before = n_ids;
        cr_assert_eq(follow_text("Yvonne, then. "), 0);
        cr_assert_eq(follow(chat.call), 0);
        (void)snprintf(call, sizeof(call), "{\"name\":\"call\",\"arguments\":{\"to\":\"%s\"}}\n",
                       not_said[i]);
        cr_assert_eq(follow_text(call), CALL_GUARD_E_UNFIT, "%s", not_said[i]);
        call_guard_free(guard);
        cr_assert_eq(call_guard_new(&chat, v, mask, tools, &guard), 0);
        n_ids = before;
    }
}

Test(call_guard, without_memory_a_call_does_not_begin, .init = setup, .fini = drop)
{
    OOM_OR_SKIP();
    for (unsigned n = 1;; n++) {
        oom_fail_at(n);
        const int r = follow(chat.call);
        const bool happened = oom_happened();
        oom_fail_at(0);
        if (!happened) {
            cr_assert_eq(r, 0);
            cr_assert_gt(n, 3);
            return;
        }
        cr_assert_eq(r, -ENOMEM);
        n_ids--;
    }
}
