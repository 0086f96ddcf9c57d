/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merging works on a linked list of symbols (runs of bytes of one buffer, so a merged symbol needs no copy) and a
 * heap of adjacent pairs. A pair that was taken from the heap is stale if one of its symbols was merged meanwhile:
 * symbols only grow, so it is fresh exactly if the two at its place still have its length together.
 *
 * Characters are validated, which llama.cpp does not do: there a broken first byte takes following bytes along, and
 * with them parts of the U+2581 that stands for a space, and decoding does not give the text back. For valid UTF-8
 * both are the same.
 */
#include "engine/token/tokenizer.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "engine/token/special.h"
#include "engine/token/utf8.h"

enum {
    NO_SYMBOL = UINT32_MAX,
    SPACE_BYTES = sizeof(VOCAB_SPACE) - 1,
    KEEP_BYTES = 16 << 10, /* a text up to this length leaves its scratch for the next one */
};

struct symbol {
    uint32_t at, n; /* piece[at .. at + n); n = 0: merged into its left neighbour */
    uint32_t previous, next;
};

/* Two adjacent symbols whose merged text is a token. The least order is merged first. */
struct pair {
    uint64_t order; /* falling score, then rising left */
    uint32_t left;  /* symbol */
    uint32_t n;     /* bytes of both */
};

struct tokenizer {
    const struct vocab *v;
    struct special *special;
    struct special_scratch cuts;
    char *piece;            /* [n_piece] the text between two cuts, spaces replaced */
    struct symbol *symbols; /* the characters of the piece */
    struct pair *pairs;     /* heap; two a symbol at most: a merge takes one and adds up to two */
    size_t n_pairs, piece_size, symbols_size; /* sizes: what there is room for */
    uint32_t n_piece;
};

struct output {
    uint32_t *ids; /* [max] */
    size_t max, n;
};

static void emit(struct output *o, uint32_t id)
{
    if (o->n < o->max) o->ids[o->n] = id;
    o->n++;
}

static void tokenizer_freep(struct tokenizer **t)
{
    tokenizer_free(*t);
}

int tokenizer_new(const struct vocab *v, struct tokenizer **ret)
{
    CLEANUP(tokenizer_freep) struct tokenizer *t = calloc(1, sizeof(*t));

    if (!t) return err_raise(-ENOMEM);
    t->v = v;
    const int r = special_new(v, &t->special);
    if (r < 0) return err_pass(r);
    *ret = TAKE_PTR(t);
    return 0;
}

static void drop_scratch(struct tokenizer *t)
{
    special_scratch_deinit(&t->cuts);
    free(t->piece);
    free(t->symbols);
    free(t->pairs);
    t->piece = NULL;
    t->symbols = NULL;
    t->pairs = NULL;
    t->piece_size = t->symbols_size = 0;
}

struct tokenizer *tokenizer_free(struct tokenizer *t)
{
    if (!t) return NULL;
    drop_scratch(t);
    special_free(t->special);
    free(t);
    return NULL;
}

const struct vocab *tokenizer_vocab(const struct tokenizer *t)
{
    return t->v;
}

/* Bytes of the character at t->piece[@at]; a byte that is in none stands alone. */
static uint32_t character_at(const struct tokenizer *t, uint32_t at)
{
    size_t n;

    if (utf8_next(t->piece + at, t->n_piece - at, &n) != UTF8_CHARACTER) return 1;
    return (uint32_t)n;
}

/* Fill t->piece from @text: [n], spaces replaced. */
static int fill_piece(struct tokenizer *t, const char *text, size_t n)
{
    size_t size = n;

    for (size_t i = 0; i < n; i++)
        size += text[i] == ' ' ? SPACE_BYTES - 1 : 0;
    if (size > t->piece_size) {
        free(t->piece);
        t->piece_size = 0;
        t->piece = malloc(size);
        if (!t->piece) return err_raise(-ENOMEM);
        t->piece_size = size;
    }
    t->n_piece = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == ' ') {
            memcpy(t->piece + t->n_piece, VOCAB_SPACE, SPACE_BYTES);
            t->n_piece += SPACE_BYTES;
        } else {
            t->piece[t->n_piece++] = text[i];
        }
    }
    return 0;
}

/* Fill t->symbols with the characters of t->piece, and make room for their pairs. */
static int fill_symbols(struct tokenizer *t)
{
    uint32_t count = 0;

    for (uint32_t at = 0; at < t->n_piece; at += character_at(t, at))
        count++;
    if (count > t->symbols_size) {
        free(t->symbols);
        free(t->pairs);
        t->symbols_size = 0;
        t->symbols = malloc(count * sizeof(*t->symbols));
        t->pairs = malloc(2 * (size_t)count * sizeof(*t->pairs));
        if (!t->symbols || !t->pairs) return err_raise(-ENOMEM);
        t->symbols_size = count;
    }
    for (uint32_t i = 0, at = 0; i < count; at += t->symbols[i++].n)
        t->symbols[i] =
            (struct symbol){ .at = at, .n = character_at(t, at), .previous = i - 1, .next = i + 1 };
    t->symbols[0].previous = NO_SYMBOL;
    t->symbols[count - 1].next = NO_SYMBOL;
    return 0;
}

/* ---- the heap of pairs ---- */

/* Bits that are ordered as integers as the floats are (IEEE 754: sign and magnitude), but reversed. */
static uint32_t falling(float score)
{
    uint32_t bits;

    if (score == 0) score = 0; /* -0 is no less than 0 */
    memcpy(&bits, &score, sizeof(bits));
    return bits & 0x80000000 ? bits : ~bits & 0x7fffffff;
}

static void push(struct tokenizer *t, struct pair pair)
{
    size_t i = t->n_pairs++;

    for (; i > 0 && pair.order < t->pairs[(i - 1) / 2].order; i = (i - 1) / 2)
        t->pairs[i] = t->pairs[(i - 1) / 2];
    t->pairs[i] = pair;
}

static struct pair pop(struct tokenizer *t)
{
    const struct pair top = t->pairs[0], last = t->pairs[--t->n_pairs];
    size_t i = 0;

    for (size_t child; (child = 2 * i + 1) < t->n_pairs; i = child) {
        if (child + 1 < t->n_pairs && t->pairs[child + 1].order < t->pairs[child].order) child++;
        if (last.order <= t->pairs[child].order) break;
        t->pairs[i] = t->pairs[child];
    }
    t->pairs[i] = last;
    return top;
}

/* Push the pair that the symbol @left begins, if merging it makes a token. */
static void consider(struct tokenizer *t, uint32_t left)
{
    if (left == NO_SYMBOL || t->symbols[left].next == NO_SYMBOL) return;
    const struct symbol *a = &t->symbols[left], *b = &t->symbols[a->next];
    const uint32_t id = vocab_find_piece(t->v, t->piece + a->at, a->n + b->n);
    if (id == VOCAB_NONE) return;
    const uint64_t order = (uint64_t)falling(vocab_score(t->v, id)) << 32 | left;
    push(t, (struct pair){ .order = order, .left = left, .n = a->n + b->n });
}

static void merge_all(struct tokenizer *t)
{
    while (t->n_pairs > 0) {
        const struct pair pair = pop(t);
        struct symbol *a = &t->symbols[pair.left];
        if (a->n == 0 || a->next == NO_SYMBOL) continue;
        struct symbol *b = &t->symbols[a->next];
        if (a->n + b->n != pair.n) continue;
        a->n = pair.n;
        a->next = b->next;
        b->n = 0;
        if (a->next != NO_SYMBOL) t->symbols[a->next].previous = pair.left;
        consider(t, a->previous);
        consider(t, pair.left);
    }
}

/* A character that is no token: its bytes. */
static void emit_bytes(const struct tokenizer *t, const char *bytes, uint32_t n, struct output *o)
{
    if (n == SPACE_BYTES && memcmp(bytes, VOCAB_SPACE, SPACE_BYTES) == 0) {
        emit(o, vocab_byte(t->v, ' ')); /* what it stands for: decoding a byte gives that byte */
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        emit(o, vocab_byte(t->v, (uint8_t)bytes[i]));
}

/* Encode @text: [n], which has no special token. */
static int encode_piece(struct tokenizer *t, const char *text, size_t n, struct output *o)
{
    if (n == 0) return 0;
    int r = fill_piece(t, text, n);
    if (r == 0) r = fill_symbols(t);
    if (r < 0) return err_pass(r);
    t->n_pairs = 0;
    for (uint32_t i = 0; i != NO_SYMBOL; i = t->symbols[i].next)
        consider(t, i);
    merge_all(t);
    for (uint32_t i = 0; i != NO_SYMBOL; i = t->symbols[i].next) {
        const struct symbol *s = &t->symbols[i];
        const uint32_t id = vocab_find_piece(t->v, t->piece + s->at, s->n);
        if (id != VOCAB_NONE) {
            emit(o, id);
            continue;
        }
        emit_bytes(t, t->piece + s->at, s->n, o);
    }
    return 0;
}

int tokenizer_encode(struct tokenizer *t, const char *text, size_t n, bool special, uint32_t *out,
                     size_t max, size_t *ret_n)
{
    struct output o = { .ids = out, .max = max };
    size_t done = 0;

    if (n > TOKENIZER_TEXT_MAX) return TOKENIZER_E_LONG;
    if (n == 0) {
        *ret_n = 0;
        return 0;
    }
    int r = special_find(t->special, text, n, special, &t->cuts);
    for (size_t i = 0; r == 0 && i < t->cuts.n_cuts; i++) {
        const struct special_cut *cut = &t->cuts.cuts[i];
        r = encode_piece(t, text + done, cut->at - done, &o);
        emit(&o, cut->id);
        done = cut->at + cut->n;
    }
    if (r == 0) r = encode_piece(t, text + done, n - done, &o);
    if (r < 0 || n > KEEP_BYTES) drop_scratch(t);
    if (r < 0) return err_pass(r);
    *ret_n = o.n;
    return o.n > max ? TOKENIZER_E_FULL : 0;
}
