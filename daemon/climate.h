/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/climate.h: the machine around hearthd. It reads the sensors once a second while somebody waits for the engine, looks on
 * (Subscribe) or memory is short, and asks core/governor and core/pressure what follows; it carries out what pressure
 * demands, and measures the energy of steps. While nothing happens it sleeps; a loaded model is watched over by the kernel (PSI
 * trigger), which wakes it when memory gets short.
 */
#pragma once
#include <event2/event.h>
#include "daemon/core/governor.h"
#include "daemon/core/pressure.h"
#include "daemon/core/rate.h"

struct server;
struct sensors;

struct climate {
    struct server *server;
    struct sensors *sensors;
    struct event *timer, *trigger; /* trigger: NULL where there is none */
    struct machine machine;        /* as it was when it was looked at last */
    struct governor governor;
    struct pressure pressure;
    uint64_t looked_ns, alarm_ns; /* last look; until when to go on after the kernel woke us */
    uint64_t tick;                /* counts looks */
    unsigned idle;                /* looks since the model was last used */
    uint32_t watchers;            /* subscriptions */
    uint64_t energy_uj;           /* of steps, since hearthd started */
    bool metered;                 /* the meter was read when the step that runs began */
    struct rate energy;           /* [uJ] */
};

/** climate_init() - after the event loop and the configuration. Return: 0, -ENOMEM. */
int climate_init(struct climate *c, struct server *s);
void climate_deinit(struct climate *c);

/** climate_pump() - requests, watchers or the model changed: look from now on, or sleep. */
void climate_pump(struct climate *c);
/** climate_watch() - one more, or one fewer, looks on. */
void climate_watch(struct climate *c, bool more);
/** climate_fresh() - what is known is a second old at most: somebody asks. */
void climate_fresh(struct climate *c);
/** climate_loaded() - a worker is ready: tell it what memory pressure demands now. */
void climate_loaded(struct climate *c);

/** climate_share() - ceiling of the levels, see governor_share(); 1 if the configuration switches the governor off. @ret_why: borrowed. */
double climate_share(const struct climate *c, const char **ret_why);

/** climate_step_begins() - steps begin after a pause: energy of the pause is nobody's. */
void climate_step_begins(struct climate *c);
/** climate_step_energy() - a step ended. Return: what the machine used for it [uJ]; 0: not measured. */
uint64_t climate_step_energy(struct climate *c, uint64_t now_ns);
