/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/engine.h: the facade of the engine: an open model, sequences, and steps over a batch of them. No sockets, no
 * event loop, no global state. All memory is reserved by engine_open() and engine_seq_new(); a step allocates nothing.
 * One thread at a time uses an engine and its sequences; the engine's own threads work inside a call.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/reason.h"
#include "engine/gemma3n/config.h"
#include "engine/gemma3n/forward.h"
#include "engine/gemma3n/level.h"
#include "engine/token/vocab.h"

enum { ENGINE_CHUNK_DEFAULT = 128, ENGINE_CHUNK_MAX = 4096, ENGINE_CONTEXT_DEFAULT = 4096 };
enum {
    ENGINE_E_REFUSED = GGUF_E_REFUSED
}; /* outcome: the model file or an option makes no sense; the reason says what */

enum engine_weights {
    ENGINE_WEIGHTS_RAW,    /* as in the model file: the kernels want them so */
    ENGINE_WEIGHTS_MEMORY, /* packed in memory */
    ENGINE_WEIGHTS_FILE,   /* packed in a file that is mapped */
};

/*
 * Files for packed weights (engine/format/packed.h). Both may be given: new_fd is written if fd is not the right one. If neither
 * can be used, weights are packed in memory.
 */
struct engine_packed {
    int fd;     /* a packed file, open for reading, or -1; must not shrink while the engine lives */
    int new_fd; /* a regular file for one, open for reading and writing, or -1 */
    const char *sha256; /* of the model file, 64 small hex digits */
    bool check; /* read all of fd and compare its checksum, because something went wrong before */
};

struct engine_options {
    const char *kernels; /* "auto" (also NULL), "c", or the name of a set of this CPU */
    uint32_t threads;    /* 0: one per CPU that this process may run on */
    uint32_t
        context; /* tokens that one sequence may have; 0: the model's, at most ENGINE_CONTEXT_DEFAULT */
    uint32_t chunk;    /* most rows of one step; 0: ENGINE_CHUNK_DEFAULT */
    uint64_t kv_bytes; /* size of the KV pool; 0: room for two sequences of full context */
    bool kv_f32;       /* f32 KV instead of f16 */
    void (*progress)(void *context, const char *what, uint64_t done,
                     uint64_t total); /* may be NULL; "pack" in bytes */
    void *progress_context;
    const struct engine_packed
        *packed; /* NULL: pack in memory. Descriptors are borrowed during engine_open() */
};

struct engine;

struct engine_info {
    const struct config *config;
    const char *kernels; /* "avx512-vnni" */
    uint32_t threads, context, chunk;
    uint32_t vocab;          /* width of a row of logits */
    uint32_t pages_total;    /* of the KV pool */
    uint32_t page_tokens;    /* positions of one page */
    uint64_t parameters;     /* values of all tensors */
    uint64_t weights_bytes;  /* of the matrices in memory, without the per-layer-embedding table */
    uint32_t unused_tensors; /* of the file */
    enum engine_weights weights;
    bool packed_new;        /* engine_packed.new_fd is complete and synced, and in use */
    const char *packed_why; /* why a file of engine_packed is not in use, or fd was not; "" else */
};

/**
 * engine_open() - load the model in @fd and reserve everything that steps need
 * Its table of levels is what level_table_init() knows, and what the file has as JSON in its key hearth.levels.
 * @fd: a GGUF file, borrowed; it is duplicated where it stays in use.
 * Return: 0 and @ret, owned; ENGINE_E_REFUSED (@why); -ENOMEM; another -errno.
 */
int engine_open(int fd, const struct engine_options *o, struct reason *why, struct engine **ret);
struct engine *engine_free(struct engine *e);

const struct engine_info *engine_info(const struct engine *e);
const struct gguf *engine_file(const struct engine *e);
const struct vocab *engine_vocab(const struct engine *e);
const struct level_table *engine_levels(const struct engine *e);
/** engine_levels_json() - add rows to the level table; see level_table_json(). A file may bring rows, in its key `hearth.levels`. No sequence may be in use by level meanwhile. */
int engine_levels_json(struct engine *e, const char *text, size_t n, struct reason *why);
/** engine_pages_used() - KV pages that sequences hold. */
uint32_t engine_pages_used(const struct engine *e);
/** engine_pages_for() - the most KV pages that a sequence of @tokens tokens holds. */
uint64_t engine_pages_for(const struct engine *e, uint32_t tokens);
/** engine_trim() - give the memory of KV pages that nobody holds back to the system, see kv_pool_trim(). */
uint64_t engine_trim(struct engine *e);
/** engine_level_bytes() - weights that one decoded token reads at @level, without its per-layer-embedding row; in sparse layers what it reads on average. */
uint64_t engine_level_bytes(const struct engine *e, const struct level *level);
/** engine_watch() - look at inner tensors; see forward_watch(). */
void engine_watch(struct engine *e, const struct forward_tap *tap);
/** engine_stop() - from now on a step is given up as soon as @stop.ask says so; it is asked before each layer. ask NULL: never. */
void engine_stop(struct engine *e, struct forward_stop stop);

enum {
    ENGINE_E_GONE = GGUF_E_REFUSED + 1, /* outcome of engine_seq_share() */
    ENGINE_E_STOPPED                    /* outcome of engine_step() */
};

struct engine_seq; /* the KV of a sequence */

/** engine_seq_new() - an empty sequence. Return: 0 and @ret, owned; -ENOMEM. */
int engine_seq_new(struct engine *e, struct engine_seq **ret);
struct engine_seq *engine_seq_free(struct engine_seq *s);
/**
 * engine_seq_share() - make the empty sequence @to hold the first @length tokens of @from, without copying or computing
 * Pages are shared until one of the two writes to them. Return: 0; ENGINE_E_GONE (@from no longer has what the
 * sliding-window layers of a continuation at @length see).
 */
int engine_seq_share(struct engine_seq *to, const struct engine_seq *from, uint32_t length);
/** engine_seq_length() - tokens whose KV is there. */
uint32_t engine_seq_length(const struct engine_seq *s);
/** engine_seq_pages() - KV pages that it holds. */
uint32_t engine_seq_pages(const struct engine_seq *s);

enum engine_want { ENGINE_WANT_NONE, ENGINE_WANT_LAST, ENGINE_WANT_ALL };

struct engine_item {
    struct engine_seq *seq; /* each at most once in a batch */
    const uint32_t *tokens; /* [n] that follow what the sequence has; each < vocab */
    uint32_t n;             /* > 0; the length then stays within the context */
    const struct level *level;
    enum engine_want want; /* logits of which of the tokens */
    const uint64_t *
        allow; /* [(vocab + 63) / 64] with ENGINE_WANT_LAST: the tokens (bit id % 64 of [id / 64]) that may follow; the others' logits are -infinity, and the head is not computed for them. NULL: all may */
    bool starved; /* out: left out, because no KV page was free */
};

/**
 * engine_step() - process a batch
 * @items: [n_items], together at most info.chunk tokens.
 * @logits: receives the wanted rows, [vocab] each, in the order of the items (starved ones have none). May be NULL if none are wanted.
 * Return: 0; ENGINE_E_STOPPED (see engine_stop()); -errno of reading the model file. The sequences are then as before.
 */
int engine_step(struct engine *e, struct engine_item *items, size_t n_items, float *logits);
