/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/answer.h"
#include <assert.h>
#include <string.h>

void answer_init(struct answer *a, const struct vocab *v, bool skip_space, uint64_t skip)
{
    memset(a, 0, sizeof(*a));
    a->vocab = v;
    a->skip_space = skip_space;
    a->skip = skip;
    a->mark = VOCAB_NONE;
}

void answer_calls(struct answer *a, uint32_t mark)
{
    a->mark = mark;
}

int answer_stop(struct answer *a, const char *text, size_t n, struct reason *why)
{
    if (n == 0 || n > ANSWER_STOP_BYTES || a->n_stops == ANSWER_STOPS_MAX) {
        reason_set(why, "stop text %zu has %zu bytes: up to %d texts of 1 to %d bytes are possible",
                   a->n_stops + 1, n, ANSWER_STOPS_MAX - 1, ANSWER_STOP_BYTES);
        return ANSWER_E_INVALID;
    }
    memcpy(a->stop[a->n_stops].text, text, n);
    a->stop[a->n_stops++].n = n;
    return 0;
}

/* Where the first stop text begins in held, or n_held. */
static size_t find_stop(const struct answer *a)
{
    size_t first = a->n_held;

    for (size_t s = 0; s < a->n_stops; s++) {
        const char *at = memmem(a->held, a->n_held, a->stop[s].text, a->stop[s].n);
        if (at && (size_t)(at - a->held) < first) first = (size_t)(at - a->held);
    }
    return first;
}

/* How many bytes at the end of held may be the beginning of a stop text. */
static size_t maybe_stop(const struct answer *a)
{
    size_t most = 0;

    for (size_t s = 0; s < a->n_stops; s++)
        for (size_t k = a->stop[s].n - 1; k > most; k--)
            if (k <= a->n_held && memcmp(a->held + a->n_held - k, a->stop[s].text, k) == 0)
                most = k;
    return most;
}

/* Give out the first @n held bytes, but those that were delivered before. */
static size_t give(struct answer *a, size_t n, char *out)
{
    const uint64_t left = a->skip > a->made ? a->skip - a->made : 0;
    const size_t drop = left < n ? (size_t)left : n;

    memcpy(out, a->held + drop, n - drop);
    memmove(a->held, a->held + n, a->n_held - n);
    a->n_held -= n;
    a->made += n;
    return n - drop;
}

static void hold(struct answer *a, const char *bytes, size_t n)
{
    if (n > 0 && a->skip_space) {
        a->skip_space = false;
        if (bytes[0] == ' ') {
            bytes++;
            n--;
        }
    }
    assert(a->n_held + n <= sizeof(a->held));
    memcpy(a->held + a->n_held, bytes, n);
    a->n_held += n;
}

/* Bytes of a call, of which a line's end is the last. Return: how many of them belong to it. */
static size_t take_call(struct answer *a, const char *bytes, size_t n)
{
    const char *end = memchr(bytes, '\n', n);
    const size_t take = end ? (size_t)(end - bytes) : n;

    if (a->n_call < sizeof(a->call))
        memcpy(a->call + a->n_call, bytes,
               take < sizeof(a->call) - a->n_call ? take : sizeof(a->call) - a->n_call);
    a->n_call += take;
    a->in_call = !end;
    return take + !a->in_call;
}

int answer_push(struct answer *a, uint32_t id, char *out, size_t *ret_n)
{
    char piece[DETOKENIZER_OUT_MAX];
    const bool called = a->in_call;
    size_t used = 0;

    *ret_n = 0;
    if (id == a->mark && !called) { /* half a character before it belongs to the text */
        hold(a, piece, detokenizer_end(&a->decoder, piece));
        a->in_call = true;
        a->n_call = 0;
        return 0;
    }
    const size_t n = detokenizer_push(&a->decoder, a->vocab, id, false, piece);
    if (called) used = take_call(a, piece, n);
    if (a->in_call) return 0;
    hold(a, piece + used, n - used);
    const size_t stop = find_stop(a);
    if (stop < a->n_held) {
        *ret_n = give(a, stop, out);
        a->n_held = 0;
        return ANSWER_E_STOP;
    }
    *ret_n = give(a, a->n_held - maybe_stop(a), out);
    return called ? ANSWER_E_CALL : 0;
}

size_t answer_end(struct answer *a, char *out)
{
    char piece[DETOKENIZER_OUT_MAX];

    const size_t n = detokenizer_end(&a->decoder, piece);
    if (!a->in_call) hold(a, piece, n);
    return give(a, a->n_held, out);
}
