/* SPDX-License-Identifier: Apache-2.0 */
/* The file's blocks, taken apart: engine/format/quant.h has their layouts. */
#include "engine/kernels/matrix_block.h"
#include <string.h>

static void take_32(enum quant_type type, const uint8_t *p, struct matrix_block *ret)
{
    const bool m = type == QUANT_Q4_1 || type == QUANT_Q5_1,
               five = type == QUANT_Q5_0 || type == QUANT_Q5_1;
    const uint8_t *high = p + (m ? 4 : 2), *low = high + (five ? 4 : 0);

    ret->d = matrix_half(p);
    ret->m = m ? matrix_half(p + 2) : 0;
    if (type == QUANT_Q8_0) {
        memcpy(ret->q, p + 2, 32);
        return;
    }
    for (int i = 0; i < 32; i++) {
        ret->q[i] = i < 16 ? low[i] & 15 : low[i - 16] >> 4;
        if (five) ret->q[i] |= (uint8_t)((high[i / 8] >> (i % 8) & 1) << 4);
    }
}

/* Block @j of a superblock of 256. */
static void take_k(enum quant_type type, const uint8_t *p, int j, struct matrix_block *ret)
{
    if (type == QUANT_Q6_K) {
        const int half = j / 4, s = j % 4; /* half of 128, run of 32 in it */
        const uint8_t *ql = p + 64 * half + 32 * (s & 1), *qh = p + 128 + 32 * half;
        for (int i = 0; i < 32; i++)
            ret->q[i] = (uint8_t)((s < 2 ? ql[i] & 15 : ql[i] >> 4) | (qh[i] >> 2 * s & 3) << 4);
        ret->sc[0] = p[192 + 2 * j];
        ret->sc[1] = p[192 + 2 * j + 1];
        ret->d = matrix_half(p + 208);
        return;
    }
    const uint8_t *s = p + 4, *high = p + 16,
                  *low = p + (type == QUANT_Q5_K ? 48 : 16) + 32 * (j / 2);
    ret->d = matrix_half(p);
    ret->m = matrix_half(p + 2);
    ret->sc[0] = j < 4 ? s[j] & 63 : (uint8_t)((s[j + 4] & 15) | (s[j - 4] >> 6) << 4);
    ret->mn = j < 4 ? s[j + 4] & 63 : (uint8_t)((s[j + 4] >> 4) | (s[j] >> 6) << 4);
    for (int i = 0; i < 32; i++) {
        ret->q[i] = j % 2 ? low[i] >> 4 : low[i] & 15;
        if (type == QUANT_Q5_K) ret->q[i] |= (uint8_t)((high[i] >> j & 1) << 4);
    }
}

void matrix_block_take(const struct matrix *m, uint32_t row, uint32_t b, struct matrix_block *ret)
{
    const uint8_t *p = (const uint8_t *)m->raw + row * m->raw_stride;
    const struct quant_info *info = quant_find(m->type);

    *ret = (struct matrix_block){ 0 };
    if (info->block_values == 256)
        take_k(m->type, p + (size_t)(b / 8) * info->block_bytes, (int)(b % 8), ret);
    else
        take_32(m->type, p + (size_t)b * info->block_bytes, ret);
}
