/* SPDX-License-Identifier: Apache-2.0 */
/* engine/kernels/simd_avx512.h: 16 lanes in one register; AVX-512 F, BW, VL, VNNI. */
#pragma once
#include <immintrin.h>

typedef __m512 v16f;
typedef __m512i v16i;
typedef __m512i v64u;

enum { SIMD_S8_BIAS = 128 }; /* the dot product wants unsigned weights */

SIMD_INLINE v16f v16f_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
SIMD_INLINE void v16f_store(float *p, v16f v)
{
    _mm512_storeu_ps(p, v);
}
SIMD_INLINE v16f v16f_set(float x)
{
    return _mm512_set1_ps(x);
}
SIMD_INLINE v16f v16f_add(v16f a, v16f b)
{
    return _mm512_add_ps(a, b);
}
SIMD_INLINE v16f v16f_sub(v16f a, v16f b)
{
    return _mm512_sub_ps(a, b);
}
SIMD_INLINE v16f v16f_mul(v16f a, v16f b)
{
    return _mm512_mul_ps(a, b);
}
SIMD_INLINE v16f v16f_div(v16f a, v16f b)
{
    return _mm512_div_ps(a, b);
}
SIMD_INLINE v16f v16f_fma(v16f a, v16f b, v16f c)
{
    return _mm512_fmadd_ps(a, b, c);
}
SIMD_INLINE v16f v16f_min(v16f a, v16f b)
{
    return _mm512_min_ps(a, b);
}
SIMD_INLINE v16f v16f_max(v16f a, v16f b)
{
    return _mm512_max_ps(a, b);
}
SIMD_INLINE v16f v16f_abs(v16f a)
{
    return _mm512_abs_ps(a);
}
SIMD_INLINE v16i v16f_bits(v16f a)
{
    return _mm512_castps_si512(a);
}
SIMD_INLINE v16i v16i_set(int32_t x)
{
    return _mm512_set1_epi32(x);
}
SIMD_INLINE v16i v16i_load(const int32_t *p)
{
    return _mm512_loadu_si512(p);
}
SIMD_INLINE v16i v16i_sub(v16i a, v16i b)
{
    return _mm512_sub_epi32(a, b);
}
SIMD_INLINE v16i v16i_shl(v16i a, int k)
{
    return _mm512_sll_epi32(a, _mm_cvtsi32_si128(k));
}
SIMD_INLINE v16i v16i_sra1(v16i a)
{
    return _mm512_srai_epi32(a, 1);
}
SIMD_INLINE v16f v16i_pow2(v16i k)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(k, _mm512_set1_epi32(127)), 23));
}
SIMD_INLINE v16f v16i_to_f(v16i a)
{
    return _mm512_cvtepi32_ps(a);
}
SIMD_INLINE void v16f_store_s8(int8_t *p, v16f a)
{
    const __m512 t = _mm512_add_ps(a, _mm512_set1_ps(12582912.0f));
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(_mm512_castps_si512(t)));
}
SIMD_INLINE int32_t v16_sum_s8(const int8_t *p)
{
    const __m128i v =
        _mm_xor_si128(_mm_loadu_si128((const __m128i *)(const void *)p), _mm_set1_epi8((char)0x80));
    const __m128i s = _mm_sad_epu8(v, _mm_setzero_si128()); /* sums of the bytes + 128 */
    return _mm_cvtsi128_si32(s) + _mm_extract_epi16(s, 4) - 16 * 128;
}
SIMD_INLINE v16f v16f_load_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
SIMD_INLINE void v16f_store_f16(uint16_t *p, v16f a)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}
SIMD_INLINE v16f v16f_load_bf16(const uint16_t *p)
{
    const __m512i t = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(t, 16));
}
SIMD_INLINE v16f v16f_load_u8(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(
        _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
}
SIMD_INLINE v16f v16f_load_s8(const int8_t *p)
{
    return _mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
}
SIMD_INLINE v64u v64u_load(const uint8_t *p)
{
    return _mm512_loadu_si512(p);
}
SIMD_INLINE void v64u_store(uint8_t *p, v64u v)
{
    _mm512_storeu_si512(p, v);
}
SIMD_INLINE v64u v64u_low4(v64u v)
{
    return _mm512_and_si512(v, _mm512_set1_epi8(15));
}
SIMD_INLINE v64u v64u_high4(v64u v)
{
    return _mm512_and_si512(_mm512_srli_epi16(v, 4), _mm512_set1_epi8(15));
}
SIMD_INLINE v64u v64u_or_bits(v64u v, v64u h, int right, uint8_t mask)
{
    const __m512i s = right >= 0 ? _mm512_srl_epi16(h, _mm_cvtsi32_si128(right))
                                 : _mm512_sll_epi16(h, _mm_cvtsi32_si128(-right));
    return _mm512_ternarylogic_epi32(v, s, _mm512_set1_epi8((char)mask), 0xF8); /* v | (s & mask) */
}
SIMD_INLINE v64u v64u_from_s8(v64u v)
{
    return _mm512_xor_si512(v, _mm512_set1_epi8((char)0x80));
}
SIMD_INLINE v16i v16i_dot(v16i acc, v64u w, const int8_t *a)
{
    int32_t four;
    memcpy(&four, a, 4);
    return _mm512_dpbusd_epi32(acc, w, _mm512_set1_epi32(four));
}
SIMD_INLINE v16i v16i_dot_s8(v16i acc, v64u w, const int8_t *a)
{
    return v16i_dot(acc, w, a);
}
SIMD_INLINE v16i v16i_dot64(v16i acc, v64u w, const int8_t *x)
{
    return _mm512_dpbusd_epi32(acc, w, _mm512_loadu_si512(x));
}
SIMD_INLINE v16i v16i_dot64_s8(v16i acc, v64u w, const int8_t *x)
{
    return v16i_dot64(acc, w, x);
}
SIMD_INLINE void v16i_halves(v16i v, int32_t ret[2])
{
    __m256i a = _mm512_castsi512_si256(v), b = _mm512_extracti64x4_epi64(v, 1);
    a = _mm256_hadd_epi32(a, b); /* a01 a23 b01 b23 of each 128 bits */
    a = _mm256_hadd_epi32(a, a);
    const __m128i s = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    ret[0] = _mm_cvtsi128_si32(s);
    ret[1] = _mm_extract_epi32(s, 1);
}
SIMD_INLINE v16i simd_mla(v16i acc, __m512i w, int32_t q)
{
    return _mm512_dpwssd_epi32(acc, w,
                               _mm512_set1_epi16((short)q)); /* the high half of each w is 0 */
}
SIMD_INLINE v16i v16i_mla_low4(v16i acc, const uint8_t *p, int32_t q)
{
    const __m128i w = _mm_loadu_si128((const __m128i *)(const void *)p);
    return simd_mla(acc, _mm512_cvtepu8_epi32(_mm_and_si128(w, _mm_set1_epi8(15))), q);
}
SIMD_INLINE v16i v16i_mla_high4(v16i acc, const uint8_t *p, int32_t q)
{
    const __m128i w = _mm_srli_epi16(_mm_loadu_si128((const __m128i *)(const void *)p), 4);
    return simd_mla(acc, _mm512_cvtepu8_epi32(_mm_and_si128(w, _mm_set1_epi8(15))), q);
}
SIMD_INLINE v16i v16i_mla_s8(v16i acc, const uint8_t *p, int32_t q)
{
    const __m512i w = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
    return _mm512_add_epi32(acc, _mm512_mullo_epi32(w, _mm512_set1_epi32(q)));
}
#define SIMD_HAS_REDUCE
SIMD_INLINE float v16f_sum(v16f v)
{
    const __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
SIMD_INLINE float v16f_largest(v16f v)
{
    const __m512 least = _mm512_set1_ps(-INFINITY);
    return _mm512_reduce_max_ps(
        _mm512_max_ps(v, least)); /* of NaN and a second operand the second */
}
