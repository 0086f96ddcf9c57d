/* SPDX-License-Identifier: Apache-2.0 */
/* engine/gemma3n/gemma3.h: the layers of Gemma 3; private to this folder. */
#pragma once
#include "engine/gemma3n/work.h"

/** gemma3_layers() - f->stream[0] to f->norm of the wanted rows, ready for the head. Return: 0, FORWARD_E_STOPPED. */
int gemma3_layers(struct forward *f);
