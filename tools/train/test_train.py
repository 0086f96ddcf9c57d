#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the grammar, the Korean forms, the prompt form and the conversations. Needs neither torch nor a tokenizer."""
import collections
import json
import os
import re
import unittest

import check_splits
import compose
import form
import grammar
import korean
import slots


class Korean(unittest.TestCase):
    def test_particles_follow_the_last_sound(self):
        for text, want in (("서울%으로", "서울로"), ("부산역%로", "부산역으로"), ("미나%랑", "미나랑"), ("지훈%랑", "지훈이랑"), ("볼륨%를", "볼륨을"),
                           ("10%으로", "10으로"), ("2%으로", "2로"), ("도착해%라고", "도착해라고"), ("휴일%라고", "휴일이라고")):
            self.assertEqual(slots.fix(text), want)

    def test_numbers_in_words(self):
        self.assertEqual([korean.sino(n) for n in (0, 10, 22, 105, 1200)], ["영", "십", "이십이", "백오", "천이백"])
        self.assertEqual([slots.words(n) for n in (7, 20, 45)], ["seven", "twenty", "forty-five"])

    def test_verbs_before_ko(self):
        self.assertEqual(korean.before_ko("에어컨 켜"), "에어컨 켜")
        self.assertEqual(korean.before_ko("불 꺼"), "불 끄")
        self.assertIsNone(korean.before_ko("어때"))


class Grammar(unittest.TestCase):
    def test_there_are_forty_tools_and_each_has_commands_in_both_languages(self):
        lines = collections.Counter((b.head[0], x.lang, x.split) for b in grammar.blocks("commands.txt") for x in b.lines)
        self.assertGreaterEqual(len(grammar.tools()), 40)
        for name in grammar.tools():
            for lang in "ek":
                for split in grammar.SPLITS:
                    self.assertGreater(lines[(name, lang, split)], 0, f"{name} {lang} {split}")

    def test_every_slot_of_every_line_can_be_drawn(self):
        for split in grammar.SPLITS:
            c = compose.Composer(split, 0)
            for b in c.commands + c.talk["scope"]:
                for x in b.lines:
                    text, _ = c.fill(x.text, x.lang)
                    self.assertFalse(re.search(r"[{}\[\]|%]", text), text)

    def test_closed_values_are_those_of_the_schemas(self):
        closed, _ = grammar.values()
        for b in grammar.blocks("commands.txt"):
            props = grammar.tools()[b.head[0]]["parameters"]["properties"]
            for arg, slot in b.args.items():
                if slot in closed and "enum" in props.get(arg, {}):
                    self.assertLessEqual({v for v, _, _ in closed[slot]}, set(props[arg]["enum"]), f"{b.head[0]} {slot}")

    def test_a_line_belongs_to_one_split(self):
        for name in ("commands.txt", "talk.txt", "asks.txt"):
            for b in grammar.blocks(name):
                seen = collections.Counter(x.key for x in b.lines)
                self.assertEqual([k for k, n in seen.items() if n > 1], [], f"{name} {b.head}")

    def test_nothing_that_dev_or_test_says_is_said_in_training(self):
        for name in ("commands.txt", "talk.txt", "asks.txt", "wrap.txt"):
            said = collections.defaultdict(set)
            for b in grammar.blocks(name):
                for x in b.lines:
                    for t in grammar.texts(x):
                        said[t].add(x.split)
            self.assertGreater(len(said), 20)
            self.assertEqual([(t, s) for t, s in said.items() if len(s) > 1], [], name)


class Conversations(unittest.TestCase):
    def test_calls_fit_their_schemas_and_are_offered(self):
        for split in grammar.SPLITS:
            c = compose.Composer(split, 5)
            for _ in range(400):
                row = c.conversation()
                for t in row["turns"]:
                    for call in t.get("calls", []):
                        self.assertIsNone(check_splits.wrong_call(call, row, c.tools), (call, row["tools"]))

    def test_the_same_seed_gives_the_same(self):
        a, b = (compose.Composer("train", 9) for _ in range(2))
        self.assertEqual([a.conversation() for _ in range(50)], [b.conversation() for _ in range(50)])
        self.assertNotEqual(compose.Composer("train", 8).conversation(), compose.Composer("train", 9).conversation())

    def test_no_guard_or_placeholder_is_left(self):
        for split in grammar.SPLITS:
            c = compose.Composer(split, 2)
            for _ in range(400):
                for t in c.conversation()["turns"]:
                    self.assertFalse(re.search(r"[\x01\x02{}~\[\]]", t["text"]) and t["role"] != "tool", t["text"])
                    self.assertTrue(t["text"] or t["calls"])

    def test_free_values_of_a_call_stand_in_the_request_or_in_the_facts(self):
        c = compose.Composer("train", 4)
        for _ in range(600):
            row = c.conversation()
            said = (row["system"] + " ".join(t["text"] for t in row["turns"])).lower()
            for t in row["turns"]:
                for call in t.get("calls", []):
                    for k in ("to", "text", "item", "what", "place"):
                        v = call["arguments"].get(k)
                        if isinstance(v, str) and "enum" not in c.tools[form.own_name(row, call["name"])]["parameters"]["properties"][k]:
                            self.assertIn(v.lower(), said)

    def test_some_tools_of_training_have_other_names(self):
        renamed = {}
        for split in grammar.SPLITS:
            c = compose.Composer(split, 3)
            renamed[split] = [row for row in (c.conversation() for _ in range(200)) if "renamed" in row]
        self.assertEqual((renamed["dev"], renamed["test"]), ([], []))
        self.assertGreater(len(renamed["train"]), 20)
        for row in renamed["train"]:
            self.assertEqual(list(row["renamed"]), row["tools"])
            self.assertLessEqual(set(row["renamed"].values()), set(grammar.tools()))
            self.assertFalse(set(row["tools"]) & set(grammar.tools()))

    def test_absent_tools_are_refused(self):
        c, n = compose.Composer("train", 3), 0
        for _ in range(600):
            for t in c.conversation()["turns"]:
                if t.get("kind") == "absent":
                    n += 1
                    self.assertEqual((t["calls"], t["text"] in c.refusal.values()), ([], True))
        self.assertGreater(n, 20)


class Spoken(unittest.TestCase):
    def test_two_hundred_sentences_half_of_them_korean(self):
        with open(os.path.join(grammar.HERE, "spoken.jsonl"), encoding="utf-8") as f:
            rows = [json.loads(x) for x in f]
        self.assertEqual(collections.Counter(r["lang"] for r in rows), {"e": 100, "k": 100})
        for r in rows:
            for call in r["turns"][-1]["calls"]:
                self.assertIsNone(check_splits.wrong_call(call, r, grammar.tools()), r["turns"][0])


class Form(unittest.TestCase):
    def test_a_tool_is_one_line(self):
        self.assertEqual(form.tool_line(grammar.tools()["climate_temperature"]), "climate_temperature(celsius,zone?)")

    def test_parts_of_a_conversation(self):
        row = {"system": "Wife: Sora.", "tools": ["call"], "turns": [
            {"role": "user", "text": " call my wife "},
            {"role": "model", "calls": [{"name": "call", "arguments": {"to": "Sora"}}], "text": "Calling Sora."}]}
        got = [x for p, _ in form.parts(row, grammar.tools()) for x in p]
        self.assertEqual(got, [form.BOS, form.START, "user\n", "Wife: Sora.\n\n", form.TOOLS, "call(to)\n\n", "call my wife", form.END, "\n", form.START,
                               "model\n", form.CALL, '{"name":"call","arguments":{"to":"Sora"}}\n', "Calling Sora.", form.END, "\n"])
        prompt = [x for p, _ in form.parts(row, grammar.tools(), 1) for x in p]
        self.assertEqual(prompt, got[:11])


if __name__ == "__main__":
    unittest.main()
