/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/models.h"
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/server.h"

/* The answer to what the store refused. */
static void refused(struct conn *c, uint64_t id, int r, const struct reason *why)
{
    Hearth__ErrorCode code = HEARTH__ERROR_CODE__ERROR_STORAGE;

    if (r == STORE_E_NAME) code = HEARTH__ERROR_CODE__ERROR_INVALID;
    if (r == STORE_E_NOT_FOUND) code = HEARTH__ERROR_CODE__ERROR_NOT_FOUND;
    if (r == STORE_E_ACTIVE) code = HEARTH__ERROR_CODE__ERROR_BUSY;
    conn_error(c, id, code, CONN_NO_RETRY, "%s", r > 0 ? why->text : strerror(-r));
}

struct listing {
    struct store_model model[STORE_MODELS_MAX];
    Hearth__Model out[STORE_MODELS_MAX], *pointer[STORE_MODELS_MAX];
    Hearth__Level level[SUPERVISOR_LEVELS_MAX],
        *levels[SUPERVISOR_LEVELS_MAX]; /* of the one that is loaded */
};

void models_list(struct conn *c, uint64_t id)
{
    CLEANUP(freep) struct listing *l = calloc(1, sizeof(*l));
    Hearth__Reply reply = HEARTH__REPLY__INIT;
    Hearth__Models models = HEARTH__MODELS__INIT;
    const int n = l ? store_list(c->server->store, l->model) : -1;

    if (n < 0) {
        conn_error(c, id, HEARTH__ERROR_CODE__ERROR_STORAGE, CONN_NO_RETRY,
                   "the model store %s cannot be read", c->server->conf.models);
        return;
    }
    for (int i = 0; i < n; i++) {
        supervisor_model_fill(&c->server->supervisor, &l->model[i], &l->out[i], l->level,
                              l->levels);
        l->pointer[i] = &l->out[i];
    }
    models.models = l->pointer;
    models.n_models = (size_t)n;
    reply.body_case = HEARTH__REPLY__BODY_MODELS;
    reply.models = &models;
    conn_reply(c, id, &reply);
}

void models_load(struct conn *c, const Hearth__ModelLoad *m)
{
    struct supervisor *v = &c->server->supervisor;
    struct reason why = { "" };

    if (m->name[0] && (v->state == SUPERVISOR_NO_MODEL || strcmp(m->name, v->model.name) != 0)) {
        conn_error(c, m->id, HEARTH__ERROR_CODE__ERROR_INVALID, CONN_NO_RETRY,
                   "only the active model can be loaded, which is %s: activate %.64s first",
                   v->state == SUPERVISOR_NO_MODEL ? "none" : v->model.name, m->name);
        return;
    }
    const Hearth__ErrorCode code = supervisor_want(v, &why);
    if (code)
        conn_error(c, m->id, code, CONN_NO_RETRY, "%s", why.text);
    else
        supervisor_wait(v, c, m->id);
}

void models_unload(struct conn *c, uint64_t id)
{
    struct server *s = c->server;

    if (!list_empty(&s->requests)) {
        conn_error(c, id, HEARTH__ERROR_CODE__ERROR_BUSY, 1000,
                   "%u requests use the model: wait for them, or cancel them (hearthctl ps)",
                   s->sched.n_reqs);
        return;
    }
    if (s->supervisor.state == SUPERVISOR_NO_MODEL) {
        conn_error(c, id, HEARTH__ERROR_CODE__ERROR_NO_MODEL, CONN_NO_RETRY, "no model is active");
        return;
    }
    if (s->supervisor.trial || s->supervisor.switching) {
        conn_error(c, id, HEARTH__ERROR_CODE__ERROR_BUSY, 1000,
                   "a model is being activated: wait for that");
        return;
    }
    log_notice("model unloaded", "name=%s why=asked", s->supervisor.model.name);
    supervisor_unload(&s->supervisor);
    conn_ok(c, id);
}

void models_add(struct conn *c, const Hearth__ModelAdd *m, struct link_frame *frame)
{
    import_start(&c->server->import, c, m, frame);
}

void models_activate(struct conn *c, const Hearth__ModelActivate *m)
{
    struct store_model model;
    struct reason why = { "" };
    const int r = store_find(c->server->store, m->name, m->version, &why, &model);

    if (r != 0)
        refused(c, m->id, r, &why);
    else
        supervisor_switch(&c->server->supervisor, &model, c, m->id);
}

void models_remove(struct conn *c, const Hearth__ModelRemove *m)
{
    struct store_model model;
    struct reason why = { "" };
    int r = store_find(c->server->store, m->name, m->version, &why, &model);

    if (r == 0 && m->version[0] && supervisor_uses(&c->server->supervisor, &model)) {
        conn_error(c, m->id, HEARTH__ERROR_CODE__ERROR_BUSY, CONN_NO_RETRY,
                   "model %s %s is in use: activate another one first", model.name, model.version);
        return;
    }
    if (r == 0) r = store_remove(c->server->store, m->name, m->version, &why);
    if (r != 0) {
        refused(c, m->id, r, &why);
        return;
    }
    log_notice("model removed", "name=%.64s version=%.16s", m->name,
               m->version[0] ? m->version : "all but the active one");
    supervisor_look(&c->server->supervisor);
    cache_tidy_store(c->server->cache, c->server->store);
    conn_ok(c, m->id);
}
