# SPDX-License-Identifier: Apache-2.0
"""What one user asked is nothing that another one can find out by asking: the prefix cache is each user's own, unless policy
says that prompts may be shared. docs/SCHEDULING.md says why time does not tell it, either."""
import json
import os
import traceback

import tap
from client import Client
from house import TestCase

SECRET = "The combination of the safe in the hall is 7 4 1 9 2 and the key is under the third flower pot. " * 8


class Isolation(TestCase):
    """[user 20001] and [user 20002] are by themselves; 20003 and 20004 may share, 20005 may not."""
    conf = "[everybody]\ngenerate = yes\n[user 20003]\nshareable = yes\n[user 20004]\nshareable = yes\n"

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("becoming other users needs root")
        super().setUp()
        for path in (self.house.folder, self.house.folder / "run"):
            path.chmod(0o755)
        os.chmod(self.house.socket, 0o666)

    def cached(self, uid, texts):
        """What user @uid is told to be cached of each of @texts, asked one after the other."""
        r, w = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(r)
            try:
                os.setgroups([])
                os.setgid(uid)
                os.setuid(uid)
                c = Client(self.house.socket)
                told = []
                for text in texts:
                    a = c.wait(c.generate(text, raw=True, max_tokens=2))
                    assert a.started.cached_tokens == a.done.usage.cached_tokens, a
                    told.append(a.started.cached_tokens)
                os.write(w, json.dumps(told).encode())
            except BaseException:  # whatever it is, the parent reports it
                os.write(w, traceback.format_exc().encode())
            os._exit(0)
        os.close(w)
        with os.fdopen(r) as f:
            told = f.read()
        os.waitpid(child, 0)
        self.assertTrue(told.startswith("["), told)
        return json.loads(told)

    def test_another_users_prompt_is_never_found_whatever_of_it_is_guessed(self):
        mine = "one: " + SECRET
        self.assertGreater(self.cached(20001, [mine, mine])[1], 100, "its owner finds it")
        guesses = [mine[:n] for n in range(60, len(mine) + 1, 60)] + [mine, mine + "and", mine[:-40] + "no"]
        # each by a user of its own: what one has asked itself, it may find
        first = [self.cached(20010 + i, [g])[0] for i, g in enumerate(guesses)]
        self.assertEqual(first, [0] * len(guesses))
        self.assertGreater(self.cached(20001, [mine])[0], 100, "and they did not take it away")

    def test_shareable_prompts_are_found_by_those_who_may_share_and_by_nobody_else(self):
        ours, private = "two: " + SECRET, "three: " + SECRET
        self.assertEqual(self.cached(20003, [ours])[0], 0)
        self.assertGreater(self.cached(20004, [ours])[0], 100, "policy marks both")
        self.assertEqual(self.cached(20005, [ours])[0], 0, "it is not marked")
        self.assertEqual(self.cached(20005, [private])[0], 0)
        self.assertEqual(self.cached(20004, [private])[0], 0, "what is not marked does not become shared")

    def test_two_users_do_not_evict_each_others_running_requests_to_learn_of_them(self):
        """Who fills the pool costs others their cached prefixes at most: never their answers."""
        mine = "four: " + SECRET
        want = self.c.wait(self.c.generate(mine, raw=True, max_tokens=20)).ids
        self.cached(20006, [f"{i} " + SECRET for i in range(8)])
        self.assertEqual(self.c.wait(self.c.generate(mine, raw=True, max_tokens=20)).ids, want)


if __name__ == "__main__":
    tap.main()
