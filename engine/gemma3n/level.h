/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/gemma3n/level.h: the elastic levels of a model (Mix-n-Match, MatFormer, arXiv 2310.07707): which layers run and how
 * many FFN units of each. A level is a row of a table; weights are never copied for it. The KV of a token is what the
 * level that processed it made.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/reason.h"
#include "engine/gemma3n/config.h"

enum { LEVEL_NAME_MAX = 32, LEVEL_TABLE_MAX = 64 };

struct level {
    char name[LEVEL_NAME_MAX];
    char quality[24];                  /* what its makers measured, "" if nothing is known */
    bool skip[CONFIG_LAYERS_MAX];      /* only layers that make no KV */
    uint32_t width[CONFIG_LAYERS_MAX]; /* FFN units of each layer of the file, a prefix */
};

struct level_table {
    uint32_t n;
    struct level row[LEVEL_TABLE_MAX]; /* row[0] is the whole model */
};

/**
 * level_table_init() - the levels that hearth knows for this model: the whole one ("full"), and for files shaped like
 * E4B (35 layers, 20 of them with KV, 16384 units) the published slices of google/gemma3n-slicing-configs
 * @block: FFN widths must be multiples of it (the block size of the down matrices).
 */
void level_table_init(struct level_table *t, const struct config *c);

/**
 * level_table_json() - add the levels of a JSON text, {"name": {"width": [per layer], "skip": [layers]}, ...}
 * A name that exists is replaced. Numbering is that of the file.
 * @block: widths must be multiples of it. Return: 0; GGUF_E_REFUSED (@why names the level and what is wrong with it; @t is as
 * before); -ENOMEM.
 */
int level_table_json(struct level_table *t, const struct config *c, uint32_t block,
                     const char *text, size_t n, struct reason *why);

/** level_find() - the row named @name, or NULL. "" is the whole model. */
const struct level *level_find(const struct level_table *t, const char *name);
