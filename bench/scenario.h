/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/scenario.h: a load of many apps, as a file. hearth-sim plays it against the scheduler alone, hearth-bench service against
 * a running server. docs/SCHEDULING.md lists sections and settings; tools/scenarios/ has examples.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/reason.h"

enum { SCENARIO_E_REFUSED = 1 }; /* outcome: the reason says what is wrong, and in which line */
enum { SCENARIO_GROUPS_MAX = 32, SCENARIO_LEVELS_MAX = 8, SCENARIO_NAME_MAX = 32 };

struct scenario_range {
    uint32_t least, most; /* drawn evenly from it, both included */
};

struct scenario_group {
    char name[SCENARIO_NAME_MAX];
    uint32_t apps;          /* that do the same, each with a share of its own */
    uint32_t clients;       /* of each app: one request after the other. 0: by rate */
    double rate;            /* requests per second of each app, at random times */
    double think_s;         /* of a client between an answer and its next request, on the mean */
    uint32_t request_class; /* 0 background, 1 interactive, 2 realtime */
    uint32_t weight;        /* 1..1000 */
    uint32_t requests;      /* most of each app, 0: no limit */
    struct scenario_range prompt, output; /* tokens */
    uint32_t prefix;      /* tokens of the prompt that all of the group have in common */
    uint32_t deadline_ms; /* 0: none */
    uint32_t in_flight, tokens_per_minute, kv_pages; /* of an app, by policy. 0: no limit */
    uint32_t as_uid; /* hearth-bench: of the first app; the next ones follow. 0: as it is */
    double start_s, duration_s;    /* when its requests come; 0: to the end */
    char level[SCENARIO_NAME_MAX]; /* "": what the server takes */
};

struct scenario_level {
    char name[SCENARIO_NAME_MAX];
    double cost; /* (0, 1] */
};

struct scenario {
    double seconds; /* requests come for so long; what runs then may end */
    uint64_t seed;
    /* the machine, for hearth-sim alone */
    uint32_t running, queue, chunk, pages, page_tokens, layers;
    double step_target_ms, decode_ms, sequence_ms, prefill_ms;
    double
        noise; /* [0, 1): for a second at a time steps take that much more or less, at most; 0: costs are exact */
    bool waits, abandons; /* rules of the worker: see docs/SCHEDULING.md */
    struct scenario_level level[SCENARIO_LEVELS_MAX];
    size_t n_levels;
    struct scenario_group group[SCENARIO_GROUPS_MAX];
    size_t n_groups;
};

/** scenario_read() - read the file @path. Return: 0 and @ret; SCENARIO_E_REFUSED (@why); -ENOMEM. */
int scenario_read(const char *path, struct scenario *ret, struct reason *why);

/** scenario_parse() - the same from @text; @name stands for the path in @why. */
int scenario_parse(const char *text, const char *name, struct scenario *ret, struct reason *why);

/** scenario_default() - what holds where the file says nothing: 8 places, a machine like a small model on two cores; no group. */
void scenario_default(struct scenario *ret);

/** scenario_class_name() - "background", "interactive", "realtime". */
const char *scenario_class_name(uint32_t request_class);
