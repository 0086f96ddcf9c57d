/* SPDX-License-Identifier: Apache-2.0 */
/* The reference set: what each operator means, in plain loops over float32, for people to read and for the others to be checked against. */
#include <math.h>
#include <string.h>
#include "engine/kernels/kernels.h"

/* Sums of up to SIDE rows of x grow side by side, which hides the latency of additions; each goes through k in order. */
enum { SIDE = 4 };

static void matmul(const struct kernels_matmul *j, uint32_t row0, uint32_t row1, void *scratch)
{
    const uint32_t n_k = j->k1 - j->k0;
    const float *x[SIDE], *w = scratch;
    float s[SIDE], *y[SIDE];

    for (uint32_t r = row0; r < row1; r++) {
        matrix_row(j->w, r, j->k0, n_k, scratch);
        for (uint32_t i = 0; i < j->n; i += SIDE) {
            for (uint32_t t = 0; t < SIDE; t++) {
                const size_t at = j->at[i + t < j->n ? i + t : i]; /* behind the end: once more */
                x[t] = j->x->f + at * j->x->cols_max + j->k0;
                y[t] = j->y + at * j->y_stride + r;
                s[t] = j->add ? *y[t] : 0.0f;
            }
            for (uint32_t k = 0; k < n_k; k++)
                for (uint32_t t = 0; t < SIDE; t++)
                    s[t] += w[k] * x[t][k];
            for (uint32_t t = 0; t < SIDE; t++)
                *y[t] = s[t];
        }
    }
}

static float dot(const float *a, const float *b, uint32_t n)
{
    float s = 0.0f;

    for (uint32_t i = 0; i < n; i++)
        s += a[i] * b[i];
    return s;
}

static float mean_square(const float *x, uint32_t n)
{
    return dot(x, x, n) / (float)n;
}

static void rms(float *y, const float *x, const float *w, uint32_t n, float eps)
{
    const float s = 1.0f / sqrtf(mean_square(x, n) + eps);

    for (uint32_t i = 0; i < n; i++)
        y[i] = w ? x[i] * s * w[i] : x[i] * s;
}

static void add(float *y, const float *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        y[i] += x[i];
}

static void mul(float *y, const float *a, const float *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        y[i] = a[i] * b[i];
}

static void scale(float *y, float s, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        y[i] *= s;
}

static void axpy(float *y, const float *x, float s, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        y[i] += s * x[i];
}

static void join(float *y, const float *a, const float *b, const float *c, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        y[i] = (a[i] + b[i] + c[i]) * 0.707106781f; /* 1 / sqrt(2) */
}

static float gelu_one(float x)
{
    return 0.5f * x * (1.0f + tanhf(0.797884561f * (x + 0.044715f * x * x * x))); /* sqrt(2 / pi) */
}

static void gelu(float *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        x[i] = gelu_one(x[i]);
}

static void gelu_mul(float *y, const float *g, const float *u, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        y[i] = gelu_one(g[i]) * u[i];
}

static void sparsify(float *g, float k, uint32_t n)
{
    float mean = 0.0f, var = 0.0f;

    for (uint32_t i = 0; i < n; i++)
        mean += g[i];
    mean /= (float)n;
    for (uint32_t i = 0; i < n; i++)
        var += (g[i] - mean) * (g[i] - mean);
    const float cut = mean + k * sqrtf(var / (float)n);
    for (uint32_t i = 0; i < n; i++)
        g[i] = g[i] > cut ? g[i] - cut : 0.0f;
}

static void altup_predict(float *const x[4], const float c[16], uint32_t n)
{
    for (uint32_t k = 0; k < n; k++) {
        const float old[4] = { x[0][k], x[1][k], x[2][k], x[3][k] };
        for (int j = 0; j < 4; j++)
            for (int i = 0; i < 4; i++)
                x[j][k] += c[4 * j + i] * old[i];
    }
}

static void altup_correct(float *const x[4], const float *o, const float s[4], uint32_t n)
{
    for (uint32_t k = 0; k < n; k++) {
        const float e = o[k] - x[0][k];
        for (int j = 0; j < 4; j++)
            x[j][k] += e * (1.0f + s[j]);
    }
}

static void tanh_all(float *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        x[i] = tanhf(x[i]);
}

static void softcap(float *x, float cap, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        x[i] = cap * tanhf(x[i] / cap);
}

static void rope(float *x, const float *cos, const float *sin, uint32_t n)
{
    for (uint32_t i = 0; i < n / 2; i++) {
        const float a = x[i], b = x[i + n / 2];
        x[i] = a * cos[i] - b * sin[i];
        x[i + n / 2] = b * cos[i] + a * sin[i];
    }
}

static float kv_get(const void *p, size_t at, bool f32)
{
    return f32 ? ((const float *)p)[at] : quant_f16(((const uint16_t *)p)[at]);
}

static void kv_set(void *p, size_t at, bool f32, float x)
{
    if (f32)
        ((float *)p)[at] = x;
    else
        ((uint16_t *)p)[at] = quant_to_f16(x);
}

static void kv_put(void *k_page, void *v_page, bool f32, const float *k, const float *v,
                   uint32_t head_size, uint32_t slot)
{
    for (uint32_t i = 0; i < head_size; i++) {
        kv_set(k_page, (size_t)i * KERNELS_PAGE + slot, f32, k[i]);
        kv_set(v_page, (size_t)slot * head_size + i, f32, v[i]);
    }
}

static float score_of(const struct kernels_attend *a, const float *q, uint32_t position)
{
    const struct kernels_kv *p = &a->pages[position / KERNELS_PAGE];
    float s = 0.0f;

    for (uint32_t i = 0; i < a->head_size; i++)
        s += q[i] * kv_get(p->k, (size_t)i * KERNELS_PAGE + position % KERNELS_PAGE, a->f32);
    return s * a->scale;
}

static void attend(const struct kernels_attend *a)
{
    for (uint32_t h = 0; h < a->n_heads; h++) {
        const float *q = a->q + (size_t)h * a->head_size;
        float *out = a->out + (size_t)h * a->head_size, max = -INFINITY, sum = 0.0f;

        memset(out, 0, a->head_size * sizeof(float));
        for (uint32_t j = a->first; j <= a->last; j++)
            max = fmaxf(max, score_of(a, q, j));
        for (uint32_t j = a->first; j <= a->last; j++) {
            const float w = expf(score_of(a, q, j) - max);
            const struct kernels_kv *p = &a->pages[j / KERNELS_PAGE];
            sum += w;
            for (uint32_t i = 0; i < a->head_size; i++)
                out[i] += w * kv_get(p->v, (size_t)(j % KERNELS_PAGE) * a->head_size + i, a->f32);
        }
        a->max[h] = max;
        a->sum[h] = sum;
    }
}

static void attend_merge(float *out, float *max, float *sum, const float *out_b, float max_b,
                         float sum_b, uint32_t n)
{
    const float top = fmaxf(*max, max_b), keep = expf(*max - top), take = expf(max_b - top);

    for (uint32_t i = 0; i < n; i++)
        out[i] = out[i] * keep + out_b[i] * take;
    *sum = *sum * keep + sum_b * take;
    *max = top;
}

const struct kernels *kernels_c(void)
{
    static const struct kernels k = {
        .name = "c",
        .matmul = matmul,
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
        .altup_predict = altup_predict,
        .altup_correct = altup_correct,
        .tanh = tanh_all,
        .softcap = softcap,
        .rope = rope,
        .kv_put = kv_put,
        .attend = attend,
        .attend_merge = attend_merge,
    };
    return &k;
}
