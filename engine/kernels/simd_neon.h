/* SPDX-License-Identifier: Apache-2.0 */
/* engine/kernels/simd_neon.h: 16 lanes in four registers; AArch64, with the dot product and int8 matrix instructions where they are there. */
#pragma once
#include <arm_neon.h>

typedef struct {
    float32x4_t q[4];
} v16f;
typedef struct {
    int32x4_t q[4];
} v16i;
typedef struct {
    uint8x16_t q[4];
} v64u;

enum { SIMD_S8_BIAS = 0 };

#define SIMD_EACH(type, expression)                                                                \
    type r;                                                                                        \
    for (int i = 0; i < 4; i++)                                                                    \
        r.q[i] = (expression);                                                                     \
    return r

SIMD_INLINE v16f v16f_load(const float *p)
{
    SIMD_EACH(v16f, vld1q_f32(p + 4 * i));
}
SIMD_INLINE void v16f_store(float *p, v16f v)
{
    for (int i = 0; i < 4; i++)
        vst1q_f32(p + 4 * i, v.q[i]);
}
SIMD_INLINE v16f v16f_set(float x)
{
    SIMD_EACH(v16f, vdupq_n_f32(x));
}
SIMD_INLINE v16f v16f_add(v16f x, v16f y)
{
    SIMD_EACH(v16f, vaddq_f32(x.q[i], y.q[i]));
}
SIMD_INLINE v16f v16f_sub(v16f x, v16f y)
{
    SIMD_EACH(v16f, vsubq_f32(x.q[i], y.q[i]));
}
SIMD_INLINE v16f v16f_mul(v16f x, v16f y)
{
    SIMD_EACH(v16f, vmulq_f32(x.q[i], y.q[i]));
}
SIMD_INLINE v16f v16f_div(v16f x, v16f y)
{
    SIMD_EACH(v16f, vdivq_f32(x.q[i], y.q[i]));
}
SIMD_INLINE v16f v16f_fma(v16f x, v16f y, v16f z)
{
    SIMD_EACH(v16f, vfmaq_f32(z.q[i], x.q[i], y.q[i]));
}
/* min and max return @y when a lane of @x is NaN, as x86 does. */
SIMD_INLINE v16f v16f_min(v16f x, v16f y)
{
    SIMD_EACH(v16f, vbslq_f32(vcltq_f32(x.q[i], y.q[i]), x.q[i], y.q[i]));
}
SIMD_INLINE v16f v16f_max(v16f x, v16f y)
{
    SIMD_EACH(v16f, vbslq_f32(vcgtq_f32(x.q[i], y.q[i]), x.q[i], y.q[i]));
}
SIMD_INLINE v16f v16f_abs(v16f x)
{
    SIMD_EACH(v16f, vabsq_f32(x.q[i]));
}
SIMD_INLINE v16i v16f_bits(v16f x)
{
    SIMD_EACH(v16i, vreinterpretq_s32_f32(x.q[i]));
}
SIMD_INLINE v16i v16i_set(int32_t x)
{
    SIMD_EACH(v16i, vdupq_n_s32(x));
}
SIMD_INLINE v16i v16i_load(const int32_t *p)
{
    SIMD_EACH(v16i, vld1q_s32(p + 4 * i));
}
SIMD_INLINE v16i v16i_sub(v16i x, v16i y)
{
    SIMD_EACH(v16i, vsubq_s32(x.q[i], y.q[i]));
}
SIMD_INLINE v16i v16i_shl(v16i x, int k)
{
    SIMD_EACH(v16i, vshlq_s32(x.q[i], vdupq_n_s32(k)));
}
SIMD_INLINE v16i v16i_sra1(v16i x)
{
    SIMD_EACH(v16i, vshrq_n_s32(x.q[i], 1));
}
SIMD_INLINE v16f v16i_pow2(v16i k)
{
    SIMD_EACH(v16f, vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(k.q[i], vdupq_n_s32(127)), 23)));
}
SIMD_INLINE v16f v16i_to_f(v16i x)
{
    SIMD_EACH(v16f, vcvtq_f32_s32(x.q[i]));
}
SIMD_INLINE void v16f_store_s8(int8_t *p, v16f x)
{
    const float32x4_t magic = vdupq_n_f32(12582912.0f);
    int16x4_t h[4];
    for (int i = 0; i < 4; i++)
        h[i] = vmovn_s32(vreinterpretq_s32_f32(vaddq_f32(x.q[i], magic)));
    vst1q_s8(p,
             vcombine_s8(vmovn_s16(vcombine_s16(h[0], h[1])), vmovn_s16(vcombine_s16(h[2], h[3]))));
}
SIMD_INLINE int32_t v16_sum_s8(const int8_t *p)
{
    return vaddlvq_s8(vld1q_s8(p));
}
SIMD_INLINE v16f v16f_load_f16(const uint16_t *p)
{
    SIMD_EACH(v16f, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i))));
}
SIMD_INLINE void v16f_store_f16(uint16_t *p, v16f x)
{
    for (int i = 0; i < 4; i++)
        vst1_u16(p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(x.q[i])));
}
SIMD_INLINE v16f v16f_load_bf16(const uint16_t *p)
{
    SIMD_EACH(v16f, vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16)));
}
SIMD_INLINE v16f v16f_load_u8(const uint8_t *p)
{
    const uint8x16_t t = vld1q_u8(p);
    const uint16x8_t lo = vmovl_u8(vget_low_u8(t)), hi = vmovl_u8(vget_high_u8(t));
    v16f r;
    r.q[0] = vcvtq_f32_u32(vmovl_u16(vget_low_u16(lo)));
    r.q[1] = vcvtq_f32_u32(vmovl_u16(vget_high_u16(lo)));
    r.q[2] = vcvtq_f32_u32(vmovl_u16(vget_low_u16(hi)));
    r.q[3] = vcvtq_f32_u32(vmovl_u16(vget_high_u16(hi)));
    return r;
}
SIMD_INLINE v16f v16f_load_s8(const int8_t *p)
{
    const int8x16_t t = vld1q_s8(p);
    const int16x8_t lo = vmovl_s8(vget_low_s8(t)), hi = vmovl_s8(vget_high_s8(t));
    v16f r;
    r.q[0] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(lo)));
    r.q[1] = vcvtq_f32_s32(vmovl_s16(vget_high_s16(lo)));
    r.q[2] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(hi)));
    r.q[3] = vcvtq_f32_s32(vmovl_s16(vget_high_s16(hi)));
    return r;
}
SIMD_INLINE v64u v64u_load(const uint8_t *p)
{
    SIMD_EACH(v64u, vld1q_u8(p + 16 * i));
}
SIMD_INLINE void v64u_store(uint8_t *p, v64u v)
{
    for (int i = 0; i < 4; i++)
        vst1q_u8(p + 16 * i, v.q[i]);
}
SIMD_INLINE v64u v64u_low4(v64u v)
{
    SIMD_EACH(v64u, vandq_u8(v.q[i], vdupq_n_u8(15)));
}
SIMD_INLINE v64u v64u_high4(v64u v)
{
    SIMD_EACH(v64u, vshrq_n_u8(v.q[i], 4));
}
SIMD_INLINE v64u v64u_or_bits(v64u v, v64u h, int right, uint8_t mask)
{
    SIMD_EACH(v64u, vorrq_u8(v.q[i], vandq_u8(vshlq_u8(h.q[i], vdupq_n_s8((int8_t)-right)),
                                              vdupq_n_u8(mask))));
}
SIMD_INLINE v64u v64u_from_s8(v64u v)
{
    return v;
}
/* acc + the products of 16 bytes, four to a lane. */
SIMD_INLINE int32x4_t simd_dot_16(int32x4_t acc, uint8x16_t w, int8x16_t a)
{
    const int8x16_t s = vreinterpretq_s8_u8(w);
#ifdef __ARM_FEATURE_DOTPROD
    return vdotq_s32(acc, s, a);
#else
    const int16x8_t lo = vmull_s8(vget_low_s8(s), vget_low_s8(a)), hi = vmull_high_s8(s, a);
    return vaddq_s32(acc, vpaddq_s32(vpaddlq_s16(lo), vpaddlq_s16(hi)));
#endif
}
/* Four rows a register: the four activations are the same for all of them; sdot takes them from one lane. */
SIMD_INLINE v16i v16i_dot_s8(v16i acc, v64u w, const int8_t *a)
{
    uint32_t four;
    memcpy(&four, a, 4);
#ifdef __ARM_FEATURE_DOTPROD
    const int8x8_t t = vcreate_s8(four);
    for (int i = 0; i < 4; i++)
        acc.q[i] = vdotq_lane_s32(acc.q[i], vreinterpretq_s8_u8(w.q[i]), t, 0);
#else
    const int8x16_t t = vreinterpretq_s8_u32(vdupq_n_u32(four));
    for (int i = 0; i < 4; i++)
        acc.q[i] = simd_dot_16(acc.q[i], w.q[i], t);
#endif
    return acc;
}
SIMD_INLINE v16i v16i_dot(v16i acc, v64u w, const int8_t *a)
{
    return v16i_dot_s8(acc, w, a); /* weights 0..63 are the same number signed */
}
/* Four weights a lane, each with an activation of its own. */
SIMD_INLINE v16i v16i_dot64_s8(v16i acc, v64u w, const int8_t *x)
{
    for (int i = 0; i < 4; i++)
        acc.q[i] = simd_dot_16(acc.q[i], w.q[i], vld1q_s8(x + 16 * i));
    return acc;
}
SIMD_INLINE v16i v16i_dot64(v16i acc, v64u w, const int8_t *x)
{
    return v16i_dot64_s8(acc, w, x);
}
SIMD_INLINE void v16i_halves(v16i v, int32_t ret[2])
{
    ret[0] = vaddvq_s32(vaddq_s32(v.q[0], v.q[1]));
    ret[1] = vaddvq_s32(vaddq_s32(v.q[2], v.q[3]));
}
SIMD_INLINE v16i simd_mla(v16i acc, int8x16_t w, int32_t q)
{
    const int16x8_t lo = vmovl_s8(vget_low_s8(w)), hi = vmovl_high_s8(w);
    const int16_t t = (int16_t)q;
    acc.q[0] = vmlal_n_s16(acc.q[0], vget_low_s16(lo), t);
    acc.q[1] = vmlal_high_n_s16(acc.q[1], lo, t);
    acc.q[2] = vmlal_n_s16(acc.q[2], vget_low_s16(hi), t);
    acc.q[3] = vmlal_high_n_s16(acc.q[3], hi, t);
    return acc;
}
SIMD_INLINE v16i v16i_mla_low4(v16i acc, const uint8_t *p, int32_t q)
{
    return simd_mla(acc, vreinterpretq_s8_u8(vandq_u8(vld1q_u8(p), vdupq_n_u8(15))), q);
}
SIMD_INLINE v16i v16i_mla_high4(v16i acc, const uint8_t *p, int32_t q)
{
    return simd_mla(acc, vreinterpretq_s8_u8(vshrq_n_u8(vld1q_u8(p), 4)), q);
}
SIMD_INLINE v16i v16i_mla_s8(v16i acc, const uint8_t *p, int32_t q)
{
    return simd_mla(acc, vreinterpretq_s8_u8(vld1q_u8(p)), q);
}
#ifdef __ARM_FEATURE_MATMUL_INT8
/* simd.h has what a pair is; smmla multiplies 2 x 8 bytes with 2 x 8: two activations (first the one, then the other), two rows. */
#define SIMD_HAS_PAIR
enum { SIMD_PAIR = 1 };

SIMD_INLINE float32x4_t simd_low(float32x4_t x, float32x4_t y)
{
    return vcombine_f32(vget_low_f32(x), vget_low_f32(y));
}
SIMD_INLINE float32x4_t simd_high(float32x4_t x, float32x4_t y)
{
    return vcombine_f32(vget_high_f32(x), vget_high_f32(y));
}
SIMD_INLINE void v16f_pair(v16f *a, v16f *b)
{
    const v16f x = *a, y = *b;
    for (int i = 0; i < 2; i++) {
        a->q[2 * i] = simd_low(x.q[i], y.q[i]);
        a->q[2 * i + 1] = simd_high(x.q[i], y.q[i]);
        b->q[2 * i] = simd_low(x.q[2 + i], y.q[2 + i]);
        b->q[2 * i + 1] = simd_high(x.q[2 + i], y.q[2 + i]);
    }
}
SIMD_INLINE void v16f_unpair(v16f *a, v16f *b)
{
    const v16f p = *a, q = *b;
    for (int i = 0; i < 2; i++) {
        a->q[i] = simd_low(p.q[2 * i], p.q[2 * i + 1]);
        b->q[i] = simd_high(p.q[2 * i], p.q[2 * i + 1]);
        a->q[2 + i] = simd_low(q.q[2 * i], q.q[2 * i + 1]);
        b->q[2 + i] = simd_high(q.q[2 * i], q.q[2 * i + 1]);
    }
}
SIMD_INLINE void v64u_pair(v64u *a, v64u *b)
{
    uint32x4_t t[8];
    for (int i = 0; i < 4; i++) {
        const uint32x4_t x = vreinterpretq_u32_u8(a->q[i]), y = vreinterpretq_u32_u8(b->q[i]);
        t[2 * i] = vzip1q_u32(x, y);
        t[2 * i + 1] = vzip2q_u32(x, y);
    }
    for (int i = 0; i < 4; i++) {
        a->q[i] = vreinterpretq_u8_u32(t[i]);
        b->q[i] = vreinterpretq_u8_u32(t[4 + i]);
    }
}
SIMD_INLINE v16f v16f_two(float x, float y)
{
    const float32x4_t t = vcombine_f32(vdup_n_f32(x), vdup_n_f32(y));
    SIMD_EACH(v16f, t);
}
SIMD_INLINE v16i v16i_two(int32_t x, int32_t y)
{
    const int32x4_t t = vcombine_s32(vdup_n_s32(x), vdup_n_s32(y));
    SIMD_EACH(v16i, t);
}
SIMD_INLINE v16i v16i_dot_two(v16i acc, v64u w, const int8_t *x, const int8_t *y)
{
    const int8x16_t t = vcombine_s8(vld1_s8(x), vld1_s8(y));
    SIMD_EACH(v16i, vmmlaq_s32(acc.q[i], t, vreinterpretq_s8_u8(w.q[i])));
}
#endif
