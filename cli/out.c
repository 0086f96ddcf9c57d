/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/out.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>
#include "base/err.h"
#include "cli/printable.h"

static struct {
    bool color[2], terminal[2], known[2]; /* of stdout, of stderr */
} state;

static size_t index_of(const FILE *f)
{
    return f == stderr;
}

bool out_is_terminal(FILE *f)
{
    if (f != stdout && f != stderr) return isatty(fileno(f)) == 1;
    const size_t i = index_of(f);
    if (!state.known[i]) {
        state.terminal[i] = isatty(fileno(f)) == 1;
        state.known[i] = true;
    }
    return state.terminal[i];
}

void out_init(const char *color)
{
    const char *const no_color = getenv("NO_COLOR"), *const term = getenv("TERM");
    const bool wanted = !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
    const bool is_auto = !color || strcmp(color, "auto") == 0;

    state.color[0] = is_auto ? wanted && out_is_terminal(stdout) : strcmp(color, "always") == 0;
    state.color[1] = is_auto ? wanted && out_is_terminal(stderr) : strcmp(color, "always") == 0;
}

bool out_has_color(const FILE *f)
{
    return (f == stdout || f == stderr) && state.color[index_of(f)];
}

const char *out_style(const FILE *f, enum out_style style)
{
    static const char *const escapes[] = {
        [OUT_PLAIN] = "\033[0m",  [OUT_BOLD] = "\033[1m",    [OUT_DIM] = "\033[2m",
        [OUT_GREEN] = "\033[32m", [OUT_YELLOW] = "\033[33m", [OUT_RED] = "\033[31m",
    };

    return out_has_color(f) ? escapes[style] : "";
}

unsigned out_columns(void)
{
    struct winsize w = { 0 };

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0) return w.ws_col;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0) return w.ws_col;
    return 80;
}

void out_text(const char *text, size_t n)
{
    if (out_is_terminal(stdout))
        printable_write(stdout, text, n);
    else
        (void)fwrite(text, 1, n, stdout); /* out_flush() sees errors */
}

int out_flush(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
    out_error("cannot write the output: %s", strerror(errno));
    return 1;
}

__attribute__((format(printf, 2, 0))) static void say(const char *before, const char *format,
                                                      va_list args, const char *after)
{
    char text[2048];

    (void)vsnprintf(text, sizeof(text), format, args);
    (void)fputs(before, stderr);
    printable_write(stderr, text, strlen(text));
    (void)fprintf(stderr, "%s\n", after);
}

void out_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)fprintf(stderr, "%shearthctl:%s ", out_style(stderr, OUT_RED),
                  out_style(stderr, OUT_PLAIN));
    say("", format, args, "");
    va_end(args);
}

void out_note(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(out_style(stderr, OUT_DIM), format, args, out_style(stderr, OUT_PLAIN));
    va_end(args);
}

char *out_bytes(char *buf, size_t size, uint64_t bytes)
{
    static const char *const units[] = { "kB", "MB", "GB", "TB", "PB", "EB" };
    double value = (double)bytes / 1000;
    size_t unit = 0;

    if (bytes < 1000) {
        (void)snprintf(buf, size, "%u B", (unsigned)bytes);
        return buf;
    }
    for (; value >= 999.5 && unit < 5; unit++)
        value /= 1000;
    (void)snprintf(buf, size, value < 9.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return buf;
}

char *out_time(char *buf, size_t size, uint64_t us)
{
    const double s = (double)us * 1e-6;
    const unsigned long long n = us / 1000000;

    if (s < 9.95)
        (void)snprintf(buf, size, "%.2f s", s);
    else if (n < 60)
        (void)snprintf(buf, size, "%.0f s", s);
    else if (n < 3600)
        (void)snprintf(buf, size, "%llu min %llu s", n / 60, n % 60);
    else if (n < 86400)
        (void)snprintf(buf, size, "%llu h %llu min", n / 3600, n / 60 % 60);
    else
        (void)snprintf(buf, size, "%llu d %llu h", n / 86400, n / 3600 % 24);
    return buf;
}

char *out_about(char *buf, size_t size, uint64_t ms)
{
    const unsigned long long s = (ms + 999) / 1000;

    if (ms < 1000)
        (void)snprintf(buf, size, "%u ms", (unsigned)ms);
    else if (s < 120)
        (void)snprintf(buf, size, "%llu s", s);
    else if (s < 7200)
        (void)snprintf(buf, size, "%llu min", (s + 59) / 60);
    else
        (void)snprintf(buf, size, "%llu h", (s + 3599) / 3600);
    return buf;
}

/* The character at the start of @text: [n]. Return: its bytes; @ret: its columns. */
static size_t character(const char *text, size_t n, size_t *ret)
{
    mbstate_t shift = { 0 };
    wchar_t c;
    const size_t used = mbrtowc(&c, text, n, &shift);

    if (used == 0 || used == (size_t)-1 || used == (size_t)-2) {
        *ret = 1;
        return 1;
    }
    const int columns = wcwidth(c);
    *ret = columns > 0 ? (size_t)columns : 0;
    return used;
}

size_t out_width(const char *text)
{
    const size_t n = strlen(text);
    size_t width = 0, columns;

    for (size_t i = 0; i < n; width += columns)
        i += character(text + i, n - i, &columns);
    return width;
}

size_t out_fit(const char *text, size_t n, size_t columns)
{
    size_t width = 0, i = 0, own;

    while (i < n) {
        const size_t used = character(text + i, n - i, &own);
        if (width + own > columns) break;
        width += own;
        i += used;
    }
    return i;
}

static void add_cell(struct out_table *t, const char *text)
{
    if (t->n_cells >= (size_t)OUT_COLUMNS_MAX * OUT_ROWS_MAX) return;
    if (t->n_cells == t->size) {
        const size_t size = t->size ? 2 * t->size : 64;
        char **const cells = realloc(t->cells, size * sizeof(*cells));
        if (!cells) t->broken = true;
        if (!cells) return;
        t->cells = cells;
        t->size = size;
    }
    t->cells[t->n_cells] = strdup(text);
    if (t->cells[t->n_cells])
        t->n_cells++;
    else
        t->broken = true;
}

void out_table_columns(struct out_table *t, const char *names)
{
    char name[64];

    while (*names && t->n_columns < OUT_COLUMNS_MAX) {
        const size_t n = strcspn(names, " ");
        const bool right = n > 0 && names[n - 1] == '>';
        (void)snprintf(name, sizeof(name), "%.*s", (int)(n - right), names);
        t->right[t->n_columns++] = right;
        add_cell(t, name);
        names += n + (names[n] == ' ');
    }
}

void out_table_cell(struct out_table *t, const char *format, ...)
{
    char raw[OUT_CELL_MAX], text[OUT_CELL_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(raw, sizeof(raw), format, args);
    va_end(args);
    add_cell(t, raw[0] ? printable_copy(text, sizeof(text), raw) : "-");
}

int out_table_print(const struct out_table *t, FILE *f, enum out_style style)
{
    size_t widths[OUT_COLUMNS_MAX] = { 0 };

    for (size_t i = 0; i < t->n_cells; i++) {
        const size_t w = out_width(t->cells[i]);
        if (w > widths[i % t->n_columns]) widths[i % t->n_columns] = w;
    }
    for (size_t i = 0; i < t->n_cells; i++) {
        const size_t column = i % t->n_columns;
        const bool last = column + 1 == t->n_columns;
        const int pad = (int)(widths[column] - out_width(t->cells[i]));
        if (i == 0) (void)fputs(out_style(f, style), f);
        (void)fprintf(f, "%*s%s%*s", t->right[column] ? pad : 0, "", t->cells[i],
                      t->right[column] || last ? 0 : pad, "");
        if (last && i + 1 == t->n_columns) (void)fputs(out_style(f, OUT_PLAIN), f);
        (void)fputs(last ? "\n" : "  ", f);
    }
    return t->broken ? err_raise(-ENOMEM) : 0;
}

void out_table_deinit(struct out_table *t)
{
    for (size_t i = 0; i < t->n_cells; i++)
        free(t->cells[i]);
    free(t->cells);
    *t = (struct out_table){ 0 };
}
