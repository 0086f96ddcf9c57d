/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/hash.h"

Test(hash, depends_on_key_length_and_every_byte)
{
    uint8_t bytes[40] = { 0 };

    for (size_t n = 0; n <= 39; n++) {
        const uint64_t h = hash_bytes(1, bytes, n);
        cr_assert_eq(h, hash_bytes(1, bytes, n), "the same for the same");
        cr_assert_neq(h, hash_bytes(2, bytes, n), "another key");
        cr_assert_neq(h, hash_bytes(1, bytes, n + 1), "another length, all zeros");
        for (size_t i = 0; i < n; i++) {
            bytes[i] ^= 1;
            cr_assert_neq(h, hash_bytes(1, bytes, n), "byte %zu of %zu", i, n);
            bytes[i] ^= 1;
        }
    }
}

Test(hash, reads_at_any_address_and_nothing_behind_the_end)
{
    static const char text[] = "a text of some length";

    for (size_t n = 0; n < sizeof(text); n++) {
        for (size_t off = 0; off < 8; off++) {
            char *moved = malloc(off + n + (n == 0));
            memcpy(moved + off, text, n);
            cr_assert_eq(hash_bytes(7, moved + off, n), hash_bytes(7, text, n));
            free(moved);
        }
    }
}

Test(hash, spreads_similar_strings_over_a_table)
{
    /* 4096 strings into 4096 slots: a random function leaves 1507 +- 22 of them empty (n/e) */
    for (uint64_t key = 0; key < 8; key++) {
        unsigned used = 0;
        char seen[4096] = { 0 }, text[32];
        for (int i = 0; i < 4096; i++) {
            const int n = snprintf(text, sizeof(text), "blk.%d.attn_q.weight", i);
            char *slot = &seen[hash_bytes(key, text, (size_t)n) & 4095];
            used += !*slot;
            *slot = 1;
        }
        cr_assert(used > 2450 && used < 2730, "key %u: %u slots used", (unsigned)key, used);
    }
}

Test(hash, has_a_key_that_stays_the_same_in_a_process)
{
    cr_assert_eq(hash_key(), hash_key());
    cr_assert_neq(hash_key(), 0u, "the kernel gave random bytes");
}
