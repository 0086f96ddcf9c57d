/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"
#include <string.h>
#include "cli/out.h"
#include "cli/printable.h"

enum { BAR_COLUMNS = 24 };

void progress_init(struct progress *p, FILE *to, uint64_t now_ns)
{
    *p = (struct progress){ .to = to, .start_ns = now_ns, .phase_ns = now_ns };
}

void progress_set(struct progress *p, const char *what, uint64_t done, uint64_t total,
                  uint64_t now_ns)
{
    if (strcmp(p->what, what) != 0) {
        (void)printable_copy(p->what, sizeof(p->what), what);
        p->phase_ns = now_ns;
    }
    p->done = done;
    p->total = total;
    progress_tick(p, now_ns);
}

void progress_tick(struct progress *p, uint64_t now_ns)
{
    char line[PROGRESS_LINE_MAX];

    if (!p->to || p->what[0] == '\0' || now_ns - p->start_ns < PROGRESS_DELAY_NS) return;
    if (p->shown && now_ns - p->drawn_ns < PROGRESS_PERIOD_NS) return;
    (void)fprintf(p->to, "\r%s\033[K", progress_line(p, out_columns(), now_ns, line));
    (void)fflush(p->to);
    p->shown = true;
    p->drawn_ns = now_ns;
}

void progress_erase(struct progress *p)
{
    if (p->shown) (void)fputs("\r\033[K", p->to);
    if (p->shown) (void)fflush(p->to);
    p->shown = false;
    p->what[0] = '\0';
}

static const char *sentence(const char *what)
{
    static const char *const names[][2] = {
        { "prefill", "reading the prompt" }, { "load", "loading the model" },
        { "pack", "preparing the model" },   { "verify", "checking the file" },
        { "copy", "copying the file" },      { "queue", "waiting for others" },
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i][0], what) == 0) return names[i][1];
    return what;
}

/* Append a piece if it fits below @columns. */
static void append(char *buf, unsigned columns, const char *piece)
{
    const size_t n = strlen(buf), m = strlen(piece);

    if (n + m < columns && n + m < PROGRESS_LINE_MAX) memcpy(buf + n, piece, m + 1);
}

static void append_amounts(const struct progress *p, unsigned columns, char *buf)
{
    char piece[80], done[32], total[32];

    if (strcmp(p->what, "prefill") == 0)
        (void)snprintf(piece, sizeof(piece), "  %llu of %llu tokens", (unsigned long long)p->done,
                       (unsigned long long)p->total);
    else
        (void)snprintf(piece, sizeof(piece), "  %s of %s", out_bytes(done, sizeof(done), p->done),
                       out_bytes(total, sizeof(total), p->total));
    append(buf, columns, piece);
}

char *progress_line(const struct progress *p, unsigned columns, uint64_t now_ns, char *buf)
{
    const uint64_t done = p->done < p->total ? p->done : p->total;
    const double share = p->total ? (double)done / (double)p->total : 0;
    const double elapsed_s = (double)(now_ns - p->phase_ns) * 1e-9;
    char piece[80], bar[BAR_COLUMNS + 1], left[32];

    buf[0] = '\0';
    append(buf, columns, sentence(p->what));
    if (strcmp(p->what, "queue") == 0) {
        (void)snprintf(piece, sizeof(piece), ", %llu before this one", (unsigned long long)p->done);
        if (p->done > 0) append(buf, columns, piece);
    }
    if (p->total > 0) {
        for (int i = 0; i < BAR_COLUMNS; i++)
            bar[i] = i < (int)(share * BAR_COLUMNS) ? '#' : '.';
        bar[BAR_COLUMNS] = '\0';
        (void)snprintf(piece, sizeof(piece), "  [%s] %3.0f %%", bar, 100 * share);
        append(buf, columns, piece);
        append_amounts(p, columns, buf);
        if (elapsed_s < 1 || done == 0 || done == p->total) return buf;
        const double left_ms = elapsed_s * (1 - share) / share * 1e3;
        (void)snprintf(
            piece, sizeof(piece), "  about %s left",
            out_about(left, sizeof(left), left_ms < 1e12 ? (uint64_t)left_ms : 1000000000000));
        append(buf, columns, piece);
        return buf;
    }
    (void)snprintf(piece, sizeof(piece), "  %.0f s", (double)(now_ns - p->start_ns) * 1e-9);
    append(buf, columns, piece);
    return buf;
}
