/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/health.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include "base/cleanup.h"
#include "base/err.h"

static int look(const float *logits, uint32_t n, struct reason *why)
{
    uint32_t differ = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (!isfinite(logits[i])) {
            reason_set(why,
                       "the model loads but does not compute: logit %u of a test token is not "
                       "finite; the file is damaged",
                       i);
            return HEALTH_E_SICK;
        }
        differ += logits[i] != logits[0];
    }
    if (differ > 0) return 0;
    reason_set(why, "the model loads but does not compute: all logits of a test token are the "
                    "same; the file is damaged");
    return HEALTH_E_SICK;
}

int health_check(struct engine *e, struct reason *why)
{
    const struct engine_info *info = engine_info(e);
    const uint32_t token = 2; /* <bos> of every Gemma; any token would do */
    CLEANUP(freep) float *logits = malloc(info->vocab * sizeof(*logits));
    struct engine_item item = {
        .tokens = &token, .n = 1, .level = &engine_levels(e)->row[0], .want = ENGINE_WANT_LAST
    };

    if (!logits) return err_raise(-ENOMEM);
    int r = engine_seq_new(e, &item.seq);
    if (r == 0) r = engine_step(e, &item, 1, logits);
    engine_seq_free(item.seq);
    return r < 0 ? err_pass(r) : look(logits, info->vocab, why);
}
