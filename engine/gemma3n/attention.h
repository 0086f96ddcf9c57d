/* SPDX-License-Identifier: Apache-2.0 */
/* engine/gemma3n/attention.h: attention of the active rows; private to this folder. */
#pragma once
#include "engine/gemma3n/work.h"

/** attention_run() - f->q, k, v (just multiplied) to f->heads: norms, rotation, KV into the cache, attention. */
void attention_run(struct forward *f);
