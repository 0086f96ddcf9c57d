/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "engine/gemma3n/weights.h"
#include "tests/unit/engine/gemma3n/model_make.h"
#include "tests/unit/oom.h"

static struct gguf *open_model(const struct model_make *s, struct config *c)
{
    struct gguf_make m;
    struct gguf *g = NULL;
    struct reason why = { "" };

    gguf_make_init(&m);
    model_make_keys(s, &m);
    model_make_tensors(s, &m);
    cr_assert_eq(gguf_make_open(&m, &why, &g), 0, "%s", why.text);
    gguf_make_deinit(&m);
    cr_assert_eq(config_load(g, &why, c), 0, "%s", why.text);
    return g;
}

/* It must refuse the model with a sentence that has @words. */
static void refuse(const struct model_make *s, const char *words)
{
    struct reason why = { "" };
    struct weights *w = NULL;
    struct config c;
    struct gguf *g = open_model(s, &c);

    cr_assert_eq(weights_load(g, &c, &why, &w), GGUF_E_REFUSED, "%s", words);
    cr_assert_not_null(strstr(why.text, words), "'%s' says nothing of %s", why.text, words);
    cr_assert_null(w);
    gguf_free(g);
}

/* Call @each with the name of every tensor of the model. */
static void for_each_tensor(const struct model_make *s,
                            void (*each)(const struct model_make *s, const char *name))
{
    struct config c;
    struct gguf *g = open_model(s, &c);
    size_t n = 0;
    const struct gguf_tensor *t = gguf_tensors(g, &n);

    for (size_t i = 0; i < n; i++)
        each(s, t[i].name);
    gguf_free(g);
}

static void leave_out(const struct model_make *s, const char *name)
{
    struct model_make bad = *s;
    char words[100];

    bad.without = name;
    (void)snprintf(words, sizeof(words), "tensor '%s' is missing", name);
    refuse(&bad, words);
}

Test(weights, names_each_tensor_that_is_missing)
{
    const struct model_make n3 = model_make_gemma3n(), g3 = model_make_gemma3();

    for_each_tensor(&n3, leave_out);
    for_each_tensor(&g3, leave_out);
}

static void widen(const struct model_make *s, const char *name)
{
    struct model_make bad = *s;
    char words[100];

    bad.wider = name;
    (void)snprintf(words, sizeof(words), "tensor '%s' is ", name);
    refuse(&bad, words);
}

Test(weights, names_each_tensor_with_rows_of_another_width)
{
    const struct model_make n3 = model_make_gemma3n(), g3 = model_make_gemma3();

    for_each_tensor(&n3, widen);
    for_each_tensor(&g3, widen);
}

/* The rank of LAuReL is what the first layer has, and the sizes of the tables are those of the tables. */
static void heighten(const struct model_make *s, const char *name)
{
    struct model_make bad = *s;
    char words[100];

    if (strcmp(name, "token_embd.weight") == 0 || strcmp(name, "per_layer_token_embd.weight") == 0)
        return;
    bad.taller = name;
    (void)snprintf(words, sizeof(words), "tensor '%s' is ",
                   strcmp(name, "blk.0.laurel_l.weight") == 0 ? "blk.0.laurel_r.weight" : name);
    refuse(&bad, words);
}

Test(weights, names_each_tensor_with_another_number_of_rows)
{
    const struct model_make n3 = model_make_gemma3n(), g3 = model_make_gemma3();

    for_each_tensor(&n3, heighten);
    for_each_tensor(&g3, heighten);
}

Test(weights, says_which_shape_was_expected)
{
    struct model_make s = model_make_gemma3n();

    s.taller = "blk.1.attn_k.weight";
    refuse(&s, "tensor 'blk.1.attn_k.weight' is 32 x 17, expected 32 x 16");
}

Test(weights, ffn_widths_of_the_keys_and_of_the_tensors_must_agree)
{
    struct model_make s = model_make_gemma3n();
    struct gguf_make m;
    struct gguf *g = NULL;
    struct reason why = { "" };
    struct weights *w = NULL;
    struct config c;

    s.without = "feed_forward_length";
    gguf_make_init(&m);
    model_make_keys(&s, &m);
    gguf_make_u32(&m, "gemma3n.feed_forward_length", 128);
    model_make_tensors(&s, &m);
    cr_assert_eq(gguf_make_open(&m, &why, &g), 0, "%s", why.text);
    gguf_make_deinit(&m);
    cr_assert_eq(config_load(g, &why, &c), 0, "%s", why.text);
    cr_assert_eq(weights_load(g, &c, &why, &w), GGUF_E_REFUSED);
    cr_assert_not_null(strstr(why.text, "blk.0.ffn_gate.weight"), "%s", why.text);
    gguf_free(g);
}

Test(weights, layers_that_share_kv_need_no_keys_and_values_of_their_own)
{
    struct model_make s = model_make_gemma3n();
    struct reason why = { "" };
    struct weights *w = NULL;
    struct config c;
    struct gguf *g = open_model(&s, &c);

    cr_assert_null(gguf_tensor(g, "blk.3.attn_k.weight"));
    cr_assert_eq(weights_load(g, &c, &why, &w), 0, "%s", why.text);
    cr_assert_eq(w->n_unused, 0);
    cr_assert_eq(w->layer[3].k.rows, 0);
    cr_assert_eq(w->vocab, 320);
    cr_assert_eq(w->laurel_rank, 8);
    w = weights_free(w);
    gguf_free(g);

    s.shared = 0; /* now they are there, and the configuration shares all the same */
    g = open_model(&s, &c);
    c.first_shared = 3;
    cr_assert_eq(weights_load(g, &c, &why, &w), 0, "%s", why.text);
    cr_assert_eq(w->n_unused, 9, "key, value and norm of three layers");
    weights_free(w);
    gguf_free(g);
}

Test(weights, loading_gives_up_cleanly_at_each_allocation)
{
    OOM_OR_SKIP();
    const struct model_make s = model_make_gemma3n();
    struct weights *w = NULL;
    struct config c;
    struct gguf *g = open_model(&s, &c);
    int r = -ENOMEM;
    unsigned n = 0;

    while (r == -ENOMEM) {
        oom_fail_at(++n);
        r = weights_load(g, &c, NULL, &w);
        oom_fail_at(0);
    }
    cr_assert_eq(r, 0);
    cr_assert_gt(n, 3u);
    weights_free(w);
    gguf_free(g);
}
