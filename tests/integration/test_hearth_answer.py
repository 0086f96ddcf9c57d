#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hearth-answer, run as evaluations run it, on a tiny model of tests/golden.

usage: test_hearth_answer.py HEARTH_ANSWER HEARTH_EVAL GOLDEN [unittest arguments]
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ANSWER, EVAL, GOLDEN = sys.argv.pop(1), sys.argv.pop(1), pathlib.Path(sys.argv.pop(1))
MODEL = str(GOLDEN / "text/n3-slices/model.gguf")
PROMPTS = [[2, 5, 9, 14], [2], [2] + list(range(20, 60))]
MINI = str(GOLDEN.parents[1] / "models/hearth-mini/hearth-mini.gguf")
CALL = 7  # <call> of the form tools-v1
N = 12


def run(*args, stdin="", program=ANSWER):
    return subprocess.run([program, *args], input=stdin, capture_output=True, text=True, timeout=100, check=False)


def lines(prompts, cached=0):
    """@cached: most of each prompt that counts as cached."""
    return "".join(json.dumps({"ids": p, "cached": min(cached, len(p) - 1)} if cached else {"ids": p}) + "\n" for p in prompts)


class HearthAnswer(unittest.TestCase):
    def refused(self, status, word, *args, stdin=""):
        r = run(*args, stdin=stdin)
        self.assertEqual(r.returncode, status, r)
        self.assertIn(word, r.stderr)
        self.assertEqual(r.stderr.count("\n"), 1, "one sentence")

    def test_answers_are_the_greedy_ones_of_hearth_eval(self):
        """Prompts do not touch each other, and a level is a level of hearth-eval."""
        levels = json.loads((GOLDEN / "text/n3-slices/expect.json").read_text())["slices"]["levels"]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "levels.json")
            pathlib.Path(path).write_text(json.dumps(levels))
            for more in ([], ["--levels", path, "--level", "half"]):
                r = run(MODEL, "--max", str(N), "--kernels", "c", "--threads", "1", *more, stdin=lines(PROMPTS))
                self.assertEqual((r.returncode, r.stderr), (0, ""))
                answers = [json.loads(x) for x in r.stdout.splitlines()]
                self.assertEqual(len(answers), len(PROMPTS))
                for prompt, a in zip(PROMPTS, answers):
                    e = run(MODEL, "--ids", ",".join(map(str, prompt)), "--greedy", str(N), "--kernels", "c", "--threads", "1", *more, program=EVAL)
                    self.assertEqual(e.returncode, 0, e.stderr)
                    want = json.loads(e.stdout.splitlines()[-1])["greedy"]
                    self.assertEqual(a["ids"], want[:len(a["ids"])])
                    if len(a["ids"]) < N:
                        self.assertIn(want[len(a["ids"])], (1, 5), "a token that ends an answer")
                    self.assertLessEqual(0, a["prefill_ms"])
                    self.assertLessEqual(a["prefill_ms"], a["total_ms"])

    def test_what_is_cached_changes_no_answer(self):
        whole, parts = (run(MODEL, "--max", str(N), "--threads", "1", stdin=lines(PROMPTS, n)) for n in (0, 3))
        ids = [[json.loads(x)["ids"] for x in r.stdout.splitlines()] for r in (whole, parts)]
        self.assertEqual(len(ids[0]), len(PROMPTS))
        self.assertEqual(ids[0], ids[1])

    def test_calls_are_held_to_the_tools_of_the_line(self):
        """A call whose tool is offered by another name, and with one argument more, can only be made by that name and with it."""
        rows = json.loads((GOLDEN / "tools-v1/conversations.json").read_text())
        ask = lambda row, tools: json.loads(run(MINI, "--threads", "1", stdin=json.dumps({"ids": row["ids"], **tools}) + "\n").stdout)["ids"]
        row, free = next((r, ids) for r in rows for ids in [ask(r, {})] if CALL in ids)
        self.assertEqual(ask(row, {"tools": row["tools"]}), free, "what fits already is as it was")
        other = [{"name": "zz", "parameters": {"properties": {"q": {"const": 7}}, "required": ["q"]}}]
        held = ask(row, {"tools": other})
        self.assertEqual(held[0], CALL)
        self.assertNotEqual(held, free)
        two = run(MINI, "--threads", "1", stdin=json.dumps({"ids": row["ids"], "tools": other}) + "\n" + json.dumps({"ids": row["ids"]}) + "\n")
        self.assertEqual([json.loads(x)["ids"] for x in two.stdout.splitlines()], [held, free], "tools are those of one line")
        self.refused(1, "two tools", MINI, "--threads", "1", stdin=json.dumps({"ids": [2], "tools": other * 2}) + "\n")
        for none in ("[]", "{}", "3"):
            self.refused(1, "no array of tools", MINI, "--threads", "1", stdin='{"ids": [2], "tools": %s}\n' % none)
        self.refused(1, "not trained to call", MODEL, "--threads", "1", stdin='{"ids": [2], "tools": []}\n')

    def test_what_is_no_prompt_is_refused(self):
        for text, word in (("[2]\n", "object"), ("{}\n", "array"), (lines([[]]), "array"), ('{"ids": [2, x]}\n', "line of the input"),
                           (lines([[2, -1]]), "no token"), ('{"ids": [2, 1e3]}\n', "no token"), (lines([[99999999]]), "no token"), (lines([[2] * 5000]), "context"),
                           ('{"ids": [2, 5], "cached": 2}\n', "cached"), ('{"ids": [2, 5], "cached": -1}\n', "cached"), ('{"ids": [2], "cached": "1"}\n', "cached")):
            self.refused(1, word, MODEL, "--threads", "1", stdin=text)

    def test_wrong_usage(self):
        self.refused(2, "one model file")
        self.refused(2, "--max", MODEL, "--max", "0")
        self.refused(1, "no such level", MODEL, "--level", "none", "--threads", "1")
        self.refused(1, "/nowhere", "/nowhere")
        self.assertEqual(run("--help").returncode, 0)


if __name__ == "__main__":
    unittest.main()
