# SPDX-License-Identifier: Apache-2.0
"""hearthctl as people and scripts use it: in pipes and on a terminal, with Ctrl-C, and what it exits with."""
import json
import os
import pty
import re
import select
import signal
import subprocess
import tempfile
import time

import gguf
import tap
from client import PATIENCE_S, pb
from house import HEARTHCTL, MODELS, SANITIZED, TestCase, eventually, sha256

LONG = "word " * (300 if SANITIZED else 1200)
OK, FAILED, USAGE, UNREACHABLE, LATER, INTERRUPTED = 0, 1, 2, 3, 4, 130


class Terminal:
    """hearthctl on a terminal of its own."""

    def __init__(self, house, *args):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(HEARTHCTL, [HEARTHCTL, "--socket", house.socket, *args], house.environment())

    def write(self, text):
        os.write(self.fd, text.encode())

    def read(self, seconds=0.1):
        """More of what it shows. False: it has closed the terminal."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:
            data = b""
        self.seen += data
        return bool(data)

    def shows(self, pattern, seconds=PATIENCE_S):
        """Until it shows what matches @pattern; what was shown up to there is forgotten then."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern.encode(), self.seen)):
            if time.monotonic() > end or not self.read():
                raise AssertionError(f"never shown: {pattern}; but {self.seen[-600:]}")
        self.seen = self.seen[found.end():]
        return found

    def ends(self, seconds=PATIENCE_S):
        """Its exit status."""
        end = time.monotonic() + seconds
        while True:
            self.read(0.02)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > end:
                raise AssertionError(f"it did not end: {self.seen[-600:]}")

    def kill(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self.fd)


class Ctl(TestCase):
    model = None
    conf = "[model]\nkv-memory = 64M\n"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        path = cls.house.folder / "chat.gguf"  # with the form of chat, whose answers are long
        path.write_bytes(gguf.change(MODELS["slices"].read_bytes(), {"tokenizer.chat_template": "{{ messages }}"}))
        cls.chat = path
        c = cls.house.client()
        assert c.add_model(path, "chat").reply
        c.close()

    def ctl(self, status, *args, **more):
        r = self.house.ctl(*args, **more)
        self.assertEqual(r.returncode, status, (args, r.stdout[-300:], r.stderr[-600:]))
        return r

    def terminal(self, *args):
        t = Terminal(self.house, *args)
        self.addCleanup(t.kill)
        return t

    def running(self):
        return len(self.c.ok("request_list", pb.RequestList()).requests.requests)


class Answers(Ctl):
    def test_the_answer_goes_to_stdout_and_all_else_to_stderr(self):
        want = self.c.wait(self.c.generate("hello there", max_tokens=20))
        r = self.ctl(OK, "ask", "--temperature", 0, "--max-tokens", 20, "hello", "there", errors="surrogateescape")
        text = want.text.decode("utf-8", "replace")
        self.assertEqual(r.stderr, "")
        self.assertEqual(r.stdout.rstrip("\n").encode("utf-8", "surrogateescape")[:4], want.text[:4], text)
        r = self.ctl(OK, "ask", "--stats", "--max-tokens", 5, "hello", errors="replace")
        self.assertIn("5 out", r.stderr)
        self.assertNotIn("tokens in", r.stdout)

    def test_the_prompt_may_come_from_stdin(self):
        def ids(*args, **more):
            r = self.ctl(OK, "ask", "--json", "--temperature", 0, "--max-tokens", 8, *args, **more)
            return json.loads(r.stdout)["ids"]
        self.assertEqual(ids("what is it"), ids(stdin="what is it\n"))
        self.assertEqual(ids("what is it"), ids("what", "is", "it"))
        self.ctl(USAGE, "ask", stdin="")

    def test_json_and_stream(self):
        args = ("--temperature", 1, "--seed", 9, "--max-tokens", 12, "hi")
        whole = json.loads(self.ctl(OK, "ask", "--json", *args).stdout)
        self.assertEqual((whole["finish"], whole["model"], str(whole["seed"])), ("length", "chat", "9"))
        self.assertEqual((len(whole["ids"]), whole["usage"]["output_tokens"]), (12, 12))
        a = self.c.wait(self.c.generate("hi", temperature=1.0, seed=9, max_tokens=12))
        self.assertEqual(a.ids, whole["ids"], "the same as through another client")
        lines = [json.loads(x) for x in self.ctl(OK, "ask", "--json", "--stream", *args).stdout.splitlines()]
        self.assertEqual([x["event"] for x in lines if x["event"] != "text"], ["queued", "started", "end"])
        self.assertEqual([i for x in lines if x["event"] == "text" for i in x["ids"]], whole["ids"])

    def test_complete_gives_the_bytes_of_the_model(self):
        want = self.c.wait(self.c.generate("Once upon", raw=True, max_tokens=20))
        r = subprocess.run([HEARTHCTL, "--socket", self.house.socket, "complete", "--temperature", "0", "--max-tokens",
                            "20", "Once upon"], capture_output=True, check=True, env=self.house.environment())
        self.assertEqual((r.stdout, r.stderr), (want.text, b""))

    def test_settings_reach_the_model(self):
        plain, system = (json.loads(self.ctl(OK, "ask", "--json", "--temperature", 0, "--max-tokens", 9, *more, "hello").stdout)
                         for more in ([], ["--system", "Be kind."]))
        self.assertGreater(system["usage"]["prompt_tokens"], plain["usage"]["prompt_tokens"])
        stop = plain["text"][3:5]
        stopped = json.loads(self.ctl(OK, "ask", "--json", "--temperature", 0, "--max-tokens", 9, "--stop", stop, "hello").stdout)
        self.assertEqual((stopped["finish"], stopped["text"]), ("stop", plain["text"][:plain["text"].index(stop)]))
        self.assertEqual(json.loads(self.ctl(OK, "ask", "--json", "--max-tokens", 1, "--level", "full", "x").stdout)["level"], "full")
        self.ctl(FAILED, "ask", "--level", "turbo", "x")

    def test_ctrl_c_ends_ask_with_130_and_the_answer_with_it(self):
        p = subprocess.Popen([HEARTHCTL, "--socket", self.house.socket, "complete", "--temperature", "0", "hello"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.house.environment())
        self.assertTrue(p.stdout.read(10))
        p.send_signal(signal.SIGINT)
        out, _ = p.communicate(timeout=PATIENCE_S)
        self.assertEqual(p.returncode, INTERRUPTED)
        self.calm()

    def test_a_reader_that_goes_away_ends_it(self):
        p = subprocess.Popen([HEARTHCTL, "--socket", self.house.socket, "complete", "--temperature", "0", "hello"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.house.environment())
        p.stdout.read(5)
        p.stdout.close()
        p.wait(PATIENCE_S)
        p.stderr.close()
        self.calm()


class Exits(Ctl):
    def test_2_for_wrong_usage_with_a_suggestion(self):
        for args, word in ((["aks", "x"], "ask"), (["ask", "--max-tokn", "3", "x"], "max-tok"), (["model"], "add"),
                           (["ask", "--temperature", "hot", "x"], "hot"), (["cancel", "x"], "x"), ([], "usage"),
                           (["--nonsense"], "nonsense"), (["model", "add"], "FILE")):
            r = self.ctl(USAGE, *args)
            self.assertEqual(r.stdout, "")
            self.assertIn(word, r.stderr)

    def test_1_for_what_is_refused(self):
        r = self.ctl(FAILED, "ask", "word " * 9000)
        self.assertRegex(r.stderr, r"\d+ tokens.*context")
        self.assertEqual(r.stdout, "")
        for args in (["cancel", 99999], ["model", "activate", "absent"], ["model", "remove", "absent"], ["model", "info", "absent"],
                     ["model", "add", "/nonexistent"], ["level", "turbo"], ["conversation", "close", "none"]):
            self.assertTrue(self.ctl(FAILED, *args).stderr, args)
        r = self.ctl(FAILED, "ask", "--json", "word " * 9000)
        self.assertEqual(json.loads(r.stdout)["error"]["code"], "TOO_LONG")

    def test_3_when_nobody_is_there(self):
        for command in (["ask", "x"], ["status"], ["ps"], ["chat"]):
            r = subprocess.run([HEARTHCTL, "--socket", "/nonexistent/sock", *command], capture_output=True, text=True,
                               stdin=subprocess.DEVNULL, check=False, env=self.house.environment())
            self.assertEqual(r.returncode, UNREACHABLE, r.stderr)
            self.assertIn("/nonexistent/sock", r.stderr)

    def test_4_for_later(self):
        house = self.own_house("slices", "[everybody]\nrequests = 1\n")
        c = self.connect(house)
        a = c.wait_tokens(c.generate(raw=True, max_tokens=0), 1)
        r = house.ctl("ask", "x")
        self.assertEqual(r.returncode, LATER, r.stderr)
        self.assertEqual(json.loads(house.ctl("ask", "--json", "x").stdout)["error"]["code"], "QUOTA")
        c.send(pb.ClientFrame(cancel=pb.Cancel(id=a.id)))
        c.wait(a)
        self.assertEqual(house.ctl("drain").returncode, OK)
        self.assertEqual(house.ctl("ask", "x").returncode, LATER)


class Orders(Ctl):
    def json(self, *args, status=OK):
        r = self.ctl(status, *args, "--json")
        return json.loads(r.stdout)

    def test_status_ps_cancel(self):
        s = self.json("status")
        self.assertEqual((s["state"], s["model"]["name"]), ("ready", "chat"))
        self.assertIn("chat", self.ctl(OK, "status").stdout)
        self.assertEqual(self.json("ps"), [])
        a = self.c.wait_tokens(self.c.generate(raw=True, max_tokens=0), 2)
        listed = self.json("ps")
        self.assertEqual([(r["pid"], r["state"]) for r in listed], [(os.getpid(), "decode")])
        self.assertIn(str(listed[0]["serial"]), self.ctl(OK, "ps").stdout)
        self.assertEqual(self.json("cancel", listed[0]["serial"]), {"cancelled": str(listed[0]["serial"])})
        self.assertEqual(self.c.wait(a).done.finish, pb.FINISH_CANCELLED)

    def test_models(self):
        self.assertEqual([(m["name"], m["active"]) for m in self.json("model", "list")], [("chat", True)])
        self.assertEqual(self.json("model", "info")["sha256"], sha256(self.chat))
        added = self.json("model", "add", str(MODELS["small"]), "--name", "other", "--no-activate", "--sha256",
                          sha256(MODELS["small"]))
        self.assertEqual((added["name"], added["active"]), ("other", False))
        self.assertIn("other", self.ctl(OK, "model", "list").stdout)
        self.assertTrue(self.json("model", "activate", "other")["active"])
        self.json("model", "unload")
        self.assertEqual(self.json("status")["state"], "unloaded")
        self.assertTrue(self.json("model", "load")["loaded"])
        self.assertIn("activate another", self.ctl(LATER, "model", "remove", "other", added["version"]).stderr)
        self.json("model", "activate", "chat")
        self.json("model", "remove", "other")
        self.assertEqual(len(self.json("model", "list")), 1)
        with tempfile.NamedTemporaryFile(suffix=".gguf") as f:
            f.write(b"this is no model")
            f.flush()
            r = self.ctl(FAILED, "model", "add", f.name)
            self.assertIn("GGUF", r.stderr)

    def test_small_questions(self):
        ids = self.json("tokenize", "hello")["ids"]
        self.assertEqual(ids, list(self.c.ok("tokenize", pb.Tokenize(text=b"hello")).tokens.ids))
        self.assertEqual(self.ctl(OK, "tokenize", "--count", "hello").stdout.strip(), str(len(ids)))
        self.assertIn("# TYPE hearth_", self.ctl(OK, "metrics").stdout)
        self.assertIsInstance(self.json("metrics"), dict)
        self.assertEqual(self.json("level", "full"), {"level": "full"})
        self.ctl(OK, "level", "auto")
        self.json("conversation", "open", "c1")
        self.json("ask", "--conversation", "c1", "--max-tokens", "2", "hi")
        self.json("conversation", "close", "c1")
        self.assertIn("version", self.json("version"))

    def test_doctor(self):
        r = self.house.ctl("doctor", "--json")
        d = json.loads(r.stdout)
        levels = {c["name"]: c["level"] for c in d["checks"]}
        self.assertEqual(r.returncode, FAILED if "fail" in levels.values() else OK)
        self.assertEqual(levels["hearthd"], "ok")
        self.assertIn(str(self.house.models), next(c["text"] for c in d["checks"] if c["name"] == "disk"))
        self.assertGreater(len(levels), 5)
        self.assertTrue(self.house.ctl("doctor").stdout)

    def test_top_json_is_a_line_a_picture(self):
        p = subprocess.Popen([HEARTHCTL, "--socket", self.house.socket, "top", "--json", "--interval", "100ms"],
                             stdout=subprocess.PIPE, text=True, env=self.house.environment())
        for _ in range(3):
            self.assertEqual(json.loads(p.stdout.readline())["state"], "ready")
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=PATIENCE_S)
        self.assertIn(p.returncode, (OK, INTERRUPTED))

    def test_every_command_has_help(self):
        listed = self.ctl(OK, "help").stdout.split("commands:")[1].split("options of all")[0]
        names = re.findall(r"^  ([a-z]+(?: [a-z]+)?)", listed, re.M)
        self.assertGreater(len(names), 15)
        for name in names:
            self.assertIn("usage:", self.ctl(OK, *name.split(), "--help").stdout)


class OnATerminal(Ctl):
    def test_chat_remembers_and_ctrl_c_ends_the_answer_alone(self):
        t = self.terminal("chat", "--temperature", "0")
        t.shows("chat answers")
        t.shows("> ")
        t.write("tell me a very long story\n")
        eventually("it answers", self.running)
        eventually("tokens come", lambda: t.read(0.02) and len(t.seen) > 60)
        t.write("\x03")
        eventually("the answer is cancelled", lambda: not self.running())
        t.shows("> ")
        t.write("/help\n")
        t.shows("/quit")
        t.shows("> ")
        t.write("and now?\n")
        request = eventually("it answers again", lambda: list(self.c.ok("request_list", pb.RequestList()).requests.requests))
        eventually("its prompt is known", lambda: self.c.ok("request_list", pb.RequestList()).requests.requests[0].prompt_tokens)
        request = self.c.ok("request_list", pb.RequestList()).requests.requests[0]
        fresh = self.c.wait(self.c.generate("and now?", max_tokens=1)).started.prompt_tokens
        self.assertGreater(request.prompt_tokens, fresh + 10, "it has the first turn in it")
        t.write("\x03")
        eventually("the answer is cancelled", lambda: not self.running())
        t.shows("> ")
        t.write("\x04")
        self.assertEqual(t.ends(), OK)

    def test_chat_in_a_pipe_answers_each_line(self):
        r = self.ctl(OK, "chat", "--temperature", 0, "--max-tokens", 4, stdin="one\ntwo\n", errors="replace")
        self.assertTrue(r.stdout)
        self.assertNotIn("> ", r.stdout)

    def test_top_shows_requests_and_q_leaves(self):
        a = self.c.wait_tokens(self.c.generate(raw=True, max_tokens=0), 1)
        t = self.terminal("top", "--interval", "100ms")
        t.shows("decode")
        t.shows("q leave")
        t.write("k")
        self.assertEqual(self.c.wait(a).done.finish, pb.FINISH_CANCELLED, "k cancels the request under the cursor")
        t.write("q")
        self.assertEqual(t.ends(), OK)

    def test_ctrl_c_in_ask(self):
        t = self.terminal("complete", "--temperature", "0", "hello")
        eventually("it answers", self.running)
        t.write("\x03")
        self.assertEqual(t.ends(), INTERRUPTED)
        self.calm()

    def test_a_long_prompt_shows_its_progress_there_and_only_there(self):
        slow = self.own_house(None, "[model]\nkv-memory = 64M\nkernels = c\nthreads = 1\n")  # a second has to pass before it shows
        c = slow.client()
        self.assertTrue(c.add_model(self.chat, "chat").reply)
        c.close()
        t = Terminal(slow, "complete", "--max-tokens", "1", LONG)
        self.addCleanup(t.kill)
        t.shows("%")
        t.write("\x03")
        self.assertEqual(t.ends(), INTERRUPTED)
        self.assertEqual(self.ctl(OK, "complete", "--max-tokens", 1, LONG, errors="replace").stderr, "")


if __name__ == "__main__":
    tap.main()
