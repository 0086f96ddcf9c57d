# SPDX-License-Identifier: Apache-2.0
"""hearth-bench service against a real hearthd: every request is answered or refused with a reason, and counted once."""
import json
import os
import pathlib
import subprocess
import tempfile

import tap
from client import PATIENCE_S
from house import BUILD, SANITIZED, TestCase, eventually

BENCH = str(BUILD / "bench/hearth-bench")


class Service(TestCase):
    model = "small"
    conf = "[daemon]\nqueue = 16\n[everybody]\nrequests = 300\nconnections = 300\n"

    def bench(self, text, *more, house=None):
        with tempfile.NamedTemporaryFile("w", suffix=".ini") as f:
            f.write(text)
            f.flush()
            return subprocess.run([BENCH, "service", "--socket", (house or self.house).socket, "--scenario", f.name, *more],
                                  capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    def play(self, text, house=None):
        r = self.bench(text, "--json", house=house)
        self.assertEqual(r.returncode, 0, r.stderr)
        return {g["name"]: g for g in json.loads(r.stdout)["groups"]}

    def test_each_request_is_counted_once_with_what_became_of_it(self):
        g = self.play("[run]\nseconds = 200\n"  # each app ends with its last request
                      "[group people]\napps = 2\nclients = 2\nrequests = 6\nprompt = 20..40\noutput = 8\n"
                      "[group mail]\nclass = background\nrate = 5\nrequests = 4\nprompt = 10\noutput = 4\n"
                      "[group late]\nclients = 1\nrequests = 2\nprompt = 200\noutput = 400\ndeadline-ms = 1\n"
                      "[group denied]\nclients = 1\nrequests = 3\nclass = realtime\n")
        for name, group in g.items():
            self.assertEqual(group["sent"], group["answered"] + sum(group["errors"].values()), name)
        for name, n in (("people", 12), ("mail", 4)):
            self.assertEqual((g[name]["sent"], g[name]["answered"], g[name]["errors"]), (n, n, {}), name)
            self.assertGreater(g[name]["first_token_ms"]["p50"], 0)
            self.assertLessEqual(g[name]["first_token_ms"]["p50"], g[name]["first_token_ms"]["max"])
            self.assertGreater(g[name]["engine_share"], 0)
        self.assertEqual(g["late"]["errors"], {"deadline": 2})
        self.assertEqual(g["denied"]["errors"], {"denied": 3})
        self.calm()

    def test_200_connections_and_a_full_queue_lose_nothing(self):
        g = self.play(f"[run]\nseconds = {6 if SANITIZED else 3}\n[group crowd]\nclients = 200\nprompt = 4\noutput = 30\n")["crowd"]
        self.assertEqual(g["sent"], g["answered"] + sum(g["errors"].values()))
        self.assertLessEqual(set(g["errors"]), {"busy", "cut"}, g["errors"])
        self.assertGreater(g["errors"]["busy"], 0, "16 may wait")
        self.calm()

    def test_a_prefix_is_found_again(self):
        g = self.play("[run]\nseconds = 100\n[group a]\nclients = 1\nrequests = 7\nprompt = 120\nprefix = 100\noutput = 2\n")["a"]
        self.assertGreater(g["cached_tokens"], g["prompt_tokens"] // 2)

    def test_what_long_prompts_have_in_common_is_computed_once(self):
        """Also in a model whose windows (16 tokens) have moved on: the second request finds most of it, the third all."""
        house = self.own_house("basic")
        g = self.play("[run]\nseconds = 100\n[group a]\nclients = 1\nrequests = 3\nprompt = 300\nprefix = 280\noutput = 2\n", house)["a"]
        self.assertGreater(g["cached_tokens"], g["prompt_tokens"] // 2)

    def test_apps_can_be_users_of_their_own(self):
        if os.getuid() != 0:
            self.skipTest("needs root")
        house = self.own_house("small", "[everybody]\ngenerate = yes\n")
        for path in (house.folder, pathlib.Path(house.socket).parent):
            path.chmod(0o755)
        os.chmod(house.socket, 0o666)
        g = self.play("[run]\nseconds = 100\n[group a]\napps = 3\nclients = 1\nrequests = 2\nas-uid = 20001\nprompt = 10\noutput = 3\n", house)["a"]
        self.assertEqual(g["answered"], 6)
        apps = {line.split('app="')[1].split('"')[0] for line in house.log().splitlines() if "request ended" in line}
        self.assertEqual(apps, {f"uid {20001 + i}" for i in range(3)})

    def test_a_table_for_people_and_refusals_with_a_reason(self):
        r = self.bench("[run]\nseconds = 1\n[group a]\nclients = 1\nprompt = 5\noutput = 2\n")
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertIn("interactive", r.stdout)
        r = self.bench("[group a]\nclient = 1\n")
        self.assertEqual((r.returncode, r.stdout), (1, ""))
        self.assertIn(":2:", r.stderr)
        self.assertIn("client", r.stderr)

    def test_a_server_that_is_not_there_is_told_as_lost(self):
        with tempfile.NamedTemporaryFile("w", suffix=".ini") as f:
            f.write("[run]\nseconds = 1\n[group a]\nclients = 1\nthink-s = 0.1\n")
            f.flush()
            r = subprocess.run([BENCH, "service", "--socket", "/nowhere", "--scenario", f.name, "--json"],
                               capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(r.returncode, 0, r.stderr)
        g = json.loads(r.stdout)["groups"][0]
        self.assertEqual(g["sent"], g["errors"]["lost"])

    def test_what_runs_is_cancelled_when_the_time_is_over(self):
        g = self.play("[run]\nseconds = 1\n[group a]\nclients = 3\nprompt = 5\noutput = 100000\n")["a"]
        self.assertEqual((g["sent"], g["errors"]), (g["answered"] + 3, {"cut": 3}))
        eventually("nothing runs", lambda: self.status_of().running == 0)


if __name__ == "__main__":
    tap.main()
