/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/engine/engine_run.h"
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct engine *engine_run_open(const char *path, const struct engine_options *o)
{
    struct reason why = { "" };
    struct engine *e = NULL;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    cr_assert_geq(fd, 0, "%s", path);
    cr_assert_eq(engine_open(fd, o, &why, &e), 0, "%s: %s", path, why.text);
    (void)close(fd);
    return e;
}

struct engine_seq *engine_run_seq(struct engine *e)
{
    struct engine_seq *s = NULL;

    cr_assert_eq(engine_seq_new(e, &s), 0);
    return s;
}

void engine_run_feed(struct engine *e, struct engine_seq *s, const uint32_t *ids, uint32_t n,
                     const struct level *level, float *logits)
{
    const uint32_t chunk = engine_info(e)->chunk, vocab = engine_info(e)->vocab;

    for (uint32_t at = 0; at < n; at += chunk) {
        struct engine_item it = { .seq = s,
                                  .tokens = ids + at,
                                  .n = n - at < chunk ? n - at : chunk,
                                  .level = level ? level : level_find(engine_levels(e), ""),
                                  .want = logits ? ENGINE_WANT_ALL : ENGINE_WANT_NONE };
        cr_assert_eq(engine_step(e, &it, 1, logits ? logits + (size_t)at * vocab : NULL), 0);
        cr_assert(!it.starved);
    }
}

float *engine_run_logits(struct engine *e, const uint32_t *ids, uint32_t n,
                         const struct level *level)
{
    struct engine_seq *s = engine_run_seq(e);
    float *logits = malloc((size_t)n * engine_info(e)->vocab * sizeof(float));

    cr_assert_not_null(logits);
    engine_run_feed(e, s, ids, n, level, logits);
    engine_seq_free(s);
    return logits;
}

uint32_t engine_run_argmax(const float *x, uint32_t n)
{
    uint32_t best = 0;

    for (uint32_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}
