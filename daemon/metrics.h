/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/metrics.h: a Status in the text format of Prometheus (exposition format 0.0.4). */
#pragma once
#include <hearth.pb-c.h>

/** metrics_text() - Return: NUL-terminated text, owned by the caller; NULL if memory is short. */
char *metrics_text(const Hearth__Status *s);
