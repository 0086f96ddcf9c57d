/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/loading.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/server.h"
#include "worker.pb-c.h"

enum { LEVELS_JSON_MAX = 256 << 10 };
/* ---- what goes to it ---- */

static int read_levels(const char *path, uint8_t *out, size_t *ret_n, struct reason *why)
{
    FILE *f = fopen(path, "re");

    *ret_n = 0;
    if (!f) {
        reason_set(why, "the table of levels %s cannot be read: %s", path, strerror(errno));
        return -errno;
    }
    *ret_n = fread(out, 1, LEVELS_JSON_MAX, f);
    (void)fclose(f);
    if (*ret_n < LEVELS_JSON_MAX) return 0;
    reason_set(why, "the table of levels %s has %d bytes or more", path, LEVELS_JSON_MAX);
    return -EFBIG;
}

/* Files for packed weights, and what wakes the worker up, go with the Load. @fds: [4], the first is taken. Return: how many there are. */
static size_t add_fds(struct supervisor *v, const struct cache_files *files,
                      Hearth__Worker__Load *load, int *fds)
{
    size_t n = 1;

    v->not_packed = v->server->cache ? files->why : v->server->no_cache;
    if (files->fd >= 0) {
        fds[n++] = files->fd;
        load->packed_fd_index = (uint32_t)n;
    }
    if (files->new_fd >= 0) {
        fds[n++] = files->new_fd;
        load->packed_new_fd_index = (uint32_t)n;
    }
    if (v->nudge_fd >= 0) {
        fds[n++] = v->nudge_fd;
        load->nudge_fd_index = (uint32_t)n;
    }
    load->packed_check = v->crashes > 0;
    return n;
}

static void files_close(const struct cache_files *f)
{
    closep(&f->fd);
    closep(&f->new_fd);
}

Hearth__ErrorCode loading_send(struct supervisor *v, struct reason *why)
{
    const struct conf *conf = &v->server->conf;
    CLEANUP(freep) uint8_t *levels = malloc(LEVELS_JSON_MAX);
    CLEANUP(closep) int fd = store_open_model(v->server->store, &v->model);
    CLEANUP(files_close) struct cache_files files = { .fd = -1, .new_fd = -1 };
    Hearth__Worker__ToWorker m = HEARTH__WORKER__TO_WORKER__INIT;
    Hearth__Worker__Load load = HEARTH__WORKER__LOAD__INIT;

    if (fd < 0 || !levels) {
        reason_set(why, "the file of model %s cannot be opened: %s", v->model.name,
                   strerror(fd < 0 ? -fd : ENOMEM));
        return HEARTH__ERROR_CODE__ERROR_STORAGE;
    }
    if (conf->levels[0] && read_levels(conf->levels, levels, &load.levels_json.len, why) != 0)
        return HEARTH__ERROR_CODE__ERROR_NO_MODEL;
    load.levels_json.data = levels;
    load.model_fd_index = 1;
    load.threads = conf->threads;
    load.context = conf->context;
    load.kv_bytes = conf->kv_bytes;
    load.chunk_tokens = conf->chunk;
    load.kernels = (char *)(size_t)conf->kernels;
    load.sha256 = v->model.sha256;
    m.body_case = HEARTH__WORKER__TO_WORKER__BODY_LOAD;
    m.load = &load;
    if (strcmp(conf->kernels, "c") != 0) /* that set takes weights as they are */
        cache_offer(v->server->cache, v->model.sha256, v->packed_layout, &files);
    int fds[4] = { fd };
    (void)child_send(&v->child, &m, fds, add_fds(v, &files, &load, fds));
    return HEARTH__ERROR_CODE__ERROR_UNKNOWN;
}

/* ---- what it says ---- */

static void take_levels(struct supervisor *v, const Hearth__Model *m)
{
    v->n_levels = m->n_levels < SUPERVISOR_LEVELS_MAX ? m->n_levels : SUPERVISOR_LEVELS_MAX;
    for (size_t i = 0; i < v->n_levels; i++) {
        (void)snprintf(v->level_name[i], SUPERVISOR_LEVEL_SIZE, "%s", m->levels[i]->name);
        (void)snprintf(v->level_quality[i], SUPERVISOR_LEVEL_SIZE, "%s", m->levels[i]->quality);
        v->level[i] =
            (struct levels_row){ .name = v->level_name[i], .cost = (double)m->levels[i]->cost };
    }
}

/* Where the worker has the weights; a place that costs time at each load is worth a warning. */
static void take_weights(struct supervisor *v, const Hearth__Worker__Loaded *m)
{
    const bool memory = strncmp(m->weights, "packed in memory", 16) == 0,
               told = strchr(m->weights, ':') != NULL;

    cache_end(v->server->cache, m->packed_refused);
    (void)snprintf(v->weights, sizeof(v->weights), "%s%s%s", m->weights,
                   memory && !told && v->not_packed.text[0] ? ": " : "",
                   memory && !told ? v->not_packed.text : "");
    if (memory || m->packed_refused)
        log_warn(memory ? "loading takes longer without packed weights on disk"
                        : "packed weights were made again",
                 "weights=\"%s\"", v->weights);
}

void loading_done(struct supervisor *v, const Hearth__Worker__Loaded *m)
{
    (void)snprintf(v->kernels, sizeof(v->kernels), "%s", m->kernels);
    take_weights(v, m);
    (void)snprintf(v->prompt_form, sizeof(v->prompt_form), "%s",
                   m->model ? m->model->prompt_form : "");
    v->threads = m->threads;
    v->context = m->context;
    v->pages_total = m->pages_total;
    v->load_us = m->load_us;
    v->bytes_per_token = m->bytes_per_token;
    if (m->model) take_levels(v, m->model);
}
