/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/info.h"
#include <stdio.h>
#include <string.h>
#include "base/err.h"

/* "Q4_0 210, F32 422": the types of the tensors, in the order in which they first occur. */
static void describe_types(const struct gguf_tensor *t, size_t n, char *out, size_t size)
{
    enum { TYPES = 32 };
    unsigned count[TYPES] = { 0 };
    enum quant_type order[TYPES];
    size_t n_types = 0, used = 0;

    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < n_types && order[k] != t[i].type)
            k++;
        if (k == TYPES) continue;
        if (k == n_types) order[n_types++] = t[i].type;
        count[k]++;
    }
    out[0] = '\0';
    for (size_t k = 0; k < n_types && used < size; k++)
        used += (size_t)snprintf(out + used, size - used, "%s%s %u", k ? ", " : "",
                                 quant_find(order[k])->name, count[k]);
}

/* "Gemma 3 270m, 268 M parameters" */
static void describe(const struct gguf *g, uint64_t parameters, char *out, size_t size)
{
    struct gguf_string name = { 0 };

    if (gguf_text(g, "general.name", &name, NULL) != 0 || !name.bytes)
        name = (struct gguf_string){ "unnamed", 7 };
    (void)snprintf(out, size, "%.*s, %.*f %s parameters", name.n < 80 ? (int)name.n : 80,
                   name.bytes, parameters < 10000000000 && parameters >= 1000000000 ? 1 : 0,
                   (double)parameters / (parameters >= 1000000000 ? 1e9 : 1e6),
                   parameters >= 1000000000 ? "G" : "M");
    for (char *c = out; *c; c++) /* somebody else's text goes to terminals */
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
}

static int fill(const struct gguf *g, const struct config *c, const struct vocab *v,
                struct info *ret, struct reason *why)
{
    struct chat chat;
    size_t n = 0;
    const struct gguf_tensor *t = gguf_tensors(g, &n);
    const int r = chat_init(&chat, g, v, why);

    if (r != 0) return r < 0 ? err_pass(r) : r;
    memset(ret, 0, sizeof(*ret));
    hearth__model__init(&ret->model);
    for (size_t i = 0; i < n; i++)
        ret->model.parameters += t[i].dims[0] * t[i].dims[1] * t[i].dims[2] * t[i].dims[3];
    (void)snprintf(ret->architecture, sizeof(ret->architecture), "%s", config_arch_name(c->arch));
    (void)snprintf(ret->form, sizeof(ret->form), "%s", chat_form_name(chat.form));
    describe(g, ret->model.parameters, ret->description, sizeof(ret->description));
    describe_types(t, n, ret->types, sizeof(ret->types));
    ret->model.architecture = ret->architecture;
    ret->model.prompt_form = ret->form;
    ret->model.description = ret->description;
    ret->model.types = ret->types;
    ret->model.size_bytes = gguf_size(g);
    ret->model.context = c->context;
    ret->model.layers = c->n_layers;
    return 0;
}

int info_file(const struct gguf *g, struct info *ret, struct reason *why)
{
    struct config c;
    struct weights *w = NULL;
    struct vocab *v = NULL;
    int r = config_load(g, why, &c);

    if (r == 0) r = weights_load(g, &c, why, &w);
    if (r == 0) r = vocab_load(g, why, &v);
    if (r == 0) r = fill(g, &c, v, ret, why);
    vocab_free(v);
    weights_free(w);
    return r < 0 ? err_pass(r) : r;
}

int info_engine(const struct engine *e, struct info *ret, struct reason *why)
{
    const struct level_table *levels = engine_levels(e);
    const uint64_t full = engine_level_bytes(e, &levels->row[0]);
    const int r = fill(engine_file(e), engine_info(e)->config, engine_vocab(e), ret, why);

    if (r != 0) return r < 0 ? err_pass(r) : r;
    for (uint32_t i = 0; i < levels->n; i++) {
        hearth__level__init(&ret->level[i]);
        (void)snprintf(ret->level_name[i], LEVEL_NAME_MAX, "%s", levels->row[i].name);
        ret->level[i].name = ret->level_name[i];
        ret->level[i].quality = (char *)(size_t)levels->row[i].quality; /* lives as long as @e */
        ret->level[i].cost = (float)((double)engine_level_bytes(e, &levels->row[i]) / (double)full);
        ret->levels[i] = &ret->level[i];
    }
    ret->model.n_levels = levels->n;
    ret->model.levels = ret->levels;
    ret->model.loaded = true;
    ret->model.context = engine_info(e)->context;
    return 0;
}
