/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/gemma3n/rope.h: the angles of rotary position embedding (Su et al. 2021), computed with double operations in a fixed
 * order: libm's sine and power may differ in the last bit between machines, and these must not.
 */
#pragma once
#include <stdint.h>

enum { ROPE_HALF_MAX = 256 }; /* half of the largest head size */

struct rope {
    uint32_t half;                   /* angles: head_size / 2 */
    double frequency[ROPE_HALF_MAX]; /* base^(-2 i / head_size) / scale [rad / position] */
};

/** rope_init() - @base > 1; @scale: positions are divided by it; @head_size: even, <= 2 * ROPE_HALF_MAX. */
void rope_init(struct rope *r, float base, float scale, uint32_t head_size);

/** rope_angles() - cosines and sines for position @position: @cos, @sin [half] f32, error below 1 ulp of f32. */
void rope_angles(const struct rope *r, uint32_t position, float *cos, float *sin);
