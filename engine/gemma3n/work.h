/* SPDX-License-Identifier: Apache-2.0 */
/* engine/gemma3n/work.h: what the parts of the forward pass share (forward.c, attention.c, ffn.c, text.c, gemma3.c); private to this folder. */
#pragma once
#include "engine/gemma3n/forward.h"

enum { WORK_FULL, WORK_SLIDING, WORK_KINDS }; /* kinds of layers: rotation differs */

struct forward {
    struct forward_parts p;
    const struct forward_tap *tap;
    struct forward_stop stop;
    const struct forward_row *row; /* [n] of this step */
    uint32_t n, n_want;
    struct rows all;                        /* every row */
    struct rows active;                     /* those that run the present layer */
    uint32_t layer;                         /* the present one */
    uint16_t *at_all, *at_active, *at_some; /* [rows_max] each */
    const uint64_t **allow;                 /* [n_want] of the wanted rows */
    void *memory;                           /* everything below */
    size_t memory_bytes;
    struct rope rope[WORK_KINDS];
    uint32_t kv_index
        [CONFIG_LAYERS_MAX]; /* number of each layer that makes KV among those of its kind */
    /* Per row; widths as in weights.h. Strides are the widths rounded up to 32. */
    float *stream[CONFIG_STREAMS]; /* [D] residual streams; gemma3 uses the first */
    struct act embed; /* [D] input embedding, gemma3n: also the source of the per-layer inputs */
    struct act norm;  /* [D] input of attention and LAuReL */
    float *q, *k, *v; /* [Q], [K], [K] */
    struct act heads; /* [Q] output of the heads */
    float *attn;      /* [D] */
    struct act laurel_mid;                        /* [R] */
    float *laurel;                                /* [D] */
    float *mid;                                   /* [D] between attention and FFN */
    struct act ffn_in;                            /* [D] */
    struct act gate;                              /* [F] gate, then the activated units */
    float *up;                                    /* [F]; sparse: of the chosen units */
    uint16_t *unit;                               /* [F] sparse: the chosen units, ascending */
    uint32_t *n_units;                            /* sparse: how many they are */
    float *ffn;                                   /* [D] */
    float *ple;                                   /* [P] per-layer input of the present layer */
    struct act ple_mid;                           /* [P] */
    uint8_t *ple_row;                             /* [row_bytes] blocks of the table's row */
    float *cosine[WORK_KINDS], *sine[WORK_KINDS]; /* [head_size / 2] */
    uint32_t stride_d, stride_q, stride_k, stride_f, stride_p, half;
};

/** work_row() - row @i of a buffer. */
static inline float *work_row(float *base, uint32_t stride, uint32_t i)
{
    return base + (size_t)i * stride;
}

/** work_act() - row @i of f. */
static inline float *work_act(const struct act *a, uint32_t i)
{
    return a->f + (size_t)i * a->cols_max;
}

/** work_stopped() - true if the step is to be given up. */
static inline bool work_stopped(const struct forward *f)
{
    return f->stop.ask && f->stop.ask(f->stop.context);
}

static inline void work_see(const struct forward *f, const char *name, uint32_t row, const float *x,
                            uint32_t n)
{
    if (f->tap) f->tap->see(f->tap->context, name, f->layer, row, x, n);
}

/**
 * work_activate() - make the rows that run layer @l the active ones: layers that make no KV run only for rows whose logits
 * are wanted. Return: false if there are none.
 */
static inline bool work_activate(struct forward *f, uint32_t l)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < f->n; i++)
        if ((l < f->p.config->first_shared || f->row[i].want) && !f->row[i].level->skip[l])
            f->at_active[n++] = (uint16_t)i;
    f->active = (struct rows){ f->at_active, n };
    f->layer = l;
    return n > 0;
}
