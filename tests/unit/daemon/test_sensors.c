/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include "base/clock.h"
#include "daemon/sensors.h"
#include "tests/unit/daemon/scratch.h"

static void put(const char *name, const char *text)
{
    scratch_write(name, text, (size_t)-1);
}

static struct sensors *fresh(void)
{
    struct sensors *s = NULL;

    cr_assert_eq(sensors_new(scratch_path(""), &s), 0);
    return s;
}

static struct machine look(void)
{
    struct sensors *s = fresh();
    struct machine m;

    sensors_read(s, &m);
    sensors_free(s);
    return m;
}

#define ZONE(n)   "sys/class/thermal/thermal_zone" #n "/"
#define SUPPLY(n) "sys/class/power_supply/" n "/"
#define RAPL(n)   "sys/class/powercap/intel-rapl:" n "/"

static void zone0(const char *milli)
{
    put(ZONE(0) "type", "cpu-thermal\n");
    put(ZONE(0) "temp", milli);
    put(ZONE(0) "trip_point_0_type", "active\n");
    put(ZONE(0) "trip_point_0_temp", "50000\n");
    put(ZONE(0) "trip_point_1_type", "passive\n");
    put(ZONE(0) "trip_point_1_temp", "80000\n");
    put(ZONE(0) "trip_point_2_type", "critical\n");
    put(ZONE(0) "trip_point_2_temp", "85000\n");
}

TestSuite(sensors, .init = scratch_make, .fini = scratch_remove);

Test(sensors, a_machine_without_sensors_is_unknown)
{
    const struct machine m = look();
    struct sensors *s = fresh();

    cr_assert(isnan(m.heat_c) && isnan(m.limit_c) && isnan(m.battery_percent));
    cr_assert(isnan(m.cpu_some) && isnan(m.memory_some) && isnan(m.memory_full));
    cr_assert_not(m.on_battery);
    cr_assert_str_eq(m.zone, "");
    cr_assert_not(sensors_has_energy(s));
    cr_assert_eq(sensors_energy_uj(s, 1), 0);
    cr_assert_eq(sensors_pressure_fd(s), -1);
    sensors_free(s);
}

Test(sensors, the_limit_of_a_zone_is_where_the_kernel_slows_down)
{
    zone0("61500\n");
    const struct machine m = look();

    cr_assert_str_eq(m.zone, "cpu-thermal");
    cr_assert_float_eq(m.heat_c, 61.5, 1e-9);
    cr_assert_float_eq(m.limit_c, 80, 1e-9, "not where the fan begins");
}

Test(sensors, without_a_passive_trip_point_the_limit_is_below_the_critical_one)
{
    zone0("61500\n");
    put(ZONE(0) "trip_point_1_temp", "0\n");
    cr_assert_float_eq(look().limit_c, 75, 1e-9);
    put(ZONE(0) "trip_point_0_type", "hot\n");
    cr_assert_float_eq(look().limit_c, 50, 1e-9);
}

Test(sensors, the_zone_nearest_to_its_limit_counts)
{
    zone0("61500\n");
    put(ZONE(1) "type", "gpu\n");
    put(ZONE(1) "temp", "55000\n");
    put(ZONE(1) "trip_point_0_type", "passive\n");
    put(ZONE(1) "trip_point_0_temp", "70000\n");
    put(ZONE(2) "temp", "99000\n"); /* no trip points: nobody knows what that means */
    const struct machine m = look();

    cr_assert_str_eq(m.zone, "gpu");
    cr_assert_float_eq(m.heat_c, 55, 1e-9);
}

Test(sensors, nonsense_is_as_if_it_were_not_there)
{
    static const char *const wrong[] = {
        "", "warm\n", "61500 mC\n", "999999999\n", "99999999999999999999999\n", "-200000\n"
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        zone0(wrong[i]);
        cr_assert(isnan(look().heat_c), "%s", wrong[i]);
    }
}

Test(sensors, values_are_read_anew)
{
    struct machine m;

    zone0("40000\n");
    struct sensors *s = fresh();
    put(ZONE(0) "temp", "41000\n");
    sensors_read(s, &m);
    cr_assert_float_eq(m.heat_c, 41, 1e-9);
    sensors_free(s);
}

static void battery(const char *status, const char *capacity)
{
    put(SUPPLY("BAT0") "type", "Battery\n");
    put(SUPPLY("BAT0") "status", status);
    put(SUPPLY("BAT0") "capacity", capacity);
    put(SUPPLY("mouse") "type", "Battery\n");
    put(SUPPLY("mouse") "scope", "Device\n");
    put(SUPPLY("mouse") "status", "Discharging\n");
    put(SUPPLY("mouse") "capacity", "3\n");
}

Test(sensors, a_battery_that_drains_is_in_use)
{
    battery("Discharging\n", "48\n");
    struct machine m = look();
    cr_assert(m.on_battery);
    cr_assert_eq(m.battery_percent, 48, "the mouse is not asked");
    put(SUPPLY("AC") "type", "Mains\n");
    put(SUPPLY("AC") "online", "1\n");
    cr_assert_not(look().on_battery, "a full one next to a charger may discharge a little");
    put(SUPPLY("AC") "online", "0\n");
    cr_assert(look().on_battery);
    battery("Charging\n", "101\n");
    m = look();
    cr_assert_not(m.on_battery);
    cr_assert(isnan(m.battery_percent));
}

Test(sensors, pressure_is_read)
{
    put("proc/pressure/memory", "some avg10=12.50 avg60=1.00 avg300=0.20 total=17\n"
                                "full avg10=3.25 avg60=0.00 avg300=0.00 total=4\n");
    put("proc/pressure/cpu", "some avg10=99.27 avg60=1.00 avg300=0.20 total=17\n");
    struct machine m = look();
    cr_assert_float_eq(m.memory_some, 12.5, 1e-9);
    cr_assert_float_eq(m.memory_full, 3.25, 1e-9);
    cr_assert_float_eq(m.cpu_some, 99.27, 1e-9);
    put("proc/pressure/memory", "some avg10=1e9\nfull\n\nsome avg10=nan avg60=0\n");
    m = look();
    cr_assert(isnan(m.memory_some) && isnan(m.memory_full));
}

Test(sensors, a_file_that_looks_like_pressure_gets_no_trigger)
{
    put("proc/pressure/memory", "some avg10=12.50\n");
    struct sensors *s = fresh();
    cr_assert_eq(sensors_pressure_fd(s), -1);
    cr_assert_float_eq(look().memory_some, 12.5, 1e-9, "and is not written to");
    sensors_free(s);
}

/* ---- energy ---- */

static void rapl(const char *package, const char *dram)
{
    put(RAPL("0") "name", "package-0\n");
    put(RAPL("0") "energy_uj", package);
    put(RAPL("0") "max_energy_range_uj", "1000000\n");
    put(RAPL("0:0") "name", "core\n");
    put(RAPL("0:0") "energy_uj", "7000000\n");
    put(RAPL("0:1") "name", "dram\n");
    put(RAPL("0:1") "energy_uj", dram);
    put(RAPL("0:1") "max_energy_range_uj", "1000000\n");
    put(RAPL("1") "name", "psys\n");
    put(RAPL("1") "energy_uj", "9000000\n");
}

Test(sensors, energy_counters_are_summed_and_followed_around)
{
    rapl("999000\n", "100\n");
    struct sensors *s = fresh();
    cr_assert(sensors_has_energy(s));
    cr_assert_eq(sensors_energy_uj(s, 1), 0, "the first time begins");
    rapl("999500\n", "150\n");
    cr_assert_eq(sensors_energy_uj(s, 2), 550, "core is a part of the package, psys has both");
    rapl("200\n", "150\n");
    cr_assert_eq(sensors_energy_uj(s, 3), 700, "500 to the end, then 200");
    rapl("broken\n", "160\n");
    cr_assert_eq(sensors_energy_uj(s, 4), 10);
    rapl("300\n", "160\n");
    cr_assert_eq(sensors_energy_uj(s, 5), 100, "nothing is lost by it");
    sensors_free(s);
}

Test(sensors, a_counter_that_goes_back_without_a_known_range_counts_nothing)
{
    cr_assert_eq(sensors_energy_delta(100, 40, 0), 0);
    cr_assert_eq(sensors_energy_delta(100, 40, 99), 0, "it was beyond its range");
    cr_assert_eq(sensors_energy_delta(100, 40, 100), 40);
    cr_assert_eq(sensors_energy_delta(40, 100, 0), 60);
    cr_assert_eq(sensors_energy_delta(UINT64_MAX - 1, 3, UINT64_MAX), 4);
}

Test(sensors, without_powercap_a_meter_of_power_is_integrated)
{
    put("sys/class/hwmon/hwmon0/temp1_input", "40000\n");
    put("sys/class/hwmon/hwmon1/power1_input", "5000000\n"); /* 5 W */
    struct sensors *s = fresh();
    cr_assert_eq(sensors_energy_uj(s, CLOCK_NS_PER_S), 0);
    cr_assert_eq(sensors_energy_uj(s, CLOCK_NS_PER_S + 20 * CLOCK_NS_PER_MS), 100000);
    cr_assert_eq(sensors_energy_uj(s, 100 * CLOCK_NS_PER_S), 50000000, "ten seconds at most");
    sensors_free(s);
}

Test(sensors, a_counter_of_hwmon_goes_before_a_meter_of_power)
{
    put("sys/class/hwmon/hwmon0/power1_input", "5000000\n");
    put("sys/class/hwmon/hwmon1/energy1_input", "100\n");
    struct sensors *s = fresh();
    (void)sensors_energy_uj(s, 1);
    put("sys/class/hwmon/hwmon1/energy1_input", "350\n");
    cr_assert_eq(sensors_energy_uj(s, CLOCK_NS_PER_S), 250);
    sensors_free(s);
}

Test(sensors, the_real_machine_can_be_asked)
{
    struct sensors *s = NULL;
    struct machine m;

    cr_assert_eq(sensors_new("/", &s), 0);
    sensors_read(s, &m);
    cr_assert(isnan(m.heat_c) || (m.heat_c > -100 && m.heat_c <= 200));
    cr_assert(isnan(m.memory_some) || (m.memory_some >= 0 && m.memory_some <= 100));
    const int fd = sensors_pressure_fd(s);
    cr_assert(fd == -1 || fd >= 3);
    sensors_pressure_clear(s);
    sensors_free(s);
}
