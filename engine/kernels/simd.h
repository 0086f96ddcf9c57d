/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/kernels/simd.h: 16 float32 (or int32) at once, the same on every CPU. The kernels are written
 * once against these few functions and built once per instruction set; what the compiler targets
 * decides which implementation is below. All of them give the same bits: each lane is one IEEE
 * operation, fused where the name says fma and nowhere else (-ffp-contract=off), and a sum over the
 * lanes has one order.
 *
 * A weight vector is 64 bytes: for each of 16 rows, four consecutive inputs. v16i_dot() adds, for each
 * row, the products of its four bytes with the same four activations.
 */
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

/* Sanitizers (SIMD_CALLS) instrument each lane of the plain vectors: inlined everywhere, they take minutes to compile. */
#if defined(SIMD_CALLS)
#define SIMD_INLINE static inline
#else
#define SIMD_INLINE static inline __attribute__((always_inline))
#endif

/* Before a loop over the eight steps of a block: they must be unrolled where vectors are registers. */
#ifdef SIMD_PLAIN
#define SIMD_UNROLL
#else
#define SIMD_UNROLL _Pragma("GCC unroll 8")
#endif

#if defined(SIMD_PLAIN)
#include "engine/kernels/simd_plain.h"
#elif defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VNNI__)
#include "engine/kernels/simd_avx512.h"
#elif defined(__AVX2__) && defined(__FMA__)
#include "engine/kernels/simd_avx2.h"
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include "engine/kernels/simd_neon.h"
#else
#include "engine/kernels/simd_plain.h"
#endif

/* What follows is built from the functions above and therefore alike everywhere. */

/*
 * v16p: a running integer dot product. v16p_dot() adds products like v16i_dot(); where 32-bit sums of four bytes cost several
 * instructions (AVX2), the sums of pairs stay in 16 bits until v16p_fold(), which is due before they could overflow: after
 * 32767 / (2 * 127 * largest weight) steps. The result is p.n after a fold: exact, so the same everywhere.
 */
#ifndef SIMD_HAS_V16P
typedef struct {
    v16i n;
} v16p;

SIMD_INLINE v16p v16p_set(v16i n)
{
    return (v16p){ n };
}
SIMD_INLINE v16p v16p_fold(v16p p)
{
    return p;
}
SIMD_INLINE v16p v16p_dot(v16p p, v64u w, const int8_t *a)
{
    return (v16p){ v16i_dot(p.n, w, a) };
}
SIMD_INLINE v16p v16p_dot_s8(v16p p, v64u w, const int8_t *a)
{
    return (v16p){ v16i_dot_s8(p.n, w, a) };
}
#endif

/*
 * Two rows of activations at once, where one instruction multiplies two rows of weights with two of activations (NEON with
 * i8mm). Vectors a and b, of one row of activations each, become a pair then: a has rows 0..7 of the tile and b rows 8..15, each
 * as two rows for the first activations, the same two for the second, the next two, and so on. Elsewhere (SIMD_PAIR is 0) a and b
 * stay what they are, and of what comes in twos the first one counts.
 *   v16f_pair(), v16f_unpair()  a and b to a pair, and back
 *   v64u_pair()                 weight vectors g and g + 1 to what v16p_dot_two() takes for a and for b
 *   v16f_two(), v16i_two()      one value for each row of activations
 *   v16p_dot_two()              adds the products with the eight activations at x and the eight at y
 */
#ifndef SIMD_HAS_PAIR
enum { SIMD_PAIR = 0 };

SIMD_INLINE void v16f_pair(v16f *a, v16f *b)
{
    (void)a;
    (void)b;
}
SIMD_INLINE void v16f_unpair(v16f *a, v16f *b)
{
    (void)a;
    (void)b;
}
SIMD_INLINE void v64u_pair(v64u *a, v64u *b)
{
    (void)a;
    (void)b;
}
SIMD_INLINE v16f v16f_two(float x, float y)
{
    (void)y;
    return v16f_set(x);
}
SIMD_INLINE v16i v16i_two(int32_t x, int32_t y)
{
    (void)y;
    return v16i_set(x);
}
SIMD_INLINE v16p v16p_dot_two(v16p p, v64u w, const int8_t *x, const int8_t *y)
{
    (void)y;
    return v16p_dot(p, w, x);
}
#else
SIMD_INLINE v16p v16p_dot_two(v16p p, v64u w, const int8_t *x, const int8_t *y)
{
    return v16p_set(v16i_dot_two(p.n, w, x, y));
}
#endif

/** v16f_load_n() - the first @n (0..16) floats at @p, zeros behind them. Reads no byte beyond. */
SIMD_INLINE v16f v16f_load_n(const float *p, int n)
{
    float t[16] = { 0 };

    if (n >= 16) return v16f_load(p);
    memcpy(t, p, (size_t)n * sizeof(float));
    return v16f_load(t);
}

/** v16f_store_n() - the first @n (0..16) lanes. Writes no byte beyond. */
SIMD_INLINE void v16f_store_n(float *p, v16f v, int n)
{
    float t[16];

    if (n >= 16) {
        v16f_store(p, v);
        return;
    }
    v16f_store(t, v);
    memcpy(p, t, (size_t)n * sizeof(float));
}

/*
 * v16f_sum(): the sum of the lanes: halves added until one is left (8, 4, 2, 1).
 * v16f_largest(): the largest lane; a NaN lane counts as -inf; of zeros of both signs any.
 */
#ifndef SIMD_HAS_REDUCE
SIMD_INLINE float v16f_sum(v16f v)
{
    float t[16];

    v16f_store(t, v);
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            t[i] = t[i] + t[i + half];
    return t[0];
}

SIMD_INLINE float v16f_largest(v16f v)
{
    float t[16], m = -INFINITY;

    v16f_store(t, v);
    for (int i = 0; i < 16; i++)
        if (t[i] > m) m = t[i];
    return m;
}
#endif

/**
 * v16f_exp() - e^x, relative error below 2 ulp for x in [-87, 88]; below it 0 at -104 and less, above it +inf
 * x = n ln 2 + r with |r| <= ln 2 / 2; e^r by its Taylor polynomial of degree 7 (truncation 5e-9).
 */
SIMD_INLINE v16f v16f_exp(v16f x)
{
    const v16f magic =
        v16f_set(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer, ties to even */
    x = v16f_min(v16f_max(x, v16f_set(-104.0f)), v16f_set(89.0f)); /* NaN becomes -104 */
    const v16f shifted = v16f_fma(x, v16f_set(1.44269504f), magic);
    const v16f n = v16f_sub(shifted, magic);
    v16f r = v16f_fma(n, v16f_set(-0.693145752f),
                      x); /* ln 2 in two parts: 0x3f317200 is exact in n*part */
    r = v16f_fma(n, v16f_set(-1.42860677e-6f), r);
    v16f p = v16f_set(1.0f / 5040);
    p = v16f_fma(p, r, v16f_set(1.0f / 720));
    p = v16f_fma(p, r, v16f_set(1.0f / 120));
    p = v16f_fma(p, r, v16f_set(1.0f / 24));
    p = v16f_fma(p, r, v16f_set(1.0f / 6));
    p = v16f_fma(p, r, v16f_set(0.5f));
    p = v16f_fma(p, r, v16f_set(1.0f));
    p = v16f_fma(p, r, v16f_set(1.0f));
    /* 2^n in two factors, so that results below the normal range and n = 128 come out right */
    const v16i k = v16i_sub(v16f_bits(shifted), v16f_bits(magic));
    const v16i half = v16i_sra1(k);
    const v16f a = v16i_pow2(half), b = v16i_pow2(v16i_sub(k, half));
    return v16f_mul(v16f_mul(p, a), b);
}

/** v16f_sigmoid() - 1 / (1 + e^-x). */
SIMD_INLINE v16f v16f_sigmoid(v16f x)
{
    const v16f one = v16f_set(1.0f);

    return v16f_div(one, v16f_add(one, v16f_exp(v16f_sub(v16f_set(0.0f), x))));
}

/** v16f_tanh() - 2 / (1 + e^-2x) - 1: absolute error below 2e-7, which is what its uses need. */
SIMD_INLINE v16f v16f_tanh(v16f x)
{
    return v16f_fma(v16f_set(2.0f), v16f_sigmoid(v16f_add(x, x)), v16f_set(-1.0f));
}

/** v16f_gelu() - x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3): the tanh form of GELU, rewritten. */
SIMD_INLINE v16f v16f_gelu(v16f x)
{
    const v16f x2 = v16f_mul(x, x);
    const v16f inner = v16f_fma(v16f_mul(x2, v16f_set(0.044715f)), x, x);

    return v16f_mul(x, v16f_sigmoid(v16f_mul(inner, v16f_set(1.59576912f)))); /* 2 sqrt(2/pi) */
}
