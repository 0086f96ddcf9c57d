# SPDX-License-Identifier: Apache-2.0
"""The worker dies, and nobody notices more than a pause."""
import random
import time

import tap
from client import pb, run
from house import SANITIZED, TestCase, eventually, note

KILLS = 10 if SANITIZED else 50
CLIENTS, TOKENS = 4, 60


class Replay(TestCase):
    model = "small"

    def ask(self, clients):
        """An answer of each client: one greedy, the others by chance; one reads a prompt of some length."""
        return [c.generate(f"client {i}: " + "the story so far " * (20 * i), raw=True, max_tokens=TOKENS,
                           temperature=0.3 * i, seed=40 + i) for i, c in enumerate(clients)]

    def kill_once(self):
        """Kill the worker, and wait until hearthd knows. Return: 1."""
        before = self.c.status().worker_restarts
        eventually("there is a worker to kill", self.house.kill_worker)
        eventually("hearthd noticed", lambda: self.c.status().worker_restarts > before)
        return 1

    def output_tokens(self):
        """Of what is asked now, in the order of asking: how many tokens hearthd has."""
        listed = sorted(self.c.ok("request_list", pb.RequestList()).requests.requests, key=lambda r: r.serial)
        by_prompt = {}
        for r in listed:
            by_prompt.setdefault(r.prompt_tokens, r.output_tokens)
        return [by_prompt.get(n, 0) for n in self.prompts]

    def test_texts_are_the_same_whenever_the_worker_is_killed(self):
        clients = [self.connect() for _ in range(CLIENTS)]
        undisturbed = self.ask(clients)
        run(list(zip(clients, undisturbed)))
        self.prompts = [a.started.prompt_tokens for a in undisturbed]
        self.assertEqual(len(set(self.prompts)), CLIENTS, "they tell the requests apart")
        want = [(a.ids, a.text, a.done.finish) for a in undisturbed]
        chance, kills, rounds = random.Random(2024), 0, 0
        restarts = self.status_of().worker_restarts
        began = time.monotonic()
        while kills < KILLS:
            answers = self.ask(clients)
            pairs = list(zip(clients, answers))
            for _ in range(3):
                aim = sum(len(a.ids) for a in answers) + chance.randrange(CLIENTS * TOKENS // 3)
                run(pairs, lambda: sum(len(a.ids) for a in answers) >= aim)
                if all(a.over for a in answers) or kills == KILLS:
                    break
                kills += self.kill_once()
                # until each has made a token since: none is on trial then, so that the next crash is nobody's second
                had = self.output_tokens()
                run(pairs, lambda: all(a.over or len(a.ids) > most for a, most in zip(answers, had)))
            run(pairs)
            rounds += 1
            for i, a in enumerate(answers):
                self.assertIsNone(a.error, (kills, i))
                self.assertEqual((a.ids, a.text, a.done.finish), want[i], (kills, i))
                self.assertEqual(a.order.count("started"), 1, "it starts once for its client")
        note(f"{kills} kills in {rounds} rounds of {CLIENTS} clients, {time.monotonic() - began:.1f} s")
        self.assertGreaterEqual(self.status_of().worker_restarts - restarts, KILLS)
        self.calm()

    def test_usage_tells_of_the_crash(self):
        a = self.c.wait_tokens(self.c.generate(raw=True, max_tokens=600), 5)
        self.house.kill_worker()
        self.c.wait(a)
        self.assertEqual((len(a.ids), a.done.usage.replays, a.done.usage.output_tokens), (600, 1, 600))

    def test_a_kill_while_the_model_loads_is_only_a_pause(self):
        want = self.c.wait(self.c.generate(raw=True, max_tokens=10)).ids
        for delay in (0, 0.005, 0.02):
            self.c.ok("model_unload", pb.ModelUnload())
            a = self.c.generate(raw=True, max_tokens=10)
            eventually("a worker is started", self.house.worker)
            time.sleep(delay)
            self.house.kill_worker()
            self.assertEqual(self.c.wait(a).ids, want)

    def test_deaths_of_ready_workers_do_not_count_as_deaths_in_loading(self):
        want = self.c.wait(self.c.generate(raw=True, max_tokens=10)).ids
        for _ in range(3):
            eventually("it is ready", lambda: self.c.status().state == pb.STATE_READY)
            self.kill_once()
        eventually("a worker is started", self.house.kill_worker)  # it loads, if this is quick enough
        self.assertEqual(self.c.wait(self.c.generate(raw=True, max_tokens=10)).ids, want)

    def test_a_kill_of_an_idle_worker_costs_nobody_anything(self):
        self.c.ok("model_load", pb.ModelLoad())
        old = self.house.kill_worker()
        eventually("another one", lambda: self.house.worker() not in (None, old))
        self.assertEqual(len(self.c.wait(self.c.generate(raw=True, max_tokens=3)).ids), 3)

    def test_questions_about_tokens_survive(self):
        self.c.ok("model_load", pb.ModelLoad())
        self.house.kill_worker()
        self.assertGreater(self.c.ok("tokenize", pb.Tokenize(text=b"abc")).tokens.count, 0)


class Suspect(TestCase):
    """The second crash under the same request fails that one alone."""
    model = "slices"  # slower: there is time to kill while a long prompt is read

    def test_who_crashes_twice_fails_and_the_others_go_on(self):
        victim, other = self.connect(), self.connect()
        alone = other.wait(other.generate("the other", raw=True, max_tokens=50, temperature=1.0, seed=3))
        a = other.generate("the other", raw=True, max_tokens=50, temperature=1.0, seed=3)
        other.wait_tokens(a, 5)
        # suspects are tried in the order in which they came: the other one makes a token first and is free
        bad = victim.generate(b"many words " * 400, raw=True, max_tokens=5)
        self.reading(bad)
        first = self.house.kill_worker()
        eventually("the next worker", lambda: self.house.worker() not in (None, first))
        n = len(a.ids)
        other.wait_tokens(a, n + 1)
        self.assertIsNone(a.error)
        self.reading(bad)
        self.assertIsNone(bad.error)
        self.house.kill_worker()
        error = self.refused(victim.wait(bad), "CRASHED", "twice")
        self.assertFalse(error.retry)
        other.wait(a)
        self.assertIsNone(a.error)
        self.assertEqual((a.ids, a.text), (alone.ids, alone.text))
        after = victim.wait(victim.generate(raw=True, max_tokens=3))
        self.assertEqual(len(after.ids), 3, "the connection is as good as before")

    def reading(self, answer):
        """Wait until the worker reads the prompt of @answer and is not done with it."""
        def is_reading():
            for r in self.c.ok("request_list", pb.RequestList()).requests.requests:
                if r.prompt_tokens > 2000 and r.state == "prefill" and r.prefilled_tokens > 0:
                    return True
            return False
        eventually("its prompt is being read", is_reading)


if __name__ == "__main__":
    tap.main()
