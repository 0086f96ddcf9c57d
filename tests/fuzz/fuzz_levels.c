/* SPDX-License-Identifier: Apache-2.0 */
/* A table of levels in JSON, for a model of six layers of which the last three make no KV. What is taken must be a level of it. */
#include <stdlib.h>
#include <string.h>
#include "engine/gemma3n/level.h"
#include "tests/fuzz/fuzz.h"

enum { LAYERS = 6, SHARED_FROM = 3, WIDTH = 128, BLOCK = 32 };

static void check(const struct level *l)
{
    if (strnlen(l->name, LEVEL_NAME_MAX) == LEVEL_NAME_MAX || !l->name[0]) abort();
    for (uint32_t i = 0; i < LAYERS; i++) {
        if (l->width[i] < 1 || l->width[i] > WIDTH || l->width[i] % BLOCK) abort();
        if (l->skip[i] && i < SHARED_FROM) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config c = { .arch = CONFIG_GEMMA3N, .n_layers = LAYERS, .first_shared = SHARED_FROM };
    struct level_table *t = malloc(2 * sizeof(*t));
    struct reason why = { "" };

    if (!t) abort();
    for (uint32_t i = 0; i < LAYERS; i++)
        c.ffn_width[i] = WIDTH;
    level_table_init(&t[0], &c);
    t[1] = t[0];
    if (level_table_json(&t[1], &c, BLOCK, (const char *)data, size, &why) != 0) {
        if (!why.text[0] || memcmp(&t[0], &t[1], sizeof(*t)) != 0)
            abort(); /* refused: a reason, and no change */
    } else {
        if (t[1].n < 1 || t[1].n > LEVEL_TABLE_MAX) abort();
        for (uint32_t i = 0; i < t[1].n; i++)
            check(&t[1].row[i]);
    }
    free(t);
    return 0;
}
