# SPDX-License-Identifier: Apache-2.0
"""unittest that speaks TAP, so that each test of a file is counted by its own name."""
import sys
import time
import traceback
import unittest


class Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.n = 0
        self.spoiled = set()  # tests with a failed subtest: stopTest() comes after all of them

    def _line(self, ok, test, note=""):
        self.n += 1
        name = test.id().split(".", 1)[-1].replace("test_", "").replace("_", " ").replace("#", "")
        print(f"{'ok' if ok else 'not ok'} {self.n} - {name}{note}", flush=True)

    def _failed(self, test, error):
        for line in "".join(traceback.format_exception(*error)).splitlines():
            print(f"# {line}", flush=True)
        self._line(False, test)

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()

    def addSuccess(self, test):
        super().addSuccess(test)
        if test not in self.spoiled:
            self._line(True, test, f" # {time.monotonic() - self.began:.1f} s")

    def addError(self, test, err):
        super().addError(test, err)
        self._failed(test, err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._failed(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.spoiled.add(test)
            self._failed(subtest, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._line(True, test, f" # SKIP {reason}")


def main():
    """Run the tests of the calling file; its arguments select some by a part of their name."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    tests = [t for group in suite for t in group]
    if len(sys.argv) > 1:
        tests = [t for t in tests if any(word in t.id() for word in sys.argv[1:])]
    print("TAP version 13", flush=True)
    result = Result()
    unittest.TestSuite(tests).run(result)
    print(f"1..{result.n}", flush=True)
    sys.exit(0 if result.wasSuccessful() else 1)
