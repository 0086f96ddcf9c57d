/* SPDX-License-Identifier: Apache-2.0 */
/* engine/gemma3n/text.h: the layers of Gemma 3n; private to this folder. */
#pragma once
#include "engine/gemma3n/work.h"

/** text_layers() - f->embed to f->norm of the wanted rows, ready for the head. Return: 0, FORWARD_E_STOPPED, -errno of reading the file. */
int text_layers(struct forward *f);
