/* SPDX-License-Identifier: Apache-2.0 */
/* engine/kernels/matrix_block.h: a block of 32 weights taken apart; private to matrix*.c. */
#pragma once
#include "engine/kernels/matrix.h"

struct matrix_block {  /* 32 inputs of one row */
    uint8_t q[32];     /* integers as the type stores them: unsigned, or s8 for Q8_0 */
    uint16_t d, m;     /* f16 of the block, or of its superblock */
    uint8_t sc[2], mn; /* scales inside a superblock */
};

/** matrix_block_take() - block @b of row @row of @m, which has raw rows of a quantised type. */
void matrix_block_take(const struct matrix *m, uint32_t row, uint32_t b, struct matrix_block *ret);

static inline uint32_t matrix_blocks(const struct matrix *m)
{
    return m->cols / MATRIX_BLOCK;
}
static inline uint16_t matrix_half(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static inline size_t matrix_up64(size_t n)
{
    return (n + 63) & ~(size_t)63;
}
