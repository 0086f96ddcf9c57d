/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrices keep their raw rows until all of them are packed somewhere: a disk that becomes full in the middle costs the time and
 * nothing else. A new file is written through one buffer instead of a shared mapping, because a full disk is then an error
 * that write(2) returns and not a SIGBUS, and pages that wait for the disk do not count as this process's.
 */
#include "engine/pack.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/err.h"

enum { BUFFER_BYTES = 8 << 20 }; /* packed by all threads, then written; a tile at least */

/* ---- which packed file it would be ---- */

struct shape { /* of the walk over all matrices */
    struct packed_sum sum;
    uint64_t bytes;
    size_t tile_max;
};

static void add_shape(void *context, struct matrix *m)
{
    struct shape *s = context;
    const uint64_t all[8] = { (uint64_t)m->type,  m->rows,    m->cols,
                              m->tile_bytes,      m->high_at, m->low_at,
                              (uint64_t)m->layout };

    packed_sum_add(&s->sum, all, sizeof(all));
    s->bytes += matrix_packed_bytes(m);
    if (m->tile_bytes > s->tile_max) s->tile_max = m->tile_bytes;
}

struct place { /* the matrices one after the other from here */
    const uint8_t *at;
};

static void set_packed(void *context, struct matrix *m)
{
    struct place *p = context;
    const uint8_t *at = p->at;

    p->at += matrix_packed_bytes(m);
    matrix_set_packed(m, at);
}

/* ---- packing ---- */

struct packing {
    const struct gguf *g;
    int fd;
    struct pool *pool;
    const struct engine_options *o;
    uint64_t done, total;
    uint8_t *to;                  /* memory: place of the next matrix. A file: the buffer */
    size_t buffer_bytes;          /* a file only */
    struct packed_writer *writer; /* NULL: memory */
    int r;                        /* of the writer */
};

struct tiles { /* of one call of the pool */
    const struct matrix *m;
    uint8_t *to; /* place of tile first */
    uint32_t first, end, per_task;
};

static void pack_task(void *context, uint32_t i, void *scratch)
{
    const struct tiles *t = context;
    const uint32_t from = t->first + i * t->per_task,
                   to = t->end - from < t->per_task ? t->end : from + t->per_task;

    (void)scratch;
    matrix_pack_tiles(t->m, from, to, t->to + (size_t)(from - t->first) * t->m->tile_bytes);
}

static void pack_tiles(struct packing *k, const struct matrix *m, uint32_t first, uint32_t end,
                       uint8_t *to)
{
    struct tiles t = { .m = m,
                       .to = to,
                       .first = first,
                       .end = end,
                       .per_task = 1 + 65536 / (uint32_t)(m->tile_bytes + 1) };

    pool_run(k->pool, pack_task, &t, (end - first + t.per_task - 1) / t.per_task);
    k->done += (end - first) * (uint64_t)m->tile_bytes;
    if (k->o->progress) k->o->progress(k->o->progress_context, "pack", k->done, k->total);
}

/* The rows of @m are not needed soon. Those that are in a packed file are not needed at all: the page cache forgets them. */
static void release(const struct packing *k, const struct matrix *m)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)m->raw;
    const size_t n = (size_t)m->rows * m->raw_stride;

    (void)madvise((void *)(at & ~(page - 1)), n + (at & (page - 1)), MADV_DONTNEED);
    if (k->writer)
        (void)posix_fadvise(k->fd, (off_t)gguf_position(k->g, m->raw), (off_t)n,
                            POSIX_FADV_DONTNEED);
}

static void pack_to_memory(void *context, struct matrix *m)
{
    struct packing *k = context;

    pack_tiles(k, m, 0, matrix_tiles(m), k->to);
    k->to += matrix_packed_bytes(m);
    release(k, m);
}

static void pack_to_file(void *context, struct matrix *m)
{
    struct packing *k = context;
    const uint32_t n = matrix_tiles(m), most = (uint32_t)(k->buffer_bytes / m->tile_bytes);

    for (uint32_t first = 0; first < n && k->r == 0; first += most) {
        const uint32_t end = n - first < most ? n : first + most;
        pack_tiles(k, m, first, end, k->to);
        k->r = packed_write(k->writer, k->to, (end - first) * m->tile_bytes);
    }
    release(k, m);
}

/* ---- the three places ---- */

/* @what: "cannot be read". */
static void failed(struct pack *p, const char *what, int r)
{
    reason_set(&p->why, "the packed file %s: %s", what, strerror(-r));
}

static bool use_file(struct pack *p, int fd, const struct packed_key *key, bool check)
{
    int r = packed_map(fd, key, &p->why, &p->file);

    if (r < 0) failed(p, "cannot be read", r);
    if (r == 0 && check && packed_verify(&p->file, &p->why) != 0) r = PACKED_E_REFUSED;
    if (r != 0) {
        packed_unmap(&p->file);
        return false;
    }
    p->where = ENGINE_WEIGHTS_FILE;
    /* all of it is read by the first step: begin now, in large pieces */
    (void)madvise(p->file.map, p->file.map_bytes, MADV_WILLNEED);
    return true;
}

static int fill_file(struct packing *k, const struct packed_key *key, size_t tile_max,
                     struct weights *w, const struct config *c)
{
    k->buffer_bytes = tile_max > BUFFER_BYTES ? tile_max : BUFFER_BYTES;
    CLEANUP(freep) uint8_t *buffer = malloc(k->buffer_bytes);
    if (!buffer) return err_raise(-ENOMEM);
    k->to = buffer;
    k->r = packed_write_begin(k->writer, k->o->packed->new_fd, key);
    if (k->r == 0) weights_each(w, c, pack_to_file, k);
    if (k->r == 0) k->r = packed_write_end(k->writer);
    return k->r < 0 ? err_pass(k->r) : 0;
}

static bool make_file(struct pack *p, const struct packing *with, const struct packed_key *key,
                      size_t tile_max, struct weights *w, const struct config *c)
{
    struct packed_writer writer = { .fd = -1 };
    struct packing k = *with;

    k.writer = &writer;
    const int r = fill_file(&k, key, tile_max, w, c);
    if (r < 0) {
        packed_write_abort(&writer);
        failed(p, "cannot be written", r);
        return false;
    }
    p->made = use_file(p, k.o->packed->new_fd, key, false);
    return p->made;
}

static int use_memory(struct pack *p, const struct packing *with, struct weights *w,
                      const struct config *c)
{
    struct packing k = *with;
    void *m = mmap(NULL, k.total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (m == MAP_FAILED) return err_raise(-ENOMEM);
    p->memory = m;
    p->memory_bytes = k.total;
    (void)madvise(m, k.total, MADV_HUGEPAGE);
    k.to = m;
    weights_each(w, c, pack_to_memory, &k);
    (void)mprotect(m, k.total, PROT_READ);
    p->where = ENGINE_WEIGHTS_MEMORY;
    return 0;
}

static bool use_any_file(struct pack *p, const struct packing *k, struct packed_key *key,
                         size_t tile_max, struct weights *w, const struct config *c)
{
    const struct engine_packed *files = k->o->packed;

    if (!files) return false;
    if (!packed_sha256(files->sha256, key->sha256)) {
        reason_set(&p->why, "no packed file is used: the sha256 of the model is not known");
        return false;
    }
    if (files->fd >= 0 && use_file(p, files->fd, key, files->check)) return true;
    return files->new_fd >= 0 && make_file(p, k, key, tile_max, w, c);
}

int pack_weights(struct pack *p, const struct gguf *g, int fd, struct weights *w,
                 const struct config *c, struct pool *pool, const struct engine_options *o)
{
    struct shape s = { .bytes = 0 };

    weights_by_unit(w, c);
    packed_sum_init(&s.sum);
    weights_each(w, c, add_shape, &s);
    struct packed_key key = { .layout = MATRIX_LAYOUT,
                              .shapes = packed_sum_end(&s.sum),
                              .data_bytes = s.bytes };
    const struct packing k = { .g = g, .fd = fd, .pool = pool, .o = o, .total = s.bytes };
    if (!use_any_file(p, &k, &key, s.tile_max, w, c)) {
        const int r = use_memory(p, &k, w, c);
        if (r < 0) return err_pass(r);
    }
    struct place place = { p->where == ENGINE_WEIGHTS_FILE ? p->file.data : p->memory };
    weights_each(w, c, set_packed, &place);
    return 0;
}

void pack_deinit(struct pack *p)
{
    packed_unmap(&p->file);
    if (p->memory) (void)munmap(p->memory, p->memory_bytes);
    *p = (struct pack){ .where = ENGINE_WEIGHTS_RAW };
}
