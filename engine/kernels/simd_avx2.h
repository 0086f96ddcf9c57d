/* SPDX-License-Identifier: Apache-2.0 */
/* engine/kernels/simd_avx2.h: 16 lanes in two registers; AVX2, FMA, F16C, and AVX-VNNI where it is there. */
#pragma once
#include <immintrin.h>

typedef struct {
    __m256 a, b; /* lanes 0..7, 8..15 */
} v16f;
typedef struct {
    __m256i a, b;
} v16i;
typedef struct {
    __m256i a, b; /* bytes 0..31, 32..63 */
} v64u;

#ifdef __AVXVNNI__
enum { SIMD_S8_BIAS = 128 }; /* the dot product wants unsigned weights */
#else
enum { SIMD_S8_BIAS = 0 };
#endif

#define SIMD_BOTH(type, first, second)                                                             \
    (type)                                                                                         \
    {                                                                                              \
        first, second                                                                              \
    }

SIMD_INLINE v16f v16f_load(const float *p)
{
    return SIMD_BOTH(v16f, _mm256_loadu_ps(p), _mm256_loadu_ps(p + 8));
}
SIMD_INLINE void v16f_store(float *p, v16f v)
{
    _mm256_storeu_ps(p, v.a);
    _mm256_storeu_ps(p + 8, v.b);
}
SIMD_INLINE v16f v16f_set(float x)
{
    const __m256 t = _mm256_set1_ps(x);
    return SIMD_BOTH(v16f, t, t);
}
SIMD_INLINE v16f v16f_add(v16f x, v16f y)
{
    return SIMD_BOTH(v16f, _mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b));
}
SIMD_INLINE v16f v16f_sub(v16f x, v16f y)
{
    return SIMD_BOTH(v16f, _mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b));
}
SIMD_INLINE v16f v16f_mul(v16f x, v16f y)
{
    return SIMD_BOTH(v16f, _mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b));
}
SIMD_INLINE v16f v16f_div(v16f x, v16f y)
{
    return SIMD_BOTH(v16f, _mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b));
}
SIMD_INLINE v16f v16f_min(v16f x, v16f y)
{
    return SIMD_BOTH(v16f, _mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b));
}
SIMD_INLINE v16f v16f_max(v16f x, v16f y)
{
    return SIMD_BOTH(v16f, _mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b));
}
SIMD_INLINE v16f v16f_fma(v16f x, v16f y, v16f z)
{
    return SIMD_BOTH(v16f, _mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b));
}
SIMD_INLINE v16f v16f_abs(v16f x)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return SIMD_BOTH(v16f, _mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b));
}
SIMD_INLINE v16i v16f_bits(v16f x)
{
    return SIMD_BOTH(v16i, _mm256_castps_si256(x.a), _mm256_castps_si256(x.b));
}
SIMD_INLINE v16i v16i_set(int32_t x)
{
    const __m256i t = _mm256_set1_epi32(x);
    return SIMD_BOTH(v16i, t, t);
}
SIMD_INLINE v16i v16i_load(const int32_t *p)
{
    const __m256i *q = (const __m256i *)(const void *)p;
    return SIMD_BOTH(v16i, _mm256_loadu_si256(q), _mm256_loadu_si256(q + 1));
}
SIMD_INLINE v16i v16i_sub(v16i x, v16i y)
{
    return SIMD_BOTH(v16i, _mm256_sub_epi32(x.a, y.a), _mm256_sub_epi32(x.b, y.b));
}
SIMD_INLINE v16i v16i_shl(v16i x, int k)
{
    const __m128i n = _mm_cvtsi32_si128(k);
    return SIMD_BOTH(v16i, _mm256_sll_epi32(x.a, n), _mm256_sll_epi32(x.b, n));
}
SIMD_INLINE v16i v16i_sra1(v16i x)
{
    return SIMD_BOTH(v16i, _mm256_srai_epi32(x.a, 1), _mm256_srai_epi32(x.b, 1));
}
SIMD_INLINE __m256 simd_pow2_half(__m256i k)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(k, _mm256_set1_epi32(127)), 23));
}
SIMD_INLINE v16f v16i_pow2(v16i k)
{
    return SIMD_BOTH(v16f, simd_pow2_half(k.a), simd_pow2_half(k.b));
}
SIMD_INLINE v16f v16i_to_f(v16i x)
{
    return SIMD_BOTH(v16f, _mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b));
}
SIMD_INLINE void v16f_store_s8(int8_t *p, v16f x)
{
    const __m256 magic = _mm256_set1_ps(12582912.0f);
    const __m256i keep = _mm256_set1_epi32(255);
    const __m256i lo = _mm256_and_si256(_mm256_castps_si256(_mm256_add_ps(x.a, magic)), keep);
    const __m256i hi = _mm256_and_si256(_mm256_castps_si256(_mm256_add_ps(x.b, magic)), keep);
    __m256i t = _mm256_packus_epi32(lo, hi); /* per 128 bits: lo 0-3, hi 0-3, lo 4-7, hi 4-7 */
    t = _mm256_permute4x64_epi64(t, 0xD8);
    const __m128i bytes =
        _mm_packus_epi16(_mm256_castsi256_si128(t), _mm256_extracti128_si256(t, 1));
    _mm_storeu_si128((__m128i *)(void *)p, bytes);
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
    const __m128i *q = (const __m128i *)(const void *)p;
    return SIMD_BOTH(v16f, _mm256_cvtph_ps(_mm_loadu_si128(q)),
                     _mm256_cvtph_ps(_mm_loadu_si128(q + 1)));
}
SIMD_INLINE void v16f_store_f16(uint16_t *p, v16f x)
{
    __m128i *q = (__m128i *)(void *)p;
    _mm_storeu_si128(q, _mm256_cvtps_ph(x.a, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128(q + 1, _mm256_cvtps_ph(x.b, _MM_FROUND_TO_NEAREST_INT));
}
SIMD_INLINE __m256 simd_bf16_half(const uint16_t *p)
{
    const __m256i t = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(t, 16));
}
SIMD_INLINE v16f v16f_load_bf16(const uint16_t *p)
{
    return SIMD_BOTH(v16f, simd_bf16_half(p), simd_bf16_half(p + 8));
}
SIMD_INLINE v16f v16f_load_u8(const uint8_t *p)
{
    const __m128i t = _mm_loadu_si128((const __m128i *)(const void *)p);
    return SIMD_BOTH(v16f, _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(t)),
                     _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(t, 8))));
}
SIMD_INLINE v16f v16f_load_s8(const int8_t *p)
{
    const __m128i t = _mm_loadu_si128((const __m128i *)(const void *)p);
    return SIMD_BOTH(v16f, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(t)),
                     _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(t, 8))));
}
SIMD_INLINE v64u v64u_load(const uint8_t *p)
{
    const __m256i *q = (const __m256i *)(const void *)p;
    return SIMD_BOTH(v64u, _mm256_loadu_si256(q), _mm256_loadu_si256(q + 1));
}
SIMD_INLINE void v64u_store(uint8_t *p, v64u v)
{
    __m256i *q = (__m256i *)(void *)p;
    _mm256_storeu_si256(q, v.a);
    _mm256_storeu_si256(q + 1, v.b);
}
SIMD_INLINE v64u v64u_low4(v64u v)
{
    const __m256i m = _mm256_set1_epi8(15);
    return SIMD_BOTH(v64u, _mm256_and_si256(v.a, m), _mm256_and_si256(v.b, m));
}
SIMD_INLINE v64u v64u_high4(v64u v)
{
    const __m256i m = _mm256_set1_epi8(15);
    return SIMD_BOTH(v64u, _mm256_and_si256(_mm256_srli_epi16(v.a, 4), m),
                     _mm256_and_si256(_mm256_srli_epi16(v.b, 4), m));
}
SIMD_INLINE __m256i simd_or_bits_half(__m256i v, __m256i h, int right, uint8_t mask)
{
    const __m256i s = right >= 0 ? _mm256_srl_epi16(h, _mm_cvtsi32_si128(right))
                                 : _mm256_sll_epi16(h, _mm_cvtsi32_si128(-right));
    return _mm256_or_si256(v, _mm256_and_si256(s, _mm256_set1_epi8((char)mask)));
}
SIMD_INLINE v64u v64u_or_bits(v64u v, v64u h, int right, uint8_t mask)
{
    return SIMD_BOTH(v64u, simd_or_bits_half(v.a, h.a, right, mask),
                     simd_or_bits_half(v.b, h.b, right, mask));
}
SIMD_INLINE __m256i simd_load_32(const int8_t *x)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)x);
}
#ifdef __AVXVNNI__
SIMD_INLINE v64u v64u_from_s8(v64u v)
{
    const __m256i bias = _mm256_set1_epi8((char)0x80);
    return SIMD_BOTH(v64u, _mm256_xor_si256(v.a, bias), _mm256_xor_si256(v.b, bias));
}
SIMD_INLINE v16i v16i_dot(v16i acc, v64u w, const int8_t *a)
{
    int32_t four;
    memcpy(&four, a, 4);
    const __m256i t = _mm256_set1_epi32(four);
    return SIMD_BOTH(v16i, _mm256_dpbusd_avx_epi32(acc.a, w.a, t),
                     _mm256_dpbusd_avx_epi32(acc.b, w.b, t));
}
SIMD_INLINE v16i v16i_dot_s8(v16i acc, v64u w, const int8_t *a)
{
    return v16i_dot(acc, w, a);
}
SIMD_INLINE v16i v16i_dot64(v16i acc, v64u w, const int8_t *x)
{
    return SIMD_BOTH(v16i, _mm256_dpbusd_avx_epi32(acc.a, w.a, simd_load_32(x)),
                     _mm256_dpbusd_avx_epi32(acc.b, w.b, simd_load_32(x + 32)));
}
SIMD_INLINE v16i v16i_dot64_s8(v16i acc, v64u w, const int8_t *x)
{
    return v16i_dot64(acc, w, x);
}
#else
SIMD_INLINE v64u v64u_from_s8(v64u v)
{
    return v;
}
/* Pairs of products are added in 16 bits: 2 * 63 * 127 fits, and so does 2 * 128 * 127. */
SIMD_INLINE __m256i simd_dot_half(__m256i acc, __m256i w, __m256i a)
{
    return _mm256_add_epi32(acc,
                            _mm256_madd_epi16(_mm256_maddubs_epi16(w, a), _mm256_set1_epi16(1)));
}
/* |w| * (sign of w) a: the activations are never -128, so that their negatives exist. */
SIMD_INLINE v16i v16i_dot_s8(v16i acc, v64u w, const int8_t *a)
{
    int32_t four;
    memcpy(&four, a, 4);
    const __m256i t = _mm256_set1_epi32(four);
    return SIMD_BOTH(v16i, simd_dot_half(acc.a, _mm256_abs_epi8(w.a), _mm256_sign_epi8(t, w.a)),
                     simd_dot_half(acc.b, _mm256_abs_epi8(w.b), _mm256_sign_epi8(t, w.b)));
}
SIMD_INLINE v16i v16i_dot64(v16i acc, v64u w, const int8_t *x)
{
    return SIMD_BOTH(v16i, simd_dot_half(acc.a, w.a, simd_load_32(x)),
                     simd_dot_half(acc.b, w.b, simd_load_32(x + 32)));
}
SIMD_INLINE v16i v16i_dot64_s8(v16i acc, v64u w, const int8_t *x)
{
    return SIMD_BOTH(
        v16i, simd_dot_half(acc.a, _mm256_abs_epi8(w.a), _mm256_sign_epi8(simd_load_32(x), w.a)),
        simd_dot_half(acc.b, _mm256_abs_epi8(w.b), _mm256_sign_epi8(simd_load_32(x + 32), w.b)));
}

/* A running sum whose latest pairs are still in 16 bits. */
#define SIMD_HAS_V16P
typedef struct {
    v16i n;
    __m256i a, b;
} v16p;

SIMD_INLINE v16p v16p_set(v16i n)
{
    return (v16p){ n, _mm256_setzero_si256(), _mm256_setzero_si256() };
}
SIMD_INLINE v16p v16p_fold(v16p p)
{
    const __m256i one = _mm256_set1_epi16(1);
    return v16p_set(SIMD_BOTH(v16i, _mm256_add_epi32(p.n.a, _mm256_madd_epi16(p.a, one)),
                              _mm256_add_epi32(p.n.b, _mm256_madd_epi16(p.b, one))));
}
SIMD_INLINE v16p v16p_dot(v16p p, v64u w, const int8_t *a)
{
    int32_t four;
    memcpy(&four, a, 4);
    const __m256i t = _mm256_set1_epi32(four);
    return (v16p){ p.n, _mm256_add_epi16(p.a, _mm256_maddubs_epi16(w.a, t)),
                   _mm256_add_epi16(p.b, _mm256_maddubs_epi16(w.b, t)) };
}
SIMD_INLINE v16p v16p_dot_s8(v16p p, v64u w, const int8_t *a)
{
    p.n = v16i_dot_s8(p.n, w, a);
    return p;
}
#endif
SIMD_INLINE int32_t simd_sum_8(__m256i v)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_hadd_epi32(s, s);
    return _mm_cvtsi128_si32(_mm_hadd_epi32(s, s));
}
SIMD_INLINE void v16i_halves(v16i v, int32_t ret[2])
{
    ret[0] = simd_sum_8(v.a);
    ret[1] = simd_sum_8(v.b);
}
SIMD_INLINE v16i simd_mla(v16i acc, __m128i w, int32_t q) /* 16 signed bytes */
{
    const __m256i t = _mm256_set1_epi32(q);
    const __m256i a = _mm256_cvtepi8_epi32(w), b = _mm256_cvtepi8_epi32(_mm_srli_si128(w, 8));
    return SIMD_BOTH(v16i, _mm256_add_epi32(acc.a, _mm256_mullo_epi32(a, t)),
                     _mm256_add_epi32(acc.b, _mm256_mullo_epi32(b, t)));
}
SIMD_INLINE v16i v16i_mla_low4(v16i acc, const uint8_t *p, int32_t q)
{
    const __m128i w = _mm_loadu_si128((const __m128i *)(const void *)p);
    return simd_mla(acc, _mm_and_si128(w, _mm_set1_epi8(15)), q);
}
SIMD_INLINE v16i v16i_mla_high4(v16i acc, const uint8_t *p, int32_t q)
{
    const __m128i w = _mm_srli_epi16(_mm_loadu_si128((const __m128i *)(const void *)p), 4);
    return simd_mla(acc, _mm_and_si128(w, _mm_set1_epi8(15)), q);
}
SIMD_INLINE v16i v16i_mla_s8(v16i acc, const uint8_t *p, int32_t q)
{
    return simd_mla(acc, _mm_loadu_si128((const __m128i *)(const void *)p), q);
}
