/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/conf.h: hearthd.conf and its drop-ins (hearthd.conf.d/NAME.conf, in the order of their names; a later setting overrides). INI as
 * systemd users know it; read by inih. Unknown sections and keys are errors, with file and line. hearthd.conf(5) has each key.
 *
 *   [daemon]   socket, models, cache, worker, clients, queue, running, log-level, group, sensors
 *   [model]    threads, context, kv-memory, chunk, step-target-ms, kernels, levels, load (on-demand | at-start), unload-idle-s,
 *              governor (on | off)
 *   [everybody] [group NAME] [user NAME] [unit NAME]   settings of policy.h
 */
#pragma once
#include <limits.h>
#include "base/reason.h"
#include "daemon/core/policy.h"

enum { CONF_E_INVALID = 1 }; /* outcome: the reason has "file:line: what" */

struct conf {
    char socket[108], models[PATH_MAX], cache[PATH_MAX], worker[PATH_MAX], levels[PATH_MAX];
    char sensors[PATH_MAX]; /* folder with sys/ and proc/ of the machine: "/" but in tests */
    char group[64];         /* whose members may generate, and that owns the socket; "": none */
    uint32_t clients_max, queue_max, running_max; /* 1.. */
    uint32_t log_level;                           /* 3 err .. 7 debug */
    uint32_t threads, context, chunk, step_target_ms,
        unload_idle_s; /* 0: default (unload: never) */
    uint64_t kv_bytes; /* 0: default */
    char kernels[32];  /* "auto" */
    bool load_at_start, governor_off;
    struct policy_table policy;
};

/**
 * conf_load() - read @path and @path.d/ (NULL: the defaults alone)
 * A missing @path is an error only if @must_exist. Relative paths inside are refused. Defaults depend on who runs: for root and system users
 * /run/hearth, /var/lib/hearth/models, /var/cache/hearth; for a @private instance $XDG_RUNTIME_DIR/hearth, $XDG_DATA_HOME/hearth/models,
 * $XDG_CACHE_HOME/hearth, and everybody who can reach the socket may generate.
 * The default group "hearth" may be missing (then nobody but root and the own user may generate); one that is named must exist.
 * @ret: written on success only. Return: 0, CONF_E_INVALID (@why), -ENOMEM.
 */
int conf_load(const char *path, bool must_exist, bool private, struct reason *why,
              struct conf *ret);
