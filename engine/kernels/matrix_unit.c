/* SPDX-License-Identifier: Apache-2.0 */
/* Matrices packed by unit: matrix.h has the layouts. */
#include "engine/kernels/matrix_unit.h"
#include <string.h>

bool matrix_by_unit(struct matrix *m, enum matrix_layout layout)
{
    const bool four = m->type == QUANT_Q4_0;

    if ((!four && m->type != QUANT_Q8_0) || m->rows % 32) return false;
    m->layout = layout;
    m->high_at = 0;
    if (layout == MATRIX_UNIT_ROWS) {
        m->low_at = matrix_up64((size_t)matrix_blocks(m) * 2);
        m->tile_bytes = m->low_at + matrix_up64((size_t)m->cols / (four ? 2 : 1));
        if (four) m->tile_bytes = m->low_at + 64 * (size_t)((matrix_blocks(m) + 3) / 4);
    } else {
        m->low_at = matrix_up64((size_t)m->rows * 2);
        m->tile_bytes = m->low_at + MATRIX_BLOCK * matrix_column_bytes(m);
    }
    return true;
}

/* Where integer @i (0..31) of block @b of a row is in its tile (MATRIX_UNIT_ROWS), and by how much it is shifted. */
static size_t unit_row_at(const struct matrix *m, uint32_t b, uint32_t i, int *ret_shift)
{
    *ret_shift = m->type == QUANT_Q4_0 && b % 4 >= 2 ? 4 : 0;
    if (m->type == QUANT_Q8_0) return m->low_at + (size_t)b * 32 + i;
    return m->low_at + (size_t)(b / 4) * 64 + b % 2 * 32 + i;
}

/* The same of column @i of a block and row @r (MATRIX_UNIT_COLUMNS). */
static size_t unit_column_at(const struct matrix *m, uint32_t r, uint32_t i, int *ret_shift)
{
    const size_t column = m->low_at + i * matrix_column_bytes(m);

    *ret_shift = m->type == QUANT_Q4_0 && r % 32 >= 16 ? 4 : 0;
    return column + (m->type == QUANT_Q8_0 ? r : r / 32 * 16 + r % 16);
}

/* The same in the layout of @m. */
static size_t unit_at(const struct matrix *m, uint32_t r, uint32_t b, uint32_t i, int *ret_shift)
{
    return m->layout == MATRIX_UNIT_ROWS ? unit_row_at(m, b, i, ret_shift)
                                         : unit_column_at(m, r, i, ret_shift);
}

static void put_unit_block(const struct matrix *m, uint8_t *tile, uint32_t r, uint32_t b)
{
    struct matrix_block k;
    int shift;

    matrix_block_take(m, r, b, &k);
    memcpy(tile + 2 * (size_t)(m->layout == MATRIX_UNIT_ROWS ? b : r), &k.d, 2);
    for (uint32_t i = 0; i < MATRIX_BLOCK; i++) {
        uint8_t *at = tile + unit_at(m, r, b, i, &shift);
        *at |= (uint8_t)(k.q[i] << shift);
    }
}

void matrix_unit_pack(const struct matrix *m, uint32_t t, uint8_t *tile)
{
    if (m->layout == MATRIX_UNIT_ROWS)
        for (uint32_t b = 0; b < matrix_blocks(m); b++)
            put_unit_block(m, tile, t, b);
    else
        for (uint32_t r = 0; r < m->rows; r++)
            put_unit_block(m, tile, r, t);
}

void matrix_unit_block(const struct matrix *m, uint32_t r, uint32_t b, struct matrix_block *ret)
{
    const bool rows = m->layout == MATRIX_UNIT_ROWS;
    const uint8_t *tile = m->packed + (rows ? r : b) * m->tile_bytes;
    int shift;

    *ret = (struct matrix_block){ .d = matrix_half(tile + 2 * (size_t)(rows ? b : r)) };
    for (uint32_t i = 0; i < MATRIX_BLOCK; i++) {
        const uint8_t byte = tile[unit_at(m, r, b, i, &shift)];
        ret->q[i] = m->type == QUANT_Q8_0 ? byte : byte >> shift & 15;
    }
}
