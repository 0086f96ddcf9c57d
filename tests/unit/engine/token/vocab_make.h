/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vocab_make.h: vocabularies for tests and fuzzers, through a GGUF file in memory. A failure aborts.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "engine/token/vocab.h"
#include "tests/unit/engine/format/gguf_make.h"

struct vocab_make_token {
    const char *text; /* terminated */
    float score;
    int32_t kind;
};

/* A vocabulary with the file that it lives in. */
struct vocab_made {
    struct gguf *g;
    struct vocab *v;
};

/** vocab_make_keys() - add the keys of the vocabulary of these tokens to @m; bos is 2, eos 1. */
void vocab_make_keys(struct gguf_make *m, const struct vocab_make_token *tokens, size_t n);

/**
 * vocab_make_small() - add the keys of a vocabulary like Gemma's
 * 0 <pad>, 1 <eos>, 2 <bos>, 3 <unk>, 4 <start_of_turn>, 5 <end_of_turn> (control), 6..261 the bytes, then the
 * normal tokens of vocab_make.c, and "\n", "\n\n", "  ", "<b>" (user-defined).
 */
void vocab_make_small(struct gguf_make *m);

/** vocab_make_load() - load what @m describes, and release @m. */
struct vocab_made vocab_make_load(struct gguf_make *m);

/** vocab_made_deinit() - free both. */
void vocab_made_deinit(struct vocab_made *made);
