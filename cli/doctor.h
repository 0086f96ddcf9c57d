/* SPDX-License-Identifier: Apache-2.0 */
/* cli/doctor.h: what this machine needs for hearth, one finding at a time. The functions only look. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "hearth.h"

enum doctor_level { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

struct doctor_finding {
    const char *name; /* "cpu"; static */
    enum doctor_level level;
    char text[320]; /* what is the case */
    char help[320]; /* what to do, "" if nothing */
};

/** doctor_cpu() - which kernels this CPU can run. @cpuinfo: text of /proc/cpuinfo, "" if it cannot be read. */
void doctor_cpu(const char *cpuinfo, struct doctor_finding *f);

/** doctor_memory() - is there enough? @meminfo: text of /proc/meminfo. @model_bytes: size of the active model that is not loaded, 0: none. */
void doctor_memory(const char *meminfo, uint64_t model_bytes, struct doctor_finding *f);

/** doctor_pressure() - does the kernel tell when memory gets short? @root: "" or a directory that stands for /. */
void doctor_pressure(const char *root, struct doctor_finding *f);

/** doctor_speed() - how fast do @threads threads (1 to 64) read memory, which is the limit of making tokens? Takes 256 MiB for 0.1 s or so. */
void doctor_speed(uint32_t threads, struct doctor_finding *f);

/** doctor_socket() - is there a socket at @path, and may this user connect to it? */
void doctor_socket(const char *path, struct doctor_finding *f);

/** doctor_version() - do hearthd and hearthctl belong together? @daemon: its version. */
void doctor_version(const char *daemon, struct doctor_finding *f);

/** doctor_model() - is a model there, and does it work? */
void doctor_model(const struct hearth_status *s, struct doctor_finding *f);

/** doctor_worker() - is the worker confined, and does it stay alive? */
void doctor_worker(const struct hearth_status *s, struct doctor_finding *f);

/** doctor_disk() - room for models. @root: as above. @models: folder of the store; where it does not exist, the nearest directory above it counts. */
void doctor_disk(const char *root, const char *models, struct doctor_finding *f);

/** doctor_sound() - a microphone and a loudspeaker that this user may open? @root: as above. */
void doctor_sound(const char *root, struct doctor_finding *f);

/** doctor_accelerator() - render nodes and NPUs. @root: as above. */
void doctor_accelerator(const char *root, struct doctor_finding *f);
