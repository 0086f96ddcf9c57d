/* SPDX-License-Identifier: Apache-2.0 */
/* bench/options.h: the command line of hearth-bench. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/reason.h"

enum { OPTIONS_E_REFUSED = 1 }; /* outcome: the reason says what is wrong with them */
enum options_command {
    OPTIONS_HELP,
    OPTIONS_ENGINE,
    OPTIONS_KERNELS,
    OPTIONS_BANDWIDTH,
    OPTIONS_SERVICE
};
enum { OPTIONS_RUNS_MAX = 1000, OPTIONS_SEQS_MAX = 64 };

struct options {
    enum options_command command;
    const char *model;   /* engine */
    const char *level;   /* or NULL: the whole model */
    const char *kernels; /* or NULL: the best */
    const char *type;    /* kernels: of matrices, or NULL: all */
    uint32_t prompt_tokens, gen_tokens;
    uint32_t depth;   /* tokens that a sequence has before it decodes */
    uint32_t seqs;    /* that decode together */
    uint32_t threads; /* 0: one per CPU that this process may run on */
    uint32_t context; /* tokens that a sequence may have, 0: as many as it gets */
    uint32_t chunk;   /* most tokens of one step, 0: the engine's default */
    uint32_t runs;
    uint32_t mib;         /* size of the buffer that bandwidth is measured with */
    uint32_t ms;          /* kernels: time for each measurement */
    const char *socket;   /* service: of hearthd, or NULL: libhearth's default */
    const char *scenario; /* service */
    uint32_t http;        /* service: port of llama-server on this machine, 0: hearthd is asked */
    bool json;
    bool raw; /* bandwidth: only median and best, in bytes per second */
};

/**
 * options_parse() - what the arguments after the program's name say
 * @ret: its texts are borrowed from @argv.
 * Return: 0; OPTIONS_E_REFUSED (@why).
 */
int options_parse(int argc, char **argv, struct options *ret, struct reason *why);

/** options_help() - the text of --help. */
const char *options_help(void);
