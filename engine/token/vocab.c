/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts stay in the mapping of the file; beside them are arrays by id, each allocated once, and one open-
 * addressing table that is never more than half full. A slot keeps 32 bits of the hash, so that a search that
 * fails (most do, while merging) hardly ever touches a text.
 */
#include "engine/token/vocab.h"
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "base/hash.h"
#include "engine/token/utf8.h"

#define refuse(why, ...) (reason_set((why), __VA_ARGS__), GGUF_E_REFUSED)

struct slot {
    uint32_t hash, id; /* id VOCAB_NONE: free */
};

struct vocab {
    uint32_t n;
    struct gguf_string *texts; /* [n] */
    float *scores;             /* [n] */
    uint8_t *kinds;            /* [n] enum vocab_kind */
    struct slot *slots;        /* [mask + 1] */
    size_t mask, piece_max;    /* piece_max: bytes of the longest normal or user-defined token */
    uint64_t hash_key;
    uint32_t bytes[256], bos, eos, stops[VOCAB_STOPS_MAX], n_stops;
    bool add_bos;
};

/* ---- looking up ---- */

/* The slot of the text, or the free one where it belongs. */
static struct slot *find_slot(const struct vocab *v, const char *bytes, size_t n,
                              uint32_t *ret_hash)
{
    const uint64_t hash = hash_bytes(v->hash_key, bytes, n);
    const uint32_t high = (uint32_t)(hash >> 32);
    size_t at = hash & v->mask;

    for (; v->slots[at].id != VOCAB_NONE; at = (at + 1) & v->mask) {
        if (v->slots[at].hash != high) continue;
        const struct gguf_string *text = &v->texts[v->slots[at].id];
        if (text->n == n && memcmp(text->bytes, bytes, n) == 0) break;
    }
    *ret_hash = high;
    return &v->slots[at];
}

uint32_t vocab_find(const struct vocab *v, const char *bytes, size_t n)
{
    uint32_t hash;

    return find_slot(v, bytes, n, &hash)->id;
}

uint32_t vocab_find_piece(const struct vocab *v, const char *bytes, size_t n)
{
    if (n > v->piece_max) return VOCAB_NONE;
    const uint32_t id = vocab_find(v, bytes, n);
    const bool piece =
        id != VOCAB_NONE && (v->kinds[id] == VOCAB_NORMAL || v->kinds[id] == VOCAB_USER);
    return piece ? id : VOCAB_NONE;
}

uint32_t vocab_size(const struct vocab *v)
{
    return v->n;
}

enum vocab_kind vocab_kind(const struct vocab *v, uint32_t id)
{
    assert(id < v->n);
    return v->kinds[id];
}

struct gguf_string vocab_text(const struct vocab *v, uint32_t id)
{
    assert(id < v->n);
    return v->texts[id];
}

float vocab_score(const struct vocab *v, uint32_t id)
{
    assert(id < v->n);
    return v->scores[id];
}

uint32_t vocab_byte(const struct vocab *v, uint8_t byte)
{
    return v->bytes[byte];
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* The byte that a text like "<0x4F>" names, -1 for other texts. */
static int named_byte(struct gguf_string text)
{
    if (text.n != 6 || memcmp(text.bytes, "<0x", 3) != 0 || text.bytes[5] != '>') return -1;
    const int high = hex_digit(text.bytes[3]), low = hex_digit(text.bytes[4]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

uint8_t vocab_byte_value(const struct vocab *v, uint32_t id)
{
    assert(vocab_kind(v, id) == VOCAB_BYTE);
    return (uint8_t)named_byte(v->texts[id]); /* checked when it was loaded */
}

uint32_t vocab_bos(const struct vocab *v)
{
    return v->bos;
}

uint32_t vocab_eos(const struct vocab *v)
{
    return v->eos;
}

bool vocab_add_bos(const struct vocab *v)
{
    return v->add_bos;
}

bool vocab_is_stop(const struct vocab *v, uint32_t id)
{
    for (uint32_t i = 0; i < v->n_stops; i++)
        if (v->stops[i] == id) return true;
    return false;
}

/* ---- loading ---- */

static int check_model(const struct gguf *g, struct reason *why)
{
    static const char key[] = "tokenizer.ggml.model", prefix[] = "tokenizer.ggml.add_space_prefix";
    struct gguf_string model;
    bool add_prefix;
    int r = gguf_text(g, key, &model, why);

    if (r != 0) return r;
    if (!model.bytes)
        return refuse(why, "the key '%s' is missing: the file has no vocabulary", key);
    if (model.n != 5 || memcmp(model.bytes, "llama", 5) != 0)
        return refuse(
            why, "the vocabulary is of kind '%.*s' ('%s'), hearth reads SentencePiece ('llama')",
            model.n < 40 ? (int)model.n : 40, model.bytes, key);
    r = gguf_bool(g, prefix, false, &add_prefix, why);
    if (r != 0) return r;
    if (add_prefix) /* no Gemma does */
        return refuse(why, "the key '%s' is true: such vocabularies are not supported", prefix);
    return 0;
}

/* Allocate the tables and read the three arrays of the file into them. */
static int read_arrays(struct vocab *v, const struct gguf *g, struct reason *why)
{
    static const char key[] = "tokenizer.ggml.tokens";
    enum gguf_value_type type;
    size_t n, n_slots = 8;
    int r = gguf_array_len(g, key, &n, &type, why);

    if (r != 0) return r;
    if (n == 0 || n > VOCAB_TOKENS_MAX)
        return refuse(why, "the array '%s' has %zu elements, it must have 1 to %d", key, n,
                      VOCAB_TOKENS_MAX);
    while (n_slots < 2 * n)
        n_slots *= 2;
    CLEANUP(freep) uint32_t *kinds = malloc(n * sizeof(*kinds));
    v->texts = malloc(n * sizeof(*v->texts));
    v->scores = malloc(n * sizeof(*v->scores));
    v->kinds = malloc(n * sizeof(*v->kinds));
    v->slots = malloc(n_slots * sizeof(*v->slots));
    if (!kinds || !v->texts || !v->scores || !v->kinds || !v->slots) return err_raise(-ENOMEM);
    memset(v->slots, 0xff, n_slots * sizeof(*v->slots)); /* all free */
    v->n = (uint32_t)n;
    v->mask = n_slots - 1;
    v->hash_key = hash_key();
    r = gguf_array_text(g, key, v->texts, n, why);
    if (r == 0) r = gguf_array_f32(g, "tokenizer.ggml.scores", v->scores, n, why);
    if (r == 0) r = gguf_array_u32(g, "tokenizer.ggml.token_type", kinds, n, why);
    for (uint32_t i = 0; r == 0 && i < n; i++) {
        if (kinds[i] < VOCAB_NORMAL || kinds[i] > VOCAB_BYTE)
            return refuse(why, "token %u has the unknown kind %u ('tokenizer.ggml.token_type')", i,
                          kinds[i]);
        v->kinds[i] = (uint8_t)kinds[i];
        if (isnan(v->scores[i])) v->scores[i] = -INFINITY; /* the order of merges needs numbers */
    }
    return r;
}

static int check_token(const struct vocab *v, uint32_t id, struct reason *why)
{
    const struct gguf_string text = v->texts[id];
    const enum vocab_kind kind = v->kinds[id];
    const bool special = kind == VOCAB_CONTROL || kind == VOCAB_USER || kind == VOCAB_UNKNOWN;
    const size_t max = special ? VOCAB_SPECIAL_MAX : VOCAB_TEXT_MAX;

    if (text.n == 0)
        return refuse(why, "the text of token %u is empty ('tokenizer.ggml.tokens')", id);
    if (text.n > max)
        return refuse(why, "the text of token %u has %zu bytes, at most %zu are allowed", id,
                      text.n, max);
    if (!utf8_valid(text.bytes, text.n))
        return refuse(why, "the text of token %u is not UTF-8", id);
    if (kind == VOCAB_BYTE && named_byte(text) < 0)
        return refuse(why, "the byte token %u is called '%.*s' instead of <0xHH>", id,
                      text.n < 40 ? (int)text.n : 40, text.bytes);
    return 0;
}

static int index_tokens(struct vocab *v, struct reason *why)
{
    for (uint32_t id = 0; id < v->n; id++) {
        uint32_t hash;
        const int r = check_token(v, id, why);
        if (r != 0) return r;
        const struct gguf_string text = v->texts[id];
        struct slot *slot = find_slot(v, text.bytes, text.n, &hash);
        if (slot->id != VOCAB_NONE)
            return refuse(why, "the tokens %u and %u have the same text '%.*s'", slot->id, id,
                          text.n < 40 ? (int)text.n : 40, text.bytes);
        *slot = (struct slot){ .hash = hash, .id = id };
        const bool piece = v->kinds[id] == VOCAB_NORMAL || v->kinds[id] == VOCAB_USER;
        if (piece && text.n > v->piece_max) v->piece_max = text.n;
    }
    return 0;
}

static int find_bytes(struct vocab *v, struct reason *why)
{
    static const char digits[] = "0123456789ABCDEF";

    for (int b = 0; b < 256; b++) {
        const char name[6] = { '<', '0', 'x', digits[b >> 4], digits[b & 15], '>' }, byte = (char)b;
        v->bytes[b] = vocab_find(v, name, sizeof(name));
        if (v->bytes[b] != VOCAB_NONE && v->kinds[v->bytes[b]] == VOCAB_BYTE) continue;
        v->bytes[b] = vocab_find_piece(v, &byte, 1);
        if (v->bytes[b] == VOCAB_NONE)
            return refuse(
                why, "the vocabulary has no token for the byte 0x%02x: some texts have no tokens",
                b);
    }
    return 0;
}

/* Read the token that @key names. *ret: VOCAB_NONE if the key is absent (or -1, as some writers have it). */
static int read_id(const struct vocab *v, const struct gguf *g, const char *key, uint32_t *ret,
                   struct reason *why)
{
    uint32_t id;
    const int r = gguf_u32(g, key, VOCAB_NONE, &id, why);

    if (r != 0) return r;
    if (id != VOCAB_NONE && id >= v->n)
        return refuse(why, "the key '%s' is %u, but there are %u tokens", key, id, v->n);
    *ret = id;
    return 0;
}

static int add_stop(struct vocab *v, uint32_t id, struct reason *why)
{
    if (id == VOCAB_NONE || vocab_is_stop(v, id)) return 0;
    if (v->n_stops == VOCAB_STOPS_MAX)
        return refuse(why, "more than %d tokens end an answer ('tokenizer.ggml.eos_token_ids')",
                      VOCAB_STOPS_MAX);
    v->stops[v->n_stops++] = id;
    return 0;
}

/* The token of @text if it is a control token. */
static uint32_t find_control(const struct vocab *v, const char *text)
{
    const uint32_t id = vocab_find(v, text, strlen(text));

    return id != VOCAB_NONE && v->kinds[id] == VOCAB_CONTROL ? id : VOCAB_NONE;
}

/* Published files disagree about which of these keys they have and whether eos is <eos> or <end_of_turn>. */
static int read_stops(struct vocab *v, const struct gguf *g, struct reason *why)
{
    static const char key[] = "tokenizer.ggml.eos_token_ids";
    enum gguf_value_type type;
    uint32_t eot, ids[VOCAB_STOPS_MAX];
    size_t n;
    int r = read_id(v, g, "tokenizer.ggml.eos_token_id", &v->eos, why);

    if (r == 0) r = read_id(v, g, "tokenizer.ggml.eot_token_id", &eot, why);
    if (r == 0) r = gguf_array_len(g, key, &n, &type, why);
    if (r != 0) return r;
    if (n > VOCAB_STOPS_MAX)
        return refuse(why, "the array '%s' has %zu elements, at most %d are read", key, n,
                      VOCAB_STOPS_MAX);
    r = gguf_array_u32(g, key, ids, n, why);
    if (r == 0) r = add_stop(v, v->eos, why);
    if (r == 0) r = add_stop(v, eot, why);
    if (r == 0) r = add_stop(v, find_control(v, "<eos>"), why);
    if (r == 0) r = add_stop(v, find_control(v, "<end_of_turn>"), why);
    for (size_t i = 0; r == 0 && i < n; i++) {
        if (ids[i] >= v->n)
            return refuse(why, "the array '%s' has %u, but there are %u tokens", key, ids[i], v->n);
        r = add_stop(v, ids[i], why);
    }
    return r;
}

static void protect_turns(struct vocab *v)
{
    static const char *const marks[] = { "<start_of_turn>", "<end_of_turn>" };

    for (int i = 0; i < 2; i++) {
        const uint32_t id = vocab_find(v, marks[i], strlen(marks[i]));
        if (id != VOCAB_NONE) v->kinds[id] = VOCAB_CONTROL;
    }
}

static int read_vocab(struct vocab *v, const struct gguf *g, struct reason *why)
{
    int r = check_model(g, why);

    if (r == 0) r = read_arrays(v, g, why);
    if (r == 0) r = index_tokens(v, why);
    if (r == 0) r = find_bytes(v, why);
    if (r != 0) return r;
    protect_turns(v);
    r = read_id(v, g, "tokenizer.ggml.bos_token_id", &v->bos, why);
    if (r == 0) r = gguf_bool(g, "tokenizer.ggml.add_bos_token", true, &v->add_bos, why);
    if (r == 0) r = read_stops(v, g, why);
    if (v->bos == VOCAB_NONE) v->add_bos = false;
    return r;
}

static void vocab_freep(struct vocab **v)
{
    vocab_free(*v);
}

int vocab_load(const struct gguf *g, struct reason *why, struct vocab **ret)
{
    CLEANUP(vocab_freep) struct vocab *v = calloc(1, sizeof(*v));

    if (!v) return err_raise(-ENOMEM);
    const int r = read_vocab(v, g, why);
    if (r < 0) return err_pass(r);
    if (r > 0) return r;
    *ret = TAKE_PTR(v);
    return 0;
}

struct vocab *vocab_free(struct vocab *v)
{
    if (!v) return NULL;
    free(v->texts);
    free(v->scores);
    free(v->kinds);
    free(v->slots);
    free(v);
    return NULL;
}
