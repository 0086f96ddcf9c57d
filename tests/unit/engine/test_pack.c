/* SPDX-License-Identifier: Apache-2.0 */
/* Weights in a packed file: the same numbers as in memory, and memory when the file cannot be used. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include "engine/engine.h"
#include "engine/format/packed.h"
#include "tests/golden/golden.h"
#include "tests/unit/engine/engine_run.h"
#include "tests/unit/engine/gemma3n/model_make.h"

#define SHA   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

enum { IDS = 21 };

static int new_fd(void)
{
    const int f = memfd_create("packed", MFD_CLOEXEC);

    cr_assert_geq(f, 0);
    return f;
}

static struct engine *open_with(int model, const struct engine_packed *packed)
{
    const struct engine_options o = { .threads = 2, .chunk = 8, .packed = packed };
    struct reason why = { "" };
    struct engine *e = NULL;

    cr_assert_eq(engine_open(model, &o, &why, &e), 0, "%s", why.text);
    return e;
}

/* The logits of some tokens; the engine is freed. */
static float *logits_of(struct engine *e, size_t *ret_bytes)
{
    uint32_t ids[IDS];

    for (uint32_t i = 0; i < IDS; i++)
        ids[i] = 5 + i * 37 % 250;
    *ret_bytes = sizeof(float) * IDS * engine_info(e)->vocab;
    float *x = engine_run_logits(e, ids, IDS, NULL);
    engine_free(e);
    return x;
}

static void same_logits(struct engine *a, struct engine *b, const char *what)
{
    size_t n = 0, m = 0;
    float *x = logits_of(a, &n), *y = logits_of(b, &m);

    cr_assert_eq(n, m);
    cr_assert_eq(memcmp(x, y, n), 0, "%s: other bits", what);
    free(x);
    free(y);
}

/* Memory, a new file and the file that it became give the same bits. */
static void check_model(int model, const char *what)
{
    const int file = new_fd();
    const struct engine_packed making = { .fd = -1, .new_fd = file, .sha256 = SHA },
                               using = { .fd = file, .new_fd = -1, .sha256 = SHA },
                               checking = {
                                   .fd = file, .new_fd = -1, .sha256 = SHA, .check = true
                               };
    struct engine *e = open_with(model, NULL);

    cr_assert_eq(engine_info(e)->weights, ENGINE_WEIGHTS_MEMORY);
    const uint64_t bytes = engine_info(e)->weights_bytes;
    struct engine *made = open_with(model, &making);
    cr_assert_eq(engine_info(made)->weights, ENGINE_WEIGHTS_FILE, "%s",
                 engine_info(made)->packed_why);
    cr_assert(engine_info(made)->packed_new);
    cr_assert_eq(engine_info(made)->weights_bytes, bytes);
    same_logits(e, made, what);
    struct engine *used = open_with(model, &using);
    cr_assert_eq(engine_info(used)->weights, ENGINE_WEIGHTS_FILE, "%s",
                 engine_info(used)->packed_why);
    cr_assert_not(engine_info(used)->packed_new);
    cr_assert_str_eq(engine_info(used)->packed_why, "");
    cr_assert_eq(engine_info(used)->weights_bytes, bytes);
    same_logits(open_with(model, NULL), used, what);
    struct engine *checked = open_with(model, &checking);
    cr_assert_eq(engine_info(checked)->weights, ENGINE_WEIGHTS_FILE);
    engine_free(checked);
    (void)close(file);
}

Test(pack, a_file_gives_the_bits_that_memory_gives)
{
    static const char *const names[] = { "text/n3-quant-small/model-q4_0.gguf",
                                         "text/n3-quant-small/model-q5_0.gguf",
                                         "text/g3-basic/model.gguf" };
    char path[512];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        cr_assert_not_null(golden_find(names[i], path, sizeof(path)), "%s", names[i]);
        const int fd = open(path, O_RDONLY | O_CLOEXEC);
        cr_assert_geq(fd, 0);
        check_model(fd, names[i]);
        (void)close(fd);
    }
}

/* Of the packed form of @m, made tile by tile. */
static uint64_t sum_of(const struct matrix *m)
{
    uint8_t *packed = malloc(matrix_packed_bytes(m));
    struct packed_sum sum;

    cr_assert_not_null(packed);
    for (uint32_t t = 0; t < matrix_tiles(m); t++)
        matrix_pack_tiles(m, t, t + 1, packed + t * m->tile_bytes);
    packed_sum_init(&sum);
    packed_sum_add(&sum, packed, matrix_packed_bytes(m));
    free(packed);
    return packed_sum_end(&sum);
}

/* Files outlive programs: a change of the packed form must change their name. */
Test(pack, a_packed_matrix_is_what_its_layout_number_says)
{
    static const struct {
        enum quant_type type;
        uint64_t sum; /* of layout 2 */
    } list[] = {
        { QUANT_F32, UINT64_C(0x9205d95f9c49f1e0) },  { QUANT_F16, UINT64_C(0x392bcb0e8d55fe36) },
        { QUANT_BF16, UINT64_C(0x392bcb0e8d55fe36) }, { QUANT_Q4_0, UINT64_C(0xd47c24f4642e1e37) },
        { QUANT_Q4_1, UINT64_C(0x6e7c3dc0eb264f13) }, { QUANT_Q5_0, UINT64_C(0xfc74d3afd9b1d35b) },
        { QUANT_Q5_1, UINT64_C(0x4e0d70ddc1f17978) }, { QUANT_Q8_0, UINT64_C(0xf0ccf95b6423c167) },
        { QUANT_Q4_K, UINT64_C(0x7dd820f817af4037) }, { QUANT_Q5_K, UINT64_C(0x718d11af6eb984cd) },
        { QUANT_Q6_K, UINT64_C(0xd0bedda5cedfa18) }
    };
    static uint8_t raw[32 * 512 * 4];

    for (size_t i = 0; i < sizeof(raw); i++)
        raw[i] = (uint8_t)(i * 131 + (i >> 7) * 17);
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        const struct matrix m = matrix_raw(list[i].type, 18, 512, raw);
        cr_expect(sum_of(&m) == list[i].sum,
                  "type %d: sum %#" PRIx64
                  ": a new layout? Then raise MATRIX_LAYOUT and write the new sums",
                  (int)list[i].type, sum_of(&m));
    }
    static const struct {
        enum quant_type type;
        enum matrix_layout layout;
        uint64_t sum;
    } units[] = { { QUANT_Q4_0, MATRIX_UNIT_ROWS, UINT64_C(0xf126f71a4f5735ec) },
                  { QUANT_Q4_0, MATRIX_UNIT_COLUMNS, UINT64_C(0x5443578f297617af) },
                  { QUANT_Q8_0, MATRIX_UNIT_ROWS, UINT64_C(0x7291b601a0f1984d) },
                  { QUANT_Q8_0, MATRIX_UNIT_COLUMNS, UINT64_C(0x4507e81c42ee4554) } };
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        struct matrix m = matrix_raw(units[i].type, 32, 512, raw);
        cr_assert(matrix_by_unit(&m, units[i].layout));
        cr_expect(sum_of(&m) == units[i].sum, "by unit %zu: sum %#" PRIx64, i, sum_of(&m));
    }
    cr_assert_eq(MATRIX_LAYOUT, 2);
}

/* One model that is made, and a whole packed file of it. */
static int model;

static void init(void)
{
    struct model_make s = model_make_gemma3n();

    s.matrices = QUANT_Q8_0;
    model = model_make_fd(&s);
}

static int packed_file(void)
{
    const int file = new_fd();
    const struct engine_packed making = { .fd = -1, .new_fd = file, .sha256 = SHA };
    struct engine *e = open_with(model, &making);

    cr_assert(engine_info(e)->packed_new);
    engine_free(e);
    return file;
}

TestSuite(pack_file, .init = init);

static void expect(const struct engine_packed *p, enum engine_weights where, bool made,
                   const char *why)
{
    struct engine *e = open_with(model, p);
    const struct engine_info *i = engine_info(e);

    cr_assert_eq(i->weights, where, "%s", i->packed_why);
    cr_assert_eq(i->packed_new, made);
    cr_assert_not_null(strstr(i->packed_why, why), "'%s' has no '%s'", i->packed_why, why);
    same_logits(open_with(model, NULL), e, why);
}

Test(pack_file, of_another_model_is_made_again_or_memory_is_used)
{
    const int file = packed_file(), other = new_fd();
    const struct engine_packed alone = { .fd = file, .new_fd = -1, .sha256 = OTHER },
                               both = { .fd = file, .new_fd = other, .sha256 = OTHER };

    expect(&alone, ENGINE_WEIGHTS_MEMORY, false, "of another model");
    expect(&both, ENGINE_WEIGHTS_FILE, true, "of another model");
    const struct engine_packed again = { .fd = other, .new_fd = -1, .sha256 = OTHER };
    expect(&again, ENGINE_WEIGHTS_FILE, false, "");
}

Test(pack_file, that_is_cut_or_was_not_completed_is_not_used)
{
    const int file = packed_file();
    const struct engine_packed p = { .fd = file, .new_fd = -1, .sha256 = SHA };
    const uint8_t zeros[80] = { 0 };
    struct stat st;

    cr_assert_eq(fstat(file, &st), 0);
    cr_assert_eq(ftruncate(file, st.st_size - 64), 0);
    expect(&p, ENGINE_WEIGHTS_MEMORY, false, "its size");
    cr_assert_eq(ftruncate(file, st.st_size), 0);
    cr_assert_eq(pwrite(file, zeros, sizeof(zeros), 0), (ssize_t)sizeof(zeros));
    expect(&p, ENGINE_WEIGHTS_MEMORY, false, "not completed");
}

Test(pack_file, with_damaged_data_is_found_when_it_is_checked)
{
    const int file = packed_file(), other = new_fd();
    const struct engine_packed p = { .fd = file, .new_fd = other, .sha256 = SHA, .check = true };
    uint8_t b = 0;

    cr_assert_eq(pread(file, &b, 1, PACKED_DATA_AT + 1000), 1);
    b ^= 1;
    cr_assert_eq(pwrite(file, &b, 1, PACKED_DATA_AT + 1000), 1);
    expect(&p, ENGINE_WEIGHTS_FILE, true, "data is damaged");
}

Test(pack_file, that_finds_no_room_is_left_empty_and_memory_is_used)
{
    const struct rlimit most = { 40000, 40000 };
    const struct sigaction ignore = { .sa_handler = SIG_IGN };
    const int file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    const struct engine_packed p = { .fd = -1, .new_fd = file, .sha256 = SHA };
    struct stat st;

    cr_assert_geq(file, 0);
    (void)sigaction(SIGXFSZ, &ignore, NULL);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &most), 0);
    expect(&p, ENGINE_WEIGHTS_MEMORY, false, "cannot be written: File too large");
    cr_assert_eq(fstat(file, &st), 0);
    cr_assert_eq(st.st_size, 0);
}

Test(pack_file, is_not_used_for_kernels_that_take_weights_as_they_are)
{
    const struct engine_packed p = { .fd = packed_file(), .new_fd = -1, .sha256 = SHA };
    const struct engine_options o = { .kernels = "c", .threads = 1, .packed = &p };
    struct engine *e = NULL;

    cr_assert_eq(engine_open(model, &o, NULL, &e), 0);
    cr_assert_eq(engine_info(e)->weights, ENGINE_WEIGHTS_RAW);
    cr_assert_str_eq(engine_info(e)->packed_why, "");
    engine_free(e);
}

Test(pack_file, needs_to_know_the_model)
{
    const struct engine_packed p = { .fd = -1, .new_fd = new_fd(), .sha256 = "" };

    expect(&p, ENGINE_WEIGHTS_MEMORY, false, "sha256 of the model is not known");
}
