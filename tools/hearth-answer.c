/* SPDX-License-Identifier: Apache-2.0 */
/* hearth-answer: greedy answers to many prompts with one open model. What evaluations of a model's answers run on. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/cleanup.h"
#include "engine/engine.h"
#include "engine/token/call_guard.h"

enum { EXIT_USAGE = 2, PROMPT_MAX = 1 << 15, ANSWER_MAX = 4096 };

struct answer {
    const char *model, *levels, *level;
    struct engine_options engine;
    uint32_t max; /* tokens of an answer */

    struct engine *e;
    const struct level *at;
    uint32_t *id; /* [PROMPT_MAX + ANSWER_MAX] prompt and answer */
    uint32_t n_ids, n_cached,
        n_made;    /* of the prompt; the first of them that count as cached; of the answer */
    float *logits; /* [vocab] */

    struct chat chat;
    struct call_mask *mask; /* of a model that calls tools, else NULL */
    struct tools
        *tools; /* of this prompt: its calls fit one of them; NULL: they are as they come */
    struct call_guard *calls; /* with tools */
    double prefill_ms, total_ms;
};

static const char help[] =
    "usage: hearth-answer MODEL.gguf [OPTION ...] < PROMPTS\n"
    "\n"
    "Reads a JSON object per line, {\"ids\": [...], \"cached\": n, \"tools\": [...]}: the tokens "
    "of "
    "a\n"
    "prompt, bos included; how many of them (default 0) are processed before the time begins, as "
    "if a\n"
    "prefix cache had them; and, if calls are to be held to the form, the tools of the prompt, as "
    "an\n"
    "app offers them. Prints for each a line {\"ids\": [...], \"prefill_ms\": x, \"total_ms\": y}: "
    "the most "
    "probable\n"
    "tokens that follow, up to a token that ends an answer, which is not printed.\n"
    "\n"
    "  --max N            most tokens of an answer (default 256, at most 4096)\n"
    "  --levels FILE      more levels, as for hearth-eval\n"
    "  --level NAME       level of all tokens (default: the whole model)\n"
    "  --kernels SET      auto (default), c, or a set of this CPU\n"
    "  --threads T        default: one per CPU\n"
    "\n"
    "Exit status: 0 done, 1 refused or failed, 2 wrong usage.\n";

static int fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "hearth-answer: %s: %s\n", what, why);
    return 1;
}

static double now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int bad_line(const char *why)
{
    return fail("a line of the input", why);
}

/* The ids of a line of standard input. Return: 0, 1 (said why). */
static int take_ids(struct answer *a, const json_t *list)
{
    const json_t *v;
    size_t i;

    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > PROMPT_MAX)
        return bad_line("\"ids\" is no array of 1 to 32768 ids");
    a->n_ids = 0;
    json_array_foreach(list, i, v)
    {
        const json_int_t id = json_integer_value(v);
        if (!json_is_integer(v) || id < 0 || id >= engine_info(a->e)->vocab)
            return bad_line("it has an id that is no token of the model");
        a->id[a->n_ids++] = (uint32_t)id;
    }
    if ((uint64_t)a->n_ids + a->max > engine_info(a->e)->context)
        return bad_line("with an answer it does not fit the model's context");
    return 0;
}

static int take_cached(struct answer *a, const json_t *n)
{
    a->n_cached = 0;
    if (!n) return 0;
    if (!json_is_integer(n) || json_integer_value(n) < 0 || json_integer_value(n) >= a->n_ids)
        return bad_line("\"cached\" is no number below that of its ids");
    a->n_cached = (uint32_t)json_integer_value(n);
    return 0;
}

/* The tools that calls are held to, if the line has them. */
static int take_tools(struct answer *a, const json_t *list)
{
    struct reason why = { "" };
    const json_t *v;
    size_t i;
    int r = 0;

    a->calls = call_guard_free(a->calls);
    a->tools = tools_free(a->tools);
    if (!list) return 0;
    if (!a->mask) return bad_line("it has \"tools\", which this model was not trained to call");
    if (json_array_size(list) == 0) return bad_line("\"tools\" is no array of tools");
    a->tools = tools_new();
    json_array_foreach(list, i, v)
    {
        CLEANUP(freep) char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
        if (r == 0) r = a->tools && text ? tools_add(a->tools, text, strlen(text), &why) : -ENOMEM;
    }
    if (r == 0) r = call_guard_new(&a->chat, engine_vocab(a->e), a->mask, a->tools, &a->calls);
    return r == 0 ? 0 : bad_line(r < 0 ? strerror(-r) : why.text);
}

static int take_prompt(struct answer *a, const char *line, size_t n)
{
    json_error_t e;
    json_t *o = json_loadb(line, n, 0, &e);
    int status = json_is_object(o) ? 0 : bad_line(o ? "it is no object" : e.text);

    if (status == 0) status = take_ids(a, json_object_get(o, "ids"));
    if (status == 0) status = take_cached(a, json_object_get(o, "cached"));
    if (status == 0) status = take_tools(a, json_object_get(o, "tools"));
    json_decref(o);
    return status;
}

static int step(struct answer *a, struct engine_seq *seq, const uint32_t *ids, uint32_t n,
                enum engine_want want)
{
    struct engine_item item = { .seq = seq, .tokens = ids, .n = n, .level = a->at, .want = want };

    if (a->calls) item.allow = call_guard_allow(a->calls);
    const int r = engine_step(a->e, &item, 1, a->logits);

    if (r < 0) return fail(a->model, strerror(-r));
    return item.starved ? fail("KV cache", "full") : 0;
}

static uint32_t best_of(const float *logits, uint32_t n)
{
    uint32_t best = 0;

    for (uint32_t i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

/* Process a->id[@at..@end). */
static int prefill(struct answer *a, struct engine_seq *seq, uint32_t at, uint32_t end)
{
    const uint32_t chunk = engine_info(a->e)->chunk;

    for (uint32_t n; at < end; at += n) {
        n = end - at < chunk ? end - at : chunk;
        const bool last = at + n == a->n_ids;
        if (step(a, seq, a->id + at, n, last ? ENGINE_WANT_LAST : ENGINE_WANT_NONE) != 0) return 1;
    }
    return 0;
}

/* The answer to the prompt in a->id, behind it. */
static int generate(struct answer *a, struct engine_seq *seq)
{
    const uint32_t vocab = engine_info(a->e)->vocab;

    a->n_made = 0;
    if (prefill(a, seq, 0, a->n_cached) != 0) return 1;
    const double begin = now_ms();
    if (prefill(a, seq, a->n_cached, a->n_ids) != 0) return 1;
    a->prefill_ms = now_ms() - begin;
    while (a->n_made < a->max) {
        const uint32_t id = best_of(a->logits, vocab);
        if (vocab_is_stop(engine_vocab(a->e), id)) break;
        a->id[a->n_ids + a->n_made++] = id;
        if (a->calls && call_guard_follow(a->calls, a->id, a->n_ids + a->n_made) != 0)
            return fail("a call", strerror(ENOMEM));
        if (a->n_made < a->max && step(a, seq, &id, 1, ENGINE_WANT_LAST) != 0) return 1;
    }
    a->total_ms = now_ms() - begin;
    return 0;
}

static int answer_line(struct answer *a, const char *line, size_t n)
{
    struct engine_seq *seq = NULL;

    if (take_prompt(a, line, n) != 0) return 1;
    if (engine_seq_new(a->e, &seq) < 0) return fail("a sequence", strerror(ENOMEM));
    const int status = generate(a, seq);
    engine_seq_free(seq);
    if (status != 0) return status;
    (void)printf("{\"ids\": [");
    for (uint32_t i = 0; i < a->n_made; i++)
        (void)printf("%s%u", i ? ", " : "", a->id[a->n_ids + i]);
    (void)printf("], \"prefill_ms\": %.3f, \"total_ms\": %.3f}\n", a->prefill_ms, a->total_ms);
    return 0;
}

static int run(struct answer *a)
{
    CLEANUP(freep) char *line = NULL;
    size_t size = 0;
    ssize_t got;
    int status = 0;

    a->id = calloc(PROMPT_MAX + ANSWER_MAX, sizeof(*a->id));
    a->logits = calloc(engine_info(a->e)->vocab, sizeof(*a->logits));
    if (!a->id || !a->logits) return fail("prompts", strerror(ENOMEM));
    while (status == 0 && (got = getline(&line, &size, stdin)) > 0)
        status = answer_line(a, line, (size_t)got);
    return status == 0 && ferror(stdin) ? fail("standard input", strerror(errno)) : status;
}

/* Add the levels of a file (at most 64 KiB). */
static int add_levels(struct answer *a)
{
    struct reason why = { "" };
    CLEANUP(freep) char *text = calloc(1, 1 << 16);
    FILE *f = fopen(a->levels, "rb");

    if (!text || !f) {
        if (f) (void)fclose(f);
        return fail(a->levels, strerror(text ? errno : ENOMEM));
    }
    const size_t n = fread(text, 1, 1 << 16, f);
    (void)fclose(f);
    const int r = engine_levels_json(a->e, text, n, &why);
    return r == 0 ? 0 : fail(a->levels, r < 0 ? strerror(-r) : why.text);
}

static int parse_count(const char *option, const char *text, uint32_t max, uint32_t *ret)
{
    char *end;

    errno = 0;
    const unsigned long n = strtoul(text, &end, 10);
    if (errno || *end || end == text || *text == '-' || n == 0 || n > max) {
        (void)fprintf(stderr, "hearth-answer: --%s wants a number from 1 to %u, not '%s'\n", option,
                      max, text);
        return EXIT_USAGE;
    }
    *ret = (uint32_t)n;
    return 0;
}

static int parse(struct answer *a, int argc, char **argv)
{
    static const struct option options[] = {
        { "max", 1, NULL, 'm' },     { "levels", 1, NULL, 'L' },  { "level", 1, NULL, 'l' },
        { "kernels", 1, NULL, 'k' }, { "threads", 1, NULL, 'T' }, { "help", 0, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    int c, r = 0;

    while (r == 0 && (c = getopt_long(argc, argv, "h", options, NULL)) != -1)
        switch (c) {
        case 'm':
            r = parse_count("max", optarg, ANSWER_MAX, &a->max);
            break;
        case 'L':
            a->levels = optarg;
            break;
        case 'l':
            a->level = optarg;
            break;
        case 'k':
            a->engine.kernels = optarg;
            break;
        case 'T':
            r = parse_count("threads", optarg, 1024, &a->engine.threads);
            break;
        case 'h':
            (void)fputs(help, stdout);
            exit(0);
        default:
            r = EXIT_USAGE;
        }
    if (r != 0) return r;
    if (optind + 1 == argc)
        a->model = argv[optind];
    else
        (void)fputs("hearth-answer: give one model file; see hearth-answer --help\n", stderr);
    return a->model ? 0 : EXIT_USAGE;
}

int main(int argc, char **argv)
{
    static struct answer a = { .max = 256, .level = "" };
    struct reason why = { "" };
    int status = parse(&a, argc, argv);

    if (status != 0) return status;
    CLEANUP(closep) int fd = open(a.model, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail(a.model, strerror(errno));
    int r = engine_open(fd, &a.engine, &why, &a.e);
    if (r == 0) r = chat_init(&a.chat, engine_file(a.e), engine_vocab(a.e), &why);
    if (r == 0 && a.chat.form == CHAT_FORM_TOOLS) r = call_mask_new(engine_vocab(a.e), &a.mask);
    if (r != 0) return fail(a.model, r < 0 ? strerror(-r) : why.text);
    if (a.levels) status = add_levels(&a);
    if (status == 0 && !(a.at = level_find(engine_levels(a.e), a.level)))
        status = fail(a.level, "no such level");
    if (status == 0) status = run(&a);
    if (fflush(stdout) != 0 && status == 0) status = fail("standard output", strerror(errno));
    call_guard_free(a.calls);
    tools_free(a.tools);
    call_mask_free(a.mask);
    engine_free(a.e);
    free(a.id);
    free(a.logits);
    return status;
}
