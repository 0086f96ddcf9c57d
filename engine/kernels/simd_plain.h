/* SPDX-License-Identifier: Apache-2.0 */
/* engine/kernels/simd_plain.h: the lanes one by one, for any CPU; the definition of what the others must give. */
#pragma once
#include "engine/format/quant.h"

typedef struct {
    float lane[16];
} v16f;
typedef struct {
    int32_t lane[16];
} v16i;
typedef struct {
    uint8_t byte[64];
} v64u;

enum { SIMD_S8_BIAS = 0 }; /* what is added to signed weight bytes before v16i_dot() */

#define SIMD_PLAIN_EACH(expression)                                                                \
    for (int i = 0; i < 16; i++)                                                                   \
        r.lane[i] = (expression);                                                                  \
    return r

SIMD_INLINE v16f v16f_load(const float *p)
{
    v16f r;
    SIMD_PLAIN_EACH(p[i]);
}
SIMD_INLINE void v16f_store(float *p, v16f v)
{
    memcpy(p, v.lane, sizeof(v.lane));
}
SIMD_INLINE v16f v16f_set(float x)
{
    v16f r;
    SIMD_PLAIN_EACH(x);
}
SIMD_INLINE v16f v16f_add(v16f a, v16f b)
{
    v16f r;
    SIMD_PLAIN_EACH(a.lane[i] + b.lane[i]);
}
SIMD_INLINE v16f v16f_sub(v16f a, v16f b)
{
    v16f r;
    SIMD_PLAIN_EACH(a.lane[i] - b.lane[i]);
}
SIMD_INLINE v16f v16f_mul(v16f a, v16f b)
{
    v16f r;
    SIMD_PLAIN_EACH(a.lane[i] * b.lane[i]);
}
SIMD_INLINE v16f v16f_div(v16f a, v16f b)
{
    v16f r;
    SIMD_PLAIN_EACH(a.lane[i] / b.lane[i]);
}
SIMD_INLINE v16f v16f_fma(v16f a, v16f b, v16f c)
{
    v16f r;
    SIMD_PLAIN_EACH(fmaf(a.lane[i], b.lane[i], c.lane[i]));
}
/* min and max return @b when a lane of @a is NaN, as x86 does. */
SIMD_INLINE v16f v16f_min(v16f a, v16f b)
{
    v16f r;
    SIMD_PLAIN_EACH(a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]);
}
SIMD_INLINE v16f v16f_max(v16f a, v16f b)
{
    v16f r;
    SIMD_PLAIN_EACH(a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]);
}
SIMD_INLINE v16f v16f_abs(v16f a)
{
    v16f r;
    SIMD_PLAIN_EACH(fabsf(a.lane[i]));
}
SIMD_INLINE v16i v16f_bits(v16f a)
{
    v16i r;
    memcpy(&r, &a, sizeof(r));
    return r;
}
SIMD_INLINE v16i v16i_set(int32_t x)
{
    v16i r;
    SIMD_PLAIN_EACH(x);
}
SIMD_INLINE v16i v16i_load(const int32_t *p)
{
    v16i r;
    memcpy(r.lane, p, sizeof(r.lane));
    return r;
}
SIMD_INLINE v16i v16i_sub(v16i a, v16i b)
{
    v16i r;
    SIMD_PLAIN_EACH((int32_t)((uint32_t)a.lane[i] - (uint32_t)b.lane[i]));
}
SIMD_INLINE v16i v16i_shl(v16i a, int k)
{
    v16i r;
    SIMD_PLAIN_EACH((int32_t)((uint32_t)a.lane[i] << k));
}
SIMD_INLINE v16i v16i_sra1(v16i a)
{
    v16i r;
    SIMD_PLAIN_EACH(a.lane[i] >> 1);
}
/* 2^k for k in [-126, 127]. */
SIMD_INLINE v16f v16i_pow2(v16i k)
{
    v16i t;
    v16f r;
    for (int i = 0; i < 16; i++)
        t.lane[i] = (int32_t)((uint32_t)(k.lane[i] + 127) << 23);
    memcpy(&r, &t, sizeof(r));
    return r;
}
SIMD_INLINE v16f v16i_to_f(v16i a)
{
    v16f r;
    SIMD_PLAIN_EACH((float)a.lane[i]);
}
/* Lanes within +-2^22 rounded to int8, ties to even, for use after scaling to +-127. NaN gives some value. */
SIMD_INLINE void v16f_store_s8(int8_t *p, v16f a)
{
    for (int i = 0; i < 16; i++) {
        const float t = a.lane[i] + 12582912.0f;
        uint32_t bits;
        memcpy(&bits, &t, sizeof(bits));
        p[i] = (int8_t)(bits & 255);
    }
}
SIMD_INLINE int32_t v16_sum_s8(const int8_t *p)
{
    int32_t n = 0;
    for (int i = 0; i < 16; i++)
        n += p[i];
    return n;
}
SIMD_INLINE v16f v16f_load_f16(const uint16_t *p)
{
    v16f r;
    SIMD_PLAIN_EACH(quant_f16(p[i]));
}
SIMD_INLINE void v16f_store_f16(uint16_t *p, v16f a)
{
    for (int i = 0; i < 16; i++)
        p[i] = quant_to_f16(a.lane[i]);
}
SIMD_INLINE v16f v16f_load_bf16(const uint16_t *p)
{
    v16i t;
    v16f r;
    for (int i = 0; i < 16; i++)
        t.lane[i] = (int32_t)((uint32_t)p[i] << 16);
    memcpy(&r, &t, sizeof(r));
    return r;
}
SIMD_INLINE v16f v16f_load_u8(const uint8_t *p)
{
    v16f r;
    SIMD_PLAIN_EACH((float)p[i]);
}
SIMD_INLINE v16f v16f_load_s8(const int8_t *p)
{
    v16f r;
    SIMD_PLAIN_EACH((float)p[i]);
}
SIMD_INLINE v64u v64u_load(const uint8_t *p)
{
    v64u r;
    memcpy(r.byte, p, 64);
    return r;
}
SIMD_INLINE void v64u_store(uint8_t *p, v64u v)
{
    memcpy(p, v.byte, 64);
}
SIMD_INLINE v64u v64u_low4(v64u v)
{
    for (int i = 0; i < 64; i++)
        v.byte[i] &= 15;
    return v;
}
SIMD_INLINE v64u v64u_high4(v64u v)
{
    for (int i = 0; i < 64; i++)
        v.byte[i] >>= 4;
    return v;
}
/* @v | (the bits of @mask in @h shifted right by @right or left by -@right). */
SIMD_INLINE v64u v64u_or_bits(v64u v, v64u h, int right, uint8_t mask)
{
    for (int i = 0; i < 64; i++)
        v.byte[i] |= (uint8_t)((right >= 0 ? h.byte[i] >> right : h.byte[i] << -right) & mask);
    return v;
}
/* Signed weight bytes in the form that v16i_dot_s8() takes. */
SIMD_INLINE v64u v64u_from_s8(v64u v)
{
    return v;
}
/* acc + products of weights 0..63 with the four activations @a (int8), per row. */
SIMD_INLINE v16i v16i_dot(v16i acc, v64u w, const int8_t *a)
{
    for (int i = 0; i < 64; i++)
        acc.lane[i / 4] += w.byte[i] * a[i % 4];
    return acc;
}
/* The same for signed weights after v64u_from_s8(). */
SIMD_INLINE v16i v16i_dot_s8(v16i acc, v64u w, const int8_t *a)
{
    for (int i = 0; i < 64; i++)
        acc.lane[i / 4] += (int8_t)w.byte[i] * a[i % 4];
    return acc;
}
/* acc + products of the weights 0..63 with as many activations: four to a lane. */
SIMD_INLINE v16i v16i_dot64(v16i acc, v64u w, const int8_t *x)
{
    for (int i = 0; i < 64; i++)
        acc.lane[i / 4] += w.byte[i] * x[i];
    return acc;
}
/* The same for signed weights after v64u_from_s8(). */
SIMD_INLINE v16i v16i_dot64_s8(v16i acc, v64u w, const int8_t *x)
{
    for (int i = 0; i < 64; i++)
        acc.lane[i / 4] += (int8_t)w.byte[i] * x[i];
    return acc;
}
/* Sums of the lanes 0..7 and 8..15. */
SIMD_INLINE void v16i_halves(v16i v, int32_t ret[2])
{
    ret[0] = ret[1] = 0;
    for (int i = 0; i < 16; i++)
        ret[i / 8] += v.lane[i];
}
/* acc + q * the low halves, the high halves of 16 bytes, the 16 signed bytes at @p; |q| <= 127. */
SIMD_INLINE v16i v16i_mla_low4(v16i acc, const uint8_t *p, int32_t q)
{
    for (int i = 0; i < 16; i++)
        acc.lane[i] += (p[i] & 15) * q;
    return acc;
}
SIMD_INLINE v16i v16i_mla_high4(v16i acc, const uint8_t *p, int32_t q)
{
    for (int i = 0; i < 16; i++)
        acc.lane[i] += (p[i] >> 4) * q;
    return acc;
}
SIMD_INLINE v16i v16i_mla_s8(v16i acc, const uint8_t *p, int32_t q)
{
    for (int i = 0; i < 16; i++)
        acc.lane[i] += (int8_t)p[i] * q;
    return acc;
}
#undef SIMD_PLAIN_EACH
