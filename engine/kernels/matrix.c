/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scales of one block of 32 inputs (b), 16 rows side by side:
 *   Q4_0 Q5_0 Q8_0  f16 d[16]
 *   Q4_1 Q5_1       f16 d[16], f16 m[16]
 *   Q4_K Q5_K       u8 sc[16], u8 mn[16]; and, behind those of all blocks, for each 8 blocks f16 d[16], f16 dmin[16]
 *   Q6_K            s8 sc[2][16] (one per 16 inputs); and behind them, for each 8 blocks f16 d[16]
 * The 6-bit scales of Q4_K and Q5_K are kept as bytes: 1/36 more memory, no unpacking in the inner loop.
 */
#include "engine/kernels/matrix.h"
#include <assert.h>
#include <string.h>
#include "engine/kernels/matrix_unit.h"

struct shape {
    uint8_t block_scales; /* bytes of scales per block of 32 and tile */
    uint8_t super_scales; /* bytes per 8 blocks and tile */
    uint8_t high, low;    /* vectors of 64 bytes per block */
};

static struct shape shape_of(enum quant_type type)
{
    switch (type) {
    case QUANT_Q4_0:
        return (struct shape){ 32, 0, 0, 4 };
    case QUANT_Q4_1:
        return (struct shape){ 64, 0, 0, 4 };
    case QUANT_Q5_0:
        return (struct shape){ 32, 0, 1, 4 };
    case QUANT_Q5_1:
        return (struct shape){ 64, 0, 1, 4 };
    case QUANT_Q8_0:
        return (struct shape){ 32, 0, 0, 8 };
    case QUANT_Q4_K:
        return (struct shape){ 32, 64, 0, 4 };
    case QUANT_Q5_K:
        return (struct shape){ 32, 64, 1, 4 };
    case QUANT_Q6_K:
        return (struct shape){ 32, 32, 2, 4 };
    case QUANT_F32:
    case QUANT_F16:
    case QUANT_BF16:
        break;
    }
    return (struct shape){ 0, 0, 0, 0 };
}

struct matrix matrix_raw(enum quant_type type, uint32_t rows, uint32_t cols, const void *data)
{
    struct matrix m = { .type = type,
                        .rows = rows,
                        .cols = cols,
                        .raw = data,
                        .raw_stride = quant_row_bytes(type, cols) };
    const struct shape s = shape_of(type);

    if (s.low == 0) {
        m.tile_bytes = matrix_up64((size_t)cols * MATRIX_TILE * quant_find(type)->block_bytes);
        return m;
    }
    m.high_at = matrix_up64((size_t)matrix_blocks(&m) * s.block_scales +
                            (size_t)matrix_blocks(&m) / 8 * s.super_scales);
    m.low_at = m.high_at + (size_t)matrix_blocks(&m) * s.high * 64;
    m.tile_bytes = m.low_at + (size_t)matrix_blocks(&m) * s.low * 64;
    return m;
}

size_t matrix_packed_bytes(const struct matrix *m)
{
    return matrix_tiles(m) * m->tile_bytes;
}

void matrix_set_packed(struct matrix *m, const void *at)
{
    m->packed = at;
    m->raw = NULL;
}

/* ---- packing ---- */

static void put_block(const struct matrix *m, uint8_t *tile, uint32_t r, uint32_t b,
                      const struct matrix_block *k)
{
    const struct shape s = shape_of(m->type);
    uint8_t *scales = tile + (size_t)b * s.block_scales,
            *low = tile + m->low_at + (size_t)b * s.low * 64;
    uint8_t *super =
        tile + (size_t)matrix_blocks(m) * s.block_scales + (size_t)(b / 8) * s.super_scales;
    uint8_t *high = tile + m->high_at + (size_t)b * s.high * 64;

    if (s.super_scales == 0) {
        memcpy(scales + 2 * r, &k->d, 2);
        if (s.block_scales == 64) memcpy(scales + 32 + 2 * r, &k->m, 2);
    } else {
        scales[r] = k->sc[0];
        scales[16 + r] = m->type == QUANT_Q6_K ? k->sc[1] : k->mn;
        memcpy(super + 2 * r, &k->d, 2);
        if (s.super_scales == 64) memcpy(super + 32 + 2 * r, &k->m, 2);
    }
    for (uint32_t i = 0; i < 32; i++) {
        const uint32_t g = i / 4, at = 4 * r + i % 4;
        if (s.low == 8) {
            low[64 * g + at] = k->q[i];
            continue;
        }
        low[64 * (g / 2) + at] |= (uint8_t)((k->q[i] & 15) << 4 * (g % 2));
        if (s.high == 1) high[at] |= (uint8_t)(k->q[i] >> 4 << g);
        if (s.high == 2) high[64 * (g / 4) + at] |= (uint8_t)(k->q[i] >> 4 << 2 * (g % 4));
    }
}

static void pack_floats(const struct matrix *m, uint32_t tile, uint8_t *out)
{
    const size_t size = quant_find(m->type)->block_bytes;

    for (uint32_t r = 0; r < MATRIX_TILE; r++) {
        const uint32_t row = tile * MATRIX_TILE + r;
        if (row >= m->rows) break;
        const uint8_t *from = (const uint8_t *)m->raw + row * m->raw_stride;
        if (size == 4)
            for (uint32_t k = 0; k < m->cols; k++)
                memcpy(out + ((size_t)k * MATRIX_TILE + r) * 4, from + (size_t)k * 4, 4);
        else
            for (uint32_t k = 0; k < m->cols; k++)
                memcpy(out + ((size_t)k * MATRIX_TILE + r) * 2, from + (size_t)k * 2, 2);
    }
}

void matrix_pack_tiles(const struct matrix *m, uint32_t tile0, uint32_t tile1, uint8_t *out)
{
    struct matrix_block k;

    assert(m->raw);
    for (uint32_t t = tile0; t < tile1; t++) {
        uint8_t *tile = out + (t - tile0) * m->tile_bytes;
        memset(tile, 0, m->tile_bytes);
        if (m->layout != MATRIX_TILES) {
            matrix_unit_pack(m, t, tile);
            continue;
        }
        if (!matrix_wants_q(m->type)) {
            pack_floats(m, t, tile);
            continue;
        }
        for (uint32_t r = 0; r < MATRIX_TILE && t * MATRIX_TILE + r < m->rows; r++)
            for (uint32_t b = 0; b < matrix_blocks(m); b++) {
                matrix_block_take(m, t * MATRIX_TILE + r, b, &k);
                put_block(m, tile, r, b, &k);
            }
    }
}

/* ---- reading a row back ---- */

static void get_block(const struct matrix *m, const uint8_t *tile, uint32_t r, uint32_t b,
                      struct matrix_block *k)
{
    const struct shape s = shape_of(m->type);
    const uint8_t *scales = tile + (size_t)b * s.block_scales,
                  *low = tile + m->low_at + (size_t)b * s.low * 64;
    const uint8_t *super =
        tile + (size_t)matrix_blocks(m) * s.block_scales + (size_t)(b / 8) * s.super_scales;
    const uint8_t *high = tile + m->high_at + (size_t)b * s.high * 64;

    *k = (struct matrix_block){ 0 };
    if (s.super_scales == 0) {
        k->d = matrix_half(scales + 2 * r);
        if (s.block_scales == 64) k->m = matrix_half(scales + 32 + 2 * r);
    } else {
        k->sc[0] = scales[r];
        k->sc[1] = k->mn = scales[16 + r];
        k->d = matrix_half(super + 2 * r);
        if (s.super_scales == 64) k->m = matrix_half(super + 32 + 2 * r);
    }
    for (uint32_t i = 0; i < 32; i++) {
        const uint32_t g = i / 4, at = 4 * r + i % 4;
        if (s.low == 8) {
            k->q[i] = low[64 * g + at];
            continue;
        }
        k->q[i] = low[64 * (g / 2) + at] >> 4 * (g % 2) & 15;
        if (s.high == 1) k->q[i] |= (uint8_t)((high[at] >> g & 1) << 4);
        if (s.high == 2) k->q[i] |= (uint8_t)((high[64 * (g / 4) + at] >> 2 * (g % 4) & 3) << 4);
    }
}

/* The formulas of quant_decode(). */
static void block_values(enum quant_type type, const struct matrix_block *k, float *out)
{
    const float d = quant_f16(k->d), m = quant_f16(k->m);

    for (int i = 0; i < 32; i++) {
        const int q = k->q[i];
        switch (type) {
        case QUANT_Q4_0:
            out[i] = d * (float)(q - 8);
            break;
        case QUANT_Q5_0:
            out[i] = d * (float)(q - 16);
            break;
        case QUANT_Q8_0:
            out[i] = d * (float)(int8_t)k->q[i];
            break;
        case QUANT_Q4_1:
        case QUANT_Q5_1:
            out[i] = d * (float)q + m;
            break;
        case QUANT_Q4_K:
        case QUANT_Q5_K:
            out[i] = d * (float)k->sc[0] * (float)q - m * (float)k->mn;
            break;
        case QUANT_Q6_K:
            out[i] = d * (float)(int8_t)k->sc[i / 16] * (float)(q - 32);
            break;
        case QUANT_F32:
        case QUANT_F16:
        case QUANT_BF16:
            break;
        }
    }
}

static void packed_floats(const struct matrix *m, const uint8_t *tile, uint32_t r, uint32_t first,
                          uint32_t n, float *out)
{
    const size_t size = quant_find(m->type)->block_bytes;

    for (uint32_t i = 0; i < n; i++)
        quant_decode(m->type, tile + ((size_t)(first + i) * MATRIX_TILE + r) * size, 0, 1, out + i);
}

void matrix_row(const struct matrix *m, uint32_t row, uint32_t first, uint32_t n, float *out)
{
    assert(row < m->rows && first + n <= m->cols);
    if (!m->packed) {
        quant_decode(m->type, (const uint8_t *)m->raw + row * m->raw_stride, first, n, out);
        return;
    }
    const uint8_t *tile =
        m->layout == MATRIX_TILES ? m->packed + row / MATRIX_TILE * m->tile_bytes : NULL;
    if (!matrix_wants_q(m->type)) {
        packed_floats(m, tile, row % MATRIX_TILE, first, n, out);
        return;
    }
    for (uint32_t b = first / 32; b * 32 < first + n; b++) {
        struct matrix_block k;
        float v[32];
        const uint32_t from = b * 32 > first ? b * 32 : first,
                       to = (b + 1) * 32 < first + n ? (b + 1) * 32 : first + n;
        if (m->layout == MATRIX_TILES)
            get_block(m, tile, row % MATRIX_TILE, b, &k);
        else
            matrix_unit_block(m, row, b, &k);
        block_values(m->type, &k, v);
        memcpy(out + (from - first), v + (from - b * 32), (to - from) * sizeof(float));
    }
}
