#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""./check counts what tests say: nothing that failed is missed, nothing is counted twice.

usage: test_check.py
"""
import json
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent.parent / "tools"))
import check  # noqa: E402

CRITERION = "TAP version 13\n1..3\n# Running\nok - a::works  (0.01s)\nnot ok - a::fails  (0.00s)\n  ---\n  assertions: 1\n  ...\nok - a::rests # SKIP no file\n"
PYTHON = "..F.s\n======\nFAIL: test_x\n------\nRan 5 tests in 0.1s\n\nFAILED (failures=1, skipped=1)\n"


class Log:
    """Of check.Stage, what count_meson() uses."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.complaints = []

    def fail(self, what):
        self.failed += 1
        self.complaints.append(what)


class Counts(unittest.TestCase):
    def meson(self, *tests):
        with tempfile.TemporaryDirectory() as d:
            logs = pathlib.Path(d, "meson-logs")
            logs.mkdir()
            (logs / "testlog.json").write_text("".join(json.dumps({"name": "t", "duration": 1.0, **t}) + "\n" for t in tests))
            s = Log()
            check.count_meson(s, pathlib.Path(d))
            return s.passed, s.failed, s.skipped

    def test_tap(self):
        self.assertEqual(check.count_output(CRITERION), (1, 1, 1))

    def test_unittest(self):
        self.assertEqual(check.count_output(PYTHON), (3, 1, 1))
        self.assertEqual(check.count_output("....\nRan 4 tests in 2.0s\n\nOK\n"), (4, 0, 0))

    def test_words_that_begin_like_a_verdict_are_none(self):
        self.assertEqual(check.count_output("okay\noka\nnothing ok\n"), (0, 0, 0))

    def test_a_test_without_a_count_is_one(self):
        self.assertEqual(self.meson({"result": "OK", "stdout": "fine"}, {"result": "FAIL"}, {"result": "SKIP"}), (1, 1, 1))

    def test_a_failure_beside_good_lines_counts(self):
        """A sanitizer's report, a time-out, a crash: all lines are good and the test is not."""
        for result in ("ERROR", "TIMEOUT", "FAIL", "INTERRUPT", "UNEXPECTEDPASS"):
            self.assertEqual(self.meson({"result": result, "stdout": "ok 1 - a\nok 2 - b\n"}), (2, 1, 0), result)

    def test_no_log_is_a_failure(self):
        with tempfile.TemporaryDirectory() as d:
            s = Log()
            check.count_meson(s, pathlib.Path(d))
            self.assertEqual(s.failed, 1)


if __name__ == "__main__":
    unittest.main()
