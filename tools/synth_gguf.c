/* SPDX-License-Identifier: Apache-2.0 */
/* synth_gguf: write a model file of random weights in the shape of a Gemma 3n, to measure speed and memory with. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "tools/gguf_write.h"
#include "tools/synth_shape.h"
#include "tools/synth_values.h"

enum { EXIT_USAGE = 2, ROWS_BYTES = 1 << 20 };

static const char help[] =
    "usage: synth_gguf --shape SHAPE --type TYPE [options] OUT.gguf\n"
    "\n"
    "Writes a GGUF file of random weights in the shape of a Gemma 3n, with a synthetic vocabulary. "
    "It says\n"
    "nothing sensible; speed and memory are those of the real model. The same options give the "
    "same bytes.\n"
    "\n"
    "  --shape e2b|e4b|tiny\n"
    "  --type q4_0|q8_0|q4_k|f16   of the layers and of the per-layer embeddings; what quantizers "
    "leave\n"
    "                              alone (AltUp, LAuReL, per_layer_model_proj) is F16\n"
    "  --head TYPE                 of the embedding, which is also the head: q6_k, or one of the "
    "above\n"
    "                              (default: q6_k with the 4-bit types, as published files have "
    "it)\n"
    "  --seed N                    of the random numbers (default 1)\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage.\n";

struct synth {
    const struct synth_shape *shape;
    struct synth_shape_types types;
    uint64_t seed, n_tensors;
    struct gguf_write writer;
    uint8_t *rows; /* [ROWS_BYTES and one row] */
};

static uint64_t rows_of(const struct synth_shape_tensor *t)
{
    return t->n_dims == 1 ? 1 : t->dims[1] * t->dims[2];
}

static void announce(void *context, const struct synth_shape_tensor *t)
{
    struct synth *s = context;

    gguf_write_tensor(&s->writer, t->name, t->type, t->n_dims, t->dims,
                      rows_of(t) * quant_row_bytes(t->type, t->dims[0]));
}

/* Each tensor has its own random numbers: another type of one leaves the others as they are. */
static void write_tensor(void *context, const struct synth_shape_tensor *t)
{
    struct synth *s = context;
    const size_t row = quant_row_bytes(t->type, t->dims[0]);
    struct synth_values_random r = { s->seed << 32 | s->n_tensors++ };
    size_t n = 0;

    for (uint64_t i = 0; i < rows_of(t) && s->writer.error == 0; i++) {
        synth_values_row(&r, t->type, t->dims[0], t->mean, t->deviation, s->rows + n);
        n += row;
        if (n < ROWS_BYTES && i + 1 < rows_of(t)) continue;
        gguf_write_data(&s->writer, s->rows, n);
        n = 0;
    }
    gguf_write_pad(&s->writer);
}

/* Only what this program made: a device is not removed. */
static void remove_half(const char *path)
{
    struct stat st;

    if (lstat(path, &st) == 0 && S_ISREG(st.st_mode)) (void)unlink(path);
}

static int write_file(struct synth *s, const char *path)
{
    FILE *f = fopen(path, "wbe");
    int r = f ? 0 : -errno;

    if (r == 0) {
        gguf_write_begin(&s->writer, f);
        synth_shape_keys(s->shape, &s->types, &s->writer);
        synth_shape_tensors(s->shape, &s->types, announce, s);
        gguf_write_head(&s->writer);
        synth_shape_tensors(s->shape, &s->types, write_tensor, s);
        r = gguf_write_end(&s->writer);
        if (fclose(f) != 0 && r == 0) r = -errno;
        if (r != 0) remove_half(path);
    }
    if (r == 0) return 0;
    (void)fprintf(stderr, "synth_gguf: %s: %s\n", path, strerror(-r));
    return 1;
}

static int wrong(const char *what, const char *value)
{
    (void)fprintf(stderr, "synth_gguf: %s%s%s\nsynth_gguf: see synth_gguf --help\n", what,
                  value ? ": " : "", value ? value : "");
    return EXIT_USAGE;
}

static int type_named(const char *name, enum quant_type *ret)
{
    static const struct {
        const char *name;
        enum quant_type type;
    } types[] = { { "q4_0", QUANT_Q4_0 },
                  { "q8_0", QUANT_Q8_0 },
                  { "q4_k", QUANT_Q4_K },
                  { "q6_k", QUANT_Q6_K },
                  { "f16", QUANT_F16 } };

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i].name, name) == 0) {
            *ret = types[i].type;
            return 0;
        }
    return wrong("no such type", name);
}

static int parse_seed(const char *text, uint64_t *ret)
{
    char *end;

    errno = 0;
    *ret = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-' || *ret > UINT32_MAX)
        return wrong("--seed wants a number below 2^32, not", text);
    return 0;
}

static int parse(struct synth *s, int argc, char **argv, const char **ret_path)
{
    static const struct option options[] = {
        { "shape", 1, NULL, 's' }, { "type", 1, NULL, 't' }, { "head", 1, NULL, 'H' },
        { "seed", 1, NULL, 'S' },  { "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 },
    };
    bool type = false, head = false;
    int c, r = 0;

    while (r == 0 && (c = getopt_long(argc, argv, "h", options, NULL)) != -1)
        switch (c) {
        case 's':
            s->shape = synth_shape_find(optarg);
            if (!s->shape) r = wrong("no such shape", optarg);
            break;
        case 't':
            type = true;
            r = type_named(optarg, &s->types.weights);
            break;
        case 'H':
            head = true;
            r = type_named(optarg, &s->types.head);
            break;
        case 'S':
            r = parse_seed(optarg, &s->seed);
            break;
        case 'h':
            (void)fputs(help, stdout);
            exit(0);
        default:
            r = wrong("wrong option", NULL);
        }
    if (r != 0) return r;
    if (!s->shape || !type) return wrong("give --shape and --type", NULL);
    if (optind + 1 != argc) return wrong("give one file to write", NULL);
    const bool four = s->types.weights == QUANT_Q4_0 || s->types.weights == QUANT_Q4_K;
    if (!head) s->types.head = four ? QUANT_Q6_K : s->types.weights;
    *ret_path = argv[optind];
    return 0;
}

int main(int argc, char **argv)
{
    struct synth s = { .seed = 1 };
    const char *path = NULL;
    int status = parse(&s, argc, argv, &path);

    if (status != 0) return status;
    /* the widest row is one of the per-layer embeddings */
    s.rows = malloc(
        ROWS_BYTES +
        quant_row_bytes(QUANT_F32, (size_t)s.shape->ple_width * s.shape->layers + s.shape->ffn));
    if (!s.rows) {
        (void)fprintf(stderr, "synth_gguf: %s\n", strerror(ENOMEM));
        return 1;
    }
    status = write_file(&s, path);
    free(s.rows);
    return status;
}
