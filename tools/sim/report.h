/* SPDX-License-Identifier: Apache-2.0 */
/* tools/sim/report.h: what a simulation came to, for people or as one JSON object. */
#pragma once
#include <stdio.h>
#include "tools/sim/sim.h"

/** report_table() - tables of latencies, shares and refusals. */
void report_table(struct sim *s, FILE *out);
/** report_json() - the same as JSON. Return: 0; -ENOMEM; -EIO. */
int report_json(struct sim *s, FILE *out);
