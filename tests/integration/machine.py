# SPDX-License-Identifier: Apache-2.0
"""A machine that does not exist: the files of /sys and /proc that hearthd reads, below a folder."""
import pathlib
import threading

COOL, LIMIT = 40, 85


class Machine:
    def __init__(self, folder):
        self.root = pathlib.Path(folder)
        self.put("sys/class/thermal/thermal_zone0/type", "cpu-thermal")
        self.put("sys/class/thermal/thermal_zone0/trip_point_0_type", "passive")
        self.put("sys/class/thermal/thermal_zone0/trip_point_0_temp", LIMIT * 1000)
        self.heat(COOL)
        self.memory(0)
        self.counter = 0
        self.meter = self.stop = None

    def put(self, name, value):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(path.name + ".new")  # never seen half written
        new.write_text(f"{value}\n")
        new.rename(path)

    def heat(self, celsius):
        self.put("sys/class/thermal/thermal_zone0/temp", round(celsius * 1000))

    def memory(self, some, full=0):
        self.put("proc/pressure/memory", f"some avg10={some:.2f} avg60=0.00 avg300=0.00 total=1\n"
                                         f"full avg10={full:.2f} avg60=0.00 avg300=0.00 total=1")

    def battery(self, percent, status="Discharging"):
        for name, value in (("type", "Battery"), ("status", status), ("capacity", percent)):
            self.put(f"sys/class/power_supply/BAT0/{name}", value)

    # ---- energy: a counter that goes on by itself, and around ----

    def rapl(self, begin=0, most=2**32):
        self.counter, self.most = begin, most
        self.put("sys/class/powercap/intel-rapl:0/name", "package-0")
        self.put("sys/class/powercap/intel-rapl:0/max_energy_range_uj", most)
        self.put("sys/class/powercap/intel-rapl:0/energy_uj", begin)

    def use(self, uj, seconds=0.005):
        """From now on @uj each @seconds."""
        self.stop, self.used = threading.Event(), 0

        def run():
            while not self.stop.wait(seconds):
                self.used += uj
                self.counter = (self.counter + uj) % self.most
                self.put("sys/class/powercap/intel-rapl:0/energy_uj", self.counter)
        self.meter = threading.Thread(target=run, daemon=True)
        self.meter.start()

    def rest(self):
        """Return: what was used [uJ]."""
        self.stop.set()
        self.meter.join()
        return self.used
