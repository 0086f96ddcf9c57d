# SPDX-License-Identifier: Apache-2.0
"""hearth-sim, run as its users run it. What a simulation must come to is in the tests of tools/sim.

usage: test_hearth_sim.py HEARTH_SIM SCENARIOS [unittest arguments]
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

SIM, SCENARIOS = sys.argv.pop(1), pathlib.Path(sys.argv.pop(1))


def sim(*arguments):
    return subprocess.run([SIM, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False)


class Sim(unittest.TestCase):
    def test_each_scenario_that_comes_with_it_can_be_played(self):
        scenarios = sorted(SCENARIOS.glob("*.ini"))
        self.assertGreater(len(scenarios), 4)
        for s in scenarios:
            got = sim(s, "--json")
            self.assertEqual(got.returncode, 0, got.stderr)
            j = json.loads(got.stdout)
            self.assertEqual(j["charged_ns"] + j["nobodys_ns"], j["engine_ns"], s)
            for g in j["groups"]:
                self.assertEqual(g["sent"], g["done"] + g["expired"] + g["refused"], (s, g["name"]))
            self.assertTrue(s.read_text().startswith("# "), "it says what it is for")
            self.assertIn("engine", sim(s).stdout)

    def test_the_seed_decides(self):
        s = SCENARIOS / "first-token.ini"
        self.assertEqual(sim(s).stdout, sim(s).stdout)
        self.assertEqual(sim(s, "--seed", 5, "--json").stdout, sim(s, "--json", "--seed", 5).stdout)
        self.assertNotEqual(sim(s, "--seed", 5).stdout, sim(s).stdout)

    def test_help_goes_to_stdout(self):
        got = sim("--help")
        self.assertEqual((got.returncode, got.stderr), (0, ""))
        self.assertIn("usage: hearth-sim SCENARIO", got.stdout)

    def test_wrong_usage_is_2_and_says_what(self):
        for args, word in (((), "scenario"), (("a", "b"), "not also b"), (("--seed",), "--seed"), (("--seed", "x", "a"), "not x"),
                           (("--nonsense", "a"), "--nonsense")):
            got = sim(*args)
            self.assertEqual((got.returncode, got.stdout), (2, ""), args)
            self.assertIn(word, got.stderr)

    def test_a_scenario_that_is_wrong_is_1_with_its_line(self):
        self.assertEqual(sim("/nowhere").returncode, 1)
        with tempfile.NamedTemporaryFile("w") as f:
            f.write("[group a]\nrate = many\n")
            f.flush()
            got = sim(f.name)
        self.assertEqual((got.returncode, got.stdout), (1, ""))
        self.assertIn(f"{f.name}:2: rate", got.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=0)
