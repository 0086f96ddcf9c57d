/* SPDX-License-Identifier: Apache-2.0 */
/* worker/import.h: the Import job: copy a model file into the store, check it, and say what it is. */
#pragma once
#include <worker.pb-c.h>
#include "proto/link.h"

/**
 * import_run() - do the job and answer Imported or Failed
 * @fds: [n_fds] that came with @job. The copy is checked, not the original, which may change meanwhile; it is synced before the answer.
 * Return: 0 (answered), LINK_E_CLOSED, -errno of sending.
 */
int import_run(struct link *l, const Hearth__Worker__Import *job, const int *fds, size_t n_fds);
