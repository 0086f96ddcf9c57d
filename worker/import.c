/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/import.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "worker/info.h"
#include "worker/post.h"

enum { BLOCK = 4 << 20 }; /* bytes copied or hashed between two reports */

struct job {
    int from, to;
    uint64_t size;
    const char *expected; /* sha256 in hex, or "" */
    struct post_progress progress;
    Hearth__ErrorCode code;
    struct reason why;
};

enum { IMPORT_E_FAILED = 1 }; /* outcome inside this file: job.code and job.why say why */

static int fail(struct job *j, Hearth__ErrorCode code, const char *what, int error)
{
    j->code = code;
    reason_set(&j->why, "%s: %s", what, strerror(error));
    return IMPORT_E_FAILED;
}

static int copy_error(struct job *j, uint64_t done, int error)
{
    if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
        j->code = HEARTH__ERROR_CODE__ERROR_STORAGE;
        reason_set(&j->why, "the disk of the model store is full: %llu more bytes are needed",
                   (unsigned long long)(j->size - done));
        return IMPORT_E_FAILED;
    }
    return fail(j, HEARTH__ERROR_CODE__ERROR_STORAGE, "copying the model file", error);
}

/* Plain reads and writes, for file systems between which the kernel cannot copy. */
static ssize_t copy_block(struct job *j, uint64_t at, uint8_t *buffer)
{
    const ssize_t n = pread(j->from, buffer, BLOCK, (off_t)at);

    for (ssize_t put = 0; put < n;) {
        const ssize_t w = pwrite(j->to, buffer + put, (size_t)(n - put), (off_t)at + put);
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) return -1;
        put += w;
    }
    return n;
}

static int copy(struct job *j)
{
    CLEANUP(freep) uint8_t *buffer = NULL;

    if (ioctl(j->to, FICLONE, j->from) == 0) return 0; /* the file system shares the blocks */
    for (uint64_t at = 0; at < j->size;) {
        off_t from = (off_t)at, to = (off_t)at;
        ssize_t n = buffer ? -1 : copy_file_range(j->from, &from, j->to, &to, BLOCK, 0);
        if (n < 0 && (buffer || errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP ||
                      errno == ENOSYS || errno == EBADF)) {
            if (!buffer && !(buffer = malloc(BLOCK))) return err_raise(-ENOMEM);
            n = copy_block(j, at, buffer);
        }
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return copy_error(j, at, errno);
        if (n == 0)
            return fail(j, HEARTH__ERROR_CODE__ERROR_STORAGE,
                        "the model file became shorter while it was copied", EIO);
        at += (uint64_t)n;
        post_progress(&j->progress, "copy", at, j->size);
    }
    return fsync(j->to) == 0 ? 0 : copy_error(j, j->size, errno);
}

static int hash(struct job *j, char *ret_hex)
{
    CLEANUP(freep) uint8_t *buffer = malloc(BLOCK);
    struct sha256_ctx sha;
    uint8_t digest[SHA256_DIGEST_SIZE];

    if (!buffer) return err_raise(-ENOMEM);
    sha256_init(&sha);
    for (uint64_t at = 0; at < j->size;) {
        const ssize_t n = pread(j->to, buffer, BLOCK, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return fail(j, HEARTH__ERROR_CODE__ERROR_STORAGE, "reading the copy of the model file",
                        n < 0 ? errno : EIO);
        sha256_update(&sha, (size_t)n, buffer);
        at += (uint64_t)n;
        post_progress(&j->progress, "verify", at, j->size);
    }
    sha256_digest(&sha, sizeof(digest), digest);
    for (int i = 0; i < SHA256_DIGEST_SIZE; i++)
        (void)snprintf(ret_hex + 2 * i, 3, "%02x", digest[i]);
    if (j->expected[0] == '\0' || strcasecmp(j->expected, ret_hex) == 0) return 0;
    j->code = HEARTH__ERROR_CODE__ERROR_BAD_MODEL;
    reason_set(&j->why, "the file's sha256 is %s, expected %.64s", ret_hex, j->expected);
    return IMPORT_E_FAILED;
}

/* Could it be loaded? @ret: what it is. */
static int check(struct job *j, int fd, struct info *ret)
{
    struct gguf *g = NULL;
    int r = gguf_open(fd, &j->why, &g);

    if (r == 0) r = info_file(g, ret, &j->why);
    gguf_free(g);
    if (r < 0)
        return r == -ENOMEM ? err_pass(r)
                            : fail(j, HEARTH__ERROR_CODE__ERROR_BAD_MODEL,
                                   "the model file cannot be read", -r);
    j->code = HEARTH__ERROR_CODE__ERROR_BAD_MODEL;
    return r == 0 ? 0 : IMPORT_E_FAILED;
}

static int run(struct job *j, struct info *ret)
{
    struct stat st;

    if (fstat(j->from, &st) != 0)
        return fail(j, HEARTH__ERROR_CODE__ERROR_INVALID, "the model file", errno);
    if (!S_ISREG(st.st_mode))
        return fail(j, HEARTH__ERROR_CODE__ERROR_INVALID, "the model file must be a regular file",
                    EINVAL);
    j->size = (uint64_t)st.st_size;
    int r = check(j, j->from, ret); /* before gigabytes are copied */
    if (r == 0) r = copy(j);
    if (r == 0) r = check(j, j->to, ret);
    if (r == 0) r = hash(j, ret->sha256);
    ret->model.sha256 = ret->sha256;
    return r;
}

int import_run(struct link *l, const Hearth__Worker__Import *job, const int *fds, size_t n_fds)
{
    struct job j = { .expected = job->sha256,
                     .progress = { .link = l },
                     .code = HEARTH__ERROR_CODE__ERROR_INTERNAL };
    CLEANUP(freep) struct info *info = calloc(1, sizeof(*info));
    Hearth__Worker__FromWorker f = HEARTH__WORKER__FROM_WORKER__INIT;
    Hearth__Worker__Imported done = HEARTH__WORKER__IMPORTED__INIT;

    if (job->from_fd_index == 0 || job->from_fd_index > n_fds || job->to_fd_index == 0 ||
        job->to_fd_index > n_fds)
        return post_failed(l, HEARTH__ERROR_CODE__ERROR_INTERNAL,
                           "the import came without its files");
    j.from = fds[job->from_fd_index - 1];
    j.to = fds[job->to_fd_index - 1];
    const int r = info ? run(&j, info) : -ENOMEM;
    if (r != 0) return post_failed(l, j.code, r < 0 ? strerror(-r) : j.why.text);
    done.model = &info->model;
    f.body_case = HEARTH__WORKER__FROM_WORKER__BODY_IMPORTED;
    f.imported = &done;
    return post_send(l, &f);
}
