/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A conversation: the first byte chooses the form, then each turn is a byte (role, and whether it is given as tokens), a
 * byte of length and that many bytes. The marks in the result must be those of the turns.
 */
#include <stdlib.h>
#include <string.h>
#include "engine/token/chat.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/engine/token/vocab_make.h"

enum { TURNS_MAX = 8, IDS_MAX = 8192, START = 4, FIRST_PIECE = 262 };

static struct vocab_made made;
static struct tokenizer *t;
static struct chat forms[2];

static void make(void)
{
    struct gguf_make m;

    gguf_make_init(&m);
    vocab_make_small(&m);
    gguf_make_text(&m, "tokenizer.chat_template", "{{ bos_token }}");
    made = vocab_make_load(&m);
    if (tokenizer_new(made.v, &t) != 0 || chat_init(&forms[0], made.g, made.v, NULL) != 0) abort();
    forms[1] = (struct chat){ .form = CHAT_FORM_PLAIN };
}

/* Turns from bytes. Return: how many. */
static size_t read_turns(const uint8_t *data, size_t size, struct chat_turn *turns,
                         uint32_t ids[TURNS_MAX][256])
{
    size_t n = 0;

    while (size >= 2 && n < TURNS_MAX) {
        const size_t length = data[1] < size - 2 ? data[1] : size - 2;
        turns[n] =
            (struct chat_turn){ .role = data[0] & 3, .text = (const char *)data + 2, .n = length };
        if (data[0] & 4 && turns[n].role == CHAT_ROLE_MODEL) {
            for (size_t i = 0; i < length; i++)
                ids[n][i] = FIRST_PIECE + data[2 + i] % 8;
            turns[n].ids = ids[n];
            turns[n].n_ids = length;
        }
        n++;
        data += 2 + length;
        size -= 2 + length;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint32_t ids[TURNS_MAX][256], out[IDS_MAX];
    struct chat_turn turns[TURNS_MAX];
    struct reason why = { "" };
    size_t n_out, starts = 0;

    if (!t) make();
    if (size == 0) return 0;
    const struct chat *c = &forms[data[0] & 1];
    const bool answer = data[0] & 2;
    const size_t n = read_turns(data + 1, size - 1, turns, ids);
    const int r = chat_render(c, t, CHAT_NO_TOOLS, turns, n, answer, out, IDS_MAX, &n_out, &why);
    if (r < 0 || (r == CHAT_E_TURNS && why.text[0] == 0)) abort();
    if (r != 0) return 0;
    for (size_t i = 0; i < n_out; i++)
        starts += out[i] == START;
    const bool system = turns[0].role == CHAT_ROLE_SYSTEM;
    const size_t want = n - system + (system && n == 1) + answer;
    if (starts != (c->form == CHAT_FORM_CHAT ? want : 0)) abort();
    return 0;
}
