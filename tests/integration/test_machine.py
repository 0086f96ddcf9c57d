# SPDX-License-Identifier: Apache-2.0
"""hearthd on a machine that gets hot, runs on its battery, is short of memory, and measures energy."""
import json
import os
import re
import time

import tap
from client import pb
from house import House, TestCase, eval_greedy, eventually
from machine import COOL, LIMIT, Machine

HALF = {"half": {"width": [128] * 35, "skip": []}}
PROMPT = b"river"  # goes on for 160 tokens, also if the level changes after any of the 9th to 99th
FORBIDDEN = {0, 2, 3, 4}  # tokens of this model that hearthd never makes: <pad>, <bos>, <unk>, the begin of a turn
HOT = "the machine is hot: cpu-thermal"


class MachineCase(TestCase):
    """A house on a machine of its own; the model has two levels, full and half. It computes as slowly as it can."""
    model, more = "slices", ""

    @classmethod
    def setUpClass(cls):
        cls.house = House(None, at_start=False)
        cls.addClassCleanup(cls.house.close)
        cls.table = str(cls.house.folder / "levels.json")
        with open(cls.table, "w", encoding="ascii") as f:
            json.dump(HALF, f)
        cls.house.configure(f"[model]\nkernels = c\nlevels = {cls.table}\n{cls.more}")
        cls.machine = Machine(cls.house.folder / "machine")
        cls.prepare()
        cls.house.start()
        cls.house.add(cls.model)

    @classmethod
    def prepare(cls):
        """The machine, before hearthd looks at it."""

    def long(self, **more):
        return self.c.generate(PROMPT, raw=True, max_tokens=0, **more)

    def cancel(self, answer):
        self.c.send(pb.ClientFrame(cancel=pb.Cancel(id=answer.id)))
        return self.c.wait(answer)

    def level_now(self, serial=-1):
        listed = self.c.ok("request_list", pb.RequestList()).requests.requests
        return listed[serial].level if listed else None

    def prompt_ids(self):
        return [2, *self.c.ok("tokenize", pb.Tokenize(text=PROMPT)).tokens.ids]

    def as_computed(self, answer, first, second, n_first):
        """@answer is what hearth-eval makes when @n_first tokens of it come of level @first."""
        ids = self.prompt_ids()
        plan = f"{first}:{len(ids) + n_first - 1},{second}:1"
        want = eval_greedy("slices", ids, len(answer.ids), "--levels", self.table, "--plan", plan, "--kernels", "c")
        n = next((i for i, x in enumerate(want) if x in FORBIDDEN), len(want))
        self.assertGreater(n, n_first, "nothing to compare")
        self.assertEqual(list(answer.ids)[:n], want[:n])


class Heat(MachineCase):
    more = "[daemon]\nrunning = 2\n"

    def setUp(self):
        super().setUp()
        self.cool()

    def cool(self):
        """Cool for a minute would do; a new hearthd knows nothing of the past."""
        self.machine.heat(COOL)
        if self.c.status().level != "auto":
            self.assertEqual(self.house.stop(), 0)
            self.house.start()
            self.c = self.connect()

    def switched(self):
        """An answer that began at full and goes on at half. Return: it, running."""
        a = self.c.wait_tokens(self.long(), 10)
        self.assertEqual(self.level_now(), "full")
        self.machine.heat(LIMIT - 1)
        eventually("the level is lower", lambda: self.level_now() == "half")
        return self.c.wait_tokens(a, len(a.ids) + 15)

    def n_first(self, answer):
        """Tokens at full of an answer that ended at half, as its reason tells."""
        self.assertTrue(answer.done.level_reason, answer.done)
        n, total = map(int, re.match(r"(\d+) of (\d+) tokens by half: ", answer.done.level_reason).groups())
        self.assertEqual(total, len(answer.ids))
        return total - n

    def test_the_level_changes_between_two_tokens_and_nothing_is_computed_again(self):
        a = self.cancel(self.switched())
        self.assertIn(HOT, a.done.level_reason)
        n = self.n_first(a)
        self.assertGreaterEqual(n, 10)
        self.assertEqual(a.done.usage.replays, 0)
        self.as_computed(a, "full", "half", n)
        s = self.c.status()
        self.assertEqual((s.level, round(s.temperature_c), round(s.temperature_limit_c)), ("half", LIMIT - 1, LIMIT))
        self.assertIn(HOT, s.level_reason)

    def test_a_crash_after_the_change_leaves_the_text_as_it_would_have_been(self):
        a = self.switched()
        for _ in range(2):
            self.house.kill_worker()
            self.c.wait_tokens(a, len(a.ids) + 12)
        self.cancel(a)
        self.assertEqual(a.done.usage.replays, 2)
        self.as_computed(a, "full", "half", self.n_first(a))

    def test_a_conversation_remembers_which_level_made_what(self):
        self.c.ok("conversation_open", pb.ConversationOpen(name="c"))
        first = self.c.wait_tokens(self.c.generate(PROMPT, conversation="c", max_tokens=0), 10)
        self.machine.heat(LIMIT - 1)
        eventually("the level is lower", lambda: self.level_now() == "half")
        self.cancel(self.c.wait_tokens(first, len(first.ids) + 10))
        warm = self.c.wait(self.c.generate(b"and then?", conversation="c", max_tokens=10))
        self.c.ok("conversation_close", pb.ConversationClose(name="c"))
        self.assertEqual(warm.done.level, "half")
        self.assertGreater(warm.done.usage.cached_tokens, 20, "what both levels made is found in the cache")

    def test_what_waits_begins_at_the_lower_level(self):
        self.assertEqual(self.level_now(), None)
        running = [self.long() for _ in range(2)]  # all places
        for a in running:
            self.c.wait_tokens(a, 1)
        waits = self.c.generate(PROMPT, raw=True, max_tokens=5)
        eventually("its length is known", lambda: waits.started or not self.c.take())
        self.machine.heat(LIMIT - 1)
        eventually("all run at half", lambda: self.level_now(0) == "half")
        queued = self.c.generate(PROMPT, raw=True, max_tokens=5)
        while not queued.queued:
            self.c.take()
        self.assertEqual(queued.queued.level, "half")
        self.assertIn(HOT, queued.queued.level_reason)
        for a in running:
            self.cancel(a)
        for a in (waits, queued):
            self.c.wait(a)
            self.assertEqual(a.done.level, "half")
            self.assertTrue(a.done.level_reason.startswith(HOT), a.done.level_reason)
            want = eval_greedy("slices", self.prompt_ids(), 5, "--levels", self.table, "--level", "half",
                               "--kernels", "c")
            self.assertEqual(list(a.ids), want, "the prompt, too")

    def test_when_it_is_cool_the_best_level_comes_back(self):
        self.machine.heat(LIMIT - 10)
        self.assertEqual(self.house.stop(), 0)
        self.house.start()  # it never saw the machine cooler, so that this is no sudden rise
        self.c = self.connect()
        a = self.c.wait_tokens(self.long(), 3)
        self.machine.heat(LIMIT - 7)  # one step
        eventually("the level is lower", lambda: self.level_now() == "half")
        self.machine.heat(LIMIT - 10)  # neither hot nor cool
        time.sleep(1.5)
        self.machine.heat(COOL)
        self.cancel(a)
        eventually("the ceiling is gone", lambda: self.c.status().level == "auto")
        self.assertEqual(self.c.status().level_reason, "")
        a = self.c.wait(self.c.generate(PROMPT, raw=True, max_tokens=3))
        self.assertEqual((a.done.level, a.done.level_reason), ("full", ""))

    def test_who_asks_for_little_is_not_told_of_limits(self):
        self.machine.heat(LIMIT - 1)
        eventually("the ceiling is lower", lambda: self.c.status().level == "half")
        a = self.c.wait(self.c.generate(PROMPT, raw=True, max_tokens=3, level="fast"))
        self.assertEqual((a.done.level, a.done.level_reason), ("half", ""))


class Battery(MachineCase):
    @classmethod
    def prepare(cls):
        cls.machine.battery(19)

    def test_a_battery_that_is_nearly_empty_lowers_the_level(self):
        a = self.c.wait(self.c.generate(PROMPT, raw=True, max_tokens=3, level="best"))
        self.assertEqual(a.done.level, "half")
        self.assertEqual(a.done.level_reason, "the machine runs on its battery, 19 % left")
        self.assertEqual(self.c.status().power_supply, "battery, 19 %")


class Off(MachineCase):
    more = "governor = off\n"

    def test_an_administrator_can_switch_the_governor_off(self):
        self.machine.heat(LIMIT + 10)
        self.machine.battery(3)
        a = self.c.wait(self.c.generate(PROMPT, raw=True, max_tokens=3))
        s = self.c.status()
        self.assertEqual((a.done.level, a.done.level_reason, s.level, s.level_reason), ("full", "", "auto", ""))


class Deadlines(MachineCase):
    def test_a_deadline_that_would_be_missed_lowers_the_level_if_that_is_allowed(self):
        for may_drop, level in ((True, "half"), (False, "full")):
            self.c.ok("model_unload", pb.ModelUnload())
            self.c.ok("model_load", pb.ModelLoad())  # what tokens cost is forgotten, so nothing is refused
            a = self.long_with(deadline_ms=10000, level_may_drop=may_drop, max_tokens=100000)
            self.cancel(self.c.wait_tokens(a, 20))
            self.assertEqual(a.done.level, level)
            self.assertEqual("would miss the deadline of 10000 ms" in a.done.level_reason, may_drop, a.done)
        late = self.c.wait(self.long_with(deadline_ms=10000, level_may_drop=True, max_tokens=100000))
        self.refused(late, "DEADLINE", "too long even alone")  # also at the cheapest level

    def test_one_that_is_met_changes_nothing(self):
        self.c.wait(self.c.generate(PROMPT, raw=True, max_tokens=30))
        a = self.c.wait(self.long_with(deadline_ms=3100000, level_may_drop=True, max_tokens=5))
        self.assertEqual((a.done.level, a.done.level_reason), ("full", ""))

    def test_the_prompt_is_at_the_cheapest_level_if_it_could_not_be_promised_otherwise(self):
        words = dict(text=b"one two three four five six seven " * 12, raw=True, max_tokens=1)
        self.c.wait(self.c.generate(b"eight nine ten " * 20, raw=True, max_tokens=30))  # measured

        def alone_ms(**more):
            late = self.c.wait(self.c.generate(**words, deadline_ms=150, **more))
            self.refused(late, "DEADLINE", "too long even alone")
            return int(re.search(r"about (\d+) ms", late.error.message)[1])

        full, half = alone_ms(), alone_ms(level_may_drop=True)  # nothing runs, so measured costs stay
        self.assertLess(half, full)
        deadline = dict(deadline_ms=(full + half) // 2)
        self.refused(self.c.wait(self.c.generate(**words, **deadline)), "DEADLINE", "even alone")
        a = self.c.wait(self.c.generate(**words, **deadline, level_may_drop=True))
        self.assertTrue(a.started, a)
        if a.error:  # the machine became slower than it was
            self.refused(a, "DEADLINE", "passed after")
            return
        self.assertEqual(a.done.level, "half")
        self.assertIn("full would miss the deadline", a.done.level_reason)

    def long_with(self, **more):
        """The context is short of what it would take: each token is said to take long by the many of them."""
        return self.c.generate(PROMPT, raw=True, **more)


class Memory(MachineCase):
    LONG = b"one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen " * 4

    def ask(self):
        return self.c.wait(self.c.generate(self.LONG, raw=True, max_tokens=4))

    def stage(self, name):
        eventually(f"the stage is {name}", lambda: self.c.status().pressure == name)

    def test_stages_come_and_go(self):
        cold = self.ask()
        self.assertGreater(self.ask().done.usage.cached_tokens, 0)
        self.machine.memory(15)
        self.stage("cache")
        self.assertEqual(self.ask().done.usage.cached_tokens, 0, "what was cached is dropped")
        self.assertEqual(self.ask().done.usage.cached_tokens, 0, "and nothing is kept")
        self.machine.memory(25)
        self.stage("level")
        low = self.ask()
        self.assertEqual(low.done.level, "half")
        self.assertIn("memory is short", low.done.level_reason)
        self.assertEqual(self.c.status().state, pb.STATE_READY)
        self.machine.memory(30, 20)
        self.stage("unload")
        eventually("the idle model is unloaded", lambda: self.c.status().state == pb.STATE_UNLOADED)
        eventually("the worker is gone", lambda: self.house.worker() is None)
        self.assertIn("memory is short stage=unload before=level some=30.0 full=20.0", self.house.log())
        self.assertIn("why=memory", self.house.log())
        self.assertEqual(self.ask().done.level, "half", "it comes back when it is needed")
        self.machine.memory(0)
        self.stage("none")
        self.assertIn("memory is less short stage=none before=cache", self.house.log())
        self.assertEqual(self.ask().ids, cold.ids if self.c.status().level == "auto" else low.ids)
        self.ask()
        self.assertGreater(self.ask().done.usage.cached_tokens, 0, "prefixes are kept again")

    def test_metrics_name_the_stage(self):
        self.machine.memory(15)
        self.stage("cache")
        text = self.c.ok("metrics", pb.MetricsGet()).metrics.prometheus
        self.assertIn("\nhearth_memory_pressure_stage 1\n", text)
        self.machine.memory(0)
        self.stage("none")


class Energy(MachineCase):
    @classmethod
    def prepare(cls):
        cls.machine.rapl(begin=900_000, most=1_000_000)  # around every second

    def test_energy_of_steps_is_divided_among_their_requests(self):
        self.c.ok("model_load", pb.ModelLoad())
        before = self.c.status().energy_mj
        self.machine.use(5000)
        answers = [self.c.generate(PROMPT, raw=True, max_tokens=60, seed=i, temperature=1.0) for i in range(3)]
        for a in answers:
            self.c.wait(a)
        used = self.machine.rest() / 1000
        total = self.c.status().energy_mj - before
        parts = [a.done.usage.energy_mj for a in answers]
        self.assertGreater(min(parts), 0, parts)
        self.assertLessEqual(abs(sum(parts) - total), 3, "each is rounded")
        self.assertLessEqual(total, used + 1, "no more than there was")
        self.assertGreater(total, used / 4, "and not little: most of this time steps ran")
        text = self.c.ok("metrics", pb.MetricsGet()).metrics.prometheus
        joules = float(re.search(r"\nhearth_energy_joules_total (\S+)\n", text).group(1))
        self.assertAlmostEqual(joules, self.c.status().energy_mj / 1000, places=3)
        self.assertIn(f"energy_mj={parts[0]} ", self.house.log())

    def test_while_nothing_runs_nothing_is_counted(self):
        self.c.wait(self.c.generate(PROMPT, raw=True, max_tokens=2))
        before = self.c.status().energy_mj
        self.machine.use(100_000, 0.05)
        time.sleep(0.3)
        self.machine.rest()
        a = self.c.wait(self.c.generate(PROMPT, raw=True, max_tokens=2))
        self.assertEqual((a.done.usage.energy_mj, self.c.status().energy_mj), (0, before))


class Nothing(TestCase):
    """A machine that tells nothing."""

    def test_without_sensors_all_is_as_before(self):
        a = self.c.wait(self.c.generate(raw=True, max_tokens=5))
        s = self.c.status()
        self.assertEqual((a.done.usage.energy_mj, a.done.level_reason), (0, ""))
        self.assertEqual((s.level, s.level_reason, s.pressure, s.energy_mj, s.power_supply, s.temperature_limit_c),
                         ("auto", "", "none", 0, "", 0))

    def test_status_has_the_speed_of_reading_and_where_the_weights_are(self):
        self.c.wait(self.c.generate(raw=True, max_tokens=60))
        s = self.c.status()
        self.assertGreater(s.read_gb_s, 0)
        self.assertIn("mapped from the cache", s.weights)


if __name__ == "__main__":
    tap.main()
