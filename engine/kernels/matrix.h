/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/kernels/matrix.h: a weight matrix, and activations that are multiplied with it. A matrix is either as the
 * file has it (rows of blocks) or packed for the vector kernels.
 *
 * Packed layout. 16 rows make a tile; tiles follow each other; the last one is filled up with zero rows.
 * F32, F16, BF16: for each input, the 16 rows' values. Quantised types: for each block of 32 inputs, eight vectors
 * of 64 bytes, vector g holding for each of the 16 rows the four inputs 4g..4g+3. A tile has three regions, each
 * beginning on a multiple of 64 bytes, over the blocks b of its row:
 *   scales  what multiplies and shifts the integers, 16 rows side by side (table in matrix.c)
 *   high    bits 4 and up: one vector a block for 5-bit types (bit g of a byte belongs to vector g), two for Q6_K
 *           (bits 2(g%4), 2(g%4)+1 of vector g/4)
 *   low     4-bit types: four vectors a block, the low halves of the bytes are vector 2j, the high ones 2j+1;
 *           Q8_0: eight vectors a block
 * The integers stay what the file has, so that the packed matrix has the file's values exactly.
 *
 * Matrices of a sparse FFN are packed by unit instead (Q4_0 and Q8_0), so that the few units that a token needs are read
 * and nothing else. Regions begin on multiples of 64 bytes.
 *   MATRIX_UNIT_ROWS (up): a tile is a row. f16 d of its blocks; then its integers: Q8_0 as they are; Q4_0 in vectors of 64 bytes
 *           for four blocks, the low halves of the bytes are the first two, the high ones the others.
 *   MATRIX_UNIT_COLUMNS (down): a tile is a block of 32 columns. f16 d of all rows; then, one after the other, the 32
 *           columns: Q8_0 a byte a row; Q4_0 16 bytes for 32 rows, the low halves are the first 16.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "engine/format/quant.h"

enum { MATRIX_TILE = 16, MATRIX_BLOCK = 32 };
enum {
    MATRIX_LAYOUT =
        2 /* raise it when a packed matrix, or the order of weights_each(), changes: files outlive programs */
};

enum matrix_layout { MATRIX_TILES, MATRIX_UNIT_ROWS, MATRIX_UNIT_COLUMNS };

struct matrix {
    enum quant_type type;
    enum matrix_layout layout; /* of the packed form */
    uint32_t rows, cols;       /* outputs, inputs */
    const void *raw;           /* the file's rows, or NULL once packed */
    size_t raw_stride;         /* bytes from row to row */
    const uint8_t *packed;     /* or NULL */
    size_t tile_bytes;         /* of the packed form */
    size_t high_at, low_at;    /* regions inside a tile; by unit: low_at alone */
};

/** matrix_raw() - a matrix over the file's rows: @rows x @cols of @type at @data, borrowed. */
struct matrix matrix_raw(enum quant_type type, uint32_t rows, uint32_t cols, const void *data);

/** matrix_by_unit() - let @m, which is not packed, be packed in @layout. Return: false: this type or shape has it not (@m is as before). */
bool matrix_by_unit(struct matrix *m, enum matrix_layout layout);

/** matrix_column_bytes() - from one column to the next in a tile of MATRIX_UNIT_COLUMNS. */
static inline size_t matrix_column_bytes(const struct matrix *m)
{
    return ((m->type == QUANT_Q8_0 ? m->rows : m->rows / 2) + 63) & ~(size_t)63;
}

/** matrix_packed_bytes() - size of the packed form of @m, a multiple of 64. */
size_t matrix_packed_bytes(const struct matrix *m);

/** matrix_set_packed() - @m is from now on the packed form at @at (64-byte aligned, borrowed), and raw is forgotten. */
void matrix_set_packed(struct matrix *m, const void *at);

/** matrix_pack_tiles() - write tiles [tile0, tile1) of the packed form of @m, which has raw rows. @out: place of tile @tile0. */
void matrix_pack_tiles(const struct matrix *m, uint32_t tile0, uint32_t tile1, uint8_t *out);

/** matrix_row() - the values [first, first + n) of row @row, from whichever form there is. @out: [n] f32, exact. */
void matrix_row(const struct matrix *m, uint32_t row, uint32_t first, uint32_t n, float *out);

/** matrix_tiles() - tiles of the packed form. */
static inline uint32_t matrix_tiles(const struct matrix *m)
{
    return m->layout == MATRIX_TILES       ? (m->rows + MATRIX_TILE - 1) / MATRIX_TILE
           : m->layout == MATRIX_UNIT_ROWS ? m->rows
                                           : m->cols / MATRIX_BLOCK;
}

/** matrix_wants_q() - true if products with this type take 8-bit activations in the packed form. */
static inline bool matrix_wants_q(enum quant_type type)
{
    return type != QUANT_F32 && type != QUANT_F16 && type != QUANT_BF16;
}

/*
 * Activations: [n_rows, cols] f32, and beside them, when act_quantise() was called for a row, int8 in blocks of 32
 * along the row: x ~ d * q with d = max|x| / 127.
 */
struct act {
    uint32_t cols_max; /* row stride of f and q [values]; a multiple of 32 */
    float *f;          /* [n_rows, cols_max] */
    int8_t *q;         /* [n_rows, cols_max], -127..127 */
    float *d;          /* [n_rows, cols_max / 32] */
    int32_t *sum;      /* [n_rows, cols_max / 32] sums of q over each block */
    int32_t *sum16;    /* [n_rows, cols_max / 16] sums over each half block */
};
