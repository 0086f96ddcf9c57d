/* SPDX-License-Identifier: Apache-2.0 */
/* engine/kernels/matrix_unit.h: the packed form by unit (matrix.h has the layouts); private to matrix*.c. */
#pragma once
#include "engine/kernels/matrix_block.h"

/** matrix_unit_pack() - tile @t of @m, which is packed by unit, to @tile: [tile_bytes], zeros. */
void matrix_unit_pack(const struct matrix *m, uint32_t t, uint8_t *tile);
/** matrix_unit_block() - block @b of row @row of the packed form by unit. */
void matrix_unit_block(const struct matrix *m, uint32_t row, uint32_t b, struct matrix_block *ret);
