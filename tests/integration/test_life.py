# SPDX-License-Identifier: Apache-2.0
"""hearthd as a system daemon: starting, telling, reloading, stopping, and what it does with its worker."""
import fcntl
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import tap
from client import HungUp, pb
from house import HEARTHD, MODELS, SANITIZED, WORKER, House, TestCase, alive, eventually, note


class Manager:
    """What a service manager hears: a NOTIFY_SOCKET."""

    def __init__(self, folder):
        self.path = str(pathlib.Path(folder) / "notify")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.sock.setblocking(False)
        self.lines = []  # (time, line)

    def listen(self):
        while True:
            try:
                for line in self.sock.recv(4096).decode().splitlines():
                    self.lines.append((time.monotonic(), line))
            except BlockingIOError:
                return [line for _, line in self.lines]

    def hears(self, pattern):
        return eventually(f"{pattern} is notified", lambda: any(re.search(pattern, x) for x in self.listen()))


class Notifying(TestCase):
    model = None

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory(prefix="hearth-"))
        self.manager = Manager(self.folder)
        self.addCleanup(self.manager.sock.close)

    def house_with(self, **env):
        return self.own_house("small", env={"NOTIFY_SOCKET": self.manager.path, **env})

    @classmethod
    def setUpClass(cls):
        pass

    def test_ready_status_and_stopping(self):
        house = self.house_with()
        self.manager.hears("^READY=1$")
        self.manager.hears("^STATUS=ready: small; ")
        lines = self.manager.listen()
        self.assertLess(lines.index("READY=1"), next(i for i, x in enumerate(lines) if "loading" in x))
        c = self.connect(house)
        self.manager.hears("^STATUS=.*[1-9] clients")
        c.wait_tokens(c.generate(raw=True, max_tokens=0), 3)
        self.manager.hears("^STATUS=.* 1 running")
        c.close()
        self.manager.hears("^STATUS=.* 0 running")
        self.assertFalse([x for x in self.manager.listen() if "WATCHDOG" in x], "nobody asked for it")
        self.assertEqual(house.stop(), 0)
        house.expect_dead = True
        self.manager.hears("^STOPPING=1$")
        self.manager.hears("^EXTEND_TIMEOUT_USEC=")

    def test_the_watchdog_is_fed_by_the_loop_and_starves_with_it(self):
        house = self.house_with(WATCHDOG_USEC="800000")
        fed = lambda: [t for t, line in self.manager.lines if line == "WATCHDOG=1"]
        eventually("it is fed four times", lambda: self.manager.listen() and len(fed()) >= 4)
        gaps = [b - a for a, b in zip(fed(), fed()[1:])]
        self.assertLess(max(gaps), 0.8 if not SANITIZED else 5)
        os.kill(house.process.pid, signal.SIGSTOP)  # a loop that hangs
        self.manager.listen()
        n = len(fed())
        time.sleep(1)
        self.manager.listen()
        self.assertEqual(len(fed()), n)
        os.kill(house.process.pid, signal.SIGCONT)
        eventually("it is fed again", lambda: self.manager.listen() and len(fed()) > n)

    def test_reloading_is_told_and_then_ready_again(self):
        house = self.house_with()
        self.manager.hears("^READY=1$")
        house.signal(signal.SIGHUP)
        self.manager.hears("^RELOADING=1$")
        self.manager.hears("^MONOTONIC_USEC=\\d+$")
        eventually("ready again", lambda: self.manager.listen().count("READY=1") >= 2)


class Sockets(TestCase):
    model = None

    def own(self):
        return self.own_house(None, at_start=False)

    def fails(self, house, *words):
        """It cannot start, and says so."""
        r = subprocess.run(house.command(), capture_output=True, text=True, timeout=60, check=False,
                           env=house.environment())
        self.assertEqual(r.returncode, 1, r.stderr)
        for word in words:
            self.assertIn(word, r.stderr)

    def test_the_socket_is_the_owners_alone(self):
        path = pathlib.Path(self.house.socket)
        self.assertEqual((path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777), (0o600, 0o700))

    def test_a_lock_that_is_soon_given_back_is_waited_for(self):
        house = House(None, at_start=False)
        self.addCleanup(house.close)
        os.makedirs(os.path.dirname(house.socket), 0o700)
        with open(house.socket + ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            house.start(wait=False)
            time.sleep(0.2)
            self.assertIsNone(house.process.poll())
        eventually("hearthd answers", house.answers)

    def test_a_second_hearthd_is_refused_and_the_first_does_not_notice(self):
        self.fails(self.house, "another hearthd", self.house.socket)
        self.c.status()
        self.connect().status()

    def test_another_program_on_the_socket_is_left_alone(self):
        house = self.own()
        os.mkdir(house.folder / "run")
        other = socket.socket(socket.AF_UNIX)
        other.bind(house.socket)
        other.listen()
        self.fails(house, "another program", house.socket)
        self.assertTrue(os.path.exists(house.socket))
        other.close()

    def test_a_file_at_the_sockets_place_is_refused_and_kept(self):
        house = self.own()
        os.mkdir(house.folder / "run")
        pathlib.Path(house.socket).write_text("precious")
        self.fails(house, house.socket, "no socket")
        self.assertEqual(pathlib.Path(house.socket).read_text(), "precious")
        os.unlink(house.socket)
        os.mkdir(house.socket)
        self.fails(house, house.socket)

    def test_a_socket_that_a_dead_hearthd_left_is_replaced(self):
        house = self.own_house(None)
        house.kill()
        self.assertTrue(os.path.exists(house.socket))
        house.start()
        self.connect(house).status()

    def test_socket_activation(self):
        if not shutil.which("systemd-socket-activate"):
            self.skipTest("systemd-socket-activate is not installed")
        house = self.own_house(None, at_start=False)
        os.mkdir(house.folder / "run")
        names = [x for x in house.environment() if x.startswith(("ASAN", "UBSAN"))]
        pass_on = [f"-E{x}={house.environment()[x]}" for x in names]
        house.launcher = ["systemd-socket-activate", "-l", house.socket, *pass_on]
        house.start(wait=False)
        eventually("the socket is there", lambda: os.path.exists(house.socket))
        c = self.connect(house)  # starts it
        self.assertEqual(c.status().state, pb.STATE_NO_MODEL)
        self.assertIn("socket=inherited", house.log())
        self.assertEqual(house.stop(), 0)
        house.expect_dead = True
        self.assertTrue(os.path.exists(house.socket), "it is not hearthd's to remove")


class Configuration(TestCase):
    model = None

    def check(self, text, *options):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as f:
            f.write(text)
            f.flush()
            return subprocess.run([HEARTHD, "--private", "--config", f.name, *options], capture_output=True, text=True,
                                  timeout=60, check=False, env=self.house.environment()), f.name

    def test_check_config(self):
        r, _ = self.check("[daemon]\nclients = 5\n", "--check-config")
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        self.assertIn("good", r.stdout)

    def test_a_mistake_is_told_with_its_line_and_what_was_probably_meant(self):
        for text, line, words in (
            ("[daemon]\n\nsokcet = /tmp/x\n", 3, ["sokcet", 'mean "socket"']),
            ("[deamon]\n", 1, ["deamon", "[daemon]"]),
            ("[daemon]\nclients = many\n", 2, ["clients", "many"]),
            ("[daemon]\nclients = 0\n", 2, ["clients"]),
            ("[daemon]\nsocket = relative\n", 2, ["socket", "relative"]),
            ("[model]\n# one\n# two\nload = sometimes\n", 4, ["sometimes", "at-start"]),
            ("[everybody]\nwieght = 5\n", 2, ['mean "weight"']),
            ("[user nobody-of-that-name]\n", 1, ["nobody-of-that-name"]),
            ("clients = 5\n", 1, ["section"]),
            ("[daemon]\nnonsense\n", 2, []),
        ):
            for options in (["--check-config"], []):  # and it does not start with it
                with self.subTest(text=text, options=options):
                    r, name = self.check(text, *options)
                    self.assertEqual((r.returncode, r.stdout), (78, ""), r.stderr)
                    for word in (f"{name}:{line}:", *words):
                        self.assertIn(word, r.stderr)

    def test_a_missing_file_that_was_named_is_an_error(self):
        r = subprocess.run([HEARTHD, "--private", "--config", "/nonexistent.conf"], capture_output=True, text=True,
                           timeout=60, check=False, env=self.house.environment())
        self.assertEqual(r.returncode, 78)
        self.assertIn("/nonexistent.conf", r.stderr)

    def test_wrong_usage_is_2_and_help_is_0(self):
        for args, status in ((["--nonsense"], 2), (["word"], 2), (["--socket", "relative"], 2), (["--help"], 0),
                             (["--version"], 0)):
            r = subprocess.run([HEARTHD, "--private", *args], capture_output=True, text=True, timeout=60, check=False,
                               env=self.house.environment())
            self.assertEqual(r.returncode, status, (args, r.stderr))
            self.assertEqual(bool(r.stdout), status == 0)

    def test_sighup_brings_new_limits_and_a_broken_file_keeps_the_old(self):
        model = "[model]\nkv-memory = 64M\n"
        house = self.own_house("slices", model)
        c = self.connect(house)
        house.configure(model + "[everybody]\nrequests = 2\n")
        house.signal(signal.SIGHUP)
        eventually("it is read", lambda: "configuration read" in house.log())
        flying = [c.generate(raw=True, max_tokens=0) for _ in range(2)]
        self.refused(c.wait(c.generate(raw=True, max_tokens=1)), "QUOTA", "2")
        house.conf.write_text("[everybody]\nrequests = lots\n")
        house.signal(signal.SIGHUP)
        eventually("it is refused", lambda: "the old one stays" in house.log())
        self.assertIn(f"{house.conf}:2:", house.log())
        self.refused(c.wait(c.generate(raw=True, max_tokens=1)), "QUOTA", "2")
        house.configure(model + "[everybody]\nrequests = 3\n")
        house.signal(signal.SIGHUP)
        eventually("it is read", lambda: house.log().count("configuration read") == 2)
        self.assertEqual(len(c.wait(c.generate(raw=True, max_tokens=1)).ids), 1)
        for a in flying:
            c.send(pb.ClientFrame(cancel=pb.Cancel(id=a.id)))
            self.assertEqual(c.wait(a).done.finish, pb.FINISH_CANCELLED, "what ran was not disturbed")

    def test_drop_ins_override_in_the_order_of_their_names(self):
        house = self.own_house("small", at_start=False)
        folder = pathlib.Path(str(house.conf) + ".d")
        folder.mkdir()
        (folder / "10-first.conf").write_text("[everybody]\nrequests = 7\n")
        (folder / "20-second.conf").write_text("[everybody]\nrequests = 9\n")
        (folder / "30-not-read.txt").write_text("nonsense")
        house.start()
        self.assertEqual(self.connect(house).welcome.max_in_flight, 9)


class Stopping(TestCase):
    model = None

    def setUp(self):
        pass

    @classmethod
    def setUpClass(cls):
        pass

    def test_sigterm_lets_a_running_answer_end_and_takes_nothing_new(self):
        house = self.own_house("slices")
        c = self.connect(house)
        a = c.wait_tokens(c.generate(raw=True, max_tokens=200), 3)
        house.signal(signal.SIGTERM)
        eventually("it drains", lambda: "draining" in house.log())
        e = self.refused(c.wait(c.generate(raw=True, max_tokens=1)), "BUSY", "stopping")
        self.assertTrue(e.retry)
        self.assertEqual(c.status().state, pb.STATE_DRAINING)
        c.wait(a)
        self.assertEqual((len(a.ids), a.done.finish), (200, pb.FINISH_LENGTH))
        self.assertEqual(house.process.wait(60), 0)
        house.expect_dead = True
        self.assertEqual(c.rest(), [])
        self.assertEqual(list((house.folder / "run").glob("*")), [])

    def test_the_second_sigterm_ends_it_at_once(self):
        house = self.own_house("slices")
        c = self.connect(house)
        a = c.wait_tokens(c.generate(raw=True, max_tokens=0), 3)
        worker = house.worker()
        house.signal(signal.SIGTERM)
        eventually("it drains", lambda: "draining" in house.log())
        began = time.monotonic()
        house.signal(signal.SIGTERM)
        self.assertEqual(house.process.wait(60), 0)
        house.expect_dead = True
        self.assertLess(time.monotonic() - began, 20 if SANITIZED else 3)
        with self.assertRaises(HungUp):
            while True:
                c.take()
        self.assertIsNone(a.done)
        eventually("the worker is gone", lambda: not alive(worker))
        self.assertEqual(list((house.folder / "run").glob("*")), [])

    def test_a_killed_hearthd_takes_its_worker_along(self):
        house = self.own_house("small")
        worker = house.worker()
        self.assertTrue(alive(worker))
        house.kill()
        eventually("the worker is gone", lambda: not alive(worker))

    def test_drain_by_an_administrator_stops_nothing(self):
        house = self.own_house("small")
        c = self.connect(house)
        a = c.wait_tokens(c.generate(raw=True, max_tokens=100), 3)
        c.ok("drain", pb.Drain())
        self.assertEqual(c.wait(a).done.finish, pb.FINISH_LENGTH)
        self.refused(c.wait(c.generate(raw=True, max_tokens=1)), "BUSY")
        self.assertEqual(self.connect(house).status().state, pb.STATE_DRAINING)


class Worker(TestCase):
    def status(self, pid):
        return dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())

    def test_it_is_confined(self):
        self.c.ok("model_load", pb.ModelLoad())
        pid = self.house.worker()
        sandbox = self.c.status().sandbox
        note(f"sandbox: {sandbox}")
        if "seccomp" not in sandbox:
            self.assertEqual(sandbox, "none")
            self.skipTest("this build has no seccomp")
        s = self.status(pid)
        self.assertEqual((s["Seccomp"].strip(), s["NoNewPrivs"].strip()), ("2", "1"))
        fds = {os.readlink(p) for p in pathlib.Path(f"/proc/{pid}/fd").iterdir()}
        sockets = [x for x in fds if x.startswith("socket:")]
        self.assertEqual(len(sockets), 1, fds)
        self.assertFalse([x for x in fds if "hearth.sock" in x or str(self.house.conf) in x])
        for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
            self.assertIn("Seccomp:\t2", (thread / "status").read_text(), "each thread")

    def test_it_refuses_to_run_by_hand(self):
        r = subprocess.run([WORKER], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
                           env=self.house.environment())
        self.assertNotEqual(r.returncode, 0)
        self.assertIn("hearthd", r.stderr)

    def test_a_missing_worker_is_told(self):
        house = self.own_house(None, f"[daemon]\nworker = /nonexistent/hearth-worker\n")
        c = self.connect(house)
        self.refused(c.add_model(MODELS["small"], "x"), "INTERNAL", "/nonexistent/hearth-worker")

    def test_a_worker_that_is_no_worker_does_no_harm(self):
        house = self.own_house("small")
        house.configure("[daemon]\nworker = /bin/true\n")
        house.signal(signal.SIGHUP)
        eventually("it is read", lambda: "configuration read" in house.log())
        c = self.connect(house)
        c.ok("model_unload", pb.ModelUnload())
        a = c.wait(c.generate(raw=True, max_tokens=1))
        self.refused(a, "NO_MODEL", "again and again")
        house.configure()
        house.signal(signal.SIGHUP)
        eventually("it is read", lambda: house.log().count("configuration read") == 2)
        retry = lambda: c.wait(c.generate(raw=True, max_tokens=1)).done
        self.assertIsNotNone(eventually("it works again", retry))

    def test_an_idle_model_is_unloaded_and_comes_back(self):
        house = self.own_house("small", "[model]\nunload-idle-s = 1\n")
        c = self.connect(house)
        want = c.wait(c.generate(raw=True, max_tokens=5)).ids
        eventually("it is unloaded", lambda: c.status().state == pb.STATE_UNLOADED)
        eventually("the worker is gone", lambda: house.worker() is None)
        self.assertEqual(c.wait(c.generate(raw=True, max_tokens=5)).ids, want)

    def test_load_at_start(self):
        with tempfile.TemporaryDirectory(prefix="hearth-") as folder:
            first = House("small", "[model]\nload = at-start\n", folder=folder)
            first.close()
            house = House(None, "[model]\nload = at-start\n", folder=folder)
            try:
                c = self.connect(house)
                eventually("it is loaded", lambda: c.status().state == pb.STATE_READY)
            finally:
                house.close()

    def test_an_idle_hearthd_is_small_and_sleeps(self):
        house = self.own_house(None)
        eventually("nobody is connected", lambda: house.descriptors() <= 11)  # store, cache and its lock are open
        ticks = lambda: sum(map(int, pathlib.Path(f"/proc/{house.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
        switches = lambda: int(self.status(house.process.pid)["voluntary_ctxt_switches"])
        time.sleep(0.3)
        before, worked = switches(), ticks()
        time.sleep(2)
        note(f"idle hearthd: {house.memory() / 1e6:.1f} MB resident, {(switches() - before) / 2} wake-ups a second")
        self.assertEqual(ticks(), worked)
        self.assertLessEqual(switches() - before, 1)
        if not SANITIZED:
            self.assertLess(house.memory(), 10_000_000)


if __name__ == "__main__":
    tap.main()
