/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "engine/gemma3n/config.h"
#include "tests/unit/engine/gemma3n/model_make.h"

/* config_load() of the keys in @m, which is released. */
static int load(struct gguf_make *m, struct reason *why, struct config *ret)
{
    struct gguf *g = NULL;

    cr_assert_eq(gguf_make_open(m, why, &g), 0, "%s", why->text);
    gguf_make_deinit(m);
    const int r = config_load(g, why, ret);
    gguf_free(g);
    return r;
}

/* It must refuse @m with a sentence that has @words; and leave the result alone. */
static void refuse(struct gguf_make *m, const char *words)
{
    struct reason why = { "" };
    struct config c = { .n_layers = 77 };

    cr_assert_eq(load(m, &why, &c), GGUF_E_REFUSED, "%s", words);
    cr_assert_not_null(strstr(why.text, words), "'%s' says nothing of %s", why.text, words);
    cr_assert_eq(c.n_layers, 77);
}

/* Keys of a good gemma3n file without @name. */
static struct gguf_make without(const char *name)
{
    struct model_make s = model_make_gemma3n();
    struct gguf_make m;

    s.without = name;
    gguf_make_init(&m);
    model_make_keys(&s, &m);
    return m;
}

Test(config, takes_every_size_from_the_file)
{
    struct gguf_make m = without(NULL);
    struct reason why = { "" };
    struct config c;

    gguf_make_f32(&m, "gemma3n.attention.layer_norm_rms_epsilon", 1e-5f);
    gguf_make_f32(&m, "gemma3n.rope.freq_base", 5e5f);
    gguf_make_f32(&m, "gemma3n.rope.freq_base_swa", 2e4f);
    gguf_make_f32(&m, "gemma3n.final_logit_softcapping", 20.0f);
    gguf_make_array(&m, "gemma3n.activation_sparsity_scale", GGUF_F32,
                    (const float[]){ 1.5f, 1, -INFINITY, 0, -INFINITY, -INFINITY }, 6, 4);
    cr_assert_eq(load(&m, &why, &c), 0, "%s", why.text);
    cr_assert_eq(c.arch, CONFIG_GEMMA3N);
    cr_assert(c.n_layers == 6 && c.d_model == 32 && c.n_heads == 2 && c.n_kv_heads == 1 &&
              c.head_size == 16 && c.context == 1024 && c.window == 16 && c.ple_width == 64);
    cr_assert_eq(c.first_shared, 3);
    for (uint32_t l = 0; l < 6; l++) {
        cr_assert_eq(c.full[l], l == 2 || l == 5);
        cr_assert_eq(c.ffn_width[l], 64);
    }
    cr_assert(c.kv_source[3] == 1 && c.kv_source[4] == 1 && c.kv_source[5] == 2);
    cr_assert(c.eps == 1e-5f && c.rope_base_full == 5e5f && c.rope_base_sliding == 2e4f &&
              c.softcap == 20.0f && c.attention_scale == 1.0f);
    cr_assert(c.sparsity[0] == 1.5f && c.sparsity[2] == -INFINITY && c.sparsity[3] == 0.0f);
}

Test(config, what_published_files_leave_out_has_its_default)
{
    struct model_make n3 = model_make_gemma3n();
    struct gguf_make m;
    struct reason why = { "" };
    struct config c;

    n3.without = "attention.sliding_window_pattern";
    n3.shared = 1;
    gguf_make_init(&m);
    model_make_keys(&n3, &m);
    cr_assert_eq(load(&m, &why, &c), 0, "%s", why.text);
    cr_assert(c.full[4] && !c.full[5], "every fifth layer is full");
    cr_assert(c.softcap == 30.0f && c.rope_base_full == 1e6f && c.rope_base_sliding == 1e4f);
    cr_assert(c.sparsity[0] > 1.644f && c.sparsity[0] < 1.645f, "95 %% of the units are off");

    const struct model_make s = model_make_gemma3();
    gguf_make_init(&m);
    model_make_keys(&s, &m);
    cr_assert_eq(load(&m, &why, &c), 0, "%s", why.text);
    cr_assert(c.arch == CONFIG_GEMMA3 && c.softcap == 0.0f && c.first_shared == 6);
    cr_assert_float_eq(c.attention_scale, 0.25, 1e-7, "1 / sqrt(16)");
    cr_assert_eq(c.sparsity[0], -INFINITY);
}

Test(config, other_types_and_names_of_other_writers_are_read)
{
    struct gguf_make m = without("attention.shared_kv_layers");
    struct reason why = { "" };
    struct config c;

    gguf_make_f32(&m, "gemma3n.attention.shared_kv_layers", 2.0f);
    gguf_make_f32(&m, "gemma3n.rope.freq_base_local", 123.0f);
    cr_assert_eq(load(&m, &why, &c), 0, "%s", why.text);
    cr_assert(c.first_shared == 4 && c.rope_base_sliding == 123.0f);

    m = without("feed_forward_length");
    gguf_make_array(&m, "gemma3n.feed_forward_length", GGUF_I32,
                    (const int32_t[]){ 32, 64, 96, 32, 64, 96 }, 6, 4);
    cr_assert_eq(load(&m, &why, &c), 0, "%s", why.text);
    cr_assert(c.ffn_width[0] == 32 && c.ffn_width[5] == 96);

    m = without("attention.key_length");
    gguf_make_u32(&m, "gemma3n.head_dim", 16);
    cr_assert_eq(load(&m, &why, &c), 0, "%s", why.text);
    cr_assert_eq(c.head_size, 16);

    m = without("attention.sliding_window_pattern");
    gguf_make_array(&m, "gemma3n.attention.sliding_window_pattern", GGUF_BOOL,
                    (const uint8_t[]){ 1, 0, 1, 1, 0, 1 }, 6, 1);
    gguf_make_text(&m, "gemma3n.rope.scaling.type", "linear");
    gguf_make_f32(&m, "gemma3n.rope.scaling.factor", 8.0f);
    cr_assert_eq(load(&m, &why, &c), 0, "%s", why.text);
    cr_assert(!c.full[0] && c.full[1] && c.rope_scale_full == 8.0f);
}

Test(config, refuses_other_architectures_by_name)
{
    static const char *const names[] = { "llama", "gemma2", "gemma3n-audio", "Gemma3", "" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct gguf_make m = without("general.architecture");
        char words[100];
        gguf_make_text(&m, "general.architecture", names[i]);
        (void)snprintf(words, sizeof(words), "architecture '%s' is not supported", names[i]);
        refuse(&m, words);
    }
    struct gguf_make m = without("general.architecture");
    refuse(&m, "key 'general.architecture' is missing");
    m = without("general.architecture");
    gguf_make_u32(&m, "general.architecture", 3);
    refuse(&m, "general.architecture");
}

Test(config, names_the_key_that_is_missing)
{
    static const char *const keys[] = { "block_count", "embedding_length", "context_length",
                                        "feed_forward_length", "attention.head_count" };

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct gguf_make m = without(keys[i]);
        char words[100];
        (void)snprintf(words, sizeof(words), "key 'gemma3n.%s' is missing", keys[i]);
        refuse(&m, words);
    }
}

Test(config, names_the_key_whose_number_makes_no_sense)
{
    static const struct {
        const char *key;
        uint32_t value;
    } bad[] = {
        { "block_count", 0 },
        { "block_count", 257 },
        { "embedding_length", 4 },
        { "embedding_length", 1u << 31 },
        { "context_length", 0 },
        { "context_length", UINT32_MAX },
        { "feed_forward_length", 0 },
        { "feed_forward_length", UINT32_MAX },
        { "attention.head_count", 0 },
        { "attention.head_count", 1025 },
        { "attention.head_count_kv", 0 },
        { "attention.head_count_kv", 3 }, /* does not divide the heads */
        { "attention.key_length", 1 },
        { "attention.key_length", 1024 },
        { "attention.value_length", 32 },
        { "attention.sliding_window", UINT32_MAX },
        { "attention.sliding_window_pattern", 0 },
        { "attention.shared_kv_layers", 6 },
        { "attention.shared_kv_layers", 4 }, /* leaves no full layer */
        { "embedding_length_per_layer_input", 0 },
        { "altup.num_inputs", 3 },
        { "altup.active_idx", 1 },
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct gguf_make m = without(bad[i].key);
        char key[100];
        (void)snprintf(key, sizeof(key), "gemma3n.%s", bad[i].key);
        gguf_make_u32(&m, key, bad[i].value);
        (void)snprintf(key, sizeof(key), "gemma3n.%s",
                       strcmp(bad[i].key, "attention.head_count_kv") == 0 && bad[i].value == 3
                           ? "attention.head_count"
                           : bad[i].key);
        refuse(&m, key);
    }
}

Test(config, names_the_key_whose_type_or_length_is_another)
{
    static const char *const lists[] = { "feed_forward_length", "activation_sparsity_scale",
                                         "attention.sliding_window_pattern" };
    static const char *const numbers[] = { "attention.layer_norm_rms_epsilon", "rope.freq_base",
                                           "final_logit_softcapping" };
    char key[100];

    for (size_t i = 0; i < 3; i++) {
        struct gguf_make m = without(lists[i]);
        (void)snprintf(key, sizeof(key), "gemma3n.%s", lists[i]);
        gguf_make_array(&m, key, GGUF_F32, (const float[]){ 1, 1, 1, 1, 1 }, 5, 4);
        refuse(&m, key);
        m = without(lists[i]);
        gguf_make_text(&m, key, "1, 2, 3");
        refuse(&m, key);
        m = without(numbers[i]);
        (void)snprintf(key, sizeof(key), "gemma3n.%s", numbers[i]);
        gguf_make_f32(&m, key, NAN);
        refuse(&m, key);
        m = without(numbers[i]);
        gguf_make_f32(&m, key, -1.0f);
        refuse(&m, key);
        m = without(numbers[i]);
        gguf_make_text(&m, key, "one");
        refuse(&m, key);
    }
    struct gguf_make m = without(NULL);
    gguf_make_array(&m, "gemma3n.activation_sparsity_scale", GGUF_F32,
                    (const float[]){ 1, 1, NAN, 1, 1, 1 }, 6, 4);
    refuse(&m, "activation_sparsity_scale");
    struct model_make odd = model_make_gemma3n();
    odd.head_size = 15;
    gguf_make_init(&m);
    model_make_keys(&odd, &m);
    refuse(&m, "attention.key_length");
    m = without(NULL);
    gguf_make_text(&m, "gemma3n.rope.scaling.type", "yarn");
    refuse(&m, "rope.scaling.type");
}
