/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/synth_values.h"
#include <assert.h>
#include <math.h>
#include <string.h>

uint64_t synth_values_next(struct synth_values_random *r)
{
    uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

float synth_values_float(struct synth_values_random *r)
{
    return (float)(int32_t)(synth_values_next(r) >> 32) * 0x1p-31f;
}

static void put_half(uint8_t *to, float x)
{
    const uint16_t h = quant_to_f16(x);

    memcpy(to, &h, sizeof(h));
}

/* A scale between 3/4 and 5/4 of @d, so that blocks differ. */
static float vary(struct synth_values_random *r, float d)
{
    return d * (1.0f + 0.25f * synth_values_float(r));
}

/* @n bytes of two nibbles, each -7..7 around 8: 0 becomes 8, or the mean would not be 0. @n: a multiple of 8. */
static void put_nibbles(struct synth_values_random *r, uint8_t *to, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        uint64_t x = synth_values_next(r);
        const uint64_t any = (x | x >> 1 | x >> 2 | x >> 3) & UINT64_C(0x1111111111111111);
        x |= (any ^ UINT64_C(0x1111111111111111)) << 3;
        memcpy(to + i, &x, 8);
    }
}

static void put_bytes(struct synth_values_random *r, uint8_t *to, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        const uint64_t x = synth_values_next(r);
        memcpy(to + i, &x, 8);
    }
}

static void q4_0(struct synth_values_random *r, float deviation, uint8_t *b)
{
    put_half(b, vary(r, deviation / 4.183f)); /* sqrt(280 / 16): of the 16 nibbles, with 8 for 0 */
    put_nibbles(r, b + 2, 16);
}

static void q8_0(struct synth_values_random *r, float deviation, uint8_t *b)
{
    put_half(b, vary(r, deviation / 73.9f)); /* 256 / sqrt(12) */
    put_bytes(r, b + 2, 32);
}

/* value = d * sc * q - dmin * mn: with mn = sc and dmin = 7.5 d it is d * sc * (q - 7.5). */
static void q4_k(struct synth_values_random *r, float deviation, uint8_t *b)
{
    const float d = vary(r, deviation / (4.61f * 47.5f)); /* sqrt((256 - 1) / 12); mean of 32..63 */

    put_half(b, d);
    put_half(b + 2, 7.5f * d);
    memset(b + 4, 0, 12);
    const uint64_t x = synth_values_next(r);
    for (int j = 0; j < 8; j++) { /* scale and minimum of block j: 6 bits each */
        const uint8_t s = (uint8_t)(32 | (x >> (5 * j) & 31));
        if (j < 4) {
            b[4 + j] |= s;
            b[8 + j] |= s;
        } else {
            b[8 + j] = (uint8_t)((s & 15) | (s & 15) << 4);
            b[j] |= (uint8_t)(s >> 4 << 6);
            b[4 + j] |= (uint8_t)(s >> 4 << 6);
        }
    }
    put_bytes(r, b + 16, 128);
}

static void q6_k(struct synth_values_random *r, float deviation, uint8_t *b)
{
    put_bytes(r, b, 192); /* low and high bits of 0..63, which stand for -32..31 */
    const uint64_t x = synth_values_next(r);
    for (int j = 0; j < 16; j++) { /* signed scales, 33..63 or their negatives */
        const int s = 33 + 2 * (int)(x >> (4 * j) & 15);
        b[192 + j] = (uint8_t)(int8_t)(j & 1 ? -s : s);
    }
    put_half(b + 208, vary(r, deviation / (18.5f * 48.0f))); /* 64 / sqrt(12); mean scale */
}

/* Types without blocks: uniform. */
static void plain(struct synth_values_random *r, enum quant_type type, size_t n, float mean,
                  float deviation, uint8_t *out)
{
    const float range = deviation * 1.7320508f;

    for (size_t i = 0; i < n; i++) {
        const float x = mean + range * synth_values_float(r);
        uint32_t bits;
        memcpy(&bits, &x, sizeof(bits));
        bits >>= 16;
        if (type == QUANT_F32)
            memcpy(out + 4 * i, &x, 4);
        else if (type == QUANT_F16)
            put_half(out + 2 * i, x);
        else
            memcpy(out + 2 * i, &bits, 2);
    }
}

void synth_values_row(struct synth_values_random *r, enum quant_type type, size_t n, float mean,
                      float deviation, uint8_t *out)
{
    const struct quant_info *q = quant_find(type);

    if (q->block_values == 1) {
        plain(r, type, n, mean, deviation, out);
        return;
    }
    assert(n % q->block_values == 0);
    for (size_t i = 0; i < n; i += q->block_values, out += q->block_bytes)
        switch (type) {
        case QUANT_Q4_0:
            q4_0(r, deviation, out);
            break;
        case QUANT_Q8_0:
            q8_0(r, deviation, out);
            break;
        case QUANT_Q4_K:
            q4_k(r, deviation, out);
            break;
        case QUANT_Q6_K:
            q6_k(r, deviation, out);
            break;
        default:
            assert(!"a type that nobody writes");
        }
}
