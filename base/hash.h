/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/hash.h: hash of a byte string for tables in memory, keyed per process so that nobody can prepare strings
 * that fall into one slot. Not for anything that is stored, sent or signed: the values differ from run to run.
 * Construction: multiply and fold of 128-bit products, as in wyhash (Wang Yi, github.com/wangyi-fudan/wyhash).
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>

/** hash_key() - the key of this process: from the random bytes that the kernel gives each program (AT_RANDOM). */
static inline uint64_t hash_key(void)
{
    const void *random16 = (const void *)getauxval(AT_RANDOM); /* the value is an address */
    uint64_t key = 0;

    if (random16) memcpy(&key, random16, sizeof(key));
    return key;
}

static inline uint64_t hash_fold_(uint64_t a, uint64_t b)
{
    const unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* @n = 0..7 bytes as a number; with @n known, different bytes give different numbers. */
static inline uint64_t hash_tail_(const uint8_t *b, size_t n)
{
    uint32_t low, high;

    if (n == 0) return 0;
    if (n < 4) return b[0] | (uint64_t)b[n / 2] << 8 | (uint64_t)b[n - 1] << 16;
    memcpy(&low, b, 4);
    memcpy(&high, b + n - 4, 4);
    return low | (uint64_t)high << 32;
}

/** hash_bytes() - of @bytes: [n], any alignment, under @key. */
static inline uint64_t hash_bytes(uint64_t key, const void *bytes, size_t n)
{
    /* odd constants with about half of their bits set; any such would do */
    const uint64_t c0 = UINT64_C(0xa0761d6478bd642f), c1 = UINT64_C(0xe7037ed1a0b428db);
    const uint8_t *b = bytes;
    uint64_t h = hash_fold_(key ^ c0, n ^ c1), word;
    size_t left = n;

    for (; left >= 8; left -= 8, b += 8) {
        memcpy(&word, b, 8);
        h = hash_fold_(h ^ word ^ c0, key ^ c1);
    }
    h = hash_fold_(h ^ hash_tail_(b, left) ^ c0, key ^ c1);
    return hash_fold_(h ^ c1, c0);
}
