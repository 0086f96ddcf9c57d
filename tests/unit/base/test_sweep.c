/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include "base/sweep.h"

Test(sweep, reads_every_word_once)
{
    static uint64_t words[4 * SWEEP_BLOCK / 8] __attribute__((aligned(64)));
    uint64_t sum = 0;

    cr_assert_eq(sweep(words, 0), 0);
    for (size_t i = 0; i < sizeof(words) / 8; i++) {
        words[i] = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
        sum += words[i];
    }
    cr_assert_eq(sweep(words, sizeof(words)), sum);
    for (size_t i = 0; i < sizeof(words) / 8; i++) {
        words[i]++;
        cr_assert_eq(sweep(words, sizeof(words)), ++sum);
    }
}
