# SPDX-License-Identifier: Apache-2.0
"""A hearthd of one's own: real programs, a private socket, a store in a temporary folder, tiny models.

Whatever a test does to it, close() checks that hearthd lived, ended well when told to, left nothing behind and that no
sanitizer had anything to say.
"""
import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import unittest

from client import PATIENCE_S, Client, HungUp, Refused, pb

BUILD = pathlib.Path(os.environ["HEARTH_BUILD"])
GOLDEN = pathlib.Path(os.environ["HEARTH_GOLDEN"]) / "text"
SANITIZED = os.environ.get("HEARTH_SANITIZE", "none") != "none"
HEARTHD, HEARTHCTL = str(BUILD / "daemon/hearthd"), str(BUILD / "cli/hearthctl")
WORKER, EVAL = str(BUILD / "worker/hearth-worker"), str(BUILD / "tools/hearth-eval")
MODELS = {
    "slices": GOLDEN / "n3-slices/model.gguf",  # has levels
    "wide": GOLDEN / "n3-wide/model.gguf",
    "basic": GOLDEN / "g3-basic/model.gguf",
    "small": GOLDEN / "n3-quant-small/model-q4_0.gguf",
    "small5": GOLDEN / "n3-quant-small/model-q5_0.gguf",
}


def eventually(what, condition, seconds=PATIENCE_S):
    """Until condition() is true; its value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)
    return value


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def children(pid):
    try:
        return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def alive(pid):
    """Runs, or at least is no zombie."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class House:
    def __init__(self, model="small", conf="", at_start=True, launcher=(), env=None, folder=None):
        """@model: name in MODELS that is added and activated, None: none. @conf: sections of hearthd.conf; its [daemon]
        gets paths. @launcher: words before hearthd. @at_start: start it now."""
        self.temporary = None if folder else tempfile.TemporaryDirectory(prefix="hearth-")
        self.folder = pathlib.Path(folder or self.temporary.name)
        self.socket = str(self.folder / "run/hearth.sock")
        self.log_path = self.folder / "log"
        self.models = self.folder / "models"
        self.launcher, self.env = list(launcher), env or {}
        self.clients, self.process, self.expect_dead = [], None, False
        self.configure(conf)
        try:
            if at_start:
                self.start()
            if at_start and model:
                self.add(model)
        except BaseException:
            note("".join(self.log().splitlines(True)[-40:]))
            if self.process:
                self.kill()
            raise

    # ---- configuration ----

    def configure(self, conf=""):
        sections = {"daemon": "", "everybody": ""}
        name = "daemon"
        for line in conf.splitlines():
            line = line.strip()
            if line.startswith("["):
                name = line.strip("[]")
            elif line:
                sections[name] = sections.get(name, "") + line + "\n"
        paths = {"socket": self.socket, "models": self.models, "cache": self.folder / "cache", "worker": WORKER,
                 "sensors": self.folder / "machine"}
        own = "".join(f"{k} = {v}\n" for k, v in paths.items() if f"{k} =" not in sections["daemon"])
        sections["daemon"] = own + sections["daemon"]
        self.conf = self.folder / "hearthd.conf"
        self.conf.write_text("".join(f"[{k}]\n{v}" for k, v in sections.items()))

    # ---- life ----

    def environment(self):
        env = dict(os.environ, XDG_RUNTIME_DIR=str(self.folder), XDG_DATA_HOME=str(self.folder),
                   XDG_CACHE_HOME=str(self.folder), TERM="xterm", LC_ALL="C.UTF-8", **self.env)
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):  # into the log: a confined worker cannot open a file
            env[name] = f"{env.get(name, '')}:log_path=stderr:use_sigaltstack=0"  # nor make a stack for signals
        return env

    def command(self):
        return [*self.launcher, HEARTHD, "--private", "--config", str(self.conf)]

    def start(self, wait=True):
        self.expect_dead = False
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.environment())
        if wait:
            eventually("hearthd answers", lambda: self.answers() or self.process.poll() is not None)
            assert self.process.poll() is None, f"hearthd ended: {self.log()}"
        return self

    def answers(self):
        try:
            Client(self.socket).close()
            return True
        except (FileNotFoundError, ConnectionRefusedError, HungUp, Refused):
            return False

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, seconds=PATIENCE_S):
        """SIGTERM, and wait. Return: the exit status."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"hearthd did not end: {self.log()[-2000:]}") from None

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.expect_dead = True

    def reports(self):
        """What sanitizers said."""
        found = re.search(r"^.*(runtime error:|Sanitizer).*(?:\n.*){0,30}", self.log(), re.M)
        return found and found.group()

    def close(self):
        try:
            self._close()
        except AssertionError:
            note("".join(self.log().splitlines(True)[-30:]))
            raise
        finally:
            if self.temporary:
                self.temporary.cleanup()

    def _close(self):
        for c in self.clients:
            c.close()
        if self.process and not self.expect_dead:
            assert self.process.poll() is None, f"hearthd died: {self.process.returncode}"
            family = children(self.process.pid)
            status = self.stop()
            assert status == 0, f"hearthd ended with {status}"
            eventually("the worker is gone", lambda: not any(alive(p) for p in family))
            left = sorted(p.name for p in (self.folder / "run").glob("*"))
            assert not left, f"hearthd left {left}"
            left = [p.name for p in self.models.glob(".*")] if self.models.exists() else []
            assert not left, f"hearthd left {left} in the store"
        assert not self.reports(), self.reports()

    # ---- use ----

    def client(self, **more):
        c = Client(self.socket, **more)
        self.clients.append(c)
        return c

    def add(self, model, name=None):
        c = self.client()
        a = c.add_model(MODELS[model], name or model)
        assert a.reply, a
        c.close()
        return a.reply.model

    def worker(self):
        """The pid of the running worker, or None. One that was killed may still be there as a zombie."""
        return next((p for p in children(self.process.pid) if alive(p)), None)

    def kill_worker(self):
        pid = self.worker()
        if pid is not None:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return None
        return pid

    def memory(self):
        """Resident bytes of hearthd."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) << 10
        return 0

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def ctl(self, *args, stdin="", **more):
        return subprocess.run([HEARTHCTL, "--socket", self.socket, *map(str, args)], input=stdin, capture_output=True,
                              text=True, timeout=PATIENCE_S, check=False, env=self.environment(), **more)


class TestCase(unittest.TestCase):
    """With a house that the tests of a class share, and houses of one's own."""
    model, conf = "small", ""

    @classmethod
    def setUpClass(cls):
        cls.house = House(cls.model, cls.conf)
        cls.addClassCleanup(cls.house.close)

    def setUp(self):
        self.c = self.connect()

    def connect(self, house=None, **more):
        c = (house or self.house).client(**more)
        self.addCleanup(c.close)
        return c

    def own_house(self, *args, **more):
        h = House(*args, **more)
        self.addCleanup(h.close)
        return h

    def refused(self, answer, code, *words):
        """The Error of @answer, which must have @code and each of @words in its sentence."""
        self.assertIsNotNone(answer.error, answer)
        self.assertEqual(pb.ErrorCode.Name(answer.error.code), "ERROR_" + code, answer.error.message)
        for word in words:
            self.assertIn(str(word), answer.error.message)
        self.assertGreater(len(answer.error.message), 10, "a sentence for people")
        return answer.error

    def calm(self, house=None):
        """Nothing runs and no page is held."""
        def idle():
            try:
                s = self.status_of(house)
            except Refused:
                return False  # it has not seen yet that others hung up
            return s.running + s.queued + s.parked == 0 and s.kv_pages_used == 0
        eventually("nothing runs and all pages are free", idle)

    def status_of(self, house=None):
        c = (house or self.house).client()
        try:
            return c.status()
        finally:
            c.close()


def eval_greedy(model, ids, n, *more):
    """The @n tokens that hearth-eval, which has no daemon, makes after @ids."""
    out = subprocess.run([EVAL, str(MODELS[model]), "--ids", ",".join(map(str, ids)), "--greedy", str(n), *more],
                         capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert out.returncode == 0, out.stderr
    return json.loads(out.stdout.splitlines()[-1])["greedy"]


def note(text):
    print("".join(f"# {line}\n" for line in text.splitlines()), end="", flush=True)
