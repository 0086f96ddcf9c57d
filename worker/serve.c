/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/serve.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "worker/health.h"
#include "worker/info.h"
#include "worker/post.h"
#include "worker/prefix.h"
#include "worker/step.h"

enum { SEQS_MAX = 1024, TOKENIZE_IDS_MAX = 200000 }; /* open sequences; ids that fit a frame */

struct serve {
    struct link *link;
    struct seq_model m;
    struct list seqs; /* struct seq */
    size_t n_seqs;
    struct prefix_cache prefixes;
    struct step step;
    bool stalled;    /* every sequence of the plan starves: wait for hearthd to decide */
    uint32_t awaits; /* sequences opened that no plan knows of: no step begins before one comes */
    int nudge_fd;    /* an eventfd: what hearthd has sent is urgent, give up the step; -1: none */
};

/* ---- urgency ---- */

/* Asked by the engine before each layer. */
static bool nudged(void *context)
{
    const struct serve *s = context;
    uint64_t n;

    return read(s->nudge_fd, &n, sizeof(n)) == (ssize_t)sizeof(n);
}

/* ---- messages ---- */

static struct seq *find(struct serve *s, uint64_t id)
{
    LIST_EACH(q, &s->seqs, struct seq, node)
    if (q->id == id) return q;
    return NULL;
}

static int send_seq_failed(struct serve *s, uint64_t id, Hearth__ErrorCode code,
                           const char *sentence)
{
    Hearth__Worker__FromWorker f = HEARTH__WORKER__FROM_WORKER__INIT;
    Hearth__Worker__SeqFailed m = HEARTH__WORKER__SEQ_FAILED__INIT;

    m.seq = id;
    m.code = code;
    m.message = (char *)(size_t)sentence;
    f.body_case = HEARTH__WORKER__FROM_WORKER__BODY_SEQ_FAILED;
    f.seq_failed = &m;
    return post_send(s->link, &f);
}

static int on_seq_open(struct serve *s, const Hearth__Worker__SeqOpen *open,
                       const struct link_frame *frame)
{
    Hearth__Worker__FromWorker f = HEARTH__WORKER__FROM_WORKER__INIT;
    Hearth__Worker__SeqOpened m = HEARTH__WORKER__SEQ_OPENED__INIT;
    Hearth__ErrorCode code = HEARTH__ERROR_CODE__ERROR_INTERNAL;
    struct reason why = { "" };
    struct seq *q = NULL;

    if (find(s, open->seq) || s->n_seqs == SEQS_MAX)
        return send_seq_failed(s, open->seq, HEARTH__ERROR_CODE__ERROR_EXISTS,
                               "the sequence is open already, or too many are");
    const int r = seq_new(&s->m, open, frame->fds, frame->n_fds, &code, &why, &q);
    if (r != 0) return send_seq_failed(s, open->seq, code, r < 0 ? strerror(-r) : why.text);
    list_push_back(&s->seqs, &q->node);
    s->n_seqs++;
    m.seq = q->id;
    m.cached_tokens = prefix_use(&s->prefixes, q);
    m.prompt_tokens = q->n_prompt;
    m.max_tokens = q->n_out_max;
    m.pages_most =
        (uint32_t)engine_pages_for(s->m.engine, q->n_prompt + (q->prefix_only ? 0 : q->n_out_max));
    s->awaits++;
    f.body_case = HEARTH__WORKER__FROM_WORKER__BODY_SEQ_OPENED;
    f.seq_opened = &m;
    return post_send(s->link, &f);
}

static void on_seq_close(struct serve *s, const Hearth__Worker__SeqClose *m)
{
    struct seq *q = find(s, m->seq);

    if (!q) return; /* it failed meanwhile */
    step_forget(&s->step, q);
    if (m->keep) prefix_keep(&s->prefixes, q);
    seq_free(q);
    s->n_seqs--;
    if (s->prefixes.pages_most == 0) (void)engine_trim(s->m.engine);
}

static void on_plan(struct serve *s, const Hearth__Worker__Plan *p)
{
    s->awaits -= p->opened < s->awaits ? p->opened : s->awaits;
    s->step.version = p->version;
    s->step.n_entries = 0;
    for (size_t i = 0; i < p->n_entries && s->step.n_entries < STEP_SEQS_MAX; i++) {
        const Hearth__Worker__PlanEntry *e = p->entries[i];
        const struct level *level = level_find(engine_levels(s->m.engine), e->level);
        struct seq *q = find(s, e->seq);
        if (!q) continue; /* it failed meanwhile */
        s->step.entry[s->step.n_entries++] =
            (struct step_entry){ q, e->prefill_tokens,
                                 level ? level : &engine_levels(s->m.engine)->row[0] };
    }
}

static int on_tokenize(struct serve *s, const Hearth__Worker__Tokenize *t)
{
    Hearth__Worker__FromWorker f = HEARTH__WORKER__FROM_WORKER__INIT;
    Hearth__Worker__Tokenized m = HEARTH__WORKER__TOKENIZED__INIT;
    CLEANUP(freep) uint32_t *ids = malloc(TOKENIZE_IDS_MAX * sizeof(*ids));
    size_t n = 0;

    if (!ids) return err_raise(-ENOMEM);
    const int r = tokenizer_encode(s->m.tokenizer, (const char *)t->text.data, t->text.len,
                                   t->parse_special, ids, TOKENIZE_IDS_MAX, &n);
    if (r < 0) return err_pass(r);
    m.id = t->id;
    m.count = (uint32_t)n;
    m.ids = ids;
    m.n_ids = t->count_only || r != 0 ? 0 : n;
    f.body_case = HEARTH__WORKER__FROM_WORKER__BODY_TOKENIZED;
    f.tokenized = &m;
    return post_send(s->link, &f);
}

static int on_message(struct serve *s, const Hearth__Worker__ToWorker *m,
                      const struct link_frame *frame)
{
    s->stalled = false;
    switch (m->body_case) {
    case HEARTH__WORKER__TO_WORKER__BODY_SEQ_OPEN:
        return on_seq_open(s, m->seq_open, frame);
    case HEARTH__WORKER__TO_WORKER__BODY_SEQ_CLOSE:
        on_seq_close(s, m->seq_close);
        return 0;
    case HEARTH__WORKER__TO_WORKER__BODY_PLAN:
        on_plan(s, m->plan);
        return 0;
    case HEARTH__WORKER__TO_WORKER__BODY_TOKENIZE:
        return on_tokenize(s, m->tokenize);
    case HEARTH__WORKER__TO_WORKER__BODY_CACHE_LIMIT:
        prefix_limit(&s->prefixes, m->cache_limit->pages_most);
        if (m->cache_limit->pages_most < UINT32_MAX) (void)engine_trim(s->m.engine);
        return 0;
    case HEARTH__WORKER__TO_WORKER__BODY_LOAD:
    case HEARTH__WORKER__TO_WORKER__BODY_IMPORT:
    case HEARTH__WORKER__TO_WORKER__BODY__NOT_SET:
    default:
        return err_raise(-EPROTO); /* hearthd is of the same build: a fault of ours */
    }
}

/* Handle everything that has come. Return: 0, LINK_E_CLOSED, -errno. */
static int read_messages(struct serve *s)
{
    if (s->nudge_fd >= 0) (void)nudged(s); /* the message that it was about is read now */
    int got = link_read(s->link);
    struct link_frame frame;
    struct reason why = { "" };
    int r;

    if (got < 0) return err_pass(got);
    while ((r = link_next(s->link, &frame, &why)) == 0) {
        ProtobufCMessage *m = NULL;
        r = frame_unpack(&hearth__worker__to_worker__descriptor, frame.body, frame.size, &m, &why);
        if (r == 0) r = on_message(s, (const Hearth__Worker__ToWorker *)(const void *)m, &frame);
        frame_unpacked_free(m);
        link_frame_close(&frame);
        if (r != 0) return r < 0 ? err_pass(r) : r == LINK_E_CLOSED ? r : err_raise(-EPROTO);
    }
    if (r == LINK_E_GARBAGE || got == LINK_E_GARBAGE) return err_raise(-EPROTO);
    return got == LINK_E_CLOSED ? LINK_E_CLOSED : 0;
}

/* Sequences that are where a prefix is to be kept. */
static void take_snapshots(struct serve *s)
{
    for (size_t i = 0; i < s->step.n_entries; i++) {
        struct seq *q = s->step.entry[i].seq;
        if (q && q->snapshot_at > 0 && engine_seq_length(q->kv) == q->snapshot_at)
            prefix_snapshot(&s->prefixes, q);
    }
}

/* Sequences come before prefixes. Return: true if a sequence found no page, and a prefix made room. */
static bool make_room(struct serve *s)
{
    for (size_t i = 0; i < s->step.report.n_seqs; i++)
        if (s->step.report.seqs[i]->starved) return prefix_drop(&s->prefixes);
    return false;
}

static int send_step(struct serve *s)
{
    Hearth__Worker__FromWorker f = HEARTH__WORKER__FROM_WORKER__INIT;

    f.body_case = HEARTH__WORKER__FROM_WORKER__BODY_STEP;
    f.step = &s->step.report;
    const int r = post_send(s->link, &f);
    return r < 0 ? err_pass(r) : r;
}

static int run_step(struct serve *s)
{
    const int r = step_run(&s->m, &s->step);

    if (r < 0) return err_pass(r);
    if (r == STEP_E_STOPPED) return send_step(s);
    take_snapshots(s);
    const bool starved = make_room(s);
    s->stalled = s->step.report.prefill_tokens + s->step.report.decode_tokens == 0;
    if (s->stalled && starved) { /* there is room now: as if this step had not been */
        s->stalled = false;
        return 0;
    }
    s->step.report.pages_cached = prefix_pages(&s->prefixes);
    return send_step(s);
}

static int loop(struct serve *s)
{
    for (;;) {
        const bool run = !s->stalled && s->awaits == 0 && step_runnable(&s->step);
        struct pollfd p = { .fd = s->link->fd, .events = POLLIN };
        int n = poll(&p, 1, run ? 0 : -1), r = 0;

        if (n < 0 && errno != EINTR) return err_raise(-errno);
        if (n > 0) r = read_messages(s);
        if (r == 0 && n == 0 && run) r = run_step(s);
        if (r != 0) return r < 0 ? err_pass(r) : r;
    }
}

/* ---- loading ---- */

static int fd_of(uint32_t index, const int *fds, size_t n_fds)
{
    return index > 0 && index <= n_fds ? fds[index - 1] : -1;
}

/* Tokens that no answer may have: unused ones, control tokens that neither end nor begin anything of an answer, and those behind the text vocabulary. */
static void forbid(const struct vocab *v, uint32_t call, struct sampler *sampler)
{
    for (uint32_t id = 0; id < vocab_size(v); id++) {
        const enum vocab_kind k = vocab_kind(v, id);
        if (k == VOCAB_UNUSED || k == VOCAB_UNKNOWN ||
            (k == VOCAB_CONTROL && !vocab_is_stop(v, id) && id != call))
            sampler_forbid(sampler, id);
    }
}

/*
 * Google's generation settings for Gemma (temperature 1, top-k 64, top-p 0.95; converter of HF transformers) are for
 * conversation. A base model that fills a form, and one that calls tools, is asked for its most probable continuation.
 */
static struct sampler_config defaults_of(enum chat_form form)
{
    if (form == CHAT_FORM_CHAT)
        return (struct sampler_config){
            .temperature = 1.0f, .top_k = 64, .top_p = 0.95f, .repetition_penalty = 1.0f
        };
    return (
        struct sampler_config){ .temperature = 0.0f, .top_p = 1.0f, .repetition_penalty = 1.0f };
}

/*
 * The engine, and that it computes. If it does not with a packed file that was there already, that file may have suffered: it is
 * then checked as a whole, and made again if need be, before the model is blamed.
 */
static int open_engine(struct serve *s, const struct engine_options *with, int fd,
                       struct reason *why)
{
    struct engine_packed packed = { .check = true };
    struct engine_options o = *with;
    int r;

    if (o.packed) {
        packed = *o.packed;
        o.packed = &packed;
    }
    for (;;) {
        r = engine_open(fd, &o, why, &s->m.engine);
        if (r == 0) r = health_check(s->m.engine, why);
        if (r != HEALTH_E_SICK || !s->m.engine || packed.check) break;
        const struct engine_info *e = engine_info(s->m.engine);
        if (e->weights != ENGINE_WEIGHTS_FILE || e->packed_new) break;
        s->m.engine = engine_free(s->m.engine);
        packed.check = true;
    }
    return r < 0 ? err_pass(r) : r;
}

static int open_model(struct serve *s, const Hearth__Worker__Load *job, const int *fds,
                      size_t n_fds, struct reason *why)
{
    struct post_progress progress = { .link = s->link };
    const int fd = fd_of(job->model_fd_index, fds, n_fds);
    const struct engine_packed packed = { .fd = fd_of(job->packed_fd_index, fds, n_fds),
                                          .new_fd = fd_of(job->packed_new_fd_index, fds, n_fds),
                                          .sha256 = job->sha256,
                                          .check = job->packed_check };
    const struct engine_options o = { .packed =
                                          packed.fd >= 0 || packed.new_fd >= 0 ? &packed : NULL,
                                      .kernels = job->kernels,
                                      .threads = job->threads,
                                      .context = job->context,
                                      .chunk = job->chunk_tokens,
                                      .kv_bytes = job->kv_bytes,
                                      .kv_f32 = job->kv_f32,
                                      .progress = post_progress,
                                      .progress_context = &progress };
    if (fd < 0) return err_raise(-EPROTO);
    int r = open_engine(s, &o, fd, why);

    if (r == 0 && job->levels_json.len > 0)
        r = engine_levels_json(s->m.engine, (const char *)job->levels_json.data,
                               job->levels_json.len, why);
    if (r == 0) r = chat_init(&s->m.chat, engine_file(s->m.engine), engine_vocab(s->m.engine), why);
    if (r != 0) return r < 0 ? err_pass(r) : r;
    const struct vocab *v = engine_vocab(s->m.engine);
    const uint32_t n_ids = vocab_size(v) < CONFIG_PLE_VOCAB ? vocab_size(v) : CONFIG_PLE_VOCAB;
    r = tokenizer_new(v, &s->m.tokenizer);
    if (r == 0) r = sampler_new(n_ids, &s->m.sampler);
    if (r == 0 && s->m.chat.form == CHAT_FORM_TOOLS) r = call_mask_new(v, &s->m.calls);
    if (r < 0) return err_pass(r);
    forbid(v, s->m.chat.call, s->m.sampler);
    s->m.defaults = defaults_of(s->m.chat.form);
    return 0;
}

/* Where the weights are, and why not where they should be. */
static char *weights_text(const struct engine_info *e, struct reason *ret)
{
    switch (e->weights) {
    case ENGINE_WEIGHTS_RAW:
        reason_set(ret, "as in the file");
        break;
    case ENGINE_WEIGHTS_MEMORY:
        reason_set(ret, "packed in memory%s%s", e->packed_why[0] ? ": " : "", e->packed_why);
        break;
    case ENGINE_WEIGHTS_FILE:
        reason_set(ret, "mapped from the cache%s%s%s", e->packed_new ? ", made now" : "",
                   e->packed_why[0] ? ": " : "", e->packed_why);
        break;
    }
    return ret->text;
}

static int send_packed(struct serve *s)
{
    Hearth__Worker__FromWorker f = HEARTH__WORKER__FROM_WORKER__INIT;
    Hearth__Worker__Packed m = HEARTH__WORKER__PACKED__INIT;

    f.body_case = HEARTH__WORKER__FROM_WORKER__BODY_PACKED;
    f.packed = &m;
    const int r = post_send(s->link, &f);
    return r < 0 ? err_pass(r) : r;
}

/* @packed_fd: a packed file was offered. */
static int send_loaded(struct serve *s, struct info *info, uint64_t load_ns, bool packed_fd,
                       struct reason *why)
{
    struct reason weights;
    const struct engine_info *e = engine_info(s->m.engine);
    Hearth__Worker__FromWorker f = HEARTH__WORKER__FROM_WORKER__INIT;
    Hearth__Worker__Loaded m = HEARTH__WORKER__LOADED__INIT;
    int r = info_engine(s->m.engine, info, why);

    if (r != 0) return r < 0 ? err_pass(r) : err_fold(r);
    m.model = &info->model;
    m.kernels = (char *)(size_t)e->kernels;
    m.threads = e->threads;
    m.context = e->context;
    m.page_tokens = e->page_tokens;
    m.pages_total = e->pages_total;
    m.weights = weights_text(e, &weights);
    m.packed_refused = packed_fd && (e->packed_new || e->weights == ENGINE_WEIGHTS_MEMORY);
    m.load_us = load_ns / 1000;
    m.chat = s->m.chat.form != CHAT_FORM_PLAIN;
    m.bytes_per_token = engine_level_bytes(s->m.engine, &engine_levels(s->m.engine)->row[0]);
    f.body_case = HEARTH__WORKER__FROM_WORKER__BODY_LOADED;
    f.loaded = &m;
    r = post_send(s->link, &f);
    return r < 0 ? err_pass(r) : r;
}

static int load_and_loop(struct serve *s, const Hearth__Worker__Load *job, const int *fds,
                         size_t n_fds)
{
    const uint64_t from_ns = clock_now_ns();
    CLEANUP(freep) struct info *info = calloc(1, sizeof(*info));
    struct reason why = { "" };
    int r = info ? 0 : err_raise(-ENOMEM);

    if (r == 0) r = open_model(s, job, fds, n_fds, &why);
    if (r > 0) {
        r = post_failed(s->link, HEARTH__ERROR_CODE__ERROR_BAD_MODEL, why.text);
        return r < 0 ? err_pass(r) : LINK_E_CLOSED;
    }
    if (r < 0) {
        (void)post_failed(
            s->link,
            r == -ENOMEM ? HEARTH__ERROR_CODE__ERROR_NO_MODEL : HEARTH__ERROR_CODE__ERROR_INTERNAL,
            r == -ENOMEM ? "there is not enough memory for this model" : strerror(-r));
        return err_pass(r);
    }
    s->nudge_fd = fd_of(job->nudge_fd_index, fds, n_fds);
    if (s->nudge_fd >= 0)
        engine_stop(s->m.engine, (struct forward_stop){ .ask = nudged, .context = s });
    if (engine_info(s->m.engine)->packed_new) r = send_packed(s);
    if (r == 0) r = send_loaded(s, info, clock_now_ns() - from_ns, job->packed_fd_index > 0, &why);
    if (r == 0) r = loop(s);
    if (r < 0 && r != -EPROTO)
        (void)post_failed(s->link,
                          r == -EIO ? HEARTH__ERROR_CODE__ERROR_STORAGE
                                    : HEARTH__ERROR_CODE__ERROR_INTERNAL,
                          strerror(-r));
    return r < 0 ? err_pass(r) : r;
}

int serve_run(struct link *l, const Hearth__Worker__Load *job, const int *fds, size_t n_fds)
{
    struct serve *s = calloc(1, sizeof(*s));

    if (!s) return err_raise(-ENOMEM);
    s->link = l;
    s->nudge_fd = -1;
    list_init(&s->seqs);
    prefix_init(&s->prefixes);
    const int r = load_and_loop(s, job, fds, n_fds);
    LIST_EACH(q, &s->seqs, struct seq, node)
    seq_free(q);
    prefix_deinit(&s->prefixes);
    step_deinit(&s->step);
    call_mask_free(s->m.calls);
    sampler_free(s->m.sampler);
    tokenizer_free(s->m.tokenizer);
    engine_free(s->m.engine);
    free(s);
    return r;
}
