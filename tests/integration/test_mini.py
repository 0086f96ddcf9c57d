# SPDX-License-Identifier: Apache-2.0
"""hearth-mini, the model of the repository: what it means, not only that it computes.

The questions are of the test split (tools/train), of which no template and no value occurs in the training. FLOOR is what
the weights must reach at least; models/hearth-mini/README.md has what they reach.
"""
import json
import os
import pathlib
import subprocess
import sys
import unittest

import tap
from client import pb, run, said
from house import MODELS, SANITIZED, TestCase, eventually, note

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/train"))
import compose  # noqa: E402  (needs neither torch nor a tokenizer)
import grammar  # noqa: E402

MODELS["mini"] = ROOT / "models/hearth-mini/hearth-mini.gguf"
TOOLS = grammar.tools()
CALLS, QUIET = ("command", "several"), ("scope", "absent")
meaning = unittest.skipIf(SANITIZED, "the answers are those of other builds, and take minutes here")
FLOOR = {"calls": 90, "fast": 88, "quiet": 92, "follow": 83}  # percent


def offer(names):
    return [pb.Tool(json=json.dumps(TOOLS[n], ensure_ascii=False).encode()) for n in names]


def messages(row, text):
    system = [said(pb.ROLE_SYSTEM, row["system"])] if row["system"] else []
    return [*system, said(pb.ROLE_USER, text)]


def calls(answer):
    return [json.loads(t.call) for t in answer.tokens if t.call]


def wanted(turn):
    return [{"name": c["name"], "arguments": c["arguments"]} for c in turn["calls"]]


def sample(kinds, n):
    """The first @n conversations of the test split whose first turn is of one of @kinds."""
    c, out = compose.Composer("test", "mini"), []
    while len(out) < n:
        row = c.conversation()
        if row["turns"][1]["kind"] in kinds:
            out.append(row)
    return out


def share(hits):
    return 100 * sum(hits) / len(hits)


class Mini(TestCase):
    model = "mini"

    def ask(self, row, **more):
        """Begin to answer the first turn of @row."""
        return self.c.generate(messages=messages(row, row["turns"][0]["text"]), tools=offer(row["tools"]), max_tokens=160, **more)

    def answers(self, rows, **more):
        out = []
        for at in range(0, len(rows), 4):
            some = [self.ask(row, **more) for row in rows[at:at + 4]]
            run([(self.c, a) for a in some])
            for a in some:
                self.assertIsNone(a.error, a)
            out += some
        return out

    def exact(self, rows, **more):
        answers = self.answers(rows, **more)
        return share([a.done.finish == pb.FINISH_STOP and calls(a) == wanted(row["turns"][1]) for row, a in zip(rows, answers)])

    @meaning
    def test_commands_become_the_right_calls(self):
        got = self.exact(sample(CALLS, 100))
        note(f"{got:.0f} % of 100 requests have the right calls with the right arguments")
        self.assertGreaterEqual(got, FLOOR["calls"])

    @meaning
    def test_the_smallest_level_knows_them_too(self):
        rows = sample(CALLS, 60)
        got = self.exact(rows, level="fast")
        note(f"level fast: {got:.0f} % of 60 requests")
        self.assertGreaterEqual(got, FLOOR["fast"])
        self.assertEqual(self.answers(rows[:1], level="fast")[0].done.level, "small")

    def test_every_level_of_the_file_answers(self):
        names = [x.name for x in self.c.status().model.levels]
        self.assertEqual(names, ["full", "wide", "half", "small"])
        row = sample(CALLS, 1)[0]
        for name in names:
            a = self.answers([row], level=name)[0]
            self.assertEqual((a.done.level, a.done.finish), (name, pb.FINISH_STOP))

    @meaning
    def test_what_it_cannot_do_is_not_called(self):
        got = share([not calls(a) for a in self.answers(sample(QUIET, 40))])
        note(f"{got:.0f} % of 40 requests out of scope call nothing")
        self.assertGreaterEqual(got, FLOOR["quiet"])

    def test_without_tools_nothing_is_called(self):
        for row in sample(CALLS, 4 if SANITIZED else 20):
            a = self.c.wait(self.c.generate(row["turns"][0]["text"], max_tokens=60))
            self.assertIsNotNone(a.done, a)
            self.assertEqual(calls(a), [])

    @meaning
    def test_a_follow_up_continues_its_conversation(self):
        c, hits, n = compose.Composer("test", "follow"), [], 0
        while len(hits) < 30:
            row = c.conversation()
            turns = row["turns"]
            if len(turns) < 4 or turns[1]["kind"] != "command" or turns[3]["kind"] not in ("correct", "also", "opposite", "relative"):
                continue
            n += 1
            name, system = f"follow-{n}", [said(pb.ROLE_SYSTEM, row["system"])] if row["system"] else []
            self.c.ok("conversation_open", pb.ConversationOpen(name=name, messages=system))
            for i in (0, 2):
                a = self.c.wait(self.c.generate(turns[i]["text"], conversation=name, tools=offer(row["tools"]), max_tokens=160))
            hits.append(calls(a) == wanted(turns[3]))
            self.c.ok("conversation_close", pb.ConversationClose(name=name))
        note(f"{share(hits):.0f} % of 30 follow-ups")
        self.assertGreaterEqual(share(hits), FLOOR["follow"])

    def test_korean_streams_in_whole_characters(self):
        """Each piece is valid by itself. U+FFFD is where the model itself makes half a character, out of bytes of a rare one."""
        rows = [r for r in sample(CALLS, 80) if r["lang"] == "k"][:8 if SANITIZED else 20]
        korean = broken = 0
        for a in self.answers(rows):
            for t in a.tokens:
                t.text.decode("utf-8", "strict")
                t.call.decode("utf-8", "strict")
            korean += any("가" <= ch <= "힣" for ch in a.text.decode())
            broken += "\ufffd" in a.text.decode()
        self.assertGreater(korean, len(rows) / 2, "most are answered in Korean")
        self.assertLessEqual(broken, 4)

    def test_calls_come_once_whenever_the_worker_is_killed(self):
        rows = sample(("several",), 4) + sample(("command",), 4)
        want = [([t.call for t in a.tokens if t.call], a.text, a.ids) for a in self.answers(rows)]
        self.assertTrue(any(c for c, _, _ in want))
        for n in (4,) if SANITIZED else (1, 4, 8, 12):
            for row, (call, text, ids) in zip(rows, want):
                restarts = self.c.status().worker_restarts
                a = self.c.wait_tokens(self.ask(row), n)
                killed = not a.over and self.house.kill_worker()
                self.c.wait(a)
                self.assertIsNone(a.error, a)
                self.assertEqual(([t.call for t in a.tokens if t.call], a.text, a.ids), (call, text, ids))
                if killed:
                    eventually("hearthd noticed", lambda: self.c.status().worker_restarts > restarts)

    def test_tools_that_are_none_are_refused(self):
        for tool, word in ((b"{", "JSON"), (b"[]", "'name'"), (b'{"name": "a b"}', "a b"), (b'{"name": "a", "parameters": 3}', "parameters"),
                           (b'{"name": "' + b"a" * 70000 + b'"}', "65536")):
            self.refused(self.c.wait(self.c.generate("hello", tools=[pb.Tool(json=tool)])), "INVALID", word)
        typed = {"name": "weather", "parameters": {"properties": {"day": {"type": "date"}}}}
        self.refused(self.c.wait(self.c.generate("hello", tools=[pb.Tool(json=json.dumps(typed).encode())])), "INVALID", "weather", "day", "integer")
        twice = offer(["weather", "weather"])
        self.refused(self.c.wait(self.c.generate("hello", tools=twice)), "INVALID", "two tools", "weather")
        self.refused(self.c.wait(self.c.generate("hello", raw=True, tools=offer(["weather"]))), "UNSUPPORTED", "raw")
        self.refused(self.c.wait(self.c.generate("hello", tools=[pb.Tool(json=b'{"name":"t%d"}' % i) for i in range(257)])), "INVALID", "257")

    def test_whatever_is_sampled_a_call_fits_its_schema(self):
        """Tools of the training with other schemas, and sampling so wild that hardly anything is what the model has learnt."""
        schema = lambda name, required, **properties: {"name": name, "parameters": {"properties": properties, "required": required}}
        tools = {t["name"]: t for t in (
            schema("car_lock", ["locked", "pin"], locked={"type": "boolean"}, pin={"type": "integer"}),
            schema("window_set", ["window", "percent"], window={"enum": ["north", "south", "southwest"]}, percent={"type": "number"}),
            schema("timer_start", [], minutes={"enum": [1, 10, 100]}, label={"type": ["string", "null"]}),
            schema("trunk", [], anything={}))}
        kinds = {"boolean": bool, "integer": int, "number": (int, float)}
        asked = ("lock the car", "open the driver window halfway", "set a timer for ten minutes", "open the trunk", "창문 열어 줘")
        seeds, made = range(4 if SANITIZED else 20), []
        for seed in seeds:
            some = [self.c.generate(text, tools=[pb.Tool(json=json.dumps(t).encode()) for t in tools.values()], max_tokens=80,
                                    temperature=2 * seed / len(seeds), seed=seed) for text in asked]
            run([(self.c, a) for a in some])
            for a in some:
                self.assertIsNone(a.error, a)
                self.assertIn(a.done.finish, (pb.FINISH_STOP, pb.FINISH_LENGTH), a)
                made += calls(a)
        for call in made:
            schema = tools[call["name"]]["parameters"]
            self.assertEqual(set(call), {"name", "arguments"})
            self.assertLessEqual(set(schema["required"]), set(call["arguments"]), call)
            for name, value in call["arguments"].items():
                p = schema["properties"][name]
                self.assertTrue(value in p["enum"] if "enum" in p else isinstance(value, kinds.get(str(p.get("type")), object)), call)
        self.assertGreater(len(made), len(seeds), "there were calls")
        self.assertEqual({c["name"] for c in made}, set(tools))

    def test_an_app_may_keep_the_history_itself(self):
        """With the calls of earlier answers given back the prompt is what hearthd's own conversation is, and so is the answer."""
        asked, tools = ("set the temperature to 21 degrees and lock the car", "make it two degrees warmer"), offer(["climate_temperature", "climate_adjust", "car_lock"])
        self.c.ok("conversation_open", pb.ConversationOpen(name="kept"))
        kept = [self.c.wait(self.c.generate(text, conversation="kept", tools=tools)) for text in asked]
        self.c.ok("conversation_close", pb.ConversationClose(name="kept"))
        self.assertEqual(len(calls(kept[0])), 2)
        pretty = [json.dumps(c, indent=1, ensure_ascii=True).encode() for c in calls(kept[0])]
        answer = pb.Message(role=pb.ROLE_MODEL, parts=[*(pb.Part(call=c) for c in pretty), pb.Part(text=kept[0].text)])
        own = self.c.wait(self.c.generate(messages=[said(pb.ROLE_USER, asked[0]), answer, said(pb.ROLE_USER, asked[1])], tools=tools))
        self.assertEqual((calls(own), own.text, own.done.usage.prompt_tokens), (calls(kept[1]), kept[1].text, kept[1].done.usage.prompt_tokens))

    def test_calls_that_nobody_made_are_refused(self):
        call, text = pb.Part(call=b'{"name":"car_lock","arguments":{}}'), pb.Part(text=b"x")
        for role, parts, words in ((pb.ROLE_MODEL, [text, call], ("message 2", "behind a text")), (pb.ROLE_MODEL, [pb.Part(call=b"{")], ("no JSON",)),
                                   (pb.ROLE_MODEL, [pb.Part(call=b"{}")], ("'name'",)), (pb.ROLE_TOOL, [call], ("message 2", "the model"))):
            answer = pb.Message(role=role, parts=parts)
            self.refused(self.c.wait(self.c.generate(messages=[said(pb.ROLE_USER, "a"), answer, said(pb.ROLE_USER, "b")])), "INVALID", *words)
        raw = [pb.Message(role=pb.ROLE_MODEL, parts=[call])]
        self.refused(self.c.wait(self.c.generate(messages=raw, raw=True)), "INVALID", "raw")

    def test_what_is_to_be_verbatim_was_said(self):
        """Sampled wildly, a name or a text that nobody said comes up soon, unless the schema forbids it."""
        letter = "that " + ", ".join(f"on day {n} we saw {n * n} birds" for n in range(2, 60))  # so long that it is sorted in another way
        asked = ("call Sora", "text Minho " + letter, "text Minho that the \"red\" car is here", "서대문구청까지 안내해 줘", "하윤에게 늦어요라고 문자 보내 줘")
        names = ("call", "message_send", "navigate")
        free = lambda t: {**t, "parameters": {**t["parameters"], "properties": {k: {"type": "string"} for k in t["parameters"]["required"]}}}
        made_up = {}
        for kind, tools in (("held", offer(names)), ("free", [pb.Tool(json=json.dumps(free(TOOLS[n])).encode()) for n in names])):
            values = []
            for seed in range(3 if SANITIZED else 10):
                some = [self.c.generate(text, tools=tools, max_tokens=80, temperature=1.5, seed=seed) for text in asked]
                run([(self.c, a) for a in some])
                for a, text in zip(some, asked):
                    self.assertIsNone(a.error, a)
                    values += [(v, text) for call in calls(a) for k, v in call["arguments"].items() if k != "avoid"]
            self.assertGreater(len(values), 5)
            made_up[kind] = [v for v, text in values if v not in text]
        self.assertEqual(made_up["held"], [])
        self.assertNotEqual(made_up["free"], [])

    def test_a_call_without_an_end_is_left_out(self):
        """A tool of the training, one token short of its call."""
        whole = self.c.wait(self.c.generate("lock the car", tools=offer(["car_lock"]), max_tokens=80))
        self.assertEqual([c["name"] for c in calls(whole)], ["car_lock"])
        n = 1 + next(i for i, t in enumerate(whole.tokens) if t.call)
        for most, want in ((n - 1, []), (n, calls(whole))):
            a = self.c.wait(self.c.generate("lock the car", tools=offer(["car_lock"]), max_tokens=most))
            self.assertEqual((a.done.finish, calls(a), a.text), (pb.FINISH_LENGTH, want, b""))

    def test_the_shell_shows_calls(self):
        path = self.house.folder / "tools.json"
        path.write_text(json.dumps([TOOLS["car_lock"], TOOLS["trunk"]]))
        asked = self.house.ctl("ask", "--tools", path, "lock the car")
        self.assertEqual((asked.returncode, asked.stderr), (0, ""))
        first = asked.stdout.splitlines()[0]
        self.assertEqual(json.loads(first)["name"], "car_lock")
        out = json.loads(self.house.ctl("ask", "--json", "--tools", path, "lock the car").stdout)
        self.assertEqual((out["calls"], out["finish"]), ([json.loads(first)], "stop"))
        events = [json.loads(x) for x in self.house.ctl("ask", "--json", "--stream", "--tools", path, "lock the car").stdout.splitlines()]
        self.assertEqual([e["call"] for e in events if e["event"] == "call"], out["calls"])
        self.assertEqual(self.house.ctl("ask", "lock the car").stdout.count("{"), 0)
        for text, word in (("[1]", "tool 1"), ("[", "line 1"), ('[{"name": ""}]', "name")):
            path.write_text(text)
            bad = self.house.ctl("ask", "--tools", path, "hello")
            self.assertNotEqual(bad.returncode, 0)
            self.assertIn(word, bad.stderr)

    def test_a_chat_with_tools_remembers_its_calls(self):
        path = self.house.folder / "climate.json"
        path.write_text(json.dumps([TOOLS["climate_temperature"], TOOLS["climate_adjust"]]))
        out = self.house.ctl("chat", "--tools", path, stdin="set the temperature to 21 degrees\nmake it two degrees warmer\n")
        self.assertEqual(out.returncode, 0, out.stderr)
        names = [json.loads(x)["name"] for x in out.stdout.splitlines() if x.startswith("{")]
        self.assertEqual(names, ["climate_temperature", "climate_adjust"])
        self.assertEqual(self.house.ctl("conversation", "open", "other").returncode, 0, "the chat's own one is closed")

    def test_two_people_drive_one_car(self):
        lines = "driver: set the temperature to 21 degrees\npassenger: lock the car\npassenger: turn the cabin light on\ndriver: set the volume to 40 percent\n"
        program = pathlib.Path(os.environ["HEARTH_BUILD"]) / "client-lib/examples/example-car"
        out = subprocess.run([program], input=lines, capture_output=True, text=True, timeout=120, check=False,
                             env=dict(self.house.environment(), HEARTH_SOCKET=self.house.socket))
        self.assertEqual((out.returncode, out.stderr), (0, ""))
        car = {line[:16].strip(): line[16:].strip() for line in out.stdout.splitlines()[-7:]}
        self.assertEqual(car["light"], "1")
        self.assertEqual(car["lock"], "1")
        self.assertEqual(car["volume"], "40")
        self.assertEqual(car["temperature"], "driver 21 passenger 21 rear 21")


class Others(TestCase):
    model = "small"

    def test_models_without_tools_say_so(self):
        self.refused(self.c.wait(self.c.generate("hello", tools=offer(["weather"]))), "UNSUPPORTED", "not trained to call tools")
        called = pb.Message(role=pb.ROLE_MODEL, parts=[pb.Part(call=b'{"name":"a","arguments":{}}')])
        self.refused(self.c.wait(self.c.generate(messages=[said(pb.ROLE_USER, "a"), called, said(pb.ROLE_USER, "b")])), "UNSUPPORTED", "leave the calls out")


if __name__ == "__main__":
    tap.main()
