/* SPDX-License-Identifier: Apache-2.0 */
#include "base/reason.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void reason_set(struct reason *r, const char *format, ...)
{
    va_list args;

    if (!r) return;
    va_start(args, format);
    int n = vsnprintf(r->text, sizeof(r->text), format, args);
    va_end(args);
    if (n >= (int)sizeof(r->text)) memcpy(r->text + sizeof(r->text) - 4, "...", 4);
    for (char *c = r->text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
}
