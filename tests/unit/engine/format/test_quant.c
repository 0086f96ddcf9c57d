/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each decoder against the closed formula of its format (value of element i from the bytes of its block),
 * written down here a second time and evaluated element by element.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "engine/format/quant.h"

static uint64_t random_state;

static uint32_t random_u32(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 32);
}

/* The value of a half by its definition. */
static float half(const uint8_t *b)
{
    const unsigned h = b[0] | (unsigned)b[1] << 8, e = h >> 10 & 31, m = h & 1023;
    const double sign = h >> 15 ? -1 : 1;

    if (e == 31) return m ? NAN : (float)(sign * HUGE_VAL);
    return (float)(e ? sign * ldexp(1024 + m, (int)e - 25) : sign * ldexp(m, -24));
}

static int nibble(const uint8_t *qs, int i)
{
    return i < 16 ? qs[i] & 15 : qs[i - 16] >> 4;
}

static float f32(const uint8_t *b, int i)
{
    (void)i;
    const uint32_t bits = b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

static float f16(const uint8_t *b, int i)
{
    (void)i;
    return half(b);
}

static float bf16(const uint8_t *b, int i)
{
    const uint8_t wide[4] = { 0, 0, b[0], b[1] };

    return f32(wide, i);
}

static float q4_0(const uint8_t *b, int i)
{
    return half(b) * (float)(nibble(b + 2, i) - 8);
}

static float q4_1(const uint8_t *b, int i)
{
    return half(b) * (float)nibble(b + 4, i) + half(b + 2);
}

static float q5_0(const uint8_t *b, int i)
{
    const int bit = b[2 + i / 8] >> (i % 8) & 1;

    return half(b) * (float)((nibble(b + 6, i) | bit << 4) - 16);
}

static float q5_1(const uint8_t *b, int i)
{
    const int bit = b[4 + i / 8] >> (i % 8) & 1;

    return half(b) * (float)(nibble(b + 8, i) | bit << 4) + half(b + 2);
}

static float q8_0(const uint8_t *b, int i)
{
    const int q = b[2 + i];

    return half(b) * (float)(q > 127 ? q - 256 : q);
}

/* value = h(d) sc q - h(dmin) mn for Q4_K and Q5_K; only q differs */
static float k_value(const uint8_t *b, int j, int q)
{
    const uint8_t *s = b + 4;
    const int sc = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
    const int mn = j < 4 ? s[j + 4] & 63 : (s[j + 4] >> 4) | (s[j] >> 6) << 4;

    return half(b) * (float)sc * (float)q - half(b + 2) * (float)mn;
}

static float q4_k(const uint8_t *b, int i)
{
    const int j = i / 32, x = b[16 + 32 * (j / 2) + i % 32];

    return k_value(b, j, j % 2 ? x >> 4 : x & 15);
}

static float q5_k(const uint8_t *b, int i)
{
    const int j = i / 32, x = b[48 + 32 * (j / 2) + i % 32];

    return k_value(b, j, (j % 2 ? x >> 4 : x & 15) | (b[16 + i % 32] >> j & 1) << 4);
}

static float q6_k(const uint8_t *b, int i)
{
    const int h = i / 128, s = i % 128 / 32, l = i % 32, x = b[64 * h + 32 * (s & 1) + l];
    const int q = (s < 2 ? x & 15 : x >> 4) | (b[128 + 32 * h + l] >> 2 * s & 3) << 4;

    return half(b + 208) * (float)(int8_t)b[192 + i / 16] * (float)(q - 32);
}

static const struct {
    enum quant_type type;
    const char *name;
    unsigned values, bytes;
    float (*value)(const uint8_t *b, int i);
    int halves[2]; /* where the block has halves, -1: none */
} types[] = {
    { QUANT_F32, "F32", 1, 4, f32, { -1, -1 } },
    { QUANT_F16, "F16", 1, 2, f16, { 0, -1 } },
    { QUANT_BF16, "BF16", 1, 2, bf16, { -1, -1 } },
    { QUANT_Q4_0, "Q4_0", 32, 18, q4_0, { 0, -1 } },
    { QUANT_Q4_1, "Q4_1", 32, 20, q4_1, { 0, 2 } },
    { QUANT_Q5_0, "Q5_0", 32, 22, q5_0, { 0, -1 } },
    { QUANT_Q5_1, "Q5_1", 32, 24, q5_1, { 0, 2 } },
    { QUANT_Q8_0, "Q8_0", 32, 34, q8_0, { 0, -1 } },
    { QUANT_Q4_K, "Q4_K", 256, 144, q4_k, { 0, 2 } },
    { QUANT_Q5_K, "Q5_K", 256, 176, q5_k, { 0, 2 } },
    { QUANT_Q6_K, "Q6_K", 256, 210, q6_k, { 208, -1 } },
};
enum { N_TYPES = sizeof(types) / sizeof(types[0]), N_BLOCKS = 3 };

/* @n blocks of random bytes; their halves are finite, so that values can be compared. */
static void fill(uint8_t *row, int t, int n)
{
    for (unsigned i = 0; i < n * types[t].bytes; i++)
        row[i] = (uint8_t)random_u32();
    for (int k = 0; k < n; k++)
        for (int f = 0; f < 2; f++)
            if (types[t].halves[f] >= 0)
                row[(unsigned)k * types[t].bytes + (unsigned)types[t].halves[f] + 1] &= 0xbb;
}

/* The same bits, or both NaN: what a NaN's payload becomes is the CPU's affair. */
static int same(float a, float b)
{
    return memcmp(&a, &b, sizeof(a)) == 0 || (isnan(a) && isnan(b));
}

Test(quant, knows_name_and_block_of_each_type_and_no_other)
{
    unsigned known = 0;

    for (int t = 0; t < N_TYPES; t++) {
        const struct quant_info *info = quant_find(types[t].type);
        cr_assert_str_eq(info->name, types[t].name);
        cr_assert_eq(info->block_values, types[t].values);
        cr_assert_eq(info->block_bytes, types[t].bytes);
        cr_assert_eq(quant_row_bytes(types[t].type, (size_t)512),
                     512 / types[t].values * types[t].bytes);
    }
    for (uint32_t type = 0; type < 1000; type++)
        known += quant_find(type) != NULL;
    cr_assert_eq(known, N_TYPES);
    cr_assert_null(quant_find(UINT32_MAX));
}

Test(quant, decodes_random_blocks_of_each_type_as_its_formula_says)
{
    uint8_t row[N_BLOCKS * 256];
    float out[N_BLOCKS * 256];

    for (int t = 0; t < N_TYPES; t++) {
        const unsigned n = N_BLOCKS * types[t].values;
        for (int round = 0; round < 400; round++) {
            fill(row, t, N_BLOCKS);
            quant_decode(types[t].type, row, 0, n, out);
            for (unsigned i = 0; i < n; i++) {
                const uint8_t *block = row + i / types[t].values * types[t].bytes;
                const float want = types[t].value(block, (int)(i % types[t].values));
                cr_assert(same(out[i], want), "%s, value %u: %a, not %a", types[t].name, i,
                          (double)out[i], (double)want);
            }
        }
    }
}

Test(quant, decodes_any_part_of_a_row_as_the_whole)
{
    uint8_t row[N_BLOCKS * 256];
    float whole[N_BLOCKS * 256], part[N_BLOCKS * 256 + 1];

    for (int t = 0; t < N_TYPES; t++) {
        const unsigned n = N_BLOCKS * types[t].values;
        fill(row, t, N_BLOCKS);
        quant_decode(types[t].type, row, 0, n, whole);
        for (unsigned first = 0; first <= n; first += n > 100 ? 13 : 1) {
            for (unsigned k = 0; k <= n - first; k += n > 100 ? 7 : 1) {
                part[k] = 1234.5f;
                quant_decode(types[t].type, row, first, k, part);
                for (unsigned i = 0; i < k; i++)
                    cr_assert(same(part[i], whole[first + i]), "%s [%u, +%u)", types[t].name, first,
                              k);
                cr_assert_eq(part[k], 1234.5f, "nothing is written behind the end");
            }
        }
    }
}

Test(quant, reads_rows_at_any_address_and_nothing_behind_them)
{
    uint8_t row[N_BLOCKS * 256];
    float want[N_BLOCKS * 256], out[N_BLOCKS * 256];

    for (int t = 0; t < N_TYPES; t++) {
        const size_t n = N_BLOCKS * types[t].values, bytes = N_BLOCKS * types[t].bytes;
        fill(row, t, N_BLOCKS);
        quant_decode(types[t].type, row, 0, n, want);
        for (size_t off = 1; off < 8; off++) {
            uint8_t *moved = malloc(off + bytes); /* a sanitizer sees a read behind it */
            memcpy(moved + off, row, bytes);
            quant_decode(types[t].type, moved + off, 0, n, out);
            for (size_t i = 0; i < n; i++)
                cr_assert(same(out[i], want[i]), "%s at +%zu", types[t].name, off);
            free(moved);
        }
    }
}

Test(quant, decodes_a_block_made_by_hand_of_each_type)
{
    float out[256];
    uint8_t b[256] = { 0x00, 0x38 }; /* d = 0.5 */

    b[2] = 0x9f;
    quant_decode(QUANT_Q4_0, b, 0, 32, out);
    cr_assert_eq(out[0], 3.5f);
    cr_assert_eq(out[16], 0.5f);
    cr_assert_eq(out[1], -4.0f);

    b[2] = 0x00, b[3] = 0x3c, b[4] = 0xf1; /* m = 1 */
    quant_decode(QUANT_Q4_1, b, 0, 32, out);
    cr_assert_eq(out[0], 1.5f);
    cr_assert_eq(out[16], 8.5f);

    b[2] = 0x01, b[3] = 0, b[4] = 0, b[5] = 0x80, b[6] = 0x02, b[21] = 0xf0;
    quant_decode(QUANT_Q5_0, b, 0, 32, out);
    cr_assert_eq(out[0], 1.0f, "2 with its fifth bit is 18");
    cr_assert_eq(out[31], 7.5f);
    cr_assert_eq(out[1], -8.0f);

    memset(b + 2, 0, sizeof(b) - 2);
    b[2] = 0x80, b[33] = 0x7f;
    quant_decode(QUANT_Q8_0, b, 0, 32, out);
    cr_assert_eq(out[0], -64.0f);
    cr_assert_eq(out[31], 63.5f);

    memset(b + 2, 0, sizeof(b) - 2);
    b[3] = 0x40;                     /* dmin = 2 */
    b[4] = 0x03 | 0xc0, b[8] = 0x05; /* groups 0 and 4: scale 3, 48; minimum 5, 0 */
    b[16] = 0x04, b[16 + 64] = 0x07;
    quant_decode(QUANT_Q4_K, b, 0, 256, out);
    cr_assert_eq(out[0], 0.5f * 3 * 4 - 2.0f * 5);
    cr_assert_eq(out[128], 0.5f * 48 * 7);

    b[16] = 0x11, b[48] = 0x04, b[48 + 64] = 0x07; /* fifth bits of groups 0 and 4 */
    quant_decode(QUANT_Q5_K, b, 0, 256, out);
    cr_assert_eq(out[0], 0.5f * 3 * 20 - 2.0f * 5);
    cr_assert_eq(out[128], 0.5f * 48 * 23);

    memset(b, 0, sizeof(b));
    b[0] = 0x05, b[128] = 0x03, b[192] = 0xfe, b[209] = 0x38;
    quant_decode(QUANT_Q6_K, b, 0, 256, out);
    cr_assert_eq(out[0], 0.5f * -2 * (53 - 32));
    cr_assert_eq(out[1], 0.5f * -2 * -32);
    cr_assert_eq(out[16], 0.0f);
}

/* Values 0, 1, n/2 - 1, n/2 and n - 1 of one block of each type, as gguf 0.19.0 (Python) decodes it: byte i is
 * 37 i + 11, the first half 0x2c66, the second 0x29ae. */
static const struct {
    enum quant_type type;
    float value[5];
} elsewhere[] = {
    { QUANT_Q4_0, { -0x1.a64p-3f, 0x1.198p-3f, -0x1.198p-1f, -0x1.a64p-3f, 0x0.0p+0f } },
    { QUANT_Q4_1, { 0x1.1344p+0f, 0x1.46fp-2f, 0x1.7698p-1f, 0x1.5368p-1f, 0x1.bcf8p-1f } },
    { QUANT_Q5_0, { 0x1.3cbp-1f, -0x1.198p-3f, -0x1.a64p-1f, 0x1.ecap-1f, 0x1.198p-4f } },
    { QUANT_Q5_1, { 0x1.59a4p+0f, 0x1.b19cp+0f, 0x1.0d96p+1f, 0x1.59a4p+0f, 0x1.8d5p-2f } },
    { QUANT_Q8_0, { 0x1.75dep+2f, 0x1.0c4ep+3f, -0x1.198p+3f, -0x1.9042p+2f, -0x1.a64p+1f } },
    { QUANT_Q4_K, { 0x1.52c24p+4f, -0x1.21aap+1f, 0x1.4e7ep+2f, 0x1.cf368p+4f, 0x1.7dcep+1f } },
    { QUANT_Q5_K, { 0x1.ba152p+5f, -0x1.21aap+1f, -0x1.17dp-1f, 0x1.1f57ap+6f, 0x1.c6cfp+2f } },
    { QUANT_Q6_K, { -0x1.8962ap+6f, 0x1.d23cp+6f, 0x1.9c5a8p+6f, -0x1.81f68p+4f, -0x1.07e8p+2f } },
};

Test(quant, decodes_fixed_blocks_as_another_reader_does)
{
    for (size_t k = 0; k < sizeof(elsewhere) / sizeof(elsewhere[0]); k++) {
        int t = 0;
        uint8_t b[256];
        float out[256];
        while (types[t].type != elsewhere[k].type)
            t++;
        const unsigned n = types[t].values, at[5] = { 0, 1, n / 2 - 1, n / 2, n - 1 };
        for (unsigned i = 0; i < types[t].bytes; i++)
            b[i] = (uint8_t)(i * 37 + 11);
        for (int f = 0; f < 2; f++)
            if (types[t].halves[f] >= 0)
                memcpy(b + types[t].halves[f], f ? "\xae\x29" : "\x66\x2c", 2);
        quant_decode(types[t].type, b, 0, n, out);
        for (int i = 0; i < 5; i++)
            cr_assert_eq(out[at[i]], elsewhere[k].value[i], "%s, value %u", types[t].name, at[i]);
    }
}

Test(quant, gives_the_value_of_every_half)
{
    for (uint32_t h = 0; h < 0x10000; h++) {
        const uint8_t b[2] = { (uint8_t)h, (uint8_t)(h >> 8) };
        const float want = half(b), got = quant_f16((uint16_t)h);
        cr_assert(same(got, want), "%04x: %a, not %a", h, (double)got, (double)want);
        cr_assert_eq(signbit(got) != 0, h >> 15, "%04x", h);
    }
}

Test(quant, every_half_survives_the_way_there_and_back)
{
    for (uint32_t h = 0; h < 0x10000; h++) {
        const uint16_t back = quant_to_f16(quant_f16((uint16_t)h));
        if ((h & 0x7fff) > 0x7c00)
            cr_assert_eq(back & 0xfe00, (h & 0x8000) | 0x7e00, "%04x stays a NaN", h);
        else
            cr_assert_eq(back, h, "%04x", h);
    }
}

Test(quant, rounds_to_the_nearest_half_and_ties_to_the_even_one)
{
    /* between each two neighbours: just below the middle, the middle, just above */
    for (uint32_t h = 0; h < 0x7bff; h++) {
        const float a = quant_f16((uint16_t)h), b = quant_f16((uint16_t)(h + 1));
        const float middle = (a + b) / 2; /* exact: one bit more than a half has */
        cr_assert_eq(quant_to_f16(nextafterf(middle, a)), h);
        cr_assert_eq(quant_to_f16(middle), h & 1 ? h + 1 : h, "%04x", h);
        cr_assert_eq(quant_to_f16(nextafterf(middle, b)), h + 1);
        cr_assert_eq(quant_to_f16(-middle), 0x8000 | (h & 1 ? h + 1 : h));
    }
    cr_assert_eq(quant_to_f16(nextafterf(65520.0f, 0)), 0x7bff);
    cr_assert_eq(quant_to_f16(65520.0f), 0x7c00, "too large: infinity");
    cr_assert_eq(quant_to_f16(-3e38f), 0xfc00);
    cr_assert_eq(quant_to_f16(INFINITY), 0x7c00);
    cr_assert_eq(quant_to_f16(1e-45f), 0);
    cr_assert_eq(quant_to_f16(-1e-45f), 0x8000, "the sign of nothing is kept");
    cr_assert_eq(quant_to_f16(NAN) & 0x7e00, 0x7e00);
}
