/* SPDX-License-Identifier: Apache-2.0 */
/* engine/kernels/vec.h: the functions of a vector set, named for the instruction set that they are built for. */
#pragma once
#include "engine/kernels/kernels.h"

#define VEC_PASTE_(a, b) a##_##b
#define VEC_PASTE(a, b)  VEC_PASTE_(a, b)
/** VEC(name) - name_avx2, name_avx512 ...; VEC_ISA comes from the build. */
#define VEC(name) VEC_PASTE(name, VEC_ISA)

void VEC(vec_quantise)(const float *x, uint32_t n, int8_t *q, float *d, int32_t *sum,
                       int32_t *sum16);
void VEC(vec_matmul)(const struct kernels_matmul *j, uint32_t row0, uint32_t row1, void *scratch);
void VEC(vec_unit_rows)(const struct kernels_units *j, uint32_t from, uint32_t to, void *scratch);
void VEC(vec_unit_columns)(const struct kernels_units *j, uint32_t from, uint32_t to,
                           void *scratch);
void VEC(vec_attend)(const struct kernels_attend *a);
void VEC(vec_attend_merge)(float *out, float *max, float *sum, const float *out_b, float max_b,
                           float sum_b, uint32_t n);
void VEC(vec_kv_put)(void *k_page, void *v_page, bool f32, const float *k, const float *v,
                     uint32_t head_size, uint32_t slot);

/* The table itself; the member name comes from the build (VEC_NAME). */
extern const struct kernels VEC(vec_kernels);
