#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hearth-eval, run as its users run it, on the tiny models of tests/golden.

usage: test_hearth_eval.py HEARTH_EVAL GOLDEN [unittest arguments]
"""
import array
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

EVAL, GOLDEN = sys.argv.pop(1), pathlib.Path(sys.argv.pop(1))
TEXT = GOLDEN / "text"
SLICES, WIDE, G3 = (str(TEXT / name / "model.gguf") for name in ("n3-slices", "n3-wide", "g3-basic"))
Q4 = str(TEXT / "n3-quant-small" / "model-q4_0.gguf")


def expect(case):
    return json.loads((TEXT / case / "expect.json").read_text())


def floats(path):
    values = array.array("f")
    values.frombytes(pathlib.Path(path).read_bytes())
    return values


def listed(ids):
    return ",".join(map(str, ids))


def distance(a, b):
    assert len(a) == len(b), f"{len(a)} values against {len(b)}"
    return max(abs(x - y) for x, y in zip(a, b))


def mean_nll(logits, ids):
    """The likelihood again, from the logits that were written."""
    width = len(logits) // len(ids)
    total = 0.0
    for i, after in enumerate(ids[1:]):
        row = logits[i * width:(i + 1) * width]
        top = max(row)
        total -= row[after] - top - math.log(sum(math.exp(x - top) for x in row))
    return total / (len(ids) - 1)


class HearthEval(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def file(self, name, text=None):
        path = os.path.join(self.folder.name, name)
        if text is not None:
            pathlib.Path(path).write_text(text)
        return path

    def call(self, *args, stdin="", **more):
        return subprocess.run([EVAL, *map(str, args)], input=stdin, capture_output=True, text=True, timeout=120,
                              check=False, **more)

    def run_ok(self, *args, **more):
        """The object on the last line of stdout."""
        r = self.call(*args, **more)
        self.assertEqual((r.returncode, r.stderr), (0, ""), args)
        answer = json.loads(r.stdout.splitlines()[-1])
        self.assertEqual(set(answer), {"ids", "greedy", "nll"})
        return answer

    def logits(self, *args):
        path = self.file("out.f32")
        self.run_ok(*args, "--logits", path)
        return floats(path)

    def refused(self, status, words, *args, stdin=""):
        r = self.call(*args, stdin=stdin)
        self.assertEqual(r.returncode, status, (args, r.stderr))
        self.assertIn(words, r.stderr)
        self.assertEqual(r.stdout, "", "nothing on stdout that could be taken for a result")

    # ---- numbers ----

    def test_logits_greedy_and_likelihood_are_those_of_the_reference(self):
        for case, model in (("n3-wide", WIDE), ("g3-basic", G3)):
            prompt = expect(case)["prompts"][0]
            for kernels in ("c", "auto"):
                path = self.file("out.f32")
                got = self.run_ok(model, "--ids", listed(prompt["ids"]), "--greedy", len(prompt["greedy"]), "--nll",
                                  "--kv", "f32", "--kernels", kernels, "--logits", path)
                self.assertEqual(got["ids"], prompt["ids"])
                self.assertEqual(got["greedy"], prompt["greedy"], (case, kernels))
                self.assertAlmostEqual(got["nll"], prompt["nll_mean"], delta=2e-3)
                logits = floats(path)
                self.assertLess(distance(logits, floats(TEXT / case / prompt["logits"])), 2e-3, (case, kernels))
                self.assertAlmostEqual(got["nll"], mean_nll(logits, prompt["ids"]), delta=1e-5)

    def test_every_level_of_a_file_of_levels(self):
        slices = expect("n3-slices")["slices"]
        levels = self.file("levels.json", json.dumps(slices["levels"]))
        for name, prompts in slices["prompts"].items():
            p = prompts[0]
            got = self.logits(SLICES, "--ids", listed(p["ids"]), "--kv", "f32", "--levels", levels, "--level", name)
            self.assertLess(distance(got, floats(TEXT / "n3-slices" / p["logits"])), 2e-3, name)

    def test_a_plan_changes_the_level_inside_the_sequence(self):
        slices = expect("n3-slices")["slices"]
        levels = self.file("levels.json", json.dumps(slices["levels"]))
        for switch in slices["switches"]:
            plan = ",".join(f"{part['level']}:{part['tokens']}" for part in switch["plan"])
            for chunk in (4, 128):
                got = self.logits(SLICES, "--ids", listed(switch["ids"]), "--kv", "f32", "--levels", levels, "--plan",
                                  plan, "--chunk", chunk)
                self.assertLess(distance(got, floats(TEXT / "n3-slices" / switch["logits"])), 2e-3, plan)

    def test_a_plan_goes_on_over_the_greedy_tokens(self):
        slices = expect("n3-slices")["slices"]
        levels = self.file("levels.json", json.dumps(slices["levels"]))
        ids = expect("n3-slices")["prompts"][0]["ids"][:10]
        args = (SLICES, "--levels", levels, "--kv", "f32")
        plan = ("--plan", "full:13,e2b:1")
        made = self.run_ok(*args, "--ids", listed(ids), *plan, "--greedy", 9)["greedy"]
        for n in range(9):  # each token again, from a prompt that has those before it
            again = self.run_ok(*args, "--ids", listed(ids + made[:n]), *plan, "--greedy", 1)["greedy"]
            self.assertEqual(again, made[n:n + 1], n)
        low = self.logits(*args, "--ids", listed(ids + made), *plan)
        full = self.logits(*args, "--ids", listed(ids + made))
        width = len(low) // len(ids + made)
        self.assertEqual(low[:13 * width], full[:13 * width], "the first 13 are at the whole model")
        self.assertNotEqual(low[13 * width:14 * width], full[13 * width:14 * width])

    def test_threads_and_chunks_change_no_byte(self):
        ids = listed(expect("n3-slices")["prompts"][3]["ids"])
        for model in (WIDE, Q4):
            for kernels in ("c", "auto"):
                args = (model, "--ids", ids, "--kernels", kernels)
                first = self.logits(*args, "--threads", 1, "--chunk", 4096)
                for threads, chunk in ((2, 1), (3, 7), (1, 1)):
                    again = self.logits(*args, "--threads", threads, "--chunk", chunk)
                    self.assertEqual(first.tobytes(), again.tobytes(), (model, kernels, threads, chunk))

    def test_half_precision_kv_is_the_default_and_close(self):
        prompt = expect("n3-wide")["prompts"][0]
        args = (WIDE, "--ids", listed(prompt["ids"]))
        plain, half, single = self.logits(*args), self.logits(*args, "--kv", "f16"), self.logits(*args, "--kv", "f32")
        self.assertEqual(plain, half)
        self.assertNotEqual(half, single)
        self.assertLess(distance(half, floats(TEXT / "n3-wide" / prompt["logits"])), 1e-2)

    def test_8_bit_activations_are_close_and_the_reference_has_none(self):
        for file in expect("n3-quant-small")["files"]:
            model, prompt = TEXT / "n3-quant-small" / file["file"], file["prompts"][0]
            want = floats(TEXT / "n3-quant-small" / prompt["logits"])
            args = (model, "--ids", listed(prompt["ids"]), "--kv", "f32", "--kernels")
            self.assertLess(distance(self.logits(*args, "c"), want), 2e-3)
            self.assertLess(distance(self.logits(*args, "auto"), want), 0.3)

    # ---- output and input ----

    def test_what_was_not_asked_for_is_empty(self):
        got = self.run_ok(WIDE, "--ids", "2,105,9")
        self.assertEqual(got, {"ids": [2, 105, 9], "greedy": [], "nll": None})
        self.assertIsNone(self.run_ok(WIDE, "--ids", "2", "--nll")["nll"], "one token has no likelihood")

    def test_ids_come_from_a_file_with_any_separators(self):
        path = self.file("ids", "[2, 105\n 9,\t77]\n")
        self.assertEqual(self.run_ok(WIDE, "--ids-file", path)["ids"], [2, 105, 9, 77])

    def test_a_text_is_bos_and_its_tokens_and_makes_no_control_token(self):
        text = "hi <start_of_turn>\U0001f600"
        tokens = json.loads(self.call(WIDE, "--tokenize", stdin=json.dumps(text) + "\n").stdout)
        self.assertEqual(self.run_ok(WIDE, "--text", text)["ids"], [2] + tokens)
        self.assertEqual(self.run_ok(WIDE, "--text", "")["ids"], [2])

    def test_tokenize_gives_a_line_for_a_line(self):
        text = "<start_of_turn>user"
        lines = "".join(json.dumps(t) + "\n" for t in ("", text, "a\nb\0c"))
        plain = [json.loads(x) for x in self.call(WIDE, "--tokenize", stdin=lines).stdout.splitlines()]
        special = [json.loads(x) for x in self.call(WIDE, "--tokenize", "--special", stdin=lines).stdout.splitlines()]
        self.assertEqual([len(plain), len(special), plain[0]], [3, 3, []])
        self.assertEqual(plain[2], special[2])
        self.assertLess(len(special[1]), len(plain[1]), "one token for the spelled mark, only where asked for")
        self.assertNotIn(special[1][0], plain[1])
        self.assertEqual(self.call(WIDE, "--tokenize", stdin="").stdout, "")

    def test_help_goes_to_stdout_and_names_every_option(self):
        r = self.call("--help")
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        for option in ("ids", "ids-file", "text", "logits", "greedy", "nll", "kernels", "kv", "threads", "chunk",
                       "levels", "level", "plan", "tokenize", "special"):
            self.assertIn(f"--{option} ", r.stdout)

    # ---- refusals ----

    def test_wrong_usage_is_status_2(self):
        for words, args in {
            "one model file": ["--ids", "2"],
            "one of --ids": [WIDE],
            "give one of": [WIDE, "--ids", "2", "--text", "a"],
            "--kv is": [WIDE, "--ids", "2", "--kv", "f64"],
            "--threads wants": [WIDE, "--ids", "2", "--threads", "two"],
            "--chunk wants": [WIDE, "--ids", "2", "--chunk", "-1"],
            "--greedy wants": [WIDE, "--ids", "2", "--greedy", "1.5"],
            "--level or --plan": [WIDE, "--ids", "2", "--level", "full", "--plan", "full:1"],
            "--special goes": [WIDE, "--ids", "2", "--special"],
            "runs no model": [WIDE, "--tokenize", "--ids", "2"],
            "unrecognized": [WIDE, "--ids", "2", "--nonsense"],
            "requires an argument": [WIDE, "--ids"],
            "see hearth-eval --help": [],
        }.items():
            self.refused(2, words, *args)

    def test_what_cannot_be_run_is_status_1_and_says_why(self):
        levels = {
            "nonsense": "not json",
            "names the level": '{"thin": {"width": [1]}}',
        }
        paths = {name: self.file(name, text) for name, text in levels.items()}
        for words, args in (
            ("token 2 of the list, '560'", [WIDE, "--ids", "2,560"]),
            ("token 3 of the list, 'x'", [WIDE, "--ids", "2,5,x"]),
            ("'-1'", [WIDE, "--ids", "-1"]),
            ("no tokens", [WIDE, "--ids", ""]),
            ("No such file", [WIDE, "--ids-file", self.file("absent")]),
            ("Is a directory", [WIDE, "--ids-file", self.folder.name]),
            ("No such file", [self.file("absent.gguf"), "--ids", "2"]),
            ("kernel set 'fast'", [WIDE, "--ids", "2", "--kernels", "fast"]),
            ("no such level", [WIDE, "--ids", "2", "--level", "thin"]),
            ("thin: no such level", [WIDE, "--ids", "2", "--plan", "thin:1"]),
            ("expected NAME:TOKENS", [WIDE, "--ids", "2", "--plan", ""]),
            ("expected NAME:TOKENS", [WIDE, "--ids", "2", "--plan", "full"]),
            ("expected NAME:TOKENS", [WIDE, "--ids", "2", "--plan", "full:-1"]),
            ("expected NAME:TOKENS", [WIDE, "--ids", "2", "--plan", "full:1full:2"]),
            ("expected NAME:TOKENS", [WIDE, "--ids", "2", "--plan", "full:1,"]),
            ("levels:", [WIDE, "--ids", "2", "--levels", paths["nonsense"]]),
            ("level 'thin'", [WIDE, "--ids", "2", "--levels", paths["names the level"]]),
            ("do not fit the context", [WIDE, "--ids", "2", "--greedy", "1000000"]),
            ("No such file", [WIDE, "--ids", "2", "--logits", self.file("absent/out")]),
        ):
            self.refused(1, words, *args)

    def test_a_line_that_is_no_json_string_is_refused(self):
        for line in ("7\n", "[1]\n", "\"open\n", "\"\\ud800\"\n"):
            self.refused(1, "--tokenize", WIDE, "--tokenize", stdin=line)

    def test_files_that_are_no_models_are_refused_by_name_of_what_is_wrong(self):
        model = pathlib.Path(WIDE).read_bytes()
        for words, content in (
            ("not a GGUF file", b"PK\x03\x04" + bytes(100)),
            ("empty", b""),
            ("end", model[:len(model) // 2]),
            ("the file ends", model[:3000]),
            ("architecture 'gemma9n'", model.replace(b"gemma3n", b"gemma9n", 1)),
            ("token_embd.weight", model.replace(b"token_embd.weight", b"token_embd.wEight", 1)),
            ("gemma3n.block_count", model.replace(b"gemma3n.block_count", b"gemma3n.block_Count", 1)),
        ):
            path = self.file("bad.gguf")
            pathlib.Path(path).write_bytes(content)
            self.refused(1, words, path, "--ids", "2")


if __name__ == "__main__":
    unittest.main()
