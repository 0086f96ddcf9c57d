/* SPDX-License-Identifier: Apache-2.0 */
/* The operators on one row, 16 values at a time. A sum over a row is 16 sums over every 16th value, added by v16f_sum(). */
#include "engine/kernels/simd.h"
#include "engine/kernels/vec.h"

#define EACH(i, n) for (uint32_t i = 0; i < (n); i += 16)

SIMD_INLINE v16f load(const float *p, uint32_t i, uint32_t n)
{
    return v16f_load_n(p + i, (int)(n - i));
}

SIMD_INLINE void store(float *p, uint32_t i, uint32_t n, v16f v)
{
    v16f_store_n(p + i, v, (int)(n - i));
}

static float sum_squares(const float *x, uint32_t n)
{
    v16f s = v16f_set(0.0f);

    EACH(i, n)
    {
        const v16f v = load(x, i, n);
        s = v16f_fma(v, v, s);
    }
    return v16f_sum(s);
}

static float mean_square(const float *x, uint32_t n)
{
    return sum_squares(x, n) / (float)n;
}

static void rms(float *y, const float *x, const float *w, uint32_t n, float eps)
{
    const v16f s = v16f_set(1.0f / sqrtf(mean_square(x, n) + eps));

    if (!w) {
        EACH(i, n)
        store(y, i, n, v16f_mul(load(x, i, n), s));
        return;
    }
    EACH(i, n)
    store(y, i, n, v16f_mul(v16f_mul(load(x, i, n), s), load(w, i, n)));
}

static float dot(const float *a, const float *b, uint32_t n)
{
    v16f s = v16f_set(0.0f);

    EACH(i, n)
    s = v16f_fma(load(a, i, n), load(b, i, n), s);
    return v16f_sum(s);
}

static void add(float *y, const float *x, uint32_t n)
{
    EACH(i, n)
    store(y, i, n, v16f_add(load(y, i, n), load(x, i, n)));
}

static void mul(float *y, const float *a, const float *b, uint32_t n)
{
    EACH(i, n)
    store(y, i, n, v16f_mul(load(a, i, n), load(b, i, n)));
}

static void scale(float *y, float s, uint32_t n)
{
    EACH(i, n)
    store(y, i, n, v16f_mul(load(y, i, n), v16f_set(s)));
}

static void axpy(float *y, const float *x, float s, uint32_t n)
{
    EACH(i, n)
    store(y, i, n, v16f_fma(load(x, i, n), v16f_set(s), load(y, i, n)));
}

static void join(float *y, const float *a, const float *b, const float *c, uint32_t n)
{
    const v16f s = v16f_set(0.707106781f); /* 1 / sqrt(2) */

    EACH(i, n)
    store(y, i, n, v16f_mul(v16f_add(v16f_add(load(a, i, n), load(b, i, n)), load(c, i, n)), s));
}

static void gelu(float *x, uint32_t n)
{
    EACH(i, n)
    store(x, i, n, v16f_gelu(load(x, i, n)));
}

static void gelu_mul(float *y, const float *g, const float *u, uint32_t n)
{
    EACH(i, n)
    store(y, i, n, v16f_mul(v16f_gelu(load(g, i, n)), load(u, i, n)));
}

static void sparsify(float *g, float k, uint32_t n)
{
    v16f s = v16f_set(0.0f), s2 = v16f_set(0.0f);

    EACH(i, n)
    s = v16f_add(s, load(g, i, n));
    const float mean = v16f_sum(s) / (float)n;
    EACH(i, n)
    {
        v16f t = v16f_sub(load(g, i, n), v16f_set(mean));
        if (n - i < 16) { /* the zeros behind the end are not values */
            float tail[16] = { 0 };
            v16f_store_n(tail, t, (int)(n - i));
            t = v16f_load(tail);
        }
        s2 = v16f_fma(t, t, s2);
    }
    const float cut = fmaf(k, sqrtf(v16f_sum(s2) / (float)n), mean);
    EACH(i, n)
    store(g, i, n, v16f_max(v16f_sub(load(g, i, n), v16f_set(cut)), v16f_set(0.0f)));
}

static void altup_predict(float *const x[4], const float c[16], uint32_t n)
{
    EACH(k, n)
    {
        v16f old[4];
        for (int i = 0; i < 4; i++)
            old[i] = load(x[i], k, n);
        for (int j = 0; j < 4; j++) {
            v16f z = old[j];
            for (int i = 0; i < 4; i++)
                z = v16f_fma(v16f_set(c[4 * j + i]), old[i], z);
            store(x[j], k, n, z);
        }
    }
}

static void altup_correct(float *const x[4], const float *o, const float s[4], uint32_t n)
{
    EACH(k, n)
    {
        const v16f e = v16f_sub(load(o, k, n), load(x[0], k, n));
        for (int j = 0; j < 4; j++)
            store(x[j], k, n, v16f_fma(e, v16f_set(1.0f + s[j]), load(x[j], k, n)));
    }
}

static void tanh_all(float *x, uint32_t n)
{
    EACH(i, n)
    store(x, i, n, v16f_tanh(load(x, i, n)));
}

static void softcap(float *x, float cap, uint32_t n)
{
    EACH(i, n)
    store(x, i, n, v16f_mul(v16f_tanh(v16f_div(load(x, i, n), v16f_set(cap))), v16f_set(cap)));
}

static void rope(float *x, const float *cos, const float *sin, uint32_t n)
{
    const uint32_t half = n / 2;
    float *y = x + half;

    EACH(i, half)
    {
        const v16f a = load(x, i, half), b = load(y, i, half), c = load(cos, i, half),
                   s = load(sin, i, half);
        const v16f minus = v16f_sub(v16f_set(0.0f), b);
        store(x, i, half, v16f_fma(minus, s, v16f_mul(a, c)));
        store(y, i, half, v16f_fma(a, s, v16f_mul(b, c)));
    }
}

const struct kernels VEC(vec_kernels) = {
    .name = VEC_NAME,
    .packed = true,
    .quantise = VEC(vec_quantise),
    .matmul = VEC(vec_matmul),
    .unit_rows = VEC(vec_unit_rows),
    .unit_columns = VEC(vec_unit_columns),
    .rms = rms,
    .mean_square = mean_square,
    .dot = dot,
    .add = add,
    .mul = mul,
    .scale = scale,
    .axpy = axpy,
    .join = join,
    .gelu = gelu,
    .gelu_mul = gelu_mul,
    .sparsify = sparsify,
    .softcap = softcap,
    .rope = rope,
    .altup_predict = altup_predict,
    .altup_correct = altup_correct,
    .tanh = tanh_all,
    .kv_put = VEC(vec_kv_put),
    .attend = VEC(vec_attend),
    .attend_merge = VEC(vec_attend_merge),
};
