/* SPDX-License-Identifier: Apache-2.0 */
/* A model file: open it, read every key and tensor, load the vocabulary, find the form. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "engine/format/gguf.h"
#include "engine/token/chat.h"
#include "engine/token/tokenizer.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/engine/format/gguf_make.h"

/* Ask for the keys that hearth knows, in every type. */
static void read_keys(const struct gguf *g)
{
    static const char *const keys[] = {
        "general.architecture",  "general.alignment",    "a.u32", "a.texts", "a.floats", "a.ints",
        "tokenizer.ggml.tokens", "tokenizer.ggml.scores"
    };

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        uint32_t u;
        float f;
        bool b;
        struct gguf_string s;
        enum gguf_value_type type;
        size_t n;
        (void)gguf_has(g, keys[i]);
        (void)gguf_u32(g, keys[i], 0, &u, NULL);
        (void)gguf_f32(g, keys[i], 0, &f, NULL);
        (void)gguf_bool(g, keys[i], false, &b, NULL);
        if (gguf_text(g, keys[i], &s, NULL) == 0 && s.n > 0) fuzz_use(s.bytes, s.n);
        if (gguf_array_len(g, keys[i], &n, &type, NULL) != 0 || n > 4096) continue;
        void *all = malloc(n * sizeof(s) + 1);
        if (gguf_array_text(g, keys[i], all, n, NULL) == 0 && n > 0)
            fuzz_use(((struct gguf_string *)all)[n - 1].bytes,
                     ((struct gguf_string *)all)[n - 1].n);
        (void)gguf_array_u32(g, keys[i], all, n, NULL);
        (void)gguf_array_f32(g, keys[i], all, n, NULL);
        free(all);
    }
}

static void read_tensors(const struct gguf *g)
{
    size_t n;
    const struct gguf_tensor *t = gguf_tensors(g, &n);

    for (size_t i = 0; i < n; i++) {
        float values[256];
        const size_t take = t[i].dims[0] < 256 ? t[i].dims[0] : 256;
        if (gguf_tensor(g, "%s", t[i].name) != &t[i]) abort();
        fuzz_use(gguf_data(g, &t[i]), t[i].size_bytes);
        quant_decode(t[i].type, gguf_data(g, &t[i]), t[i].dims[0] - take, take, values);
        gguf_release(g, &t[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gguf *g = NULL;
    struct vocab *v = NULL;
    struct tokenizer *t = NULL;
    struct reason why = { "" };
    const int fd = gguf_make_fd(data, size), r = gguf_open(fd, &why, &g);

    (void)close(fd);
    if (r != 0) {
        if (r == GGUF_E_REFUSED && why.text[0] == 0) abort(); /* a refusal has a reason */
        return 0;
    }
    read_keys(g);
    read_tensors(g);
    if (vocab_load(g, &why, &v) == 0 && tokenizer_new(v, &t) == 0) {
        struct chat c;
        uint32_t ids[64];
        size_t n;
        (void)chat_init(&c, g, v, &why);
        (void)tokenizer_encode(t, "<bos> a\n\nb\xff", 11, true, ids, 64, &n);
    }
    tokenizer_free(t);
    vocab_free(v);
    gguf_free(g);
    return 0;
}
