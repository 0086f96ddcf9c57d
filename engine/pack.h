/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/pack.h: where the packed form of a model's matrices lives: in a packed file that is there already, in one that is made
 * now, or in memory; in this order, whatever goes first. Private to the engine.
 */
#pragma once
#include "engine/backend/pool.h"
#include "engine/engine.h"
#include "engine/format/packed.h"
#include "engine/gemma3n/weights.h"

struct pack {
    enum engine_weights where;
    bool made;          /* new_fd is whole now */
    struct reason why;  /* why a file that was offered is not used, "" if it is */
    struct packed file; /* ENGINE_WEIGHTS_FILE */
    void *memory;       /* ENGINE_WEIGHTS_MEMORY: mapped */
    size_t memory_bytes;
};

/**
 * pack_weights() - all matrices of @w are packed from now on
 * @p: zeroed; pack_deinit() when the matrices are not used any more, also after a failure.
 * @g, @fd: the model file, open. Its pages that have been read are given back.
 * @o: packed, progress.
 * A file that cannot be used or made is not a failure: p->why has the reason, and the next place is taken.
 * Return: 0, -ENOMEM.
 */
int pack_weights(struct pack *p, const struct gguf *g, int fd, struct weights *w,
                 const struct config *c, struct pool *pool, const struct engine_options *o);
void pack_deinit(struct pack *p);
