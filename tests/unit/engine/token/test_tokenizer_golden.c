/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tokenizer against rows that others made: tests/golden/tokenizer/tiny.json (small vocabularies, a naive
 * encoder), the prompts of the tiny models, and llama.cpp's tokens on Gemma's real vocabulary.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "engine/token/chat.h"
#include "engine/token/detokenizer.h"
#include "engine/token/tokenizer.h"
#include "tests/golden/golden.h"
#include "tests/unit/engine/token/vocab_make.h"

enum { IDS_MAX = 20000, TEXT_MAX = 1 << 16 };

/* Bytes of base64 without checking: the files are ours. */
static size_t base64(const char *in, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = 0;
    unsigned bits = 0, have = 0;

    for (; *in && *in != '='; in++) {
        bits = bits << 6 | (unsigned)(strchr(digits, *in) - digits);
        have += 6;
        if (have < 8) continue;
        have -= 8;
        out[n++] = (char)(bits >> have);
    }
    return n;
}

/* The tokens of @text must be those of the array @want, and give the bytes of the text back. */
static void check_ids(struct tokenizer *t, const char *text, size_t n, bool special,
                      const json_t *want, const char *what)
{
    static uint32_t ids[IDS_MAX];
    static char back[TEXT_MAX], piece[DETOKENIZER_OUT_MAX];
    const struct vocab *v = tokenizer_vocab(t);
    size_t n_ids = 0, n_back = 0;

    cr_assert_eq(tokenizer_encode(t, text, n, special, ids, IDS_MAX, &n_ids), 0, "%s", what);
    for (size_t i = 0; want && i < n_ids && i < json_array_size(want); i++)
        cr_assert_eq(ids[i], (uint32_t)json_integer_value(json_array_get(want, i)),
                     "%s: token %zu is %u", what, i, ids[i]);
    if (want) cr_assert_eq(n_ids, json_array_size(want), "%s: %zu tokens", what, n_ids);
    for (size_t i = 0; i < n_ids; i++) {
        const size_t got = detokenizer_piece(v, ids[i], true, piece);
        memcpy(back + n_back, piece, got);
        n_back += got;
    }
    for (size_t i = 0, k = 0; i < n; i++, k++) {
        const bool mark = n - i >= 3 && memcmp(text + i, VOCAB_SPACE, 3) == 0 && back[k] == ' ';
        cr_assert(k < n_back && (mark || text[i] == back[k]), "%s: byte %zu of the text", what, i);
        if (mark) i += 2; /* U+2581 comes back as a space */
        if (i + 1 >= n) n_back -= k + 1;
    }
    cr_assert(n == 0 || n_back == 0, "%s: %zu bytes too many come back", what, n_back);
}

static struct vocab_made load_file(const char *path)
{
    struct vocab_made made = { NULL, NULL };
    struct reason why = { "" };
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    cr_assert_geq(fd, 0, "%s", path);
    cr_assert_eq(gguf_open(fd, &why, &made.g), 0, "%s: %s", path, why.text);
    cr_assert_eq(vocab_load(made.g, &why, &made.v), 0, "%s: %s", path, why.text);
    (void)close(fd);
    return made;
}

static struct vocab_made load_json(const json_t *vocabulary)
{
    const json_t *tokens = json_object_get(vocabulary, "tokens"),
                 *scores = json_object_get(vocabulary, "scores");
    const json_t *kinds = json_object_get(vocabulary, "kinds");
    const size_t n = json_array_size(tokens);
    struct vocab_make_token *list = calloc(n, sizeof(*list));
    struct gguf_make m;

    for (size_t i = 0; i < n; i++)
        list[i] =
            (struct vocab_make_token){ json_string_value(json_array_get(tokens, i)),
                                       (float)json_number_value(json_array_get(scores, i)),
                                       (int32_t)json_integer_value(json_array_get(kinds, i)) };
    gguf_make_init(&m);
    vocab_make_keys(&m, list, n);
    free(list);
    return vocab_make_load(&m);
}

Test(tokenizer_golden, encodes_as_a_plain_encoder_does_on_small_vocabularies)
{
    char path[4096], bytes[256];
    json_error_t error;
    const char *name = golden_find("tokenizer/tiny.json", path, sizeof(path));

    if (!name) cr_skip_test("there is no tokenizer/tiny.json");
    json_t *root = json_load_file(name, JSON_ALLOW_NUL, &error);
    cr_assert_not_null(root, "%s", error.text);
    const json_t *vocabularies = json_object_get(root, "vocabularies"),
                 *rows = json_object_get(root, "rows");
    cr_assert_gt(json_array_size(rows), 300u);
    for (size_t k = 0; k < json_array_size(vocabularies); k++) {
        struct vocab_made made = load_json(json_array_get(vocabularies, k));
        struct tokenizer *t = NULL;
        cr_assert_eq(tokenizer_new(made.v, &t), 0);
        for (size_t i = 0; i < json_array_size(rows); i++) {
            const json_t *row = json_array_get(rows, i), *text = json_object_get(row, "text");
            if ((size_t)json_integer_value(json_object_get(row, "vocabulary")) != k) continue;
            char *what = json_dumps(row, 0);
            const char *b64 = json_string_value(json_object_get(row, "bytes"));
            const size_t n = text ? json_string_length(text) : base64(b64, bytes);
            check_ids(t, text ? json_string_value(text) : bytes, n,
                      json_is_true(json_object_get(row, "special")), json_object_get(row, "ids"),
                      what);
            free(what);
        }
        tokenizer_free(t);
        vocab_made_deinit(&made);
    }
    json_decref(root);
}

/* The prompt "turns" of the tiny models was put together by hand from turns and tokens. */
static void check_turns(struct tokenizer *t, const json_t *want)
{
    static const char text[] = " Play quiet music.\n";
    const struct chat c = { .form = CHAT_FORM_CHAT,
                            .start = vocab_find(tokenizer_vocab(t), "<start_of_turn>", 15),
                            .end = vocab_find(tokenizer_vocab(t), "<end_of_turn>", 13) };
    const struct chat_turn turn = { .role = CHAT_ROLE_USER, .text = text, .n = sizeof(text) - 1 };
    uint32_t ids[100];
    size_t n;

    cr_assert_eq(chat_render(&c, t, CHAT_NO_TOOLS, &turn, 1, true, ids, 100, &n, NULL), 0);
    cr_assert_eq(n, json_array_size(want));
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(ids[i], (uint32_t)json_integer_value(json_array_get(want, i)), "token %zu", i);
}

/* Compare the prompts of @prompts that have a text. Return: how many. */
static size_t check_prompts(struct tokenizer *t, const json_t *prompts)
{
    size_t n = 0;

    for (size_t i = 0; i < json_array_size(prompts); i++) {
        const json_t *p = json_array_get(prompts, i), *text = json_object_get(p, "text");
        if (strcmp(json_string_value(json_object_get(p, "name")), "turns") == 0)
            check_turns(t, json_object_get(p, "ids"));
        if (!json_is_string(text)) continue;
        json_t *want = json_deep_copy(json_object_get(p, "ids"));
        cr_assert_eq(json_integer_value(json_array_get(want, 0)), vocab_bos(tokenizer_vocab(t)));
        json_array_remove(want, 0);
        check_ids(t, json_string_value(text), json_string_length(text), false, want,
                  json_string_value(text));
        json_decref(want);
        n++;
    }
    return n;
}

Test(tokenizer_golden, encodes_the_prompts_of_the_tiny_models)
{
    static const char *const cases[][2] = {
        { "text/g3-basic", "model.gguf" },      { "text/n3-basic", "model.gguf" },
        { "text/n3-wide", "model.gguf" },       { "text/n3-slices", "model.gguf" },
        { "text/n3-quant", "model-q8_0.gguf" }, { "text/n3-quant", "model-q4_0.gguf" },
    };
    size_t n = 0;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[256], model[4096], path[4096];
        (void)snprintf(name, sizeof(name), "%s/%s", cases[i][0], cases[i][1]);
        if (!golden_find(name, model, sizeof(model))) continue;
        (void)snprintf(name, sizeof(name), "%s/expect.json", cases[i][0]);
        if (!golden_find(name, path, sizeof(path))) continue;
        json_t *root = json_load_file(path, 0, NULL);
        cr_assert_not_null(root, "%s", path);
        struct vocab_made made = load_file(model);
        struct tokenizer *t = NULL;
        cr_assert_eq(tokenizer_new(made.v, &t), 0);
        const json_t *files = json_object_get(root, "files");
        n += check_prompts(t, json_object_get(files ? json_array_get(files, 0) : root, "prompts"));
        tokenizer_free(t);
        vocab_made_deinit(&made);
        json_decref(root);
    }
    if (n == 0) cr_skip_test("there are no text/*/model.gguf");
}

/* Decode @ids as a stream; the text must be @want. */
static void check_text(const struct vocab *v, const json_t *ids, const char *want, size_t n_want)
{
    static char text[TEXT_MAX];
    char out[DETOKENIZER_OUT_MAX];
    struct detokenizer d = { 0 };
    size_t n = 0;

    for (size_t i = 0; i <= json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);
        const size_t got = id ? detokenizer_push(&d, v, (uint32_t)json_integer_value(id), true, out)
                              : detokenizer_end(&d, out);
        cr_assert(utf8_valid(out, got), "whole characters only");
        memcpy(text + n, out, got);
        n += got;
    }
    cr_assert_eq(n, n_want, "%zu bytes for '%s'", n, want);
    cr_assert_eq(memcmp(text, want, n), 0, "'%s'", want);
}

Test(tokenizer_golden, encodes_and_decodes_as_llama_cpp_does_on_gemmas_vocabulary)
{
    char path[4096], bytes[256];
    static char line[1 << 20];
    const char *model = golden_gemma3_270m(),
               *cases = golden_find("tokenizer/cases.jsonl", path, sizeof(path));
    unsigned n = 0;

    if (!model) cr_skip_test("HEARTH_GEMMA3_270M names no file");
    if (!cases) cr_skip_test("there is no tokenizer/cases.jsonl");
    struct vocab_made made = load_file(model);
    struct tokenizer *t = NULL;
    cr_assert_eq(tokenizer_new(made.v, &t), 0);
    FILE *f = fopen(cases, "re");
    cr_assert_not_null(f);
    for (; fgets(line, sizeof(line), f); n++) {
        json_t *row = json_loads(line, JSON_ALLOW_NUL, NULL);
        cr_assert_not_null(row, "row %u", n);
        const json_t *text = json_object_get(row, "text"), *ids = json_object_get(row, "ids");
        const json_t *decoded = json_object_get(row, "decoded");
        const char *b64 = json_string_value(json_object_get(row, "bytes"));
        const size_t size = text ? json_string_length(text) : base64(b64, bytes);
        check_ids(t, text ? json_string_value(text) : bytes, size,
                  json_is_true(json_object_get(row, "parse_special")), ids, line);
        if (!decoded) decoded = text;
        if (ids) check_text(made.v, ids, json_string_value(decoded), json_string_length(decoded));
        json_decref(row);
    }
    cr_assert_geq(n, 200u);
    (void)fclose(f);
    tokenizer_free(t);
    vocab_made_deinit(&made);
}
