/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include "engine/gemma3n/level.h"

static struct config config;
static struct level_table *table;

static void small(void)
{
    static struct level_table t;

    config = (struct config){
        .arch = CONFIG_GEMMA3N, .n_layers = 3, .first_shared = 2, .ffn_width = { 64, 64, 128 }
    };
    table = &t;
    level_table_init(table, &config);
}

TestSuite(level, .init = small);

static int add(const char *json, struct reason *why)
{
    return level_table_json(table, &config, 32, json, strlen(json), why);
}

Test(level, the_first_row_is_the_whole_model)
{
    cr_assert_eq(table->n, 1u);
    cr_assert_eq(level_find(table, ""), &table->row[0]);
    cr_assert_eq(level_find(table, "full"), &table->row[0]);
    cr_assert_eq(table->row[0].width[2], 128u);
    cr_assert_null(level_find(table, "half"));
}

Test(level, rows_come_from_json_and_replace_those_of_the_same_name)
{
    cr_assert_eq(add("{\"half\": {\"width\": [32, 32, 64], \"skip\": [2]}}", NULL), 0);
    cr_assert_eq(level_find(table, "half")->width[2], 64u);
    cr_assert(level_find(table, "half")->skip[2]);
    cr_assert_eq(add("{\"half\": {\"width\": [64, 32, 64]}, \"full\": {\"width\": [64, 64, 128], "
                     "\"skip\": []}}",
                     NULL),
                 0);
    cr_assert_eq(table->n, 2u);
    cr_assert_eq(level_find(table, "half")->width[0], 64u);
    cr_assert(!level_find(table, "half")->skip[2]);
}

Test(level, what_makes_no_sense_is_refused_by_name_and_changes_nothing)
{
    const struct {
        const char *json, *says;
    } cases[] = {
        { "[1]", "object" },
        { "{\"a\": 1}", "'a'" },
        { "{", "levels:" },
        { "{\"a\": {\"width\": [32, 32]}}", "each layer" },
        { "{\"a\": {\"width\": [32, 32, 0]}}", "between 1" },
        { "{\"a\": {\"width\": [32, 32, 129]}}", "between 1" },
        { "{\"a\": {\"width\": [32, 33, 64]}}", "multiple" },
        { "{\"a\": {\"width\": [32, 32, 64], \"skip\": [1]}}", "KV" },
        { "{\"a\": {\"width\": [32, 32, 64], \"skip\": [3]}}", "KV" },
        { "{\"a\": {\"width\": [32, 32, 64], \"more\": 1}}", "only" },
        { "{\"full\": {\"width\": [32, 32, 64]}}", "whole model" },
        { "{\"\": {\"width\": [32, 32, 64]}}", "1 to 31" },
        { "{\"good\": {\"width\": [32, 32, 64]}, \"bad\": 0}", "'bad'" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reason why = { "" };
        cr_assert_eq(add(cases[i].json, &why), GGUF_E_REFUSED, "%s", cases[i].json);
        cr_assert_not_null(strstr(why.text, cases[i].says), "%s: %s", cases[i].json, why.text);
        cr_assert_eq(table->n, 1u);
    }
}

Test(level, a_file_like_e4b_has_the_published_slices)
{
    static struct level_table t;
    struct config c = { .arch = CONFIG_GEMMA3N, .n_layers = 35, .first_shared = 20 };

    for (int i = 0; i < 35; i++)
        c.ffn_width[i] = 16384;
    level_table_init(&t, &c);
    const struct level *e2b = level_find(&t, "e2b"), *mid = level_find(&t, "e2.69b");
    cr_assert_str_eq(t.row[0].quality, "MMLU 62.3 %");
    cr_assert_str_eq(e2b->quality, "MMLU 50.9 %");
    cr_assert_str_eq(mid->quality, "MMLU 57.7 %");
    for (int i = 0; i < 35; i++) {
        cr_assert_eq(e2b->skip[i], i >= 20 && i <= 24);
        cr_assert_eq(e2b->width[i], 8192u);
        cr_assert_eq(mid->width[i],
                     i == 4 || i == 9 || i == 14 || (i >= 19 && i <= 24) ? 16384u : 8192u);
    }
}
