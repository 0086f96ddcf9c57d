/* SPDX-License-Identifier: Apache-2.0 */
/* Logits of some tokens only: those are the same bits, the others are impossible, and the head is not computed for them. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "engine/engine.h"
#include "tests/unit/engine/engine_run.h"
#include "tests/unit/engine/gemma3n/model_make.h"

enum { VOCAB_WORDS_MAX = 64, TOKENS = 6, SEQS = 3 };

static struct engine *open_made(const struct model_make *s, const char *kernels)
{
    struct reason why = { "" };
    struct engine *e = NULL;
    const int fd = model_make_fd(s);

    cr_assert_eq(
        engine_open(fd, &(struct engine_options){ .kernels = kernels, .threads = 2 }, &why, &e), 0,
        "%s", why.text);
    (void)close(fd);
    return e;
}

static void put(uint64_t *mask, uint32_t id)
{
    mask[id / 64] |= 1ull << id % 64;
}

static bool has(const uint64_t *mask, uint32_t id)
{
    return mask[id / 64] >> id % 64 & 1;
}

/* Masks with one token; the first and the last; every 50th (more parts than go together); a half; all. */
static void make_mask(uint64_t *mask, int kind, uint32_t vocab)
{
    memset(mask, 0, VOCAB_WORDS_MAX * sizeof(*mask));
    for (uint32_t id = 0; id < vocab; id++)
        if ((kind == 0 && id == 17) || (kind == 1 && (id == 0 || id == vocab - 1)) ||
            (kind == 2 && id % 50 == 3) || (kind == 3 && id > vocab / 2) || kind == 4)
            put(mask, id);
}

static void check_row(const float *got, const float *want, const uint64_t *mask, uint32_t vocab)
{
    for (uint32_t id = 0; id < vocab; id++)
        if (!mask || has(mask, id))
            cr_assert_eq(memcmp(&got[id], &want[id], sizeof(float)), 0, "token %u", id);
        else
            cr_assert(isinf(got[id]) && got[id] < 0, "token %u: %g", id, (double)got[id]);
}

static void check_masks(const struct model_make *s, const char *kernels)
{
    struct engine *e = open_made(s, kernels);
    const uint32_t vocab = engine_info(e)->vocab;
    uint32_t ids[SEQS][TOKENS];
    float *want[SEQS], *got = malloc(SEQS * vocab * sizeof(float));
    uint64_t mask[SEQS][VOCAB_WORDS_MAX];

    cr_assert_leq(vocab, VOCAB_WORDS_MAX * 64);
    for (uint32_t i = 0; i < SEQS; i++) {
        for (uint32_t k = 0; k < TOKENS; k++)
            ids[i][k] = (i * 91 + k * 37) % 300;
        want[i] = engine_run_logits(e, ids[i], TOKENS, level_find(engine_levels(e), ""));
    }
    for (int kind = 0; kind < 5; kind++)
        for (uint32_t n = 1; n <= SEQS + 1; n++) { /* at last the third sequence has no mask */
            const uint32_t seqs = n < SEQS ? n : SEQS;
            struct engine_item it[SEQS];
            for (uint32_t i = 0; i < seqs; i++) {
                make_mask(mask[i], (kind + (int)i) % 5, vocab);
                it[i] = (struct engine_item){ .seq = engine_run_seq(e),
                                              .tokens = ids[i],
                                              .n = TOKENS,
                                              .level = level_find(engine_levels(e), ""),
                                              .want = ENGINE_WANT_LAST,
                                              .allow = n > SEQS && i == 2 ? NULL : mask[i] };
            }
            memset(got, 0x7f, SEQS * vocab * sizeof(float));
            cr_assert_eq(engine_step(e, it, seqs, got), 0);
            for (uint32_t i = 0; i < seqs; i++) {
                check_row(got + i * vocab, want[i] + (TOKENS - 1) * vocab, it[i].allow, vocab);
                engine_seq_free(it[i].seq);
            }
        }
    for (uint32_t i = 0; i < SEQS; i++)
        free(want[i]);
    free(got);
    engine_free(e);
}

Test(allow, the_tokens_that_may_follow_have_the_same_logits_and_the_others_none)
{
    static const char *const both[] = { "c", "auto" };

    for (int k = 0; k < 2; k++) {
        struct model_make n3 = model_make_gemma3n(), g3 = model_make_gemma3();
        check_masks(&n3, both[k]);
        check_masks(&g3, both[k]);
        n3.matrices = QUANT_Q8_0;
        n3.vocab += 7; /* the last tile is not full */
        check_masks(&n3, both[k]);
    }
}
