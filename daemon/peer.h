/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/peer.h: who is at the other end of a Unix socket, from the kernel and never from a message: uid, gid and pid as they
 * were when the peer connected (SO_PEERCRED), its groups (SO_PEERGROUPS), its systemd unit and its program's name (procfs).
 *
 * The unit is looked up by pid, and a pid can be used again. Where Linux gives a pidfd of the peer (SO_PEERPIDFD, 6.5), the lookup
 * counts only if that very process still lived afterwards (`certain`). On older kernels the process that has the pid now is
 * taken if it belongs to the peer's uid or to root and lives through the lookup: a peer that ended between connect() and this call
 * may then be mistaken for another process of the same user that got its pid, never for one of another ordinary user.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "daemon/core/policy.h"

struct peer {
    struct policy_peer who; /* unit: "" if there is none, or if the process is gone */
    uint32_t pid;           /* 0: in another pid namespace */
    char program
        [16]; /* /proc/PID/comm in printable ASCII, chosen by the program itself: for people only; "" if unknown */
    bool certain;             /* unit and program are those of the process that connected */
    uint32_t groups_left_out; /* that did not fit into who.gid; no rule sees them */
};

/** peer_of_socket() - the peer of the connected Unix socket @fd. Return: 0 and @ret; -errno (not such a socket, ...). */
int peer_of_socket(int fd, struct peer *ret);

/**
 * peer_unit() - the systemd unit that a process belongs to, from its /proc/PID/cgroup
 * @text: NUL-terminated; the line "0::/PATH" (cgroup v2) counts, or else that of the hierarchy "name=systemd".
 *
 * As systemd finds it: leading slices are skipped and the next component is the unit; what is below it was made by the unit
 * itself, which could choose any name. A user's manager (user@UID.service below user-UID.slice) runs units of its own: these
 * are given as "user:NAME", because any user can start any name there and must not pass for a unit of the system.
 *
 * Return: true and @ret: [POLICY_NAME_MAX]; false (no unit, a name that systemd would not make or that does not fit).
 */
bool peer_unit(const char *text, char *ret);
