/* SPDX-License-Identifier: Apache-2.0 */
#include "client-lib/request.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"

/* The array with room for one more element, NULL: no memory (the array is as before). */
static void *grow(void *array, size_t n, size_t *room, size_t size)
{
    const size_t more = n < *room ? *room : *room > 0 ? 2 * *room : 4;

    if (n < *room) return array;
    void *p = reallocarray(array, more, size);
    if (p) *room = more;
    return p;
}

/* Append a copy; the room doubles, so that a text given in small pieces costs little. Return: 0, -ENOMEM. */
static int append(struct request_bytes *b, const void *data, size_t size)
{
    if (b->size + size > b->room) { /* both are below REQUEST_SIZE_MAX */
        const size_t room = b->room && size < b->room ? 2 * b->room : b->size + size;
        uint8_t *p = realloc(b->data, room);
        if (!p) return err_raise(-ENOMEM);
        b->data = p;
        b->room = room;
    }
    if (size > 0) memcpy(b->data + b->size, data, size);
    b->size += size;
    return 0;
}

static size_t text_size(const char *text, size_t size)
{
    return size == HEARTH_TEXT_SIZE && text ? strlen(text) : size;
}

/* Whether @size bytes more are fine. Return: 0, -EINVAL, -E2BIG. */
static int check_bytes(const struct hearth_request *q, const void *data, size_t size)
{
    if (!data && size > 0) return err_raise(-EINVAL);
    if (size > REQUEST_SIZE_MAX || q->size_bytes + size > REQUEST_SIZE_MAX)
        return err_raise(-E2BIG);
    return 0;
}

int hearth_request_new(struct hearth_request **ret)
{
    struct hearth_request *q = calloc(1, sizeof(*q));

    if (!q) return err_raise(-ENOMEM);
    *ret = q;
    return 0;
}

struct hearth_request *hearth_request_free(struct hearth_request *q)
{
    if (!q) return NULL;
    for (size_t i = 0; i < q->n_messages; i++) {
        for (size_t k = 0; k < q->messages[i].n_parts; k++)
            free(q->messages[i].parts[k].bytes.data);
        free(q->messages[i].parts);
    }
    for (size_t i = 0; i < q->n_tools; i++)
        free(q->tools[i].data);
    for (size_t i = 0; i < q->n_stops; i++)
        free(q->stops[i].data);
    free(q->messages);
    free(q->tools);
    free(q);
    return NULL;
}

int hearth_request_message(struct hearth_request *q, enum hearth_role role)
{
    if ((int)role < HEARTH_ROLE_USER || role > HEARTH_ROLE_TOOL) return err_raise(-EINVAL);
    if (q->n_messages == REQUEST_MESSAGES_MAX) return err_raise(-E2BIG);
    struct request_message *all = grow(q->messages, q->n_messages, &q->room, sizeof(*all));
    if (!all) return err_raise(-ENOMEM);
    q->messages = all;
    q->messages[q->n_messages++] = (struct request_message){ .role = role };
    return 0;
}

/* Add a part to the last message. Return: as hearth_request_text(). */
static int add_part(struct hearth_request *q, struct request_part part, const void *data,
                    size_t size)
{
    int r = check_bytes(q, data, size);

    if (r < 0) return err_pass(r);
    if (q->n_messages == 0) return err_raise(-EINVAL);
    if (q->n_parts == REQUEST_PARTS_MAX) return err_raise(-E2BIG);
    struct request_message *m = &q->messages[q->n_messages - 1];
    struct request_part *all = grow(m->parts, m->n_parts, &m->room, sizeof(*all));
    if (!all) return err_raise(-ENOMEM);
    m->parts = all;
    r = append(&part.bytes, data, size);
    if (r < 0) return err_pass(r);
    m->parts[m->n_parts++] = part;
    q->n_parts++;
    q->size_bytes += size;
    return 0;
}

int hearth_request_text(struct hearth_request *q, const char *text, size_t size)
{
    const size_t n = text_size(text, size);
    struct request_message *m = q->n_messages > 0 ? &q->messages[q->n_messages - 1] : NULL;

    if (!m || m->n_parts == 0 || m->parts[m->n_parts - 1].kind != REQUEST_TEXT)
        return add_part(q, (struct request_part){ .kind = REQUEST_TEXT }, text, n);
    int r = check_bytes(q, text, n); /* texts in a row are one text */
    if (r == 0) r = append(&m->parts[m->n_parts - 1].bytes, text, n);
    if (r < 0) return err_pass(r);
    q->size_bytes += n;
    return 0;
}

int hearth_request_image(struct hearth_request *q, const void *data, size_t size)
{
    return add_part(q, (struct request_part){ .kind = REQUEST_IMAGE }, data, size);
}

int hearth_request_audio(struct hearth_request *q, const int16_t *pcm, size_t n_samples,
                         uint32_t rate_hz)
{
    size_t size;

    if (__builtin_mul_overflow(n_samples, sizeof(*pcm), &size)) return err_raise(-E2BIG);
    return add_part(q, (struct request_part){ .kind = REQUEST_AUDIO, .rate_hz = rate_hz }, pcm,
                    size);
}

int hearth_request_video_frame(struct hearth_request *q, const void *data, size_t size,
                               uint64_t time_us)
{
    return add_part(q, (struct request_part){ .kind = REQUEST_VIDEO_FRAME, .time_us = time_us },
                    data, size);
}

int hearth_request_call(struct hearth_request *q, const char *json, size_t size)
{
    const size_t n = text_size(json, size);

    if (q->n_messages == 0 || q->messages[q->n_messages - 1].role != HEARTH_ROLE_MODEL || n == 0)
        return err_raise(-EINVAL);
    return add_part(q, (struct request_part){ .kind = REQUEST_CALL }, json, n);
}

int hearth_request_tool(struct hearth_request *q, const char *json, size_t size)
{
    const size_t n = text_size(json, size);
    struct request_bytes b = { 0 };
    int r = check_bytes(q, json, n);

    if (r < 0) return err_pass(r);
    if (n == 0) return err_raise(-EINVAL);
    if (q->n_tools == REQUEST_TOOLS_MAX) return err_raise(-E2BIG);
    struct request_bytes *all = grow(q->tools, q->n_tools, &q->tools_room, sizeof(*all));
    if (!all) return err_raise(-ENOMEM);
    q->tools = all;
    r = append(&b, json, n);
    if (r < 0) return err_pass(r);
    q->tools[q->n_tools++] = b;
    q->size_bytes += n;
    return 0;
}

int hearth_request_stop(struct hearth_request *q, const char *text, size_t size)
{
    const size_t n = text_size(text, size);
    struct request_bytes b = { 0 };

    if (!text || n == 0 || n > REQUEST_STOP_SIZE_MAX) return err_raise(-EINVAL);
    if (q->n_stops == REQUEST_STOPS_MAX) return err_raise(-E2BIG);
    int r = append(&b, text, n);
    if (r < 0) return err_pass(r);
    q->stops[q->n_stops++] = b;
    return 0;
}

/* Copy a name; NULL is "". Return: 0, -EINVAL (too long). */
static int set_name(char *place, const char *name)
{
    const size_t n = name ? strlen(name) : 0;

    if (n > REQUEST_NAME_MAX) return err_raise(-EINVAL);
    if (n > 0) memcpy(place, name, n);
    place[n] = '\0';
    return 0;
}

int hearth_request_set_level(struct hearth_request *q, const char *level)
{
    return set_name(q->level, level);
}

int hearth_request_set_conversation(struct hearth_request *q, const char *name)
{
    return set_name(q->conversation, name);
}

void hearth_request_set_raw(struct hearth_request *q, int raw)
{
    q->raw = raw != 0;
}

void hearth_request_set_temperature(struct hearth_request *q, float temperature)
{
    q->has_temperature = true;
    q->temperature = temperature;
}

void hearth_request_set_top_k(struct hearth_request *q, uint32_t top_k)
{
    q->has_top_k = true;
    q->top_k = top_k;
}

void hearth_request_set_top_p(struct hearth_request *q, float top_p)
{
    q->has_top_p = true;
    q->top_p = top_p;
}

void hearth_request_set_min_p(struct hearth_request *q, float min_p)
{
    q->has_min_p = true;
    q->min_p = min_p;
}

void hearth_request_set_repetition_penalty(struct hearth_request *q, float penalty)
{
    q->has_repetition_penalty = true;
    q->repetition_penalty = penalty;
}

void hearth_request_set_seed(struct hearth_request *q, uint64_t seed)
{
    q->has_seed = true;
    q->seed = seed;
}

void hearth_request_set_max_tokens(struct hearth_request *q, uint32_t max_tokens)
{
    q->max_tokens = max_tokens;
}

void hearth_request_set_class(struct hearth_request *q, enum hearth_class request_class)
{
    q->request_class = request_class;
}

void hearth_request_set_deadline_ms(struct hearth_request *q, uint32_t deadline_ms)
{
    q->deadline_ms = deadline_ms;
}

void hearth_request_set_level_may_drop(struct hearth_request *q, int may_drop)
{
    q->level_may_drop = may_drop != 0;
}
