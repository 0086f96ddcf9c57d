/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/token/call_mask.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "engine/token/detokenizer.h"
#include "engine/token/utf8.h"

struct call_mask {
    const struct vocab *vocab;
    uint64_t *common; /* tokens of whole characters, none of which ends or changes a text */
    uint32_t *
        order; /* [n_order] those that have bytes, by the first of them; common ones behind the others */
    uint32_t first[257]; /* where those with a byte begin in order */
    uint32_t rare[256];  /* of them: how many are not common */
};

size_t call_mask_words(const struct call_mask *m)
{
    return (vocab_size(m->vocab) + 63) / 64;
}

static bool has(const uint64_t *mask, uint32_t id)
{
    return mask[id / 64] >> id % 64 & 1;
}

static void put(uint64_t *mask, uint32_t id)
{
    mask[id / 64] |= 1ull << id % 64;
}

static bool is_common(const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((uint8_t)bytes[i] < 0x20 || bytes[i] == '"' || bytes[i] == '\\') return false;
    return utf8_valid(bytes, n);
}

/* Two passes of a counting sort. */
static void sort(struct call_mask *m)
{
    char piece[VOCAB_TEXT_MAX];
    uint32_t at[256], common[256];

    for (uint32_t id = 0; id < vocab_size(m->vocab); id++) {
        const size_t n = detokenizer_piece(m->vocab, id, false, piece);
        if (n == 0) continue;
        m->first[(uint8_t)piece[0] + 1]++;
        if (is_common(piece, n))
            put(m->common, id);
        else
            m->rare[(uint8_t)piece[0]]++;
    }
    for (int b = 0; b < 256; b++) {
        m->first[b + 1] += m->first[b];
        at[b] = m->first[b];
        common[b] = m->first[b] + m->rare[b];
    }
    for (uint32_t id = 0; id < vocab_size(m->vocab); id++) {
        if (detokenizer_piece(m->vocab, id, false, piece) == 0) continue;
        m->order[has(m->common, id) ? common[(uint8_t)piece[0]]++ : at[(uint8_t)piece[0]]++] = id;
    }
}

int call_mask_new(const struct vocab *v, struct call_mask **ret)
{
    struct call_mask *m = calloc(1, sizeof(*m));

    if (!m) return err_raise(-ENOMEM);
    m->vocab = v;
    m->common = calloc(call_mask_words(m), sizeof(*m->common));
    m->order = calloc(vocab_size(v), sizeof(*m->order));
    if (!m->common || !m->order) {
        call_mask_free(m);
        return err_raise(-ENOMEM);
    }
    sort(m);
    *ret = m;
    return 0;
}

struct call_mask *call_mask_free(struct call_mask *m)
{
    if (!m) return NULL;
    free(m->common);
    free(m->order);
    free(m);
    return NULL;
}

/* The bytes of token @id from @at on. */
static bool push_rest(const struct call_mask *m, struct call_form *f, uint32_t id, size_t at)
{
    char piece[VOCAB_TEXT_MAX];
    const size_t n = detokenizer_piece(m->vocab, id, false, piece);

    for (size_t i = at; i < n; i++)
        if (!call_form_push(f, (uint8_t)piece[i])) return false;
    return n > 0;
}

bool call_mask_push(const struct call_mask *m, struct call_form *f, uint32_t id)
{
    return push_rest(m, f, id, 0);
}

void call_mask_fill(const struct call_mask *m, const struct call_form *f, uint64_t *out)
{
    const bool text = call_form_in_text(f);

    memset(out, 0, call_mask_words(m) * sizeof(*out));
    if (text) memcpy(out, m->common, call_mask_words(m) * sizeof(*out));
    for (int b = 0; b < 256; b++) {
        struct call_form next = *f;
        if (!call_form_push(&next, (uint8_t)b)) continue;
        const uint32_t end = text ? m->first[b] + m->rare[b] : m->first[b + 1];
        for (uint32_t i = m->first[b]; i < end; i++) {
            struct call_form after = next;
            if (push_rest(m, &after, m->order[i], 1)) put(out, m->order[i]);
        }
    }
}
