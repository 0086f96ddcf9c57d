/* SPDX-License-Identifier: Apache-2.0 */
/* Which sets this build has, and which of them this CPU can run. Best first. */
#include "engine/kernels/kernels.h"
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

struct candidate {
    const struct kernels *set;
    bool (*runs)(void);
};

static bool always(void)
{
    return true;
}

#if defined(__x86_64__)
extern const struct kernels vec_kernels_avx512;
extern const struct kernels vec_kernels_avxvnni;
extern const struct kernels vec_kernels_avx2;

/* What __builtin_cpu_supports() of some compilers does not know: CPUID leaf, subleaf, register, bit. */
static bool cpuid_bit(unsigned leaf, unsigned subleaf, bool ecx, int bit)
{
    unsigned a, b, c, d;

    if (!__get_cpuid_count(leaf, subleaf, &a, &b, &c, &d)) return false;
    return (ecx ? c : a) >> bit & 1;
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           cpuid_bit(1, 0, true, 29); /* F16C */
}
static bool has_avxvnni(void)
{
    return has_avx2() && cpuid_bit(7, 1, false, 4); /* AVX-VNNI */
}
static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni");
}
#elif defined(__aarch64__)
extern const struct kernels vec_kernels_i8mm;
extern const struct kernels vec_kernels_dotprod;
extern const struct kernels vec_kernels_neon;

static bool has_dotprod(void)
{
    return getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
}
static bool has_i8mm(void)
{
    return has_dotprod() && getauxval(AT_HWCAP2) & HWCAP2_I8MM;
}
#endif
extern const struct kernels vec_kernels_plain;

static const struct candidate candidates[] = {
#if defined(__x86_64__)
    { &vec_kernels_avx512, has_avx512 },
    { &vec_kernels_avxvnni, has_avxvnni },
    { &vec_kernels_avx2, has_avx2 },
#elif defined(__aarch64__)
    { &vec_kernels_i8mm, has_i8mm },
    { &vec_kernels_dotprod, has_dotprod },
    { &vec_kernels_neon, always },
#endif
    { &vec_kernels_plain, always },
};
size_t kernels_list(const struct kernels **ret, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]) && n < max; i++)
        if (candidates[i].runs()) ret[n++] = candidates[i].set;
    if (n < max) ret[n++] = kernels_c();
    return n;
}

const struct kernels *kernels_auto(void)
{
    const struct kernels *best = NULL;

    (void)kernels_list(&best, 1);
    return best;
}
