/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/turns.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/err.h"

int turns_add(struct turns *t, enum hearth_role role, const char *text, size_t size)
{
    if (t->n == TURNS_MAX) return TURNS_E_FULL;
    if (t->n == t->room) {
        const size_t room = t->room ? 2 * t->room : 16;
        struct turn *const turn = realloc(t->turn, room * sizeof(*turn));
        if (!turn) return err_raise(-ENOMEM);
        t->turn = turn;
        t->room = room;
    }
    char *const copy = malloc(size + 1);
    if (!copy) return err_raise(-ENOMEM);
    if (size > 0) memcpy(copy, text, size);
    copy[size] = '\0';
    t->turn[t->n++] = (struct turn){ role, copy, size };
    return 0;
}

int turns_take_back(struct turns *t, char **ret)
{
    size_t at = t->n;

    while (at > 0 && t->turn[at - 1].role != HEARTH_ROLE_USER)
        at--;
    if (at == 0) return TURNS_E_NOTHING;
    if (ret) *ret = TAKE_PTR(t->turn[at - 1].text);
    while (t->n >= at)
        free(t->turn[--t->n].text);
    return 0;
}

void turns_clear(struct turns *t)
{
    while (t->n > 0)
        free(t->turn[--t->n].text);
    free(t->turn);
    *t = (struct turns){ 0 };
}

int turns_build(const struct turns *t, const char *system, struct hearth_request *q)
{
    int r = 0;

    if (system) {
        r = hearth_request_message(q, HEARTH_ROLE_SYSTEM);
        if (r == 0) r = hearth_request_text(q, system, HEARTH_TEXT_SIZE);
    }
    for (size_t i = 0; r == 0 && i < t->n; i++) {
        r = hearth_request_message(q, t->turn[i].role);
        if (r == 0) r = hearth_request_text(q, t->turn[i].text, t->turn[i].size);
    }
    return r;
}

void turns_write(const struct turns *t, const char *system, FILE *f)
{
    if (system) (void)fprintf(f, "System:\n%s\n\n", system);
    for (size_t i = 0; i < t->n; i++) {
        (void)fputs(t->turn[i].role == HEARTH_ROLE_USER ? "You:\n" : "Model:\n", f);
        (void)fwrite(t->turn[i].text, 1, t->turn[i].size, f);
        (void)fputs("\n\n", f);
    }
}
