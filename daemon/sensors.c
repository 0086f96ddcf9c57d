/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sensors.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/statfs.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"

enum {
    TRIPS_MAX = 16,
    CRITICAL_MARGIN_C = 10, /* the machine is switched off there */
    HEAT_MOST_C = 200,      /* more is no temperature of a machine that runs */
    POWER_MOST_S = 10,
};

struct zone {
    char folder[NAME_MAX + 1], type[24];
    double limit_c;
};

struct energy {
    char file[2 * NAME_MAX]; /* in the root */
    bool power;              /* [uW] instead of a counter [uJ] */
    uint64_t most, then;     /* of a counter */
};

struct sensors {
    char root[PATH_MAX];
    struct zone zone[SENSORS_ZONES_MAX];
    size_t n_zones;
    struct energy energy[SENSORS_ENERGY_MAX];
    size_t n_energy;
    uint64_t then_ns; /* of the last reading of energy, 0: none */
    int pressure_fd, epoll_fd;
};

/* ---- files ---- */

/* The first bytes of a file as text, without the line's end. */
static bool read_text(const struct sensors *s, char *out, size_t size, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static bool read_text(const struct sensors *s, char *out, size_t size, const char *format, ...)
{
    char path[PATH_MAX];
    va_list ap;
    int n = snprintf(path, sizeof(path), "%s/", s->root);

    va_start(ap, format);
    n += vsnprintf(path + n, sizeof(path) - (size_t)n, format, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof(path)) return false;
    CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return false;
    const ssize_t got = read(fd, out, size - 1);
    if (got <= 0) return false;
    out[got] = '\0';
    out[strcspn(out, "\n")] = '\0';
    return true;
}

static bool number_of(const char *text, long long least, long long *ret)
{
    char *end;

    errno = 0;
    const long long v = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || v < least) return false;
    *ret = v;
    return true;
}

#define read_number(s, least, ret, ...)                                                            \
    ({                                                                                             \
        char text_[64];                                                                            \
        read_text(s, text_, sizeof(text_), __VA_ARGS__) && number_of(text_, least, ret);           \
    })

struct names {
    int n;
    struct dirent **entry; /* [n] owned */
};

static void names_free(struct names *l)
{
    for (int i = 0; i < l->n; i++)
        free(l->entry[i]);
    free(l->entry);
}

static int not_hidden(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static struct names list(const struct sensors *s, const char *folder)
{
    char path[PATH_MAX];
    struct names l = { 0 };
    const int n = snprintf(path, sizeof(path), "%s/%s", s->root, folder);

    if (n > 0 && (size_t)n < sizeof(path)) l.n = scandir(path, &l.entry, not_hidden, versionsort);
    if (l.n < 0) l = (struct names){ 0 };
    return l;
}

/* ---- heat ---- */

static bool temperature(const struct sensors *s, const char *folder, const char *file, double *ret)
{
    long long m = 0;

    if (!read_number(s, -100000, &m, "sys/class/thermal/%s/%s", folder, file)) return false;
    if (m > HEAT_MOST_C * 1000LL) return false;
    *ret = (double)m * 1e-3;
    return true;
}

/* Where the kernel begins to slow the machine down for this zone. */
static bool find_limit(const struct sensors *s, const char *folder, double *ret)
{
    const double none = HEAT_MOST_C + 1;
    double passive = none, hot = none, critical = none;

    for (int i = 0; i < TRIPS_MAX; i++) {
        char type[16], file[32];
        double c;
        (void)snprintf(file, sizeof(file), "trip_point_%d_temp", i);
        if (!read_text(s, type, sizeof(type), "sys/class/thermal/%s/trip_point_%d_type", folder, i))
            break;
        if (!temperature(s, folder, file, &c) || c <= 0) continue; /* 0: switched off */
        if (strcmp(type, "passive") == 0) passive = fmin(passive, c);
        if (strcmp(type, "hot") == 0) hot = fmin(hot, c);
        if (strcmp(type, "critical") == 0) critical = fmin(critical, c);
    }
    *ret = passive < none ? passive : hot < none ? hot : critical - CRITICAL_MARGIN_C;
    return passive < none || hot < none || critical < none;
}

static void find_zones(struct sensors *s)
{
    CLEANUP(names_free) struct names l = list(s, "sys/class/thermal");

    for (int i = 0; i < l.n && s->n_zones < SENSORS_ZONES_MAX; i++) {
        struct zone *z = &s->zone[s->n_zones];
        const char *name = l.entry[i]->d_name;
        if (strncmp(name, "thermal_zone", 12) != 0 || !find_limit(s, name, &z->limit_c)) continue;
        (void)snprintf(z->folder, sizeof(z->folder), "%s", name);
        if (!read_text(s, z->type, sizeof(z->type), "sys/class/thermal/%s/type", name))
            (void)snprintf(z->type, sizeof(z->type), "%.23s", name);
        s->n_zones++;
    }
}

static void read_heat(const struct sensors *s, struct machine *m)
{
    for (size_t i = 0; i < s->n_zones; i++) {
        const struct zone *z = &s->zone[i];
        double c;
        if (!temperature(s, z->folder, "temp", &c)) continue;
        if (m->zone[0] && z->limit_c - c >= m->limit_c - m->heat_c) continue;
        (void)snprintf(m->zone, sizeof(m->zone), "%s", z->type);
        m->heat_c = c;
        m->limit_c = z->limit_c;
    }
}

/* ---- power ---- */

static void read_power(const struct sensors *s, struct machine *m)
{
    CLEANUP(names_free) struct names l = list(s, "sys/class/power_supply");
    double percent = 0;
    unsigned batteries = 0;
    bool fed = false, drains = false;

    for (int i = 0; i < l.n; i++) {
        const char *name = l.entry[i]->d_name;
        char type[16], text[32];
        long long v;
#define FILE_OF(f) "sys/class/power_supply/%s/" f, name
        if (!read_text(s, type, sizeof(type), FILE_OF("type"))) continue;
        if (read_text(s, text, sizeof(text), FILE_OF("scope")) && strcmp(text, "Device") == 0)
            continue;
        if (strcmp(type, "Battery") != 0) {
            fed |= read_number(s, 1, &v, FILE_OF("online"));
            continue;
        }
        drains |=
            read_text(s, text, sizeof(text), FILE_OF("status")) && strcmp(text, "Discharging") == 0;
        if (!read_number(s, 0, &v, FILE_OF("capacity")) || v > 100) continue;
        percent += (double)v;
        batteries++;
#undef FILE_OF
    }
    m->on_battery = drains && !fed;
    if (batteries > 0) m->battery_percent = percent / batteries;
}

/* ---- pressure ---- */

static void read_pressure(const struct sensors *s, const char *file, double *some, double *full)
{
    char path[PATH_MAX], line[128];

    (void)snprintf(path, sizeof(path), "%.3000s/proc/pressure/%s", s->root, file);
    FILE *f = fopen(path, "re");
    if (!f) return;
    while (fgets(line, sizeof(line), f)) {
        char which[8];
        double avg10;
        /* NOLINTNEXTLINE(cert-err34-c): out of range is told by the comparison */
        if (sscanf(line, "%7s avg10=%lf", which, &avg10) != 2 || !(avg10 >= 0 && avg10 <= 100))
            continue;
        if (strcmp(which, "some") == 0) *some = avg10;
        if (strcmp(which, "full") == 0 && full) *full = avg10;
    }
    (void)fclose(f);
}

void sensors_read(const struct sensors *s, struct machine *ret)
{
    *ret = (struct machine){ .heat_c = MACHINE_UNKNOWN,
                             .limit_c = MACHINE_UNKNOWN,
                             .battery_percent = MACHINE_UNKNOWN,
                             .cpu_some = MACHINE_UNKNOWN,
                             .memory_some = MACHINE_UNKNOWN,
                             .memory_full = MACHINE_UNKNOWN };
    read_heat(s, ret);
    read_power(s, ret);
    read_pressure(s, "cpu", &ret->cpu_some, NULL);
    read_pressure(s, "memory", &ret->memory_some, &ret->memory_full);
}

int sensors_pressure_fd(struct sensors *s)
{
    static const char trigger[] =
        "some 200000 2000000"; /* [us]; windows of 2 s are for everybody */
    struct epoll_event e = { .events = EPOLLPRI };
    char path[PATH_MAX];
    struct statfs fs;

    if (s->epoll_fd >= 0) return s->epoll_fd;
    (void)snprintf(path, sizeof(path), "%.3000s/proc/pressure/memory", s->root);
    CLEANUP(closep) int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstatfs(fd, &fs) != 0 || (unsigned long)fs.f_type != PROC_SUPER_MAGIC) return -1;
    if (write(fd, trigger, sizeof(trigger)) < 0) return -1;
    /* libevent does not know EPOLLPRI; an epoll descriptor is readable when it has an event. */
    CLEANUP(closep) int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) != 0) return -1;
    s->pressure_fd = TAKE_FD(fd);
    s->epoll_fd = TAKE_FD(epoll);
    return s->epoll_fd;
}

void sensors_pressure_clear(struct sensors *s)
{
    struct epoll_event e;

    while (s->epoll_fd >= 0 && epoll_wait(s->epoll_fd, &e, 1, 0) > 0)
        if (e.events & EPOLLERR) { /* the trigger is gone */
            (void)epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, s->pressure_fd, NULL);
            return;
        }
}

/* ---- energy ---- */

uint64_t sensors_energy_delta(uint64_t then, uint64_t now, uint64_t most)
{
    if (now >= then) return now - then;
    return most >= then ? most - then + now : 0;
}

/* @file of sys/class/@class/@name, if it can be read. */
static struct energy *add_energy(struct sensors *s, bool power, const char *class, const char *name,
                                 const char *file)
{
    struct energy *e = &s->energy[s->n_energy];
    long long v;

    if (s->n_energy == SENSORS_ENERGY_MAX) return NULL;
    *e = (struct energy){ .power = power };
    (void)snprintf(e->file, sizeof(e->file), "sys/class/%s/%s/%s", class, name, file);
    if (!read_number(s, 0, &v, "%s", e->file)) return NULL;
    s->n_energy++;
    return e;
}

/* Packages and dram do not overlap; core and uncore are parts of a package, psys contains all. */
static void find_rapl(struct sensors *s)
{
    CLEANUP(names_free) struct names l = list(s, "sys/class/powercap");

    for (int i = 0; i < l.n; i++) {
        const char *zone = l.entry[i]->d_name;
        char name[32];
        long long most;
        if (strncmp(zone, "intel-rapl:", 11) != 0) continue;
        if (!read_text(s, name, sizeof(name), "sys/class/powercap/%s/name", zone)) continue;
        if (strncmp(name, "package", 7) != 0 && strcmp(name, "dram") != 0) continue;
        struct energy *e = add_energy(s, false, "powercap", zone, "energy_uj");
        if (e && read_number(s, 1, &most, "sys/class/powercap/%s/max_energy_range_uj", zone))
            e->most = (uint64_t)most;
    }
}

static void find_hwmon(struct sensors *s)
{
    static const struct {
        const char *file;
        bool power;
    } kinds[] = { { "energy1_input", false },
                  { "power1_average", true },
                  { "power1_input", true } };
    CLEANUP(names_free) struct names l = list(s, "sys/class/hwmon");

    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
        for (int i = 0; i < l.n; i++)
            if (add_energy(s, kinds[k].power, "hwmon", l.entry[i]->d_name, kinds[k].file)) return;
}

bool sensors_has_energy(const struct sensors *s)
{
    return s->n_energy > 0;
}

uint64_t sensors_energy_uj(struct sensors *s, uint64_t now_ns)
{
    const bool first = s->then_ns == 0;
    uint64_t since_ns = now_ns - s->then_ns, sum = 0;

    if (since_ns > POWER_MOST_S * CLOCK_NS_PER_S) since_ns = POWER_MOST_S * CLOCK_NS_PER_S;
    for (size_t i = 0; i < s->n_energy; i++) {
        struct energy *e = &s->energy[i];
        long long v;
        if (!read_number(s, 0, &v, "%s", e->file)) continue;
        if (e->power) {
            sum += first ? 0 : (uint64_t)((double)v * (double)since_ns * 1e-9);
            continue;
        }
        sum += first ? 0 : sensors_energy_delta(e->then, (uint64_t)v, e->most);
        e->then = (uint64_t)v;
    }
    s->then_ns = now_ns;
    return sum;
}

/* ---- life ---- */

int sensors_new(const char *root, struct sensors **ret)
{
    struct sensors *s = calloc(1, sizeof(*s));

    if (!s) return err_raise(-ENOMEM);
    s->pressure_fd = s->epoll_fd = -1;
    (void)snprintf(s->root, sizeof(s->root), "%s", strcmp(root, "/") == 0 ? "" : root);
    find_zones(s);
    find_rapl(s);
    if (s->n_energy == 0) find_hwmon(s);
    *ret = s;
    return 0;
}

struct sensors *sensors_free(struct sensors *s)
{
    if (!s) return NULL;
    closep(&s->epoll_fd);
    closep(&s->pressure_fd);
    free(s);
    return NULL;
}
