/* SPDX-License-Identifier: Apache-2.0 */
/* hearth-eval: run the engine on given tokens and write what it computes. The instrument of all accuracy checks. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "engine/engine.h"
#include "engine/token/tokenizer.h"

enum { IDS_MAX = 1 << 20, PLAN_MAX = 256, EXIT_USAGE = 2 };

struct span { /* so many tokens at this level */
    const struct level *level;
    uint32_t n;
};

struct eval {
    const char *model, *ids, *ids_file, *text, *logits, *levels, *level, *plan;
    struct engine_options engine;
    uint32_t greedy;
    bool nll, tokenize, special;

    struct engine *e;
    struct engine_seq *seq;
    uint32_t *id; /* [n_ids] */
    uint32_t n_ids;
    struct span span[PLAN_MAX];
    uint32_t n_spans;
    FILE *out;  /* logits */
    float *row; /* [chunk, vocab] */
    double nll_sum;
    uint32_t *made; /* [greedy] */
};

static const char help[] =
    "usage: hearth-eval MODEL.gguf (--ids 2,105,... | --ids-file F | --text S) [OPTION ...]\n"
    "       hearth-eval MODEL.gguf --tokenize [--special] < JSON-STRINGS\n"
    "\n"
    "Runs the model on tokens and prints one JSON object: {\"ids\": [...], \"greedy\": [...], "
    "\"nll\": mean}.\n"
    "nll is null where it was not asked for, or is not a number.\n"
    "\n"
    "  --ids LIST         token ids, separated by commas (bos included)\n"
    "  --ids-file FILE    the same from a file; blanks, commas, newlines and brackets separate\n"
    "  --text TEXT        bos and the tokens of TEXT\n"
    "  --logits OUT.f32   logits of every position as raw float32 [n_tokens, vocab]\n"
    "  --greedy N         N more tokens, always the most probable\n"
    "  --nll              mean negative log-likelihood of the tokens after the first [nats]\n"
    "  --kernels SET      auto (default), c (the reference), or a set of this CPU: avx2, "
    "avx512-vnni, ...\n"
    "  --kv f16|f32       type of the KV cache (default f16)\n"
    "  --threads T        default: one per CPU\n"
    "  --chunk C          most tokens of one step (default 128, at most 4096)\n"
    "  --levels FILE      more levels: {\"name\": {\"width\": [per layer], \"skip\": [layers]}, "
    "...}\n"
    "  --level NAME       level of all tokens (default: the whole model)\n"
    "  --plan A:7,B:9     the first 7 tokens at level A, the next 9 at B, ...; the rest, greedy "
    "ones "
    "too, at the last\n"
    "  --tokenize         a JSON string per line on stdin -> a JSON array of ids per line, without "
    "bos\n"
    "  --special          with --tokenize: spellings of control tokens become those tokens\n"
    "\n"
    "Exit status: 0 done, 1 refused or failed, 2 wrong usage.\n";

static int fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "hearth-eval: %s: %s\n", what, why);
    return 1;
}

static char *read_file(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "rb");
    size_t size = 1 << 16, n = 0, got;
    char *text = f ? malloc(size) : NULL;

    while (text && (got = fread(text + n, 1, size - n - 1, f)) > 0) {
        n += got;
        if (size - n > 1) continue;
        char *more = realloc(text, size *= 2);
        if (!more) free(text);
        text = more;
    }
    if (text && ferror(f)) { /* a folder, for example */
        free(text);
        text = NULL;
    }
    const int why = errno;
    if (f) (void)fclose(f);
    if (text) text[n] = '\0';
    errno = why;
    *ret_n = n;
    return text;
}

/* ---- what to run on ---- */

static int parse_ids(struct eval *v, const char *list)
{
    while (*(list += strspn(list, " ,\t\r\n[]")) != '\0') {
        char *end;
        errno = 0;
        const unsigned long id = strtoul(list, &end, 10);
        if (end == list || errno || *list == '-' || id >= engine_info(v->e)->vocab) {
            (void)fprintf(stderr,
                          "hearth-eval: token %u of the list, '%.12s', is not an id below %u\n",
                          v->n_ids + 1, list, engine_info(v->e)->vocab);
            return 1;
        }
        if (v->n_ids == IDS_MAX) return fail("--ids", "too many");
        v->id[v->n_ids++] = (uint32_t)id;
        list = end;
    }
    return 0;
}

static int encode_text(struct eval *v)
{
    const struct vocab *vocab = engine_vocab(v->e);
    struct tokenizer *t = NULL;
    size_t n = 0;

    if (tokenizer_new(vocab, &t) < 0) return fail("--text", strerror(ENOMEM));
    if (vocab_add_bos(vocab) && vocab_bos(vocab) != VOCAB_NONE)
        v->id[v->n_ids++] = vocab_bos(vocab);
    const int r = tokenizer_encode(t, v->text, strlen(v->text), false, v->id + v->n_ids,
                                   IDS_MAX - v->n_ids, &n);
    tokenizer_free(t);
    if (r != 0) return fail("--text", "too long");
    v->n_ids += (uint32_t)n;
    return 0;
}

static int take_ids(struct eval *v)
{
    size_t n;

    v->id = malloc(IDS_MAX * sizeof(*v->id));
    if (!v->id) return fail("--ids", strerror(ENOMEM));
    if (v->text) return encode_text(v);
    if (v->ids) return parse_ids(v, v->ids);
    CLEANUP(freep) char *list = read_file(v->ids_file, &n);
    return list ? parse_ids(v, list) : fail(v->ids_file, strerror(errno));
}

/* NAME:TOKENS,NAME:TOKENS,...; the last one goes on to the end. */
static int parse_plan(struct eval *v)
{
    for (const char *p = v->plan;; p++) {
        char name[LEVEL_NAME_MAX];
        int used = 0;
        struct span *s = &v->span[v->n_spans];
        if (v->n_spans == PLAN_MAX ||
            sscanf(p, "%31[^:,]:%9[0-9]%n", name, (char[10]){ "" }, &used) != 2)
            return fail("--plan", "expected NAME:TOKENS,NAME:TOKENS,...");
        s->n = (uint32_t)strtoul(p + strlen(name) + 1, NULL, 10);
        s->level = level_find(engine_levels(v->e), name);
        if (!s->level) return fail(name, "no such level");
        v->n_spans++;
        p += used;
        if (*p == '\0') break;
        if (*p != ',') return fail("--plan", "expected NAME:TOKENS,NAME:TOKENS,...");
    }
    v->span[v->n_spans - 1].n = UINT32_MAX;
    return 0;
}

static int take_levels(struct eval *v)
{
    struct reason why = { "" };
    size_t n = 0;

    if (v->levels) {
        CLEANUP(freep) char *text = read_file(v->levels, &n);
        if (!text) return fail(v->levels, strerror(errno));
        const int r = engine_levels_json(v->e, text, n, &why);
        if (r != 0) return fail(v->levels, r < 0 ? strerror(-r) : why.text);
    }
    if (v->plan) return parse_plan(v);
    v->span[0] =
        (struct span){ level_find(engine_levels(v->e), v->level ? v->level : ""), UINT32_MAX };
    v->n_spans = 1;
    return v->span[0].level ? 0 : fail(v->level, "no such level");
}

/* The level of the token at @position. @ret_left: how many tokens from it on have that level. */
static const struct level *level_at(const struct eval *v, uint32_t position, uint32_t *ret_left)
{
    uint32_t i = 0;

    while (position >= v->span[i].n && i + 1 < v->n_spans)
        position -= v->span[i++].n;
    *ret_left = v->span[i].n - position;
    return v->span[i].level;
}

/* ---- running ---- */

static uint32_t best_of(const float *logits, uint32_t n)
{
    uint32_t best = 0;

    for (uint32_t i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

static double log_probability(const float *logits, uint32_t n, uint32_t id)
{
    const double top = (double)logits[best_of(logits, n)];
    double sum = 0;

    for (uint32_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - top);
    return (double)logits[id] - top - log(sum);
}

static int step(struct eval *v, const uint32_t *ids, uint32_t n, const struct level *level,
                enum engine_want want)
{
    struct engine_item item = {
        .seq = v->seq, .tokens = ids, .n = n, .level = level, .want = want
    };
    const int r = engine_step(v->e, &item, 1, v->row);

    if (r < 0) return fail(v->model, strerror(-r));
    return item.starved ? fail("KV cache", "full") : 0;
}

static int run_prompt(struct eval *v)
{
    const uint32_t chunk = engine_info(v->e)->chunk, vocab = engine_info(v->e)->vocab;
    const bool all = v->out || v->nll;

    for (uint32_t at = 0, n, left; at < v->n_ids; at += n) {
        const struct level *level = level_at(v, at, &left);
        n = v->n_ids - at < chunk ? v->n_ids - at : chunk;
        if (n > left) n = left;
        const enum engine_want want = all                  ? ENGINE_WANT_ALL
                                      : at + n == v->n_ids ? ENGINE_WANT_LAST
                                                           : ENGINE_WANT_NONE;
        if (step(v, v->id + at, n, level, want) != 0) return 1;
        for (uint32_t i = 0; i < n && v->nll; i++)
            if (at + i + 1 < v->n_ids)
                v->nll_sum -= log_probability(v->row + (size_t)i * vocab, vocab, v->id[at + i + 1]);
        if (v->out && fwrite(v->row, sizeof(float) * vocab, n, v->out) != n)
            return fail(v->logits, strerror(errno));
        if (at + n == v->n_ids && all)
            memmove(v->row, v->row + (size_t)(n - 1) * vocab, vocab * sizeof(float));
    }
    return 0;
}

static int run_greedy(struct eval *v)
{
    uint32_t left;

    v->made = calloc(v->greedy + 1, sizeof(*v->made));
    if (!v->made) return fail("--greedy", strerror(ENOMEM));
    for (uint32_t i = 0; i < v->greedy; i++) {
        v->made[i] = best_of(v->row, engine_info(v->e)->vocab);
        if (i + 1 == v->greedy) break;
        const struct level *level = level_at(v, v->n_ids + i, &left);
        if (step(v, &v->made[i], 1, level, ENGINE_WANT_LAST) != 0) return 1;
    }
    return 0;
}

static void print_list(const char *name, const uint32_t *ids, uint32_t n)
{
    (void)printf("\"%s\": [", name);
    for (uint32_t i = 0; i < n; i++)
        (void)printf("%s%u", i ? ", " : "", ids[i]);
    (void)printf("]");
}

static int run(struct eval *v)
{
    const struct engine_info *info = engine_info(v->e);

    if (take_ids(v) != 0 || take_levels(v) != 0) return 1;
    if (v->n_ids == 0) return fail("--ids", "no tokens");
    if ((uint64_t)v->n_ids + v->greedy > info->context) {
        (void)fprintf(stderr,
                      "hearth-eval: %u tokens and %u greedy ones do not fit the context of %u\n",
                      v->n_ids, v->greedy, info->context);
        return 1;
    }
    const size_t rows = v->out || v->nll ? info->chunk : 1;
    v->row = malloc(rows * info->vocab * sizeof(float));
    if (!v->row || engine_seq_new(v->e, &v->seq) < 0) return fail("logits", strerror(ENOMEM));
    if (run_prompt(v) != 0 || run_greedy(v) != 0) return 1;
    (void)printf("{");
    print_list("ids", v->id, v->n_ids);
    (void)printf(", ");
    print_list("greedy", v->made, v->greedy);
    const double nll = v->nll && v->n_ids > 1 ? v->nll_sum / (v->n_ids - 1) : (double)NAN;
    if (isfinite(nll))
        (void)printf(", \"nll\": %.6f}\n", nll);
    else
        (void)printf(", \"nll\": null}\n");
    return 0;
}

/* A JSON string per line -> a JSON array of ids per line. */
static int run_tokenize(struct eval *v)
{
    CLEANUP(freep) char *line = NULL;
    struct tokenizer *t = NULL;
    size_t size = 0, n = 0;
    ssize_t got;
    int status = 0;

    v->id = malloc(IDS_MAX * sizeof(*v->id));
    if (!v->id || tokenizer_new(engine_vocab(v->e), &t) < 0)
        return fail("--tokenize", strerror(ENOMEM));
    while (status == 0 && (got = getline(&line, &size, stdin)) > 0) {
        json_error_t e;
        json_t *j = json_loadb(line, (size_t)got, JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
        if (!json_is_string(j))
            status = fail("--tokenize", j ? "a line is not a JSON string" : e.text);
        else if (tokenizer_encode(t, json_string_value(j), json_string_length(j), v->special, v->id,
                                  IDS_MAX, &n) != 0)
            status = fail("--tokenize", "a text is too long");
        for (size_t i = 0; i < n && status == 0; i++)
            (void)printf("%s%u", i ? ", " : "[", v->id[i]);
        if (status == 0) (void)printf("%s\n", n ? "]" : "[]");
        json_decref(j);
    }
    tokenizer_free(t);
    return status;
}

/* ---- command line ---- */

static int parse_count(const char *option, const char *text, uint32_t *ret)
{
    char *end;

    errno = 0;
    const unsigned long n = strtoul(text, &end, 10);
    if (errno || *end || end == text || *text == '-' || n > IDS_MAX) {
        (void)fprintf(stderr, "hearth-eval: --%s wants a number, not '%s'\n", option, text);
        return EXIT_USAGE;
    }
    *ret = (uint32_t)n;
    return 0;
}

static int wrong(const char *what)
{
    (void)fprintf(stderr, "hearth-eval: %s\n", what);
    return EXIT_USAGE;
}

/* Whether the options go together. */
static int check_usage(const struct eval *v)
{
    const int inputs = (v->ids != NULL) + (v->ids_file != NULL) + (v->text != NULL);

    if (!v->model) return wrong("give one model file");
    if (v->tokenize && (inputs || v->logits || v->greedy || v->nll || v->level || v->plan))
        return wrong("--tokenize reads stdin and runs no model");
    if (!v->tokenize && inputs != 1) return wrong("give one of --ids, --ids-file, --text");
    if (v->special && !v->tokenize) return wrong("--special goes with --tokenize");
    if (v->level && v->plan) return wrong("give --level or --plan");
    return 0;
}

static int parse(struct eval *v, int argc, char **argv)
{
    static const struct option options[] = {
        { "ids", 1, NULL, 'i' },     { "ids-file", 1, NULL, 'f' }, { "text", 1, NULL, 't' },
        { "logits", 1, NULL, 'l' },  { "greedy", 1, NULL, 'g' },   { "nll", 0, NULL, 'n' },
        { "kernels", 1, NULL, 'k' }, { "kv", 1, NULL, 'v' },       { "threads", 1, NULL, 'T' },
        { "chunk", 1, NULL, 'c' },   { "levels", 1, NULL, 'L' },   { "level", 1, NULL, 'e' },
        { "plan", 1, NULL, 'p' },    { "tokenize", 0, NULL, 'z' }, { "special", 0, NULL, 's' },
        { "help", 0, NULL, 'h' },    { NULL, 0, NULL, 0 },
    };
    int c, at = 0, r = 0;

    while (r == 0 && (c = getopt_long(argc, argv, "h", options, &at)) != -1)
        switch (c) {
        case 'i':
            v->ids = optarg;
            break;
        case 'f':
            v->ids_file = optarg;
            break;
        case 't':
            v->text = optarg;
            break;
        case 'l':
            v->logits = optarg;
            break;
        case 'g':
            r = parse_count("greedy", optarg, &v->greedy);
            break;
        case 'n':
            v->nll = true;
            break;
        case 'k':
            v->engine.kernels = optarg;
            break;
        case 'v':
            v->engine.kv_f32 = strcmp(optarg, "f32") == 0;
            if (!v->engine.kv_f32 && strcmp(optarg, "f16") != 0) r = wrong("--kv is f16 or f32");
            break;
        case 'T':
            r = parse_count("threads", optarg, &v->engine.threads);
            break;
        case 'c':
            r = parse_count("chunk", optarg, &v->engine.chunk);
            break;
        case 'L':
            v->levels = optarg;
            break;
        case 'e':
            v->level = optarg;
            break;
        case 'p':
            v->plan = optarg;
            break;
        case 'z':
            v->tokenize = true;
            break;
        case 's':
            v->special = true;
            break;
        case 'h':
            (void)fputs(help, stdout);
            exit(0);
        default:
            r = EXIT_USAGE;
        }
    if (r == 0 && optind + 1 == argc) v->model = argv[optind];
    if (r == 0) r = check_usage(v);
    if (r != 0) (void)fputs("hearth-eval: see hearth-eval --help\n", stderr);
    return r;
}

int main(int argc, char **argv)
{
    struct eval v = { .engine.context = CONFIG_CONTEXT_MAX };
    struct reason why = { "" };
    int status = parse(&v, argc, argv);

    if (status != 0) return status;
    CLEANUP(closep) int fd = open(v.model, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail(v.model, strerror(errno));
    if (v.tokenize && !v.engine.kernels) v.engine.kernels = "c"; /* packs nothing */
    const int r = engine_open(fd, &v.engine, &why, &v.e);
    if (r != 0) return fail(v.model, r < 0 ? strerror(-r) : why.text);
    if (v.logits && !(v.out = fopen(v.logits, "wb"))) status = fail(v.logits, strerror(errno));
    if (status == 0) status = v.tokenize ? run_tokenize(&v) : run(&v);
    if (v.out && fclose(v.out) != 0 && status == 0) status = fail(v.logits, strerror(errno));
    if (fflush(stdout) != 0 && status == 0) status = fail("stdout", strerror(errno));
    engine_seq_free(v.seq);
    engine_free(v.e);
    free(v.id);
    free(v.row);
    free(v.made);
    return status;
}
