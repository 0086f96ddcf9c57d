/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine.h"
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "engine/backend/cpu.h"
#include "engine/pack.h"

struct engine {
    struct engine_info info;
    struct gguf *file;
    struct config config;
    struct weights *weights;
    struct vocab *vocab;
    struct level_table levels;
    struct ple ple;
    struct cpu cpu;
    struct kv_pool *kv;
    struct forward *forward;
    struct forward_row *rows; /* [chunk] */
    struct pack pack;         /* of the weights */
};

struct engine_seq {
    struct engine *engine;
    struct kv_table kv;
};

/* ---- opening ---- */

static uint32_t cpus_allowed(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
    const int n = CPU_COUNT(&set);
    return n < 1 ? 1 : n > POOL_THREADS_MAX ? POOL_THREADS_MAX : (uint32_t)n;
}

static int choose_kernels(struct engine *e, const char *name, struct reason *why)
{
    const struct kernels *sets[16];
    const size_t n = kernels_list(sets, 16);

    if (!name || name[0] == '\0' || strcmp(name, "auto") == 0) {
        e->cpu.k = sets[0];
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        if (strcmp(sets[i]->name, name) == 0) {
            e->cpu.k = sets[i];
            return 0;
        }
    reason_set(why, "kernel set '%.40s' is not known on this CPU: use 'auto' or 'c'", name);
    return ENGINE_E_REFUSED;
}

static uint64_t bytes_of(const struct matrix *m)
{
    return m->packed ? matrix_packed_bytes(m) : (uint64_t)m->rows * m->raw_stride;
}

static void add_bytes(void *context, struct matrix *m)
{
    *(uint64_t *)context += bytes_of(m);
}

/*
 * Of up and down of layer @l, what a token reads. Sparse: of normally distributed gates, the part p = 1 - Phi(cutoff) survives
 * (Gaussian top-k); a block of 32 columns is left out, with its scales, if none of its units does.
 */
static double ffn_bytes(const struct engine *e, uint32_t l)
{
    const struct matrix *up = &e->weights->layer[l].up, *down = &e->weights->layer[l].down;
    const double p = 0.5 * erfc((double)e->config.sparsity[l] / M_SQRT2);

    if (up->layout == MATRIX_TILES) return (double)(bytes_of(up) + bytes_of(down));
    return p * (double)(bytes_of(up) + (uint64_t)down->cols * matrix_column_bytes(down)) +
           (1 - pow(1 - p, MATRIX_BLOCK)) * (double)(matrix_tiles(down) * down->low_at);
}

uint64_t engine_level_bytes(const struct engine *e, const struct level *level)
{
    const struct weights *w = e->weights;
    uint64_t n = bytes_of(&w->head);

    for (int k = 0; k < 3 && e->config.arch == CONFIG_GEMMA3N; k++)
        n += bytes_of(&w->altup_proj[k]) + bytes_of(&w->altup_unembed[k]);
    for (uint32_t l = 0; l < e->config.n_layers; l++) {
        const struct weights_layer *y = &w->layer[l];
        if (level->skip[l]) continue;
        n += bytes_of(&y->q) + bytes_of(&y->o) + bytes_of(&y->laurel_l) + bytes_of(&y->laurel_r) +
             bytes_of(&y->ple_gate) + bytes_of(&y->ple_proj) + bytes_of(&y->ple_model_proj);
        n += l < e->config.first_shared ? bytes_of(&y->k) + bytes_of(&y->v) : 0;
        n += (uint64_t)(((double)bytes_of(&y->gate) + ffn_bytes(e, l)) * level->width[l] /
                        e->config.ffn_width[l]);
    }
    return n;
}

static int make_kv(struct engine *e, const struct engine_options *o)
{
    const struct config *c = &e->config;
    struct kv_shape s = { .n_layers = c->first_shared,
                          .n_heads = c->n_kv_heads,
                          .head_size = c->head_size,
                          .window = c->window ? c->window : UINT32_MAX,
                          .f32 = o->kv_f32 };

    for (uint32_t l = 0; l < c->first_shared; l++)
        s.sliding[l] = !c->full[l];
    const uint64_t one = kv_pages_for(&s, e->info.context, e->info.chunk);
    uint64_t n = o->kv_bytes ? o->kv_bytes / kv_page_bytes(&s) : 2 * one;
    if (n < one) n = one; /* or a sequence of full context could never run */
    e->info.pages_total = n < UINT32_MAX / 2 ? (uint32_t)n : UINT32_MAX / 2;
    e->info.page_tokens = KERNELS_PAGE;
    const int r = kv_pool_new(&s, e->info.pages_total, &e->kv);
    return r < 0 ? err_pass(r) : 0;
}

/* The rows of the level table that the file itself brings. */
static int own_levels(struct engine *e, struct reason *why)
{
    struct gguf_string text;
    struct reason inner = { "" };
    int r = gguf_text(e->file, "hearth.levels", &text, why);

    if (r != 0) return r < 0 ? err_pass(r) : r;
    if (!text.bytes) return 0;
    r = engine_levels_json(e, text.bytes, text.n, &inner);
    if (r > 0) reason_set(why, "model file: key 'hearth.levels': %s", inner.text);
    return r < 0 ? err_pass(r) : r;
}

static int load(struct engine *e, int fd, struct reason *why)
{
    size_t n = 0;
    int r = gguf_open(fd, why, &e->file);

    if (r != 0) return r < 0 ? err_pass(r) : r;
    r = config_load(e->file, why, &e->config);
    if (r == 0) r = weights_load(e->file, &e->config, why, &e->weights);
    if (r == 0) r = vocab_load(e->file, why, &e->vocab);
    if (r != 0) return r < 0 ? err_pass(r) : r;
    if (vocab_size(e->vocab) > e->weights->vocab) {
        reason_set(why, "model file: %u tokens, but tensor 'token_embd.weight' has only %u rows",
                   vocab_size(e->vocab), e->weights->vocab);
        return ENGINE_E_REFUSED;
    }
    level_table_init(&e->levels, &e->config);
    r = own_levels(e, why);
    if (r != 0) return r < 0 ? err_pass(r) : r;
    e->info.config = &e->config;
    e->info.vocab = e->weights->vocab;
    e->info.unused_tensors = e->weights->n_unused;
    const struct gguf_tensor *t = gguf_tensors(e->file, &n);
    for (size_t i = 0; i < n; i++)
        e->info.parameters += t[i].dims[0] * t[i].dims[1] * t[i].dims[2] * t[i].dims[3];
    if (e->config.arch != CONFIG_GEMMA3N) return 0;
    r = ple_init(&e->ple, fd, e->weights->ple_table, e->weights->ple_rows, NULL);
    return r < 0 ? err_pass(r) : 0;
}

static int pack(struct engine *e, int fd, const struct engine_options *o)
{
    const int r = pack_weights(&e->pack, e->file, fd, e->weights, &e->config, e->cpu.pool, o);

    if (r < 0) return err_pass(r);
    e->info.weights = e->pack.where;
    e->info.packed_new = e->pack.made;
    e->info.packed_why = e->pack.why.text;
    return 0;
}

static int reserve(struct engine *e, int fd, const struct engine_options *o)
{
    const uint32_t most =
        e->config.context < ENGINE_CONTEXT_DEFAULT ? e->config.context : ENGINE_CONTEXT_DEFAULT;

    e->info.context = o->context == 0                  ? most
                      : o->context < e->config.context ? o->context
                                                       : e->config.context;
    e->info.chunk = o->chunk == 0                 ? ENGINE_CHUNK_DEFAULT
                    : o->chunk < ENGINE_CHUNK_MAX ? o->chunk
                                                  : ENGINE_CHUNK_MAX;
    e->info.threads = o->threads == 0                 ? cpus_allowed()
                      : o->threads < POOL_THREADS_MAX ? o->threads
                                                      : POOL_THREADS_MAX;
    e->info.kernels = e->cpu.k->name;
    int r = pool_new(e->info.threads, KERNELS_SCRATCH, &e->cpu.pool);
    if (r == 0 && e->cpu.k->packed) r = pack(e, fd, o);
    if (r == 0) r = make_kv(e, o);
    if (r < 0) return err_pass(r);
    e->rows = calloc(e->info.chunk, sizeof(*e->rows));
    if (!e->rows) return err_raise(-ENOMEM);
    const struct forward_parts parts = { .config = &e->config,
                                         .weights = e->weights,
                                         .cpu = e->cpu,
                                         .ple = &e->ple,
                                         .kv = e->kv,
                                         .rows_max = e->info.chunk };
    r = forward_new(&parts, &e->forward);
    if (r < 0) return err_pass(r);
    weights_each(e->weights, &e->config, add_bytes, &e->info.weights_bytes);
    return 0;
}

int engine_open(int fd, const struct engine_options *o, struct reason *why, struct engine **ret)
{
    struct engine *e = calloc(1, sizeof(*e));

    if (!e) return err_raise(-ENOMEM);
    e->ple.fd = -1;
    e->info.packed_why = "";
    int r = choose_kernels(e, o->kernels, why);
    if (r == 0) r = load(e, fd, why);
    if (r == 0) r = reserve(e, fd, o);
    if (r != 0) {
        engine_free(e);
        return r < 0 ? err_pass(r) : r;
    }
    *ret = e;
    return 0;
}

struct engine *engine_free(struct engine *e)
{
    if (!e) return NULL;
    forward_free(e->forward);
    kv_pool_free(e->kv);
    pool_free(e->cpu.pool);
    pack_deinit(&e->pack);
    ple_deinit(&e->ple);
    vocab_free(e->vocab);
    weights_free(e->weights);
    gguf_free(e->file);
    free(e->rows);
    free(e);
    return NULL;
}

const struct engine_info *engine_info(const struct engine *e)
{
    return &e->info;
}

const struct gguf *engine_file(const struct engine *e)
{
    return e->file;
}

const struct vocab *engine_vocab(const struct engine *e)
{
    return e->vocab;
}

const struct level_table *engine_levels(const struct engine *e)
{
    return &e->levels;
}

int engine_levels_json(struct engine *e, const char *text, size_t n, struct reason *why)
{
    uint32_t block = 1;

    for (uint32_t l = 0; l < e->config.n_layers; l++) {
        const uint32_t b = quant_find(e->weights->layer[l].down.type)->block_values;
        if (b > block) block = b;
    }
    return level_table_json(&e->levels, &e->config, block, text, n, why);
}

uint32_t engine_pages_used(const struct engine *e)
{
    return kv_pool_used(e->kv);
}

uint64_t engine_trim(struct engine *e)
{
    return kv_pool_trim(e->kv);
}

uint64_t engine_pages_for(const struct engine *e, uint32_t tokens)
{
    return kv_pages_for(kv_pool_shape(e->kv), tokens, e->info.chunk);
}

void engine_watch(struct engine *e, const struct forward_tap *tap)
{
    forward_watch(e->forward, tap);
}

void engine_stop(struct engine *e, struct forward_stop stop)
{
    forward_stop(e->forward, stop);
}

/* ---- sequences and steps ---- */

int engine_seq_new(struct engine *e, struct engine_seq **ret)
{
    struct engine_seq *s = calloc(1, sizeof(*s));

    if (!s) return err_raise(-ENOMEM);
    s->engine = e;
    const int r = kv_table_init(&s->kv, e->kv, e->info.context);
    if (r < 0) {
        free(s);
        return err_pass(r);
    }
    *ret = s;
    return 0;
}

struct engine_seq *engine_seq_free(struct engine_seq *s)
{
    if (!s) return NULL;
    kv_table_deinit(&s->kv);
    free(s);
    return NULL;
}

int engine_seq_share(struct engine_seq *to, const struct engine_seq *from, uint32_t length)
{
    return kv_table_share(&to->kv, &from->kv, length) == KV_E_STARVED ? ENGINE_E_GONE : 0;
}

uint32_t engine_seq_length(const struct engine_seq *s)
{
    return s->kv.length;
}

uint32_t engine_seq_pages(const struct engine_seq *s)
{
    return s->kv.n_pages;
}

/* The rows of one item, from row @n on. Return: how many rows there are now. */
static uint32_t add_rows(struct engine *e, const struct engine_item *it, uint32_t n)
{
    for (uint32_t i = 0; i < it->n; i++)
        e->rows[n++] =
            (struct forward_row){ .token = it->tokens[i],
                                  .position = it->seq->kv.length + i,
                                  .kv = &it->seq->kv,
                                  .level = it->level,
                                  .want = it->want == ENGINE_WANT_ALL ||
                                          (it->want == ENGINE_WANT_LAST && i + 1 == it->n),
                                  .allow = it->allow };
    return n;
}

int engine_step(struct engine *e, struct engine_item *items, size_t n_items, float *logits)
{
    uint32_t n = 0;

    for (size_t i = 0; i < n_items; i++) {
        struct engine_item *it = &items[i];
        assert(it->n > 0 && it->seq->engine == e && it->seq->kv.length + it->n <= e->info.context &&
               n + it->n <= e->info.chunk);
        it->starved = kv_table_extend(&it->seq->kv, it->n) == KV_E_STARVED;
        if (!it->starved) n = add_rows(e, it, n);
    }
    if (n == 0) return 0;
    const int r = forward_step(e->forward, e->rows, n, logits);
    if (r != 0) return r < 0 ? err_pass(r) : ENGINE_E_STOPPED;
    for (size_t i = 0; i < n_items; i++)
        if (!items[i].starved) kv_table_advance(&items[i].seq->kv, items[i].n);
    return 0;
}
