/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each cause says two things about a moment: by how many steps the ceiling must be lowered at least, now; and whether one more
 * should be taken or may be given back. limit_move() adds the hysteresis that all of them share.
 *
 * Numbers. Heat: the kernel slows the CPU down at limit_c, and a governor that lets it come to that has lost; small boards heat
 * up by about 0.5 K/s from MARGIN_TIGHT_K, so that four steps of TIGHTEN_S are in time; the forecast covers those that are
 * quicker. Battery: below half, an answer for less energy is worth more than a better one; below a fifth, lasting is.
 * Queue: after five seconds of silence people ask again.
 */
#include "daemon/core/governor.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"

enum {
    TIGHTEN_S = 3,
    PATIENCE_S = 20, /* before a limit is relaxed by one step */
    PATIENCE_MOST_S = 640,
    RELAPSE_S =
        300,      /* a limit that comes back within this and the patience was relaxed too early */
    PAUSE_S = 60, /* without an update: what was known is out of date */
    MARGIN_STOP_K = 2,
    MARGIN_TIGHT_K = 6,
    MARGIN_FREE_K = 12,
    FORECAST_S = 6,
    SMOOTH_S = 5,
    BATTERY_LOW = 50, /* [%] */
    BATTERY_EMPTY = 20,
    BATTERY_HYSTERESIS = 5,
    WAIT_LONG_MS = 5000,
    WAIT_SHORT_MS = 2000,
    CPU_BUSY = 80, /* [%] with others on the CPU, half the wait is long */
};

struct verdict {
    unsigned least; /* steps that the limit must have now */
    int direction;  /* 1: one more, -1: one less will do, 0: neither */
};

static uint64_t seconds(unsigned s)
{
    return s * CLOCK_NS_PER_S;
}

void governor_init(struct governor *g)
{
    *g = (struct governor){ .margin_k = MACHINE_UNKNOWN };
    for (int i = 0; i < GOVERNOR_CAUSES; i++)
        g->limit[i].patience_ns = seconds(PATIENCE_S);
}

double governor_share(const struct governor *g)
{
    return 1 - (double)g->steps / GOVERNOR_STEPS;
}

/* ---- the causes ---- */

/* How fast the margin shrinks [K/s], smoothed: sensors say whole degrees, and one that jumps is no catastrophe. */
static double slope(struct governor *g, double margin_k, uint64_t now_ns)
{
    const double dt = (double)(now_ns - g->then_ns) * 1e-9;

    if (g->then_ns == 0 || isnan(g->margin_k) || dt >= PAUSE_S)
        g->slope = 0;
    else if (dt > 0)
        g->slope += ((g->margin_k - margin_k) / dt - g->slope) * dt / (dt + SMOOTH_S);
    g->margin_k = margin_k;
    return fmax(g->slope, 0);
}

static struct verdict heat(struct governor *g, const struct machine *m, uint64_t now_ns)
{
    const double now_k = m->limit_c - m->heat_c; /* NAN: unknown */
    const double soon_k = now_k - slope(g, now_k, now_ns) * FORECAST_S;

    if (isnan(now_k)) return (struct verdict){ 0, -1 };
    if (now_k <= MARGIN_STOP_K || soon_k <= 0) return (struct verdict){ GOVERNOR_STEPS, 1 };
    if (soon_k < MARGIN_TIGHT_K) return (struct verdict){ 0, 1 };
    return (struct verdict){ 0, soon_k > MARGIN_FREE_K ? -1 : 0 };
}

static struct verdict battery(const struct governor *g, const struct machine *m)
{
    const unsigned had = g->limit[GOVERNOR_BATTERY].steps;
    const double p = m->battery_percent;

    if (!m->on_battery || isnan(p)) return (struct verdict){ 0, -1 };
    if (p < BATTERY_EMPTY) return (struct verdict){ GOVERNOR_STEPS, 0 };
    if (p < BATTERY_LOW)
        return (struct verdict){ GOVERNOR_STEPS / 2,
                                 p > BATTERY_EMPTY + BATTERY_HYSTERESIS ? -1 : 0 };
    return (struct verdict){ 0, had > 0 && p > BATTERY_LOW + BATTERY_HYSTERESIS ? -1 : 0 };
}

static struct verdict memory(const struct governor_input *in)
{
    return in->memory_short ? (struct verdict){ GOVERNOR_STEPS, 0 } : (struct verdict){ 0, -1 };
}

static struct verdict queue(const struct governor_input *in)
{
    const double busy = in->machine.cpu_some > CPU_BUSY ? 2 : 1; /* NAN: no */
    const double wait_ms = in->wait_ms * busy;

    if (in->apps_waiting == 0) return (struct verdict){ 0, -1 };
    if (wait_ms >= WAIT_LONG_MS) return (struct verdict){ 0, 1 };
    return (struct verdict){ 0, wait_ms < WAIT_SHORT_MS ? -1 : 0 };
}

/* ---- hysteresis ---- */

static void limit_move(struct governor_limit *l, struct verdict v, bool paused, uint64_t now_ns)
{
    const uint64_t still_ns = now_ns - l->moved_ns;
    const unsigned had = l->steps;

    if (paused && v.direction < 0) l->steps = 0;
    if (l->steps < v.least)
        l->steps = v.least;
    else if (v.direction > 0 && l->steps < GOVERNOR_STEPS &&
             (still_ns >= seconds(TIGHTEN_S) || had == 0))
        l->steps++;
    else if (v.direction < 0 && l->steps > v.least && still_ns >= l->patience_ns)
        l->steps--;
    if (l->steps == had) {
        if (had == 0 && still_ns >= l->patience_ns + seconds(RELAPSE_S))
            l->patience_ns = seconds(PATIENCE_S);
        return;
    }
    if (l->steps > had && l->relaxed) { /* that was too early, or was right for long */
        const bool soon = still_ns < l->patience_ns + seconds(RELAPSE_S);
        l->patience_ns = soon ? 2 * l->patience_ns : seconds(PATIENCE_S);
        if (l->patience_ns > seconds(PATIENCE_MOST_S)) l->patience_ns = seconds(PATIENCE_MOST_S);
    }
    l->relaxed = l->steps < had;
    l->moved_ns = now_ns;
}

static void say_why(struct governor *g, const struct governor_input *in, enum governor_cause cause)
{
    const struct machine *m = &in->machine;
    char left[32] = "";

    switch (cause) {
    case GOVERNOR_HEAT:
        if (m->zone[0])
            reason_set(&g->reason, "the machine is hot: %s has %.0f of %.0f degrees C", m->zone,
                       m->heat_c, m->limit_c);
        else
            reason_set(&g->reason, "the machine was hot");
        break;
    case GOVERNOR_BATTERY:
        if (!isnan(m->battery_percent))
            (void)snprintf(left, sizeof(left), ", %.0f %% left", m->battery_percent);
        reason_set(&g->reason, "the machine %s on its battery%s", m->on_battery ? "runs" : "was",
                   left);
        break;
    case GOVERNOR_MEMORY:
        if (in->memory_short && !isnan(m->memory_some))
            reason_set(&g->reason, "memory is short: tasks waited for it %.0f %% of the time",
                       m->memory_some);
        else
            reason_set(&g->reason, "memory %s short", in->memory_short ? "is" : "was");
        break;
    case GOVERNOR_QUEUE:
        if (in->apps_waiting > 0)
            reason_set(&g->reason, "%u app%s wait%s for a first token, about %.0f s",
                       in->apps_waiting, in->apps_waiting == 1 ? "" : "s",
                       in->apps_waiting == 1 ? "s" : "", in->wait_ms * 1e-3);
        else
            reason_set(&g->reason, "apps had to wait");
        break;
    case GOVERNOR_CAUSES:
        reason_set(&g->reason, "%s", "");
        break;
    }
}

bool governor_update(struct governor *g, const struct governor_input *in, uint64_t now_ns)
{
    assert(now_ns >= g->then_ns);
    const bool paused = g->then_ns > 0 && now_ns - g->then_ns >= seconds(PAUSE_S);
    const struct verdict v[GOVERNOR_CAUSES] = {
        [GOVERNOR_HEAT] = heat(g, &in->machine, now_ns),
        [GOVERNOR_BATTERY] = battery(g, &in->machine),
        [GOVERNOR_MEMORY] = memory(in),
        [GOVERNOR_QUEUE] = queue(in),
    };
    enum governor_cause cause = GOVERNOR_CAUSES;
    const unsigned had = g->steps;

    g->steps = 0;
    for (int i = 0; i < GOVERNOR_CAUSES; i++) {
        limit_move(&g->limit[i], v[i], paused, now_ns);
        if (g->limit[i].steps <= g->steps) continue;
        g->steps = g->limit[i].steps;
        cause = (enum governor_cause)i;
    }
    say_why(g, in, cause);
    g->then_ns = now_ns;
    g->switches += g->steps != had;
    return g->steps != had;
}
