/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/format/quant.h: the block formats that tensors of a GGUF file come in, and their values.
 * Layouts and formulas: the GGUF specification of ggml; a row of a tensor is a run of whole blocks.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* The numbers are those of the file format. */
enum quant_type {
    QUANT_F32 = 0,
    QUANT_F16 = 1,
    QUANT_Q4_0 = 2,
    QUANT_Q4_1 = 3,
    QUANT_Q5_0 = 6,
    QUANT_Q5_1 = 7,
    QUANT_Q8_0 = 8,
    QUANT_Q4_K = 12,
    QUANT_Q5_K = 13,
    QUANT_Q6_K = 14,
    QUANT_BF16 = 30,
};

struct quant_info {
    const char *name;      /* "Q4_0" */
    uint32_t block_values; /* values in a block: 1, 32 or 256 */
    uint32_t block_bytes;
};

/** quant_find() - what is known of type number @type of a file. Return: NULL for a type that hearth does not read. */
const struct quant_info *quant_find(uint32_t type);

/** quant_row_bytes() - bytes of @n values; @n must be a multiple of the type's block_values. */
size_t quant_row_bytes(enum quant_type type, size_t n);

/**
 * quant_decode() - the values [first, first + n) of a row
 * @row: the row's blocks, any alignment. @first, @n: any, inside the row (whole blocks are not required).
 * @out: [n] f32. Exact for every type: each value is one or two float32 operations on what the file holds.
 */
void quant_decode(enum quant_type type, const void *row, size_t first, size_t n, float *out);

/** quant_f16() - the float32 with the value of the IEEE 754 half @h; infinities and NaN are kept. */
float quant_f16(uint16_t h);

/** quant_to_f16() - the half nearest to @x, ties to even; too large becomes infinity, NaN stays NaN. */
uint16_t quant_to_f16(float x);
