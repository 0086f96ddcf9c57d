/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Written in assembler: the loop must be exactly these instructions, and this file is built for the baseline CPU. Eight to
 * twelve sums that do not depend on each other hide the latency of an addition on every core that has the instruction.
 */
#include "bench/peak.h"
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/clock.h"

enum { ROUNDS = 100000, TRIES = 20 }; /* together a few hundredths of a second */

#if defined(__x86_64__)
#define CLOBBERS                                                                                   \
    "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

/* 12 x 64 products a round */
#define DOT512(sum) "vpdpbusd %%zmm14, %%zmm15, %%zmm" #sum "\n\t"
static void rounds_avx512(uint64_t n)
{
    __asm__ volatile("vzeroall\n\t"
                     "1:\n\t" DOT512(0) DOT512(1) DOT512(2) DOT512(3) DOT512(4) DOT512(5) DOT512(6)
                         DOT512(7) DOT512(8) DOT512(9) DOT512(10) DOT512(11) "dec %0\n\t"
                                                                             "jnz 1b\n\t"
                                                                             "vzeroupper"
                     : "+r"(n)
                     :
                     : CLOBBERS);
}

/* 12 x 32 */
#define DOT256(sum) "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm" #sum "\n\t"
static void rounds_avxvnni(uint64_t n)
{
    __asm__ volatile("vzeroall\n\t"
                     "1:\n\t" DOT256(0) DOT256(1) DOT256(2) DOT256(3) DOT256(4) DOT256(5) DOT256(6)
                         DOT256(7) DOT256(8) DOT256(9) DOT256(10) DOT256(11) "dec %0\n\t"
                                                                             "jnz 1b\n\t"
                                                                             "vzeroupper"
                     : "+r"(n)
                     :
                     : CLOBBERS);
}

/* 8 x 32: products of pairs, kept in 16 bits */
#define PAIRS(sum, product)                                                                        \
    "vpmaddubsw %%ymm14, %%ymm15, %%ymm" #product "\n\t"                                           \
    "vpaddw %%ymm" #product ", %%ymm" #sum ", %%ymm" #sum "\n\t"
static void rounds_avx2(uint64_t n)
{
    __asm__ volatile("vzeroall\n\t"
                     "1:\n\t" PAIRS(0, 8) PAIRS(1, 9) PAIRS(2, 10) PAIRS(3, 11) PAIRS(4, 12)
                         PAIRS(5, 13) PAIRS(6, 8) PAIRS(7, 9) "dec %0\n\t"
                                                              "jnz 1b\n\t"
                                                              "vzeroupper"
                     : "+r"(n)
                     :
                     : CLOBBERS);
}

/* 12 x 16, 12 x 8 */
#define FMA(width, sum) "vfmadd231ps %%" #width "14, %%" #width "15, %%" #width #sum "\n\t"
#define FMAS(width)                                                                                \
    FMA(width, 0)                                                                                  \
    FMA(width, 1)                                                                                  \
    FMA(width, 2)                                                                                  \
    FMA(width, 3) FMA(width, 4) FMA(width, 5) FMA(width, 6) FMA(width, 7) FMA(width, 8)            \
        FMA(width, 9) FMA(width, 10) FMA(width, 11)
static void rounds_fma512(uint64_t n)
{
    __asm__ volatile("vzeroall\n\t"
                     "1:\n\t" FMAS(zmm) "dec %0\n\t"
                                        "jnz 1b\n\t"
                                        "vzeroupper"
                     : "+r"(n)
                     :
                     : CLOBBERS);
}

static void rounds_fma256(uint64_t n)
{
    __asm__ volatile("vzeroall\n\t"
                     "1:\n\t" FMAS(ymm) "dec %0\n\t"
                                        "jnz 1b\n\t"
                                        "vzeroupper"
                     : "+r"(n)
                     :
                     : CLOBBERS);
}
#elif defined(__aarch64__)
#define CLOBBERS                                                                                   \
    "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20",       \
        "v21", "v30", "v31"

/* 8 x 16 */
/* sdot vN.4s, v30.16b, v31.16b: spelt in numbers, because not every assembler takes it without a flag */
#define SDOT(sum) ".inst 0x4e9f97c0 + " #sum "\n\t"
static void rounds_dotprod(uint64_t n)
{
    __asm__ volatile("movi v30.16b, #1\n\t"
                     "movi v31.16b, #1\n\t"
                     "1:\n\t" SDOT(0) SDOT(1) SDOT(2) SDOT(3) SDOT(4) SDOT(5) SDOT(6)
                         SDOT(7) "subs %0, %0, #1\n\t"
                                 "b.ne 1b"
                     : "+r"(n)
                     :
                     : CLOBBERS);
}

/* 8 x 32: smmla vN.4s, v30.16b, v31.16b */
#define SMMLA(sum) ".inst 0x4e9fa7c0 + " #sum "\n\t"
static void rounds_i8mm(uint64_t n)
{
    __asm__ volatile("movi v30.16b, #1\n\t"
                     "movi v31.16b, #1\n\t"
                     "1:\n\t" SMMLA(0) SMMLA(1) SMMLA(2) SMMLA(3) SMMLA(4) SMMLA(5) SMMLA(6)
                         SMMLA(7) "subs %0, %0, #1\n\t"
                                  "b.ne 1b"
                     : "+r"(n)
                     :
                     : CLOBBERS);
}

/* 6 x 16 */
#define LONG(sum, product)                                                                         \
    "smull v" #product ".8h, v30.8b, v31.8b\n\t"                                                   \
    "smlal2 v" #product ".8h, v30.16b, v31.16b\n\t"                                                \
    "sadalp v" #sum ".4s, v" #product ".8h\n\t"
static void rounds_neon(uint64_t n)
{
    __asm__ volatile("movi v30.16b, #1\n\t"
                     "movi v31.16b, #1\n\t"
                     "1:\n\t" LONG(0, 16) LONG(1, 17) LONG(2, 18) LONG(3, 19) LONG(4, 20)
                         LONG(5, 21) "subs %0, %0, #1\n\t"
                                     "b.ne 1b"
                     : "+r"(n)
                     :
                     : CLOBBERS);
}

/* 8 x 4 */
#define FMLA(sum) "fmla v" #sum ".4s, v30.4s, v31.4s\n\t"
static void rounds_fmla(uint64_t n)
{
    __asm__ volatile("movi v30.16b, #0\n\t"
                     "movi v31.16b, #0\n\t"
                     "1:\n\t" FMLA(0) FMLA(1) FMLA(2) FMLA(3) FMLA(4) FMLA(5) FMLA(6)
                         FMLA(7) "subs %0, %0, #1\n\t"
                                 "b.ne 1b"
                     : "+r"(n)
                     :
                     : CLOBBERS);
}
#endif

static const struct loop {
    const char *kernels;
    enum peak_kind kind;
    void (*rounds)(uint64_t n);
    double macs; /* of a round */
} loops[] = {
#if defined(__x86_64__)
    { "avx512-vnni", PEAK_INT8, rounds_avx512, 12 * 64 },
    { "avx2-vnni", PEAK_INT8, rounds_avxvnni, 12 * 32 },
    { "avx2", PEAK_INT8, rounds_avx2, 8 * 32 },
    { "avx512-vnni", PEAK_F32, rounds_fma512, 12 * 16 },
    { "avx2-vnni", PEAK_F32, rounds_fma256, 12 * 8 },
    { "avx2", PEAK_F32, rounds_fma256, 12 * 8 },
#elif defined(__aarch64__)
    { "neon-i8mm", PEAK_INT8, rounds_i8mm, 8 * 32 },
    { "neon-dotprod", PEAK_INT8, rounds_dotprod, 8 * 16 },
    { "neon", PEAK_INT8, rounds_neon, 6 * 16 },
    { "neon-i8mm", PEAK_F32, rounds_fmla, 8 * 4 },
    { "neon-dotprod", PEAK_F32, rounds_fmla, 8 * 4 },
    { "neon", PEAK_F32, rounds_fmla, 8 * 4 },
#endif
    { NULL, PEAK_INT8, NULL, 0 },
};

/* The best of some tries: what the core can, not what it got beside other programs. */
double peak_macs(const char *kernels, enum peak_kind kind)
{
    double best = 0;

    for (const struct loop *l = loops; l->kernels; l++) {
        if (l->kind != kind || strcmp(l->kernels, kernels) != 0) continue;
        for (int i = 0; i < TRIES; i++) {
            const uint64_t from = clock_now_ns();
            l->rounds(ROUNDS);
            const double s = (double)(clock_now_ns() - from) * 1e-9;
            if (l->macs * ROUNDS / s > best) best = l->macs * ROUNDS / s;
        }
    }
    return best;
}
