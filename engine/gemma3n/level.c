/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/gemma3n/level.h"
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/err.h"

static struct level whole(const struct config *c)
{
    struct level l = { .name = "full" };

    memcpy(l.width, c->ffn_width, sizeof(l.width));
    return l;
}

/*
 * The published slices (google/gemma3n-slicing-configs): layers of width 16384, the others have 8192. MMLU is theirs, too: of the
 * checkpoint before instruction tuning.
 */
struct published {
    const char *name, *mmlu;
    bool skip_20_24;
    struct {
        uint8_t from, to;
    } wide[4]; /* until from == 0 */
};

static const struct published published[] = {
    { "e2b", "50.9", true, { { 0, 0 } } },
    { "e1.96b", "53.4", true, { { 4, 4 } } },
    { "e2.49b", "54.5", false, { { 20, 24 } } },
    { "e2.54b", "55.4", false, { { 4, 4 }, { 20, 24 } } },
    { "e2.69b", "57.7", false, { { 4, 4 }, { 9, 9 }, { 14, 14 }, { 19, 24 } } },
    { "e2.73b", "57.1", false, { { 15, 24 } } },
    { "e2.98b", "59.5", false, { { 15, 24 }, { 30, 34 } } },
    { "e2.98b-block", "59.5", false, { { 10, 24 } } },
    { "e3.18b", "61.8", false, { { 4, 4 }, { 9, 24 }, { 29, 29 }, { 34, 34 } } },
    { "e3.24b", "60.7", false, { { 10, 29 } } },
    { "e3.39b", "63.0", false, { { 4, 4 }, { 9, 29 }, { 34, 34 } } },
    { "e3.49b", "61.4", false, { { 5, 29 } } },
    { "e3.59b", "63.4", false, { { 4, 29 }, { 34, 34 } } },
    { "e3.74b", "62.0", false, { { 5, 34 } } },
    { "e3.79b", "63.4", false, { { 4, 34 } } },
};

#define WHOLE_MMLU "62.3"

static bool like_e4b(const struct config *c)
{
    if (c->arch != CONFIG_GEMMA3N || c->n_layers != 35 || c->first_shared != 20) return false;
    for (uint32_t l = 0; l < c->n_layers; l++)
        if (c->ffn_width[l] != 16384) return false;
    return true;
}

void level_table_init(struct level_table *t, const struct config *c)
{
    memset(t, 0, sizeof(*t));
    t->row[t->n++] = whole(c);
    if (!like_e4b(c)) return;
    (void)snprintf(t->row[0].quality, sizeof(t->row[0].quality), "MMLU %s %%", WHOLE_MMLU);
    for (size_t i = 0; i < sizeof(published) / sizeof(published[0]); i++) {
        const struct published *p = &published[i];
        struct level *l = &t->row[t->n++];

        (void)snprintf(l->name, sizeof(l->name), "%s", p->name);
        (void)snprintf(l->quality, sizeof(l->quality), "MMLU %s %%", p->mmlu);
        for (uint32_t k = 0; k < c->n_layers; k++) {
            l->width[k] = 8192;
            l->skip[k] = p->skip_20_24 && k >= 20 && k <= 24;
            for (int w = 0; w < 4 && p->wide[w].from; w++)
                if (k >= p->wide[w].from && k <= p->wide[w].to) l->width[k] = 16384;
        }
    }
}

static int refuse(struct reason *why, const char *name, const char *what)
{
    reason_set(why, "level '%.40s': %s", name, what);
    return GGUF_E_REFUSED;
}

static int parse_width(struct level *l, const struct config *c, uint32_t block, const json_t *a,
                       struct reason *why)
{
    if (!json_is_array(a) || json_array_size(a) != c->n_layers)
        return refuse(why, l->name, "'width' must be an array with one number for each layer");
    for (uint32_t i = 0; i < c->n_layers; i++) {
        const json_t *v = json_array_get(a, i);
        const json_int_t w = json_integer_value(v);
        if (!json_is_integer(v) || w < 1 || w > c->ffn_width[i])
            return refuse(why, l->name, "a width is not between 1 and the layer's FFN width");
        if (w % block && w != c->ffn_width[i])
            return refuse(why, l->name,
                          "a width is not a multiple of the block size of 'ffn_down'");
        l->width[i] = (uint32_t)w;
    }
    return 0;
}

static int parse_skip(struct level *l, const struct config *c, const json_t *a, struct reason *why)
{
    if (!a) return 0;
    if (!json_is_array(a)) return refuse(why, l->name, "'skip' must be an array of layer numbers");
    for (size_t i = 0; i < json_array_size(a); i++) {
        const json_t *v = json_array_get(a, i);
        const json_int_t k = json_integer_value(v);
        if (!json_is_integer(v) || k < c->first_shared || k >= c->n_layers)
            return refuse(why, l->name, "'skip' may name only layers that make no KV of their own");
        l->skip[k] = true;
    }
    return 0;
}

static int parse_level(struct level_table *t, const struct config *c, uint32_t block,
                       const char *name, const json_t *o, struct reason *why)
{
    const char *key;
    json_t *value;
    struct level l = whole(c);

    if (strlen(name) == 0 || strlen(name) >= LEVEL_NAME_MAX)
        return refuse(why, name, "a name has 1 to 31 bytes");
    (void)snprintf(l.name, sizeof(l.name), "%s", name);
    if (!json_is_object(o)) return refuse(why, name, "expected an object with 'width' and 'skip'");
    json_object_foreach((json_t *)(size_t)o, key,
                        value) if (strcmp(key, "width") != 0 &&
                                   strcmp(key, "skip") !=
                                       0) return refuse(why, name,
                                                        "only 'width' and 'skip' are known");
    int r = parse_width(&l, c, block, json_object_get(o, "width"), why);
    if (r == 0) r = parse_skip(&l, c, json_object_get(o, "skip"), why);
    if (r != 0) return r;
    uint32_t i = 0;
    while (i < t->n && strcmp(t->row[i].name, name) != 0)
        i++;
    if (i == LEVEL_TABLE_MAX) return refuse(why, name, "there are too many levels (at most 64)");
    if (i == 0 && (memcmp(l.width, t->row[0].width, sizeof(l.width)) != 0 ||
                   memcmp(l.skip, t->row[0].skip, sizeof(l.skip)) != 0))
        return refuse(why, name, "this name means the whole model");
    if (i > 0) t->row[i] = l; /* the whole model is there as it is */
    if (i == t->n) t->n++;
    return 0;
}

int level_table_json(struct level_table *t, const struct config *c, uint32_t block,
                     const char *text, size_t n, struct reason *why)
{
    json_error_t e;
    json_auto_t *j = json_loadb(text, n, JSON_REJECT_DUPLICATES, &e);
    const char *name;
    json_t *value;

    if (!json_is_object(j)) {
        reason_set(why, "levels: %s", j ? "expected an object of levels" : e.text);
        return GGUF_E_REFUSED;
    }
    CLEANUP(freep) struct level_table *copy = malloc(sizeof(*copy));
    if (!copy) return err_raise(-ENOMEM);
    *copy = *t;
    json_object_foreach(j, name, value)
    {
        const int r = parse_level(copy, c, block, name, value, why);
        if (r != 0) return r;
    }
    *t = *copy;
    return 0;
}

const struct level *level_find(const struct level_table *t, const char *name)
{
    if (name[0] == '\0') return &t->row[0];
    for (uint32_t i = 0; i < t->n; i++)
        if (strcmp(t->row[i].name, name) == 0) return &t->row[i];
    return NULL;
}
