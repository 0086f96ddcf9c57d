/* SPDX-License-Identifier: Apache-2.0 */
/* The two products of a sparse FFN: with every twentieth unit, as Gaussian top-k leaves 5 % of them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "bench/kernel_cases.h"

enum { COLS = KERNEL_CASES_COLS, UNITS = 65536, EACH = 20, CHOSEN = UNITS / EACH };

struct units {
    const struct kernels *k;
    struct matrix m;
    struct kernels_units job;
    uint16_t unit[CHOSEN];
    float x[UNITS], y[UNITS], d[UNITS / 32];
    int8_t q[UNITS];
    int32_t sum[UNITS / 32], sum16[UNITS / 16];
    uint8_t *packed;
    _Alignas(64) uint8_t scratch[KERNELS_SCRATCH];
};

static void call_rows(void *context)
{
    struct units *u = context;

    u->k->unit_rows(&u->job, 0, CHOSEN, u->scratch);
}

static void call_columns(void *context)
{
    struct units *u = context;

    u->k->unit_columns(&u->job, 0, u->m.rows, u->scratch);
}

/* A matrix of @rows x @cols in @layout; all weights are alike, each in a place of its own. */
static int make(struct units *u, enum quant_type type, enum matrix_layout layout, uint32_t rows,
                uint32_t cols)
{
    u->m = matrix_raw(type, rows, cols, NULL);
    if (!matrix_by_unit(&u->m, layout)) return err_raise(-EINVAL);
    u->packed = aligned_alloc(64, matrix_packed_bytes(&u->m));
    if (!u->packed) return err_raise(-ENOMEM);
    memset(u->packed, 1, matrix_packed_bytes(&u->m)); /* small scales and integers */
    matrix_set_packed(&u->m, u->packed);
    for (uint32_t i = 0; i < CHOSEN; i++)
        u->unit[i] = (uint16_t)(i * EACH);
    for (uint32_t i = 0; i < cols; i++)
        u->x[i] =
            layout == MATRIX_UNIT_COLUMNS && i % EACH ? 0.0f : (float)(i % 2001) * 1e-3f - 1.0f;
    u->k->quantise(u->x, cols, u->q, u->d, u->sum, u->sum16);
    u->job = (struct kernels_units){ &u->m, u->q, u->d, u->sum, u->unit, CHOSEN, u->y };
    return 0;
}

static int visit_one(struct units *u, enum quant_type type, enum matrix_layout layout,
                     void (*visit)(void *context, const struct kernel_case *c), void *context)
{
    const bool rows = layout == MATRIX_UNIT_ROWS;
    const int r = make(u, type, layout, rows ? UNITS : COLS, rows ? COLS : UNITS);
    struct kernel_case c = { .macs = (double)CHOSEN * COLS,
                             .integer = true,
                             .memory = true,
                             .call = rows ? call_rows : call_columns,
                             .context = u };

    if (r == 0) {
        c.bytes = rows ? (double)CHOSEN * u->m.tile_bytes
                       : (double)matrix_tiles(&u->m) * u->m.low_at +
                             (double)CHOSEN * matrix_column_bytes(&u->m);
        (void)snprintf(c.name, sizeof(c.name), "unit_%s %s", rows ? "rows" : "columns",
                       quant_find(type)->name);
        visit(context, &c);
    }
    free(u->packed);
    u->packed = NULL;
    return r < 0 ? err_pass(r) : 0;
}

int kernel_cases_units(const struct kernels *k,
                       void (*visit)(void *context, const struct kernel_case *c), void *context)
{
    static const enum quant_type types[] = { QUANT_Q4_0, QUANT_Q8_0 };
    CLEANUP(freep) struct units *u = aligned_alloc(64, sizeof(*u));
    int r = 0;

    if (!u) return err_raise(-ENOMEM);
    memset(u, 0, sizeof(*u));
    u->k = k;
    for (size_t i = 0; i < 2 && r == 0 && k->packed; i++) {
        r = visit_one(u, types[i], MATRIX_UNIT_ROWS, visit, context);
        if (r == 0) r = visit_one(u, types[i], MATRIX_UNIT_COLUMNS, visit, context);
    }
    return r < 0 ? err_pass(r) : 0;
}
