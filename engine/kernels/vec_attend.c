/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention with a running softmax (Milakov and Gimelshein 2018; Dao et al. 2022), page by page. A page's keys are
 * transposed, so that the scores of 16 positions grow in one vector and no sum over lanes is needed; the query heads
 * that share the KV head share each load. The order of the operations depends on the positions alone.
 */
#include <assert.h>
#include "engine/kernels/simd.h"
#include "engine/kernels/vec.h"

enum {
    HEADS = 4
}; /* query heads at once: 4 x 2 sums and 2 keys fit any register file of 16 and more */

SIMD_INLINE v16f kv_load(const void *p, size_t at, bool f32)
{
    return f32 ? v16f_load((const float *)p + at) : v16f_load_f16((const uint16_t *)p + at);
}

SIMD_INLINE v16f kv_load_n(const void *p, size_t at, bool f32, int n)
{
    if (n >= 16) return kv_load(p, at, f32);
    if (f32) return v16f_load_n((const float *)p + at, n);
    uint16_t t[16] = { 0 };
    memcpy(t, (const uint16_t *)p + at, (size_t)n * 2);
    return v16f_load_f16(t);
}

/*
 * score[h][0..31] of @n heads against the keys of page @p. While it goes over a row of keys, the same piece of the values of the
 * page, and of the keys of the next, comes to the second-level cache: a page is too short for the hardware to see a stream.
 */
SIMD_INLINE void page_scores(const struct kernels_attend *a, uint32_t p, uint32_t h0, const int n,
                             float (*score)[KERNELS_PAGE])
{
    const uint32_t d = a->head_size, next = (p + 1) * KERNELS_PAGE <= a->last ? p + 1 : p;
    const size_t row_bytes = (size_t)KERNELS_PAGE * (a->f32 ? sizeof(float) : sizeof(uint16_t));
    const void *k = a->pages[p].k;
    const char *values = a->pages[p].v, *keys = a->pages[next].k;
    v16f s[HEADS][2];

    for (int h = 0; h < n; h++)
        s[h][0] = s[h][1] = v16f_set(0.0f);
    for (uint32_t i = 0; i < d; i++) {
        for (size_t line = i * row_bytes; line < (i + 1) * row_bytes; line += 64) {
            __builtin_prefetch(values + line, 0, 1);
            __builtin_prefetch(keys + line, 0, 1);
        }
        const v16f k0 = kv_load(k, (size_t)i * KERNELS_PAGE, a->f32),
                   k1 = kv_load(k, (size_t)i * KERNELS_PAGE + 16, a->f32);
        for (int h = 0; h < n; h++) {
            const v16f q = v16f_set(a->q[(h0 + (uint32_t)h) * d + i]);
            s[h][0] = v16f_fma(k0, q, s[h][0]);
            s[h][1] = v16f_fma(k1, q, s[h][1]);
        }
    }
    for (int h = 0; h < n; h++) {
        v16f_store(score[h], v16f_mul(s[h][0], v16f_set(a->scale)));
        v16f_store(score[h] + 16, v16f_mul(s[h][1], v16f_set(a->scale)));
    }
}

/* out[h] = out[h] * keep[h] + sum over positions [from, to) of weight[h][j] * v[j] */
SIMD_INLINE void page_values(const struct kernels_attend *a, const void *v, uint32_t h0,
                             const int n, const float *keep, float (*weight)[KERNELS_PAGE],
                             uint32_t from, uint32_t to)
{
    const uint32_t d = a->head_size;

    for (uint32_t i = 0; i < d; i += 16) {
        const int width = d - i < 16 ? (int)(d - i) : 16;
        v16f s[HEADS];
        for (int h = 0; h < n; h++)
            s[h] = v16f_mul(v16f_load_n(a->out + (h0 + (uint32_t)h) * d + i, width),
                            v16f_set(keep[h]));
        for (uint32_t j = from; j < to; j++) {
            const v16f x = kv_load_n(v, (size_t)j * d + i, a->f32, width);
            for (int h = 0; h < n; h++)
                s[h] = v16f_fma(x, v16f_set(weight[h][j]), s[h]);
        }
        for (int h = 0; h < n; h++)
            v16f_store_n(a->out + (h0 + (uint32_t)h) * d + i, s[h], width);
    }
}

/* Scores outside [from, to) do not count. Turns scores into weights, updates max and sum; Return: what to scale old values with. */
static float page_softmax(float *score, uint32_t from, uint32_t to, float *max, float *sum)
{
    for (uint32_t j = 0; j < KERNELS_PAGE; j++)
        if (j < from || j >= to) score[j] = -INFINITY;
    v16f s0 = v16f_load(score), s1 = v16f_load(score + 16);
    float top = v16f_largest(v16f_max(s0, s1));
    if (!(top > *max)) top = *max;
    if (top == -INFINITY) top = 0.0f; /* nothing finite yet (NaN weights): all weights become 0 */
    float t[16] = { *max - top };
    v16f_store(t, v16f_exp(v16f_load(t)));
    const float keep = *max == -INFINITY ? 0.0f : t[0];
    s0 = v16f_exp(v16f_sub(s0, v16f_set(top)));
    s1 = v16f_exp(v16f_sub(s1, v16f_set(top)));
    v16f_store(score, s0);
    v16f_store(score + 16, s1);
    *sum = fmaf(*sum, keep, v16f_sum(v16f_add(s0, s1)));
    *max = top;
    return keep;
}

SIMD_INLINE void heads(const struct kernels_attend *a, uint32_t h0, const int n)
{
    float score[HEADS][KERNELS_PAGE], keep[HEADS];

    for (int h = 0; h < n; h++) {
        a->max[h0 + (uint32_t)h] = -INFINITY;
        a->sum[h0 + (uint32_t)h] = 0.0f;
        memset(a->out + (h0 + (uint32_t)h) * a->head_size, 0, a->head_size * sizeof(float));
    }
    for (uint32_t p = a->first / KERNELS_PAGE; p <= a->last / KERNELS_PAGE; p++) {
        const uint32_t base = p * KERNELS_PAGE;
        const uint32_t from = a->first > base ? a->first - base : 0;
        const uint32_t to = a->last - base < KERNELS_PAGE ? a->last - base + 1 : KERNELS_PAGE;
        page_scores(a, p, h0, n, score);
        for (int h = 0; h < n; h++)
            keep[h] = page_softmax(score[h], from, to, &a->max[h0 + (uint32_t)h],
                                   &a->sum[h0 + (uint32_t)h]);
        page_values(a, a->pages[p].v, h0, n, keep, score, from, to);
    }
}

void VEC(vec_attend)(const struct kernels_attend *a)
{
    uint32_t h = 0;

    for (; h + HEADS <= a->n_heads; h += HEADS)
        heads(a, h, HEADS);
    for (; h < a->n_heads; h++)
        heads(a, h, 1);
}

void VEC(vec_attend_merge)(float *out, float *max, float *sum, const float *out_b, float max_b,
                           float sum_b, uint32_t n)
{
    const float top = max_b > *max ? max_b : *max;
    float t[16] = { *max - top, max_b - top };

    v16f_store(t, v16f_exp(v16f_load(t)));
    for (uint32_t i = 0; i < n; i += 16) {
        const int width = n - i < 16 ? (int)(n - i) : 16;
        const v16f a = v16f_mul(v16f_load_n(out + i, width), v16f_set(t[0]));
        v16f_store_n(out + i, v16f_fma(v16f_load_n(out_b + i, width), v16f_set(t[1]), a), width);
    }
    *sum = fmaf(sum_b, t[1], *sum * t[0]);
    *max = top;
}

void VEC(vec_kv_put)(void *k_page, void *v_page, bool f32, const float *k, const float *v,
                     uint32_t head_size, uint32_t slot)
{
    if (f32) {
        for (uint32_t i = 0; i < head_size; i++)
            ((float *)k_page)[i * KERNELS_PAGE + slot] = k[i];
        memcpy((float *)v_page + slot * (size_t)head_size, v, head_size * sizeof(float));
        return;
    }
    for (uint32_t i = 0; i < head_size; i += 16) {
        const int width = head_size - i < 16 ? (int)(head_size - i) : 16;
        uint16_t t[16];
        v16f_store_f16(t, v16f_load_n(k + i, width));
        for (int j = 0; j < width; j++)
            ((uint16_t *)k_page)[(i + (uint32_t)j) * KERNELS_PAGE + slot] = t[j];
        v16f_store_f16(t, v16f_load_n(v + i, width));
        memcpy((uint16_t *)v_page + slot * (size_t)head_size + i, t, (size_t)width * 2);
    }
}
