/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/gemma3n/forward.h"
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/err.h"
#include "engine/gemma3n/gemma3.h"
#include "engine/gemma3n/text.h"
#include "engine/gemma3n/work.h"

/* ---- memory: first counted, then handed out by the same function ---- */

struct arena {
    uint8_t *base; /* NULL: only count */
    size_t used;
};

static void *take(struct arena *a, size_t bytes)
{
    void *p = a->base ? a->base + a->used : NULL;

    a->used += (bytes + 63) & ~(size_t)63;
    return p;
}

static uint32_t up32(uint32_t n)
{
    return (n + 31) & ~31u;
}

static float *take_floats(struct arena *a, uint32_t rows, uint32_t n)
{
    return take(a, (size_t)rows * n * sizeof(float));
}

static struct act take_act(struct arena *a, uint32_t rows, uint32_t cols)
{
    const uint32_t n = up32(cols);
    const size_t total = (size_t)rows * n;
    struct act x = { .cols_max = n };

    x.f = take_floats(a, rows, n);
    x.q = take(a, total);
    x.d = take(a, total / 32 * sizeof(float));
    x.sum = take(a, total / 32 * sizeof(int32_t));
    x.sum16 = take(a, total / 16 * sizeof(int32_t));
    return x;
}

static void lay_out(struct forward *f, struct arena *a, const struct config *c,
                    const struct weights *w, uint32_t R)
{
    const bool n3 = c->arch == CONFIG_GEMMA3N;
    const uint32_t D = up32(c->d_model), Q = up32(c->n_heads * c->head_size),
                   K = up32(c->n_kv_heads * c->head_size);
    uint32_t F = 0;

    for (uint32_t l = 0; l < c->n_layers; l++)
        if (c->ffn_width[l] > F) F = c->ffn_width[l];
    F = up32(F);
    f->stride_d = D;
    f->stride_q = Q;
    f->stride_k = K;
    f->stride_f = F;
    f->stride_p = up32(c->ple_width);
    f->half = c->head_size / 2;
    f->at_all = take(a, R * sizeof(uint16_t));
    f->allow = take(a, R * sizeof(*f->allow));
    f->at_active = take(a, R * sizeof(uint16_t));
    f->at_some = take(a, R * sizeof(uint16_t));
    for (int s = 0; s < (n3 ? CONFIG_STREAMS : 1); s++)
        f->stream[s] = take_floats(a, R, D);
    f->norm = take_act(a, R, D);
    f->q = take_floats(a, R, Q);
    f->k = take_floats(a, R, K);
    f->v = take_floats(a, R, K);
    f->heads = take_act(a, R, Q);
    f->attn = take_floats(a, R, D);
    f->ffn_in = take_act(a, R, D);
    f->gate = take_act(a, R, F);
    f->up = take_floats(a, R, F);
    if (weights_sparse(w, c)) {
        f->unit = take(a, (size_t)R * F * sizeof(*f->unit));
        f->n_units = take(a, R * sizeof(*f->n_units));
    }
    f->ffn = take_floats(a, R, D);
    for (int k = 0; k < WORK_KINDS; k++) {
        f->cosine[k] = take_floats(a, R, f->half);
        f->sine[k] = take_floats(a, R, f->half);
    }
    if (!n3) return;
    f->embed = take_act(a, R, D);
    f->laurel_mid = take_act(a, R, w->laurel_rank);
    f->laurel = take_floats(a, R, D);
    f->mid = take_floats(a, R, D);
    f->ple = take_floats(a, R, f->stride_p);
    f->ple_mid = take_act(a, R, c->ple_width);
    f->ple_row = take(a, (size_t)R * quant_row_bytes(w->ple_table->type, w->ple_table->dims[0]));
}

size_t forward_bytes(const struct config *c, const struct weights *w, uint32_t rows_max)
{
    struct arena a = { 0 };
    struct forward f;

    lay_out(&f, &a, c, w, rows_max);
    return a.used;
}

int forward_new(const struct forward_parts *parts, struct forward **ret)
{
    const struct config *c = parts->config;
    struct forward *f = calloc(1, sizeof(*f));

    assert(parts->rows_max > 0 && parts->rows_max <= UINT16_MAX);
    if (!f) return err_raise(-ENOMEM);
    f->p = *parts;
    f->memory_bytes = forward_bytes(c, parts->weights, parts->rows_max);
    void *m =
        mmap(NULL, f->memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (m == MAP_FAILED) {
        free(f);
        return err_raise(-ENOMEM);
    }
    f->memory = m;
    struct arena a = { .base = m };
    lay_out(f, &a, c, parts->weights, parts->rows_max);
    rope_init(&f->rope[WORK_FULL], c->rope_base_full, c->rope_scale_full, c->head_size);
    rope_init(&f->rope[WORK_SLIDING], c->rope_base_sliding, 1.0f, c->head_size);
    for (uint32_t i = 0; i < parts->rows_max; i++)
        f->at_all[i] = (uint16_t)i;
    *ret = f;
    return 0;
}

struct forward *forward_free(struct forward *f)
{
    if (!f) return NULL;
    (void)munmap(f->memory, f->memory_bytes);
    free(f);
    return NULL;
}

void forward_watch(struct forward *f, const struct forward_tap *tap)
{
    f->tap = tap;
}

void forward_stop(struct forward *f, struct forward_stop stop)
{
    f->stop = stop;
}

/* Embedding row, scaled, and the angles of its position. */
static void embed_row(void *context, uint32_t i, void *scratch)
{
    const struct forward *f = context;
    const struct config *c = f->p.config;
    float *x =
        c->arch == CONFIG_GEMMA3N ? work_act(&f->embed, i) : work_row(f->stream[0], f->stride_d, i);

    (void)scratch;
    matrix_row(&f->p.weights->embed, f->row[i].token, 0, c->d_model, x);
    f->p.cpu.k->scale(x, sqrtf((float)c->d_model), c->d_model);
    work_see(f, "embedding", i, x, c->d_model);
    for (int k = 0; k < WORK_KINDS; k++)
        rope_angles(&f->rope[k], f->row[i].position, work_row(f->cosine[k], f->half, i),
                    work_row(f->sine[k], f->half, i));
}

struct head_job {
    const struct forward *f;
    float *logits;
    uint32_t first, n; /* tokens of the part, in each wanted row */
};

enum { CAP_VALUES = 16384 }; /* of one task */

static uint32_t cap_tasks(uint32_t n)
{
    return (n + CAP_VALUES - 1) / CAP_VALUES;
}

static void cap_task(void *context, uint32_t i, void *scratch)
{
    const struct head_job *j = context;
    const uint32_t row = i / cap_tasks(j->n), at = i % cap_tasks(j->n) * CAP_VALUES;
    const uint32_t n = j->n - at < CAP_VALUES ? j->n - at : CAP_VALUES;
    float *part = j->logits + (size_t)row * j->f->p.weights->vocab + j->first + at;

    (void)scratch;
    j->f->p.cpu.k->softcap(part, j->f->p.config->softcap, n);
}

/* f->norm rows [0, n_want) times @n parts of the head: tokens [r0, r1) of each. */
static void head_parts(struct forward *f, struct cpu_product *part, size_t n, float *logits)
{
    cpu_multiply(&f->p.cpu, part, n);
    for (size_t i = 0; i < n && f->p.config->softcap > 0; i++) {
        struct head_job j = { f, logits, part[i].r0, part[i].r1 - part[i].r0 };
        cpu_tasks(&f->p.cpu, cap_tasks(j.n) * f->n_want, cap_task, &j);
    }
}

/* Whether any of the wanted rows may have one of the tokens of tile @t. */
static bool tile_wanted(const struct forward *f, uint32_t t)
{
    const uint32_t first = t * MATRIX_TILE;

    for (uint32_t i = 0; i < f->n_want; i++)
        if (!f->allow[i] || f->allow[i][first / 64] >> first % 64 & ((1u << MATRIX_TILE) - 1))
            return true;
    return false;
}

/* The tokens that a row may not have are impossible. */
static void forbid(const struct forward *f, float *logits)
{
    const uint32_t vocab = f->p.weights->vocab;

    for (uint32_t i = 0; i < f->n_want; i++, logits += vocab)
        for (uint32_t id = 0; f->allow[i] && id < vocab; id++)
            if (!(f->allow[i][id / 64] >> id % 64 & 1)) logits[id] = -INFINITY;
}

/* The logits of the wanted rows: runs of tiles that any of them may have. */
static void head(struct forward *f, float *logits)
{
    const struct weights *w = f->p.weights;
    const struct rows rows = { f->at_all, f->n_want };
    const uint32_t tiles = (w->vocab + MATRIX_TILE - 1) / MATRIX_TILE;
    struct cpu_product part[CPU_PRODUCTS_MAX];
    size_t n = 0;

    for (uint32_t t = 0; t < tiles; t++) {
        const uint32_t begin = t;
        while (t < tiles && tile_wanted(f, t))
            t++;
        if (t == begin) continue;
        part[n] = cpu_product(&w->head, &f->norm, logits, w->vocab, rows);
        part[n].r0 = begin * MATRIX_TILE;
        part[n++].r1 = t < tiles ? t * MATRIX_TILE : w->vocab;
        if (n < CPU_PRODUCTS_MAX) continue;
        head_parts(f, part, n, logits);
        n = 0;
    }
    if (n > 0) head_parts(f, part, n, logits);
    forbid(f, logits);
}

int forward_step(struct forward *f, const struct forward_row *rows, uint32_t n, float *logits)
{
    assert(n > 0 && n <= f->p.rows_max);
    f->row = rows;
    f->n = n;
    f->n_want = 0;
    f->layer = 0;
    f->all = (struct rows){ f->at_all, n };
    for (uint32_t i = 0; i < n; i++) {
        assert(rows[i].token < f->p.weights->vocab);
        if (rows[i].want) f->allow[f->n_want++] = rows[i].allow;
    }
    cpu_rows(&f->p.cpu, f->all, embed_row, f);
    const int r = f->p.config->arch == CONFIG_GEMMA3 ? gemma3_layers(f) : text_layers(f);
    if (r != 0) return r < 0 ? err_pass(r) : r;
    if (f->n_want > 0) head(f, logits);
    return 0;
}
