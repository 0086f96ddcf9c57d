/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/engine/kernels/random.h: the same random inputs in every run and on every machine. */
#pragma once
#include <stdint.h>
#include <string.h>
#include "engine/format/quant.h"

static uint64_t random_state = 1;

/* xorshift64* (Vigna 2016) */
static inline uint32_t random_u32(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)(random_state * UINT64_C(2685821657736338717) >> 32);
}

/* [-1, 1) */
static inline float random_float(void)
{
    return (float)(int32_t)random_u32() * 0x1p-31f;
}

static inline void random_floats(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = random_float() * random_float() * 4.0f;
}

/* One row of @n values in the format @type, with scales that are finite and of both signs where the format allows. */
static inline void random_blocks(enum quant_type type, uint8_t *out, size_t n)
{
    const struct quant_info *info = quant_find(type);

    for (size_t b = 0; b < n / info->block_values; b++, out += info->block_bytes) {
        if (info->block_values == 1) {
            const float x = random_float();
            uint32_t bits;
            memcpy(&bits, &x, 4);
            const uint16_t half = type == QUANT_F16 ? quant_to_f16(x) : (uint16_t)(bits >> 16);
            memcpy(out, type == QUANT_F32 ? (const void *)&x : (const void *)&half,
                   info->block_bytes);
            continue;
        }
        for (uint32_t i = 0; i < info->block_bytes; i++)
            out[i] = (uint8_t)random_u32();
        const uint16_t d = quant_to_f16(random_float() * 0.05f),
                       m = quant_to_f16(random_float() * 0.05f);
        memcpy(out + (type == QUANT_Q6_K ? 208 : 0), &d, 2);
        if (type == QUANT_Q4_1 || type == QUANT_Q5_1 || type == QUANT_Q4_K || type == QUANT_Q5_K)
            memcpy(out + 2, &m, 2);
    }
}
