/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each decoder below turns one whole block into floats; quant_decode() walks the blocks and cuts the first
 * and the last. Fields are read byte by byte, so a row may stand at any address. The order of operations is
 * that of ggml's dequantisers: products of the scales and the stored integers are exact in float32 (an
 * 11-bit half times at most 13 bits of integer), so that only a subtraction or addition rounds, once.
 */
#include "engine/format/quant.h"
#include <assert.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "F32 rows are copied as they are in the file");
static_assert(sizeof(float) == 4, "float is IEEE 754 binary32");

enum { VALUES_MAX = 256 }; /* of the largest block */

static uint16_t u16_at(const uint8_t *b)
{
    return (uint16_t)(b[0] | b[1] << 8);
}

static float half_at(const uint8_t *b)
{
    return quant_f16(u16_at(b));
}

static float from_bits(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof(x));
    return x;
}

static uint32_t to_bits(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

float quant_f16(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31,
                   mantissa = h & 0x3ff;

    if (exponent == 31) return from_bits(sign | 0x7f800000 | mantissa << 13); /* infinity, NaN */
    if (exponent == 0)
        return from_bits(sign | to_bits((float)mantissa * 0x1p-24f)); /* subnormal, 0 */
    return from_bits(sign | (exponent + 127 - 15) << 23 | mantissa << 13);
}

uint16_t quant_to_f16(float x)
{
    const uint32_t bits = to_bits(x), magnitude = bits & 0x7fffffff;
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);

    if (magnitude > 0x7f800000) /* NaN: the top of the payload is kept, and it stays quiet */
        return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
    if (magnitude >= 0x477ff000) return sign | 0x7c00; /* from 65520 on: infinity */
    if (magnitude >= 0x38800000) {                     /* from 2^-14 on: a normal half */
        const uint32_t rebased = magnitude - ((127 - 15) << 23);
        return (uint16_t)(sign | (rebased + 0xfff + (rebased >> 13 & 1)) >> 13);
    }
    if (magnitude <= 0x33000000) return sign; /* to 2^-25, half the least subnormal: 0 */
    const uint32_t shift = 126 - (magnitude >> 23), full = (magnitude & 0x7fffff) | 0x800000;
    const uint32_t kept = full >> shift, rest = full & ((1u << shift) - 1),
                   half = 1u << (shift - 1);
    return (uint16_t)(sign | (kept + (rest > half || (rest == half && (kept & 1)))));
}

/* {half d; u8 qs[16]}: values 0..15 are the low nibbles, 16..31 the high ones, in all 32-value types. */
static void decode_q4_0(const uint8_t *b, float *out)
{
    const float d = half_at(b);
    const uint8_t *qs = b + 2;

    for (int i = 0; i < 16; i++) {
        out[i] = d * (float)((qs[i] & 15) - 8);
        out[i + 16] = d * (float)((qs[i] >> 4) - 8);
    }
}

/* {half d, m; u8 qs[16]} */
static void decode_q4_1(const uint8_t *b, float *out)
{
    const float d = half_at(b), m = half_at(b + 2);
    const uint8_t *qs = b + 4;

    for (int i = 0; i < 16; i++) {
        out[i] = d * (float)(qs[i] & 15) + m;
        out[i + 16] = d * (float)(qs[i] >> 4) + m;
    }
}

/* The 5-bit number @i of a Q5_0 or Q5_1 block: nibbles @qs, high bits @qh (bit i of 32). */
static int q5_at(const uint8_t *qs, const uint8_t *qh, int i)
{
    const int low = i < 16 ? qs[i] & 15 : qs[i - 16] >> 4;

    return low | (qh[i / 8] >> i % 8 & 1) << 4;
}

/* {half d; u8 qh[4], qs[16]} */
static void decode_q5_0(const uint8_t *b, float *out)
{
    const float d = half_at(b);

    for (int i = 0; i < 32; i++)
        out[i] = d * (float)(q5_at(b + 6, b + 2, i) - 16);
}

/* {half d, m; u8 qh[4], qs[16]} */
static void decode_q5_1(const uint8_t *b, float *out)
{
    const float d = half_at(b), m = half_at(b + 2);

    for (int i = 0; i < 32; i++)
        out[i] = d * (float)q5_at(b + 8, b + 4, i) + m;
}

/* {half d; i8 qs[32]} */
static void decode_q8_0(const uint8_t *b, float *out)
{
    const float d = half_at(b);

    for (int i = 0; i < 32; i++)
        out[i] = d * (float)(int8_t)b[2 + i];
}

/* The 6-bit scale and minimum of group @j (0..7, 32 values each) of a Q4_K or Q5_K block. @s: its 12 bytes. */
static void k_scale(const uint8_t *s, int j, int *scale, int *minimum)
{
    if (j < 4) {
        *scale = s[j] & 63;
        *minimum = s[j + 4] & 63;
    } else {
        *scale = (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
        *minimum = (s[j + 4] >> 4) | (s[j] >> 6) << 4;
    }
}

/* {half d, dmin; u8 scales[12], qs[128]}: groups 2k and 2k+1 are the low and high nibbles of qs[32k..]. */
static void decode_q4_k(const uint8_t *b, float *out)
{
    const float d = half_at(b), dmin = half_at(b + 2);

    for (int j = 0; j < 8; j++) {
        int scale, minimum;
        k_scale(b + 4, j, &scale, &minimum);
        const float ds = d * (float)scale, dm = dmin * (float)minimum;
        const uint8_t *qs = b + 16 + j / 2 * 32;
        for (int i = 0; i < 32; i++)
            out[32 * j + i] = ds * (float)(j & 1 ? qs[i] >> 4 : qs[i] & 15) - dm;
    }
}

/* {half d, dmin; u8 scales[12], qh[32], qs[128]}: as Q4_K, bit j of qh[i] is the fifth bit of group j. */
static void decode_q5_k(const uint8_t *b, float *out)
{
    const float d = half_at(b), dmin = half_at(b + 2);
    const uint8_t *qh = b + 16;

    for (int j = 0; j < 8; j++) {
        int scale, minimum;
        k_scale(b + 4, j, &scale, &minimum);
        const float ds = d * (float)scale, dm = dmin * (float)minimum;
        const uint8_t *qs = b + 48 + j / 2 * 32;
        for (int i = 0; i < 32; i++) {
            const int low = j & 1 ? qs[i] >> 4 : qs[i] & 15;
            out[32 * j + i] = ds * (float)(low | (qh[i] >> j & 1) << 4) - dm;
        }
    }
}

/* {u8 ql[128], qh[64]; i8 scales[16]; half d}: halves of 128 values, each four runs of 32. */
static void decode_q6_k(const uint8_t *b, float *out)
{
    const float d = half_at(b + 208);

    for (int i = 0; i < 256; i++) {
        const int half = i / 128, run = i % 128 / 32, at = i % 32;
        const int x = b[64 * half + 32 * (run & 1) + at];
        const int low = run < 2 ? x & 15 : x >> 4;
        const int high = b[128 + 32 * half + at] >> 2 * run & 3;
        const int scale = (int8_t)b[192 + i / 16];
        out[i] = d * (float)scale * (float)((low | high << 4) - 32);
    }
}

struct format {
    struct quant_info info;
    void (*decode)(const uint8_t *block,
                   float *out); /* NULL: one value a block, see quant_decode() */
};

static const struct format formats[] = {
    [QUANT_F32] = { { "F32", 1, 4 }, NULL },
    [QUANT_F16] = { { "F16", 1, 2 }, NULL },
    [QUANT_Q4_0] = { { "Q4_0", 32, 18 }, decode_q4_0 },
    [QUANT_Q4_1] = { { "Q4_1", 32, 20 }, decode_q4_1 },
    [QUANT_Q5_0] = { { "Q5_0", 32, 22 }, decode_q5_0 },
    [QUANT_Q5_1] = { { "Q5_1", 32, 24 }, decode_q5_1 },
    [QUANT_Q8_0] = { { "Q8_0", 32, 34 }, decode_q8_0 },
    [QUANT_Q4_K] = { { "Q4_K", 256, 144 }, decode_q4_k },
    [QUANT_Q5_K] = { { "Q5_K", 256, 176 }, decode_q5_k },
    [QUANT_Q6_K] = { { "Q6_K", VALUES_MAX, 210 }, decode_q6_k },
    [QUANT_BF16] = { { "BF16", 1, 2 }, NULL },
};

const struct quant_info *quant_find(uint32_t type)
{
    if (type >= sizeof(formats) / sizeof(formats[0]) || !formats[type].info.name) return NULL;
    return &formats[type].info;
}

size_t quant_row_bytes(enum quant_type type, size_t n)
{
    const struct quant_info *info = quant_find(type);

    assert(info && n % info->block_values == 0);
    return n / info->block_values * info->block_bytes;
}

/* The values [first, first + n) of a type whose blocks have more than one. */
static void decode_blocks(const struct format *f, const uint8_t *row, size_t first, size_t n,
                          float *out)
{
    const size_t values = f->info.block_values;
    float whole[VALUES_MAX];

    while (n > 0) {
        const uint8_t *block = row + first / values * f->info.block_bytes;
        const size_t skip = first % values, take = n < values - skip ? n : values - skip;
        if (take == values) {
            f->decode(block, out);
        } else {
            f->decode(block, whole);
            memcpy(out, whole + skip, take * sizeof(*out));
        }
        first += take;
        out += take;
        n -= take;
    }
}

void quant_decode(enum quant_type type, const void *row, size_t first, size_t n, float *out)
{
    const uint8_t *bytes = row;

    assert(quant_find(type));
    switch (type) {
    case QUANT_F32:
        if (n > 0) memcpy(out, bytes + first * 4, n * 4);
        return;
    case QUANT_F16:
        for (size_t i = 0; i < n; i++)
            out[i] = half_at(bytes + (first + i) * 2);
        return;
    case QUANT_BF16:
        for (size_t i = 0; i < n; i++)
            out[i] = from_bits((uint32_t)u16_at(bytes + (first + i) * 2) << 16);
        return;
    case QUANT_Q4_0:
    case QUANT_Q4_1:
    case QUANT_Q5_0:
    case QUANT_Q5_1:
    case QUANT_Q8_0:
    case QUANT_Q4_K:
    case QUANT_Q5_K:
    case QUANT_Q6_K:
        decode_blocks(&formats[type], bytes, first, n, out);
        return;
    }
}
