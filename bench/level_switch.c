/* SPDX-License-Identifier: Apache-2.0 */
/*
 * level-switch MODEL [STEPS]: what it costs to change the level between two tokens of an answer.
 *
 * One sequence decodes with one thread with the levels A A B B A A B B ...: half of the steps of each level follow one of the same level, the
 * other half follow a change. All else is equal, so the difference of the medians is the cost of the change. B has half the FFN width of A, the whole model.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "bench/stats.h"
#include "engine/engine.h"

enum { WARM = 16, STEPS = 800, STEPS_MAX = 8000, BLOCK = 256 };

/* The level "half", half as wide. */
static int add_half(struct engine *e, struct reason *why)
{
    const struct config *c = engine_info(e)->config;
    char text[4096] = "{\"half\": {\"width\": [";

    for (uint32_t l = 0; l < c->n_layers; l++) {
        const size_t n = strlen(text);
        (void)snprintf(text + n, sizeof(text) - n, "%s%u", l ? "," : "",
                       (c->ffn_width[l] / 2 + BLOCK - 1) / BLOCK * BLOCK);
    }
    (void)strncat(text, "], \"skip\": []}}", sizeof(text) - strlen(text) - 1);
    return engine_levels_json(e, text, strlen(text), why);
}

/* Time of the CPU: neighbours do not count. */
static double cpu_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void report(const char *name, double *stayed, double *changed, size_t n)
{
    const double a = stats_median(stayed, n), b = stats_median(changed, n);

    (void)printf("%-6s %8.3f ms after the same level, %8.3f ms after a change: %+.3f ms "
                 "(CPU time, %zu steps each)\n",
                 name, a, b, b - a, n);
}

static int measure(struct engine *e, uint32_t steps)
{
    static double ms[2][2][STEPS_MAX]; /* of level, changed */
    const struct level *level[2] = { level_find(engine_levels(e), ""),
                                     level_find(engine_levels(e), "half") };
    float *logits = calloc(engine_info(e)->vocab, sizeof(*logits));
    struct engine_seq *seq = NULL;
    size_t n[2][2] = { { 0 } };
    int r = logits ? engine_seq_new(e, &seq) : -1;

    for (uint32_t i = 0; i < WARM + steps && r == 0; i++) {
        const int l = i / 2 % 2, changed = i % 2 == 0;
        const uint32_t token = 100 + i / 2 % 1000; /* sparse layers: other tokens take other time */
        struct engine_item item = {
            .seq = seq, .tokens = &token, .n = 1, .level = level[l], .want = ENGINE_WANT_LAST
        };
        const double from_ms = cpu_ms();
        r = engine_step(e, &item, 1, logits);
        if (i >= WARM) ms[l][changed][n[l][changed]++] = cpu_ms() - from_ms;
    }
    for (int l = 0; l < 2 && r == 0; l++)
        report(level[l]->name, ms[l][0], ms[l][1], n[l][0] < n[l][1] ? n[l][0] : n[l][1]);
    engine_seq_free(seq);
    free(logits);
    return r;
}

int main(int argc, char **argv)
{
    const uint32_t steps = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : STEPS;
    const struct engine_options o = { .context = WARM + steps, .threads = 1 };
    struct reason why = { "" };
    struct engine *e = NULL;
    const int fd = argc > 1 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0 || steps < 8 || steps > STEPS_MAX) {
        (void)fprintf(stderr, "usage: level-switch MODEL.gguf [STEPS]    (8 to %d)\n", STEPS_MAX);
        return 2;
    }
    int r = engine_open(fd, &o, &why, &e);
    if (r == 0) r = add_half(e, &why);
    if (r == 0) r = measure(e, steps);
    if (r != 0) (void)fprintf(stderr, "level-switch: %s\n", why.text[0] ? why.text : "failed");
    engine_free(e);
    (void)close(fd);
    return r == 0 ? 0 : 1;
}
