/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/decode/philox.h"

enum { ROUNDS = 10 };

void philox_block(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    /* multipliers and Weyl increments (golden ratio, sqrt(3) - 1) of the paper's table 2 */
    const uint32_t m0 = 0xd2511f53, m1 = 0xcd9e8d57, w0 = 0x9e3779b9, w1 = 0xbb67ae85;
    uint32_t x0 = counter[0], x1 = counter[1], x2 = counter[2], x3 = counter[3], k0 = key[0],
             k1 = key[1];

    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t p0 = (uint64_t)m0 * x0, p1 = (uint64_t)m1 * x2;
        x0 = (uint32_t)(p1 >> 32) ^ x1 ^ k0;
        x1 = (uint32_t)p1;
        x2 = (uint32_t)(p0 >> 32) ^ x3 ^ k1;
        x3 = (uint32_t)p0;
        k0 += w0;
        k1 += w1;
    }
    out[0] = x0;
    out[1] = x1;
    out[2] = x2;
    out[3] = x3;
}

double philox_uniform(uint64_t seed, uint64_t position)
{
    const uint32_t counter[4] = { (uint32_t)position, (uint32_t)(position >> 32), 0, 0 };
    const uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
    uint32_t x[4];

    philox_block(counter, key, x);
    return (double)(((uint64_t)x[0] << 32 | x[1]) >> 11) * 0x1p-53;
}
