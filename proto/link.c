/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/link.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "base/err.h"

enum { READ_SIZE = 65536 }; /* bytes asked of the kernel at once */

static void close_all(int *fds, size_t *n)
{
    while (*n > 0)
        (void)close(fds[--*n]);
}

int link_init(struct link *l, int fd, size_t out_max)
{
    const int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) return err_raise(-errno);
    memset(l, 0, sizeof(*l));
    l->fd = fd;
    buf_init(&l->in, FRAME_HEADER_SIZE + FRAME_BODY_MAX + READ_SIZE);
    buf_init(&l->out, out_max);
    return 0;
}

void link_deinit(struct link *l)
{
    if (l->fd >= 0) (void)close(l->fd);
    l->fd = -1;
    close_all(l->fds, &l->n_fds);
    while (l->n_batches > 0) {
        l->n_batches--;
        close_all(l->batch[l->n_batches].fds, &l->batch[l->n_batches].n);
    }
    buf_deinit(&l->in);
    buf_deinit(&l->out);
}

/* The body of the last frame was lent to the caller until now. */
static void take_back(struct link *l)
{
    buf_consume(&l->in, l->lent);
    l->lent = 0;
}

int link_read(struct link *l)
{
    int fds[FDPASS_MAX];
    size_t n_fds = 0;
    uint8_t *place = NULL;

    if (l->closed) return LINK_E_CLOSED;
    take_back(l);
    int r = buf_reserve(&l->in, READ_SIZE, &place);
    if (r == BUF_E_FULL) return 0; /* a whole frame waits in front: it is to be taken first */
    if (r < 0) return err_pass(r);
    ssize_t n = fdpass_recv(l->fd, place, READ_SIZE, fds, &n_fds);
    if (n == -EAGAIN) return LINK_E_NONE;
    if (n == -EPROTO) return LINK_E_GARBAGE;
    if (n == 0 || n == -ECONNRESET) {
        l->closed = true;
        return LINK_E_CLOSED;
    }
    if (n < 0) return err_raise((int)n);
    buf_commit(&l->in, (size_t)n);
    if (l->n_fds + n_fds > FDPASS_MAX) {
        close_all(fds, &n_fds);
        return LINK_E_GARBAGE;
    }
    if (n_fds > 0) memcpy(l->fds + l->n_fds, fds, n_fds * sizeof(int));
    l->n_fds += n_fds;
    return 0;
}

int link_next(struct link *l, struct link_frame *ret, struct reason *why)
{
    struct frame_header h = { 0 };

    take_back(l);
    int r = frame_parse(buf_front(&l->in), l->in.n, &h, why);
    if (r == FRAME_E_MORE) return LINK_E_NONE;
    if (r == FRAME_E_GARBAGE) return LINK_E_GARBAGE;
    if (h.n_fds > l->n_fds) {
        reason_set(why, "the frame announces %u descriptors and brought %zu", h.n_fds, l->n_fds);
        return LINK_E_GARBAGE;
    }
    ret->body = buf_front(&l->in) + FRAME_HEADER_SIZE;
    ret->size = h.body_size;
    ret->n_fds = h.n_fds;
    memcpy(ret->fds, l->fds, h.n_fds * sizeof(int));
    l->n_fds -= h.n_fds;
    memmove(l->fds, l->fds + h.n_fds, l->n_fds * sizeof(int));
    l->lent = FRAME_HEADER_SIZE + h.body_size;
    return 0;
}

int link_send(struct link *l, const ProtobufCMessage *message, const int *fds, size_t n_fds)
{
    const size_t size = protobuf_c_message_get_packed_size(message);
    int copies[FRAME_FDS_MAX];
    size_t n = 0;
    uint8_t *place = NULL;

    assert(n_fds <= FRAME_FDS_MAX);
    if (size > FRAME_BODY_MAX) return err_raise(-EMSGSIZE);
    if (n_fds > 0 && l->n_batches == LINK_FD_BATCHES) return LINK_E_FULL;
    int r = buf_reserve(&l->out, FRAME_HEADER_SIZE + size, &place);
    if (r == BUF_E_FULL) return LINK_E_FULL;
    if (r < 0) return err_pass(r);
    for (; n < n_fds; n++) {
        copies[n] = fcntl(fds[n], F_DUPFD_CLOEXEC, 0);
        if (copies[n] >= 0) continue;
        r = -errno;
        close_all(copies, &n);
        return err_raise(r);
    }
    if (n > 0) {
        l->batch[l->n_batches].at = l->out_base + l->out.n;
        l->batch[l->n_batches].n = n;
        memcpy(l->batch[l->n_batches].fds, copies, n * sizeof(int));
        l->n_batches++;
    }
    frame_header_write(place, size, n_fds);
    (void)protobuf_c_message_pack(message, place + FRAME_HEADER_SIZE);
    buf_commit(&l->out, FRAME_HEADER_SIZE + size);
    return 0;
}

int link_flush(struct link *l)
{
    while (l->out.n > 0) {
        size_t n = l->out.n, n_fds = 0;

        if (l->n_batches >
            0) { /* descriptors go with the first byte of their frame: send up to it */
            if (l->batch[0].at == l->out_base)
                n_fds = l->batch[0].n;
            else
                n = (size_t)(l->batch[0].at - l->out_base);
        }
        if (n_fds > 0 && l->n_batches > 1) n = (size_t)(l->batch[1].at - l->out_base);
        ssize_t sent =
            fdpass_send(l->fd, buf_front(&l->out), n, n_fds ? l->batch[0].fds : NULL, n_fds);
        if (sent == -EAGAIN) return 0;
        if (sent == -EPIPE || sent == -ECONNRESET) return LINK_E_CLOSED;
        if (sent < 0) return err_raise((int)sent);
        if (n_fds > 0) {
            close_all(l->batch[0].fds, &l->batch[0].n);
            l->n_batches--;
            memmove(l->batch, l->batch + 1, l->n_batches * sizeof(l->batch[0]));
        }
        buf_consume(&l->out, (size_t)sent);
        l->out_base += (uint64_t)sent;
    }
    return 0;
}

void link_frame_close(struct link_frame *f)
{
    close_all(f->fds, &f->n_fds);
}
