/* SPDX-License-Identifier: Apache-2.0 */
#include "client-lib/compose.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/err.h"
#include "client-lib/memfile.h"

enum {
    FRAME_AROUND = 32, /* bytes that ClientFrame and the id, not yet set, add at most */
    WORTH_A_FILE = 64, /* bytes of a part below which moving it would save next to nothing */
};

/* One block for all arrays, in the order of their alignment: pointers first, all have that of a pointer. */
struct arrays {
    Hearth__Message **message_list;
    Hearth__Part **part_list;
    Hearth__Tool **tool_list;
    Hearth__Message *messages;
    Hearth__Part *parts;
    Hearth__Media *media;
    Hearth__Tool *tools;
};

/* The next @n elements of @size bytes of a block. Sizes are multiples of a pointer's. */
static void *cut(char **at, size_t n, size_t size)
{
    void *p = *at;

    *at += n * size;
    return p;
}

static int allocate(struct compose *k, const struct hearth_request *q, struct arrays *ret)
{
    const size_t m = q->n_messages, p = q->n_parts, t = q->n_tools;
    char *at = calloc(1, (m + p + t) * sizeof(void *) + m * sizeof(Hearth__Message) +
                             p * (sizeof(Hearth__Part) + sizeof(Hearth__Media)) +
                             t * sizeof(Hearth__Tool) + 1);

    if (!at) return err_raise(-ENOMEM);
    k->block = at;
    ret->message_list = cut(&at, m, sizeof(void *));
    ret->part_list = cut(&at, p, sizeof(void *));
    ret->tool_list = cut(&at, t, sizeof(void *));
    ret->messages = cut(&at, m, sizeof(Hearth__Message));
    ret->parts = cut(&at, p, sizeof(Hearth__Part));
    ret->media = cut(&at, p, sizeof(Hearth__Media));
    ret->tools = cut(&at, t, sizeof(Hearth__Tool));
    return 0;
}

static ProtobufCBinaryData borrow(const struct request_bytes *b)
{
    return (ProtobufCBinaryData){ .data = b->data, .len = b->size };
}

static void fill_part(const struct request_part *from, Hearth__Part *to, Hearth__Media *media)
{
    hearth__part__init(to);
    if (from->kind == REQUEST_TEXT) {
        to->kind_case = HEARTH__PART__KIND_TEXT;
        to->text = borrow(&from->bytes);
        return;
    }
    if (from->kind == REQUEST_CALL) {
        to->kind_case = HEARTH__PART__KIND_CALL;
        to->call = borrow(&from->bytes);
        return;
    }
    hearth__media__init(media);
    media->data = borrow(&from->bytes);
    media->rate_hz = from->rate_hz;
    media->time_us = from->time_us;
    to->image = media; /* a union of pointers to media */
    to->kind_case = from->kind == REQUEST_IMAGE   ? HEARTH__PART__KIND_IMAGE
                    : from->kind == REQUEST_AUDIO ? HEARTH__PART__KIND_AUDIO
                                                  : HEARTH__PART__KIND_VIDEO_FRAME;
}

int compose_init(struct compose *k, const struct hearth_request *q)
{
    struct arrays a = { 0 };
    size_t part = 0;

    *k = (struct compose){ 0 };
    int r = allocate(k, q, &a);
    if (r < 0) return err_pass(r);
    for (size_t i = 0; i < q->n_messages; i++) {
        hearth__message__init(&a.messages[i]);
        a.messages[i].role = (Hearth__Role)q->messages[i].role;
        a.messages[i].parts = a.part_list + part;
        a.messages[i].n_parts = q->messages[i].n_parts;
        a.message_list[i] = &a.messages[i];
        for (size_t n = 0; n < q->messages[i].n_parts; n++, part++) {
            fill_part(&q->messages[i].parts[n], &a.parts[part], &a.media[part]);
            a.part_list[part] = &a.parts[part];
        }
    }
    for (size_t i = 0; i < q->n_tools; i++) {
        hearth__tool__init(&a.tools[i]);
        a.tools[i].json = borrow(&q->tools[i]);
        a.tool_list[i] = &a.tools[i];
    }
    for (size_t i = 0; i < q->n_stops; i++)
        k->stops[i] = borrow(&q->stops[i]);
    k->messages = a.message_list;
    k->n_messages = q->n_messages;
    k->tools = a.tool_list;
    k->n_tools = q->n_tools;
    k->n_stops = q->n_stops;
    k->parts = a.parts;
    k->n_parts = part;
    return 0;
}

void compose_deinit(struct compose *k)
{
    while (k->n_fds > 0)
        (void)close(k->fds[--k->n_fds]);
    free(k->block);
    k->block = NULL;
}

Hearth__Sampling compose_sampling(const struct hearth_request *q)
{
    Hearth__Sampling s = HEARTH__SAMPLING__INIT;

    if (q->has_temperature) s.has_temperature_case = HEARTH__SAMPLING__HAS_TEMPERATURE_TEMPERATURE;
    if (q->has_top_k) s.has_top_k_case = HEARTH__SAMPLING__HAS_TOP_K_TOP_K;
    if (q->has_top_p) s.has_top_p_case = HEARTH__SAMPLING__HAS_TOP_P_TOP_P;
    if (q->has_min_p) s.has_min_p_case = HEARTH__SAMPLING__HAS_MIN_P_MIN_P;
    if (q->has_repetition_penalty)
        s.has_repetition_penalty_case = HEARTH__SAMPLING__HAS_REPETITION_PENALTY_REPETITION_PENALTY;
    if (q->has_seed) s.has_seed_case = HEARTH__SAMPLING__HAS_SEED_SEED;
    s.temperature = q->temperature;
    s.top_k = q->top_k;
    s.top_p = q->top_p;
    s.min_p = q->min_p;
    s.repetition_penalty = q->repetition_penalty;
    s.seed = q->seed;
    return s;
}

/* The bytes of a part that are in the frame and could be moved out of it. */
static ProtobufCBinaryData inside(const Hearth__Part *p)
{
    switch (p->kind_case) {
    case HEARTH__PART__KIND_TEXT:
        return p->text;
    case HEARTH__PART__KIND_IMAGE:
    case HEARTH__PART__KIND_AUDIO:
    case HEARTH__PART__KIND_VIDEO_FRAME:
        return p->image->data;
    default:
        return (ProtobufCBinaryData){ 0 };
    }
}

static Hearth__Part *largest(const struct compose *k)
{
    Hearth__Part *best = NULL;

    for (size_t i = 0; i < k->n_parts; i++)
        if (!best || inside(&k->parts[i]).len > inside(best).len) best = &k->parts[i];
    return best;
}

static int move_out(struct compose *k, Hearth__Part *p)
{
    const ProtobufCBinaryData bytes = inside(p);
    int fd = memfile_new(bytes.data, bytes.len);

    if (fd < 0) return err_pass(fd);
    k->fds[k->n_fds++] = fd; /* its index counts from 1 */
    if (p->kind_case == HEARTH__PART__KIND_TEXT) {
        p->kind_case = HEARTH__PART__KIND_TEXT_FD_INDEX;
        p->text_fd_index = (uint32_t)k->n_fds;
    } else {
        p->image->data = (ProtobufCBinaryData){ 0 };
        p->image->fd_index = (uint32_t)k->n_fds;
    }
    return 0;
}

int compose_fit(struct compose *k, const ProtobufCMessage *body, size_t max)
{
    for (;;) {
        Hearth__Part *p = largest(k);
        const size_t size = p ? inside(p).len : 0;
        const bool fits = protobuf_c_message_get_packed_size(body) + FRAME_AROUND <= max;
        const bool full = k->n_fds == FRAME_FDS_MAX;

        if (fits && (full || size <= COMPOSE_LARGE)) return 0;
        if (full || size < WORTH_A_FILE) return err_raise(-E2BIG);
        int r = move_out(k, p);
        if (r < 0) return err_pass(r);
    }
}
