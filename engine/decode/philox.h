/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/decode/philox.h: Philox4x32-10, a counter-based random number generator: 128 random bits are a function of a
 * counter and a key, with no state between calls. So the random number at a position of a sequence does not depend on
 * what was drawn before.
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3.
 */
#pragma once
#include <stdint.h>

/** philox_block() - the 128 bits of @counter under @key, into @out. */
void philox_block(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/**
 * philox_uniform() - the random number of a position
 * @seed: the key. @position: the counter's lower half; the upper one is 0.
 * Return: a multiple of 2^-53 in [0, 1).
 */
double philox_uniform(uint64_t seed, uint64_t position);
