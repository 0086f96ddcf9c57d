/* SPDX-License-Identifier: Apache-2.0 */
/* The time of a kernel does not depend on the values, as long as they are finite and not denormal. */
#include "bench/kernel_cases.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/cleanup.h"
#include "base/err.h"

enum { COLS = KERNEL_CASES_COLS, TOKENS = KERNEL_CASES_TOKENS_MAX, FFN = 8192 };
enum { HEAD = 256, GROUP = 4, PAGES = 128 }; /* 4,096 positions */

typedef void (*visitor)(void *context, const struct kernel_case *c);

/* Bytes that are small positive numbers as halves and as floats, and anything as integers. */
static void fill(void *to, size_t n)
{
    uint8_t *b = to;
    uint32_t x = 1;

    for (size_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        b[i] = (uint8_t)(x >> 24 & 0x3b);
    }
}

static void fill_f32(float *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (float)(i * 7919 % 2001) * 1e-3f - 1.0f;
}

/* What is large lies in huge pages, as the engine's weights do. */
static void *memory(size_t n)
{
    const size_t align = n >= 2u << 20 ? 2u << 20 : 64, bytes = (n + align - 1) & ~(align - 1);
    void *p = aligned_alloc(align, bytes);

    if (p && align > 64) (void)madvise(p, bytes, MADV_HUGEPAGE);
    return p;
}

/* ---- products ---- */

struct product {
    const struct kernels *k;
    struct matrix m;
    struct act x;
    struct kernels_matmul job;
    uint32_t rows; /* of the matrix, that are computed */
    uint16_t at[TOKENS];
    void *raw, *packed, *scratch;
};

static void product_free(struct product *p)
{
    free(p->raw);
    free(p->packed);
    free(p->scratch);
    free(p->job.y);
    free(p->x.f);
    free(p->x.q);
    free(p->x.d);
    free(p->x.sum);
    free(p->x.sum16);
}

static int product_new(struct product *p, enum quant_type type)
{
    const uint32_t rows = (uint32_t)(KERNEL_CASES_BYTES / quant_row_bytes(type, COLS)) / 16 * 16;
    const size_t raw = rows * quant_row_bytes(type, COLS), n = (size_t)TOKENS * COLS;

    p->raw = memory(raw);
    p->scratch = memory(KERNELS_SCRATCH);
    p->x = (struct act){ .cols_max = COLS,
                         .f = memory(n * sizeof(float)),
                         .q = memory(n),
                         .d = memory(n / 32 * sizeof(float)),
                         .sum = memory(n / 32 * sizeof(int32_t)),
                         .sum16 = memory(n / 16 * sizeof(int32_t)) };
    const size_t few = (size_t)4 * rows, many = (size_t)TOKENS * KERNEL_CASES_ROWS;
    p->job.y = memory((few > many ? few : many) * sizeof(float));
    if (!p->raw || !p->scratch || !p->x.f || !p->x.q || !p->x.d || !p->x.sum || !p->x.sum16 ||
        !p->job.y)
        return err_raise(-ENOMEM);
    fill(p->raw, raw);
    fill_f32(p->x.f, n);
    p->m = matrix_raw(type, rows, COLS, p->raw);
    if (!p->k->packed) return 0;
    p->packed = memory(matrix_packed_bytes(&p->m));
    if (!p->packed) return err_raise(-ENOMEM);
    matrix_pack_tiles(&p->m, 0, matrix_tiles(&p->m), p->packed);
    matrix_set_packed(&p->m, p->packed);
    for (size_t i = 0; i < TOKENS; i++)
        p->k->quantise(p->x.f + i * COLS, COLS, p->x.q + i * COLS, p->x.d + i * COLS / 32,
                       p->x.sum + i * COLS / 32, p->x.sum16 + i * COLS / 16);
    return 0;
}

static void product_call(void *context)
{
    struct product *p = context;

    p->k->matmul(&p->job, 0, p->rows, p->scratch);
}

int kernel_cases_matmul(const struct kernels *k, enum quant_type type, visitor visit, void *context)
{
    static const uint32_t tokens[] = { 1, 4, 8, TOKENS };
    CLEANUP(freep) struct product *p = calloc(1, sizeof(*p));

    if (!p) return err_raise(-ENOMEM);
    p->k = k;
    const int r = product_new(p, type);
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]) && r == 0; i++) {
        const uint32_t n = tokens[i];
        p->rows = n <= 4 ? p->m.rows : KERNEL_CASES_ROWS;
        p->job = (struct kernels_matmul){ .w = &p->m,
                                          .x = &p->x,
                                          .y = p->job.y,
                                          .y_stride = p->rows,
                                          .at = p->at,
                                          .n = n,
                                          .k1 = COLS };
        for (uint32_t t = 0; t < n; t++)
            p->at[t] = (uint16_t)t;
        struct kernel_case c = { .bytes = (double)(p->m.packed ? p->m.tile_bytes / MATRIX_TILE
                                                               : p->m.raw_stride) *
                                          p->rows,
                                 .macs = (double)p->rows * COLS * n,
                                 .integer = k->packed && matrix_wants_q(type),
                                 .memory = n <= 4,
                                 .call = product_call,
                                 .context = p };
        (void)snprintf(c.name, sizeof(c.name), "matmul %s x%u", quant_find(type)->name, n);
        visit(context, &c);
    }
    product_free(p);
    return r < 0 ? err_pass(r) : 0;
}

/* ---- the others: rows of the model's sizes, in the cache ---- */

struct others {
    const struct kernels *k;
    float *f[5]; /* [FFN] each */
    int8_t q[FFN];
    float d[FFN / 32];
    int32_t sum[FFN / 32], sum16[FFN / 16];
    float head[GROUP][HEAD], out[GROUP][HEAD], max[GROUP], total[GROUP];
    uint16_t *kv; /* keys and values of PAGES pages */
    struct kernels_kv pages[PAGES];
    struct kernels_attend attend;
};

static void call_attend(void *context)
{
    struct others *o = context;

    o->k->attend(&o->attend);
}

static void call_quantise(void *context)
{
    struct others *o = context;

    o->k->quantise(o->f[0], COLS, o->q, o->d, o->sum, o->sum16);
}

static void call_rms(void *context)
{
    struct others *o = context;

    o->k->rms(o->f[1], o->f[0], o->f[2], COLS, 1e-6f);
}

static void call_gelu_mul(void *context)
{
    struct others *o = context;

    o->k->gelu_mul(o->f[3], o->f[0], o->f[2], FFN);
}

static void call_sparsify(void *context)
{
    struct others *o = context;

    memcpy(o->f[3], o->f[0], FFN * sizeof(float)); /* or nothing would be left after the first */
    o->k->sparsify(o->f[3], 1.64485363f, FFN);
}

static void call_mul(void *context)
{
    struct others *o = context;

    o->k->mul(o->f[3], o->f[0], o->f[2], COLS);
}

static void call_softcap(void *context)
{
    struct others *o = context;

    o->k->softcap(o->f[4], 30.0f, FFN);
}

static void call_rope(void *context)
{
    struct others *o = context;

    o->k->rope(o->head[0], o->f[0], o->f[2], HEAD);
}

static void call_predict(void *context)
{
    struct others *o = context;
    float *const x[4] = { o->f[0], o->f[1], o->f[2], o->f[3] };
    static const float none[16];

    o->k->altup_predict(x, none, COLS);
}

static void call_correct(void *context)
{
    struct others *o = context;
    float *const x[4] = { o->f[0], o->f[1], o->f[2], o->f[3] };
    static const float minus_one[4] = { -1, -1, -1, -1 };

    o->k->altup_correct(x, o->f[4], minus_one, COLS);
}

static int others_new(struct others *o)
{
    const size_t page = (size_t)HEAD * KERNELS_PAGE;

    for (int i = 0; i < 5; i++) {
        o->f[i] = memory(FFN * sizeof(float));
        if (!o->f[i]) return err_raise(-ENOMEM);
        fill_f32(o->f[i], FFN);
    }
    o->kv = memory(2 * PAGES * page * sizeof(*o->kv));
    if (!o->kv) return err_raise(-ENOMEM);
    fill(o->kv, 2 * PAGES * page * sizeof(*o->kv));
    fill_f32(o->head[0], (size_t)GROUP * HEAD);
    for (size_t i = 0; i < PAGES; i++)
        o->pages[i] = (struct kernels_kv){ o->kv + 2 * i * page, o->kv + (2 * i + 1) * page };
    o->attend = (struct kernels_attend){ .q = o->head[0],
                                         .n_heads = GROUP,
                                         .head_size = HEAD,
                                         .scale = 1.0f / 16,
                                         .pages = o->pages,
                                         .out = o->out[0],
                                         .max = o->max,
                                         .sum = o->total };
    return 0;
}

int kernel_cases_others(const struct kernels *k, visitor visit, void *context)
{
    CLEANUP(freep) struct others *o = calloc(1, sizeof(*o));

    if (!o) return err_raise(-ENOMEM);
    o->k = k;
    const int r = others_new(o);
    static const struct kernel_case cases[] = {
        { "quantise 2048", 5.5 * COLS, 0, false, false, call_quantise, NULL },
        { "rms 2048", 12.0 * COLS, 0, false, false, call_rms, NULL },
        { "mul 2048", 12.0 * COLS, 0, false, false, call_mul, NULL },
        { "altup_predict 2048", 32.0 * COLS, 16.0 * COLS, false, false, call_predict, NULL },
        { "altup_correct 2048", 36.0 * COLS, 4.0 * COLS, false, false, call_correct, NULL },
        { "rope 256", 12.0 * HEAD, 2.0 * HEAD, false, false, call_rope, NULL },
        { "gelu_mul 8192", 12.0 * FFN, 0, false, false, call_gelu_mul, NULL },
        { "sparsify 8192", 8.0 * FFN, 0, false, false, call_sparsify, NULL },
        { "softcap 8192", 8.0 * FFN, 0, false, false, call_softcap, NULL },
    };
    for (uint32_t n = 16; n <= PAGES && r == 0; n *= 8) {
        const double positions = (double)n * KERNELS_PAGE;
        struct kernel_case c = { .bytes = 4 * positions * HEAD,
                                 .macs = 2 * positions * HEAD * GROUP,
                                 .call = call_attend,
                                 .context = o };
        o->attend.n_pages = n;
        o->attend.last = n * KERNELS_PAGE - 1;
        (void)snprintf(c.name, sizeof(c.name), "attend %.0f positions", positions);
        visit(context, &c);
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]) && r == 0; i++) {
        struct kernel_case c = cases[i];
        c.context = o;
        visit(context, &c);
    }
    for (int i = 0; i < 5; i++)
        free(o->f[i]);
    free(o->kv);
    return r < 0 ? err_pass(r) : 0;
}
