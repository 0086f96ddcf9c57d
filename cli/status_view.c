/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/status_view.h"
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include "cli/json_out.h"
#include "cli/printable.h"

enum { NAME_COLUMNS = 10, HEAD_MAX = 512 };

/* "name  value"; nothing if the value is empty. */
__attribute__((format(printf, 3, 4))) static void row(FILE *f, const char *name, const char *format,
                                                      ...)
{
    char raw[512], text[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(raw, sizeof(raw), format, args);
    va_end(args);
    if (raw[0] == '\0') return;
    (void)fprintf(f, "%s%-*s%s  %s\n", out_style(f, OUT_BOLD), NAME_COLUMNS, name,
                  out_style(f, OUT_PLAIN), printable_copy(text, sizeof(text), raw));
}

static enum out_style state_style(enum hearth_state s)
{
    if (s == HEARTH_STATE_READY || s == HEARTH_STATE_UNLOADED) return OUT_GREEN;
    return s == HEARTH_STATE_CRASHED || s == HEARTH_STATE_NO_MODEL ? OUT_RED : OUT_YELLOW;
}

static const char *state_help(enum hearth_state s)
{
    switch (s) {
    case HEARTH_STATE_NO_MODEL:
        return ": `hearthctl model add FILE` brings one";
    case HEARTH_STATE_UNLOADED:
        return ": loads with the next request";
    case HEARTH_STATE_CRASHED:
        return ": restarts by itself in a moment";
    case HEARTH_STATE_DRAINING:
        return ": finishes what runs and takes nothing new";
    case HEARTH_STATE_LOADING:
    case HEARTH_STATE_READY:
        break;
    }
    return "";
}

static void print_model(const struct hearth_status *s, FILE *f)
{
    char size[16], load[32], level[240] = "";

    if (!s->model) return;
    row(f, "model", "%s %s, %s, %s, context %" PRIu32 " tokens", s->model->name, s->model->version,
        s->model->architecture, out_bytes(size, sizeof(size), s->model->size_bytes),
        s->model->context);
    if (s->level_reason && *s->level_reason)
        (void)snprintf(level, sizeof(level), " (%s)", s->level_reason);
    if (s->level && *s->level) row(f, "level", "%s%s", s->level, level);
    if (s->load_us) row(f, "loaded in", "%s", out_time(load, sizeof(load), s->load_us));
}

void status_view_print(const struct hearth_status *s, FILE *f)
{
    char time[32], rss[16], anon[16];

    (void)fprintf(f, "%s%-*s%s  %s%s%s%s\n", out_style(f, OUT_BOLD), NAME_COLUMNS, "state",
                  out_style(f, OUT_PLAIN), out_style(f, state_style(s->state)),
                  json_out_state(s->state), out_style(f, OUT_PLAIN), state_help(s->state));
    row(f, "problem", "%s", s->last_error ? s->last_error : "");
    print_model(s, f);
    row(f, "hearthd", "%s, up %s", s->version, out_time(time, sizeof(time), s->uptime_us));
    row(f, "requests",
        "%" PRIu32 " running, %" PRIu32 " queued, %" PRIu32 " parked; %" PRIu64 " served, %" PRIu64
        " refused",
        s->running, s->queued, s->parked, s->served, s->refused);
    row(f, "clients", "%" PRIu32, s->clients);
    row(f, "tokens", "%" PRIu64 " in (%" PRIu64 " of them cached), %" PRIu64 " out", s->tokens_in,
        s->tokens_cached, s->tokens_out);
    if (s->prefill_tok_s > 0 || s->decode_tok_s > 0)
        row(f, "speed", "%.1f tokens/s read, %.1f tokens/s written", (double)s->prefill_tok_s,
            (double)s->decode_tok_s);
    if (s->rss_bytes)
        row(f, "memory", "%s resident, %s of it not from files",
            out_bytes(rss, sizeof(rss), s->rss_bytes),
            out_bytes(anon, sizeof(anon), s->rss_anon_bytes));
    if (s->kv_pages_total)
        row(f, "context", "%" PRIu32 " of %" PRIu32 " pages in use", s->kv_pages_used,
            s->kv_pages_total);
    row(f, "weights", "%s", s->weights ? s->weights : "");
    row(f, "pressure", "%s", s->pressure ? s->pressure : "");
    if (s->temperature_limit_c > 0)
        row(f, "heat", "%.0f of %.0f degrees C", (double)s->temperature_c,
            (double)s->temperature_limit_c);
    row(f, "power", "%s", s->power_supply ? s->power_supply : "");
    if (s->energy_mj > 0)
        row(f, "energy", "%.1f J since the start, %.1f W now", (double)s->energy_mj * 1e-3,
            (double)s->power_w);
    if (s->threads) row(f, "kernels", "%s, %" PRIu32 " threads", s->kernels, s->threads);
    if (s->read_gb_s > 0)
        row(f, "bandwidth", "%.1f GB/s of weights while it writes", (double)s->read_gb_s);
    row(f, "sandbox", "%s", s->sandbox ? s->sandbox : "");
    if (s->worker_restarts)
        row(f, "crashes", "%" PRIu64 " of the worker, survived", s->worker_restarts);
}

/* One line of the head, cut at @columns. */
static void head_line(FILE *f, unsigned columns, const char *line)
{
    char text[HEAD_MAX];

    (void)printable_copy(text, sizeof(text), line);
    (void)fprintf(f, "%.*s\n", (int)out_fit(text, strlen(text), columns), text);
}

__attribute__((format(printf, 3, 4))) static void append(char *line, size_t size,
                                                         const char *format, ...)
{
    const size_t n = strlen(line);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line + n, size - n, format, args);
    va_end(args);
}

/* "####......" */
static const char *bar(char *out, size_t size, uint64_t part, uint64_t whole)
{
    const size_t n = size - 1, full = whole ? (size_t)((part * n + whole - 1) / whole) : 0;

    memset(out, '.', n);
    memset(out, '#', full < n ? full : n);
    out[n] = '\0';
    return out;
}

static void head_machine(const struct hearth_status *s, char *line, size_t size)
{
    char rss[16], anon[16];

    (void)snprintf(line, size, "memory %s (%s own)  pressure %s",
                   out_bytes(rss, sizeof(rss), s->rss_bytes),
                   out_bytes(anon, sizeof(anon), s->rss_anon_bytes),
                   s->pressure && *s->pressure ? s->pressure : "none");
    if (s->temperature_limit_c > 0)
        append(line, size, "  %.0f of %.0f deg C", (double)s->temperature_c,
               (double)s->temperature_limit_c);
    if (s->power_supply && *s->power_supply) append(line, size, "  %s", s->power_supply);
    if (s->power_w > 0) append(line, size, "  %.1f W", (double)s->power_w);
}

void status_view_head(const struct hearth_status *s, unsigned columns, FILE *f)
{
    const bool problem = s->last_error && *s->last_error,
               limited = s->level_reason && *s->level_reason;
    char up[32], line[HEAD_MAX], pages[11];

    (void)snprintf(line, sizeof(line), "hearthd %.16s  up %s  %s", s->version ? s->version : "",
                   out_time(up, sizeof(up), s->uptime_us), json_out_state(s->state));
    if (s->model) append(line, sizeof(line), "  %.*s", columns > 100 ? 64 : 24, s->model->name);
    if (s->level && *s->level) append(line, sizeof(line), "  level %.12s", s->level);
    head_line(f, columns, line);
    (void)snprintf(line, sizeof(line),
                   "%" PRIu32 " running  %" PRIu32 " queued  %" PRIu32 " parked  %" PRIu64
                   " served  %" PRIu64 " refused  %" PRIu64 " crashes  %" PRIu32 " clients",
                   s->running, s->queued, s->parked, s->served, s->refused, s->worker_restarts,
                   s->clients);
    head_line(f, columns, line);
    (void)snprintf(line, sizeof(line), "reads %.1f, writes %.1f tok/s  KV %s %" PRIu32 "/%" PRIu32,
                   (double)s->prefill_tok_s, (double)s->decode_tok_s,
                   bar(pages, sizeof(pages), s->kv_pages_used, s->kv_pages_total), s->kv_pages_used,
                   s->kv_pages_total);
    if (s->read_gb_s > 0) append(line, sizeof(line), "  %.1f GB/s", (double)s->read_gb_s);
    head_line(f, columns, line);
    head_machine(s, line, sizeof(line));
    head_line(f, columns, line);
    (void)snprintf(line, sizeof(line), "%s%s",
                   problem   ? "problem: "
                   : limited ? "limited: "
                             : "",
                   problem   ? s->last_error
                   : limited ? s->level_reason
                             : "");
    head_line(f, columns, line);
}

static void cell_read(struct out_table *t, const struct hearth_request_info *q)
{
    if (q->prefilled_tokens < q->prompt_tokens)
        out_table_cell(t, "%" PRIu32 "/%" PRIu32, q->prefilled_tokens, q->prompt_tokens);
    else
        out_table_cell(t, "%" PRIu32, q->prompt_tokens);
}

/* Nothing where there is no number. */
static void cell_positive(struct out_table *t, double x, const char *unit)
{
    if (x > 0)
        out_table_cell(t, "%.1f%s", x, unit);
    else
        out_table_cell(t, "%s", "");
}

/* The columns that matter least are last: a narrow screen cuts them. */
void status_view_requests(struct out_table *t, const struct hearth_request_info *q, size_t n)
{
    char time[32];

    out_table_columns(t, "SERIAL> APP STATE READ> OUT> LEVEL AGE> CLASS PID>");
    for (size_t i = 0; i < n; i++) {
        out_table_cell(t, "%" PRIu64, q[i].serial);
        out_table_cell(t, "%.16s", q[i].app ? q[i].app : "");
        out_table_cell(t, "%.8s", q[i].state ? q[i].state : "");
        cell_read(t, &q[i]);
        out_table_cell(t, "%" PRIu32, q[i].output_tokens);
        out_table_cell(t, "%.12s", q[i].level ? q[i].level : "");
        out_table_cell(t, "%s", out_about(time, sizeof(time), q[i].age_us / 1000));
        out_table_cell(t, "%s", json_out_class(q[i].request_class));
        out_table_cell(t, "%" PRIu32, q[i].pid);
    }
}

static const char *short_class(enum hearth_class c)
{
    switch (c) {
    case HEARTH_CLASS_BACKGROUND:
        return "back";
    case HEARTH_CLASS_INTERACTIVE:
        return "inter";
    case HEARTH_CLASS_REALTIME:
        return "real";
    case HEARTH_CLASS_DEFAULT:
        break;
    }
    return "";
}

void status_view_live(struct out_table *t, const struct hearth_request_info *q, const float *tok_s,
                      size_t n)
{
    char time[32];

    out_table_columns(
        t, "SERIAL> APP CLASS STATE LEVEL READ> OUT> TOK/S> AGE> ENGINE> CACHED> ENERGY> PID>");
    for (size_t i = 0; i < n; i++) {
        out_table_cell(t, "%" PRIu64, q[i].serial);
        out_table_cell(t, "%.18s", q[i].app ? q[i].app : "");
        out_table_cell(t, "%s", short_class(q[i].request_class));
        out_table_cell(t, "%.8s", q[i].state ? q[i].state : "");
        out_table_cell(t, "%.12s", q[i].level ? q[i].level : "");
        cell_read(t, &q[i]);
        out_table_cell(t, "%" PRIu32, q[i].output_tokens);
        cell_positive(t, (double)tok_s[i], "");
        out_table_cell(t, "%s", out_about(time, sizeof(time), q[i].age_us / 1000));
        out_table_cell(t, "%s", out_time(time, sizeof(time), q[i].engine_us));
        out_table_cell(t, "%" PRIu32, q[i].cached_tokens);
        cell_positive(t, (double)q[i].energy_mj * 1e-3, " J");
        out_table_cell(t, "%" PRIu32, q[i].pid);
    }
}
