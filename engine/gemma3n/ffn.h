/* SPDX-License-Identifier: Apache-2.0 */
/* engine/gemma3n/ffn.h: the gated FFN of the active rows; private to this folder. */
#pragma once
#include "engine/gemma3n/work.h"

/** ffn_run() - f->ffn_in to f->ffn, each row at the width of its level. */
void ffn_run(struct forward *f);
