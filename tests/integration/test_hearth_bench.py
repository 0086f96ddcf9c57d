#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hearth-bench and synth_gguf, run as their users run them, on tiny models. No speed is asserted.

usage: test_hearth_bench.py HEARTH_BENCH SYNTH_GGUF HEARTH_EVAL GOLDEN [unittest arguments]
"""
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

BENCH, SYNTH, EVAL = (sys.argv.pop(1) for _ in range(3))
TEXT = pathlib.Path(sys.argv.pop(1)) / "text"
MODEL = str(TEXT / "n3-slices" / "model.gguf")
QUICK = ["--mib", "16", "--runs", "3"]


def run(program, *arguments):
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=120)


class Engine(unittest.TestCase):
    def bench(self, *arguments):
        got = run(BENCH, "engine", *arguments, *QUICK, "--json")
        self.assertEqual(got.returncode, 0, got.stderr)
        return json.loads(got.stdout)

    def refused(self, status, part, *arguments):
        got = run(BENCH, *arguments)
        self.assertEqual((got.returncode, got.stdout), (status, ""), got.stderr)
        self.assertIn(part, got.stderr)

    def test_every_number_is_there(self):
        j = self.bench(MODEL, "--prompt-tokens", 20, "--gen-tokens", 5, "--threads", 2)
        for key in ("load_s", "prefill_tok_s", "decode_tok_s", "bytes_per_token", "read_bandwidth_gb_s",
                    "rss_peak_bytes", "rss_anon_bytes", "weights_gb_s", "bandwidth_share"):
            self.assertGreater(j[key], 0, key)
        self.assertEqual((j["prompt_tokens"], j["gen_tokens"], j["runs"], j["threads"]), (20, 5, 3, 2))
        self.assertEqual((len(j["prefill_runs_tok_s"]), len(j["decode_runs_tok_s"])), (3, 3))
        self.assertEqual(j["prefill_tok_s"], sorted(j["prefill_runs_tok_s"])[1], "the median")
        self.assertEqual(j["decode_tok_s"], sorted(j["decode_runs_tok_s"])[1])
        self.assertEqual(j["rss_bytes"], j["rss_anon_bytes"] + j["rss_file_bytes"] + j["rss_shared_bytes"])
        self.assertGreaterEqual(j["rss_peak_bytes"], j["rss_loaded_bytes"] // 2)
        self.assertLess(j["rss_peak_bytes"], 512 << 20, "the buffer of the bandwidth is not in it")
        self.assertAlmostEqual(j["bandwidth_share"], j["weights_gb_s"] / j["read_bandwidth_gb_s"], places=4)
        self.assertEqual(j["arch"], "gemma3n")

    def test_the_kernels_are_those_that_were_asked_for(self):
        self.assertEqual(self.bench(MODEL, "--kernels", "c", "--gen-tokens", 2, "--prompt-tokens", 4)["kernels"], "c")
        self.assertNotEqual(self.bench(MODEL, "--gen-tokens", 2, "--prompt-tokens", 4)["kernels"], "c")

    def test_what_is_not_measured_has_no_number(self):
        j = self.bench(MODEL, "--prompt-tokens", 0, "--gen-tokens", 2, "--level", "full")
        self.assertIsNone(j["prefill_tok_s"])
        self.assertEqual(j["level"], "full")
        j = self.bench(MODEL, "--prompt-tokens", 2, "--gen-tokens", 0)
        self.assertIsNone(j["decode_tok_s"])
        self.assertNotIn("bandwidth_share", j)

    def test_sequences_share_the_bytes_of_a_step(self):
        one = self.bench(MODEL, "--prompt-tokens", 0, "--gen-tokens", 3, "--depth", 9)
        four = self.bench(MODEL, "--prompt-tokens", 0, "--gen-tokens", 3, "--depth", 9, "--seqs", 4)
        self.assertAlmostEqual(four["bytes_per_token"] * 4, one["bytes_per_token"], delta=10)
        self.assertEqual((four["seqs"], four["depth"]), (4, 9))

    def test_the_table_says_the_same(self):
        got = run(BENCH, "engine", MODEL, "--prompt-tokens", 8, "--gen-tokens", 2, *QUICK)
        self.assertEqual(got.returncode, 0, got.stderr)
        for word in ("load ", "prefill ", "decode ", "weights ", "bandwidth ", "memory ", "anonymous"):
            self.assertIn(word, got.stdout)

    def test_what_cannot_be_measured_is_refused_with_a_reason(self):
        self.refused(2, "give one model file", "engine")
        self.refused(1, "No such file", "engine", "/nonexistent.gguf")
        self.refused(1, "not a GGUF", "engine", __file__)
        self.refused(1, "no level 'turbo'", "engine", MODEL, "--level", "turbo")
        self.refused(1, "'mmx' is not known", "engine", MODEL, "--kernels", "mmx")
        self.refused(1, "do not fit the context", "engine", MODEL, "--prompt-tokens", 1000000)
        self.refused(1, "4 sequences do not fit a step of 2", "engine", MODEL, "--seqs", 4, "--chunk", 2)
        self.refused(1, "is not a type", "kernels", "--type", "q9", "--mib", 8)

    def test_bandwidth_is_a_number(self):
        got = run(BENCH, "bandwidth", "--mib", 8, "--json", "--threads", 1)
        self.assertGreater(json.loads(got.stdout)["read_bandwidth_best_gb_s"], 0)

    def test_kernels_are_listed_with_their_limits(self):
        got = run(BENCH, "kernels", "--type", "q8_0", "--ms", 1, *QUICK, "--json")
        self.assertEqual(got.returncode, 0, got.stderr)
        j = json.loads(got.stdout)
        self.assertEqual([c["kernel"] for c in j["cases"]], [f"matmul Q8_0 x{n}" for n in (1, 4, 8, 128)])
        self.assertGreater(j["cases"][0]["bandwidth_share"], 0)
        self.assertGreater(j["cases"][3]["gmac_s"], 0)


class Synth(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def make(self, name, *options):
        path = f"{self.folder.name}/{name}"
        got = run(SYNTH, "--shape", "tiny", *options, path)
        self.assertEqual(got.returncode, 0, got.stderr)
        return path

    def test_every_type_loads_and_its_answers_are_numbers(self):
        for kind in ("q4_0", "q8_0", "q4_k", "f16"):
            path = self.make(kind, "--type", kind)
            got = run(EVAL, path, "--text", "hello there", "--greedy", 4, "--nll")
            self.assertEqual(got.returncode, 0, got.stderr)
            j = json.loads(got.stdout.splitlines()[-1])
            self.assertIsNotNone(j["nll"], f"{kind}: activations stay finite")
            self.assertLess(j["nll"], 12, "and of the usual size")
            self.assertEqual(len(j["greedy"]), 4)

    def test_the_same_seed_gives_the_same_file(self):
        def digest(*options):
            return hashlib.sha256(pathlib.Path(self.make("x", "--type", "q4_k", *options)).read_bytes()).digest()
        self.assertEqual(digest(), digest("--seed", 1))
        self.assertNotEqual(digest(), digest("--seed", 2))

    def test_what_makes_no_sense_is_refused(self):
        for part, options in (("no such shape: e9b", ["--shape", "e9b"]), ("no such type: q1", ["--type", "q1"]),
                              ("give --shape and --type", []), ("--seed wants", ["--seed", "-1"])):
            got = run(SYNTH, *options, f"{self.folder.name}/never")
            self.assertEqual(got.returncode, 2)
            self.assertIn(part, got.stderr)
        got = run(SYNTH, "--shape", "tiny", "--type", "f16", "/nonexistent/x.gguf")
        self.assertEqual(got.returncode, 1)
        self.assertIn("No such file", got.stderr)
        self.assertEqual(list(pathlib.Path(self.folder.name).iterdir()), [])

    def test_a_full_disk_leaves_no_half_file(self):
        got = run(SYNTH, "--shape", "tiny", "--type", "f16", "/dev/full")
        self.assertEqual(got.returncode, 1)
        self.assertIn("No space left", got.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=0)
