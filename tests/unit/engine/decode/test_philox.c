/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include "engine/decode/philox.h"

Test(philox, gives_the_known_answers)
{
    /* kat_vectors of Random123, the paper's reference implementation: philox4x32, 10 rounds */
    static const struct {
        uint32_t counter[4], key[2], want[4];
    } cases[] = {
        { { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
          { 0xffffffff, 0xffffffff },
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
          { 0xa4093822, 0x299f31d0 },
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };

    for (int i = 0; i < 3; i++) {
        uint32_t out[4];
        philox_block(cases[i].counter, cases[i].key, out);
        cr_assert_arr_eq(out, cases[i].want, sizeof(out), "case %d", i);
    }
}

Test(philox, a_uniform_number_is_the_first_53_bits_of_its_block)
{
    cr_assert_eq(philox_uniform(0, 0),
                 (double)(UINT64_C(0x6627e8d5e169c58d) >> 11) / 9007199254740992.0);
    cr_assert_eq(philox_uniform(1, 2), philox_uniform(1, 2));
    cr_assert_neq(philox_uniform(1, 2), philox_uniform(2, 1));
    cr_assert_neq(philox_uniform(UINT64_C(1) << 32, 0), philox_uniform(0, 0),
                  "all 64 bits of the seed count");
    cr_assert_neq(philox_uniform(0, UINT64_C(1) << 32), philox_uniform(0, 0),
                  "and of the position");
}

Test(philox, uniform_numbers_fill_the_interval_evenly)
{
    enum { N = 100000, BINS = 100 };
    unsigned bins[BINS] = { 0 };
    double chi2 = 0, lag = 0;

    for (unsigned i = 0; i < N; i++) {
        const double x = philox_uniform(42, i);
        cr_assert(x >= 0 && x < 1);
        bins[(int)(x * BINS)]++;
        lag += (x - 0.5) * (philox_uniform(42, i + 1) - 0.5);
    }
    for (int i = 0; i < BINS; i++)
        chi2 += (bins[i] - 1.0 * N / BINS) * (bins[i] - 1.0 * N / BINS) / (1.0 * N / BINS);
    cr_assert(chi2 > 61.1 && chi2 < 149.4,
              "chi2 %g: 99 degrees of freedom, p = 0.001 on both sides", chi2);
    cr_assert(lag / N < 0.0011 && lag / N > -0.0011, "neighbours are independent: %g (4 sigma)",
              lag / N);
}
