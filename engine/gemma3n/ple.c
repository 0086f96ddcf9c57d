/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/gemma3n/ple.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/err.h"

int ple_init(struct ple *p, int fd, const struct gguf_tensor *table, uint32_t rows)
{
    const int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (own < 0) return err_raise(-errno);
    *p = (struct ple){ .fd = own,
                       .offset = table->offset,
                       .type = table->type,
                       .rows = rows,
                       .row_values = (uint32_t)table->dims[0] };
    p->row_bytes = quant_row_bytes(p->type, p->row_values);
    return 0;
}

void ple_deinit(struct ple *p)
{
    if (p->fd >= 0) (void)close(p->fd);
    p->fd = -1;
}

int ple_read(const struct ple *p, uint32_t id, uint8_t *out)
{
    const uint64_t at = p->offset + (id < p->rows ? id : 0) * (uint64_t)p->row_bytes;
    size_t n = 0;

    while (n < p->row_bytes) {
        const ssize_t r = pread(p->fd, out + n, p->row_bytes - n, (off_t)(at + n));
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return err_raise(-errno);
        if (r == 0) return err_raise(-EIO);
        n += (size_t)r;
    }
    return 0;
}
