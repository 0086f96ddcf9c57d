# SPDX-License-Identifier: Apache-2.0
"""A mixed load for some time: short in ./check, as long as one likes by hand.

usage: test_soak.py                                    seconds, as a test
       test_soak.py --minutes N [--kill-every S] [--model FILE] [--connections N]
Connections (16) ask at random: all classes, greedy and by chance, long and short; some hang up, cancel, or set a deadline
that passes; who is refused comes again when hearthd says. In the second half the worker is killed every S seconds (default
3, 0: never). Checked: each request ends, with an answer or with a reason; each answer that was made is the same as without
any load; memory of hearthd and the worker does not grow; nothing is left behind.
"""
import argparse
import pathlib
import random
import select
import sys
import time

import tap
from client import PATIENCE_S, Client, HungUp, generate_message, pb
from house import MODELS, SANITIZED, TestCase, alive, eventually, note

KINDS = 40
CANCELS = 1500 if SANITIZED else 10000
OPTIONS = argparse.Namespace(minutes=0.25, kill_every=3.0, model="small", connections=16)
CLASSES = (pb.CLASS_BACKGROUND, pb.CLASS_INTERACTIVE, pb.CLASS_INTERACTIVE, pb.CLASS_REALTIME)


def rss_anon(pid):
    """KiB."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                return int(line.split()[1])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return None


def slope(samples):
    """KiB per second, by least squares. @samples: [(s, KiB)]."""
    n = len(samples)
    if n < 3:
        return 0.0
    mt, my = sum(t for t, _ in samples) / n, sum(y for _, y in samples) / n
    square = sum((t - mt) ** 2 for t, _ in samples)
    return sum((t - mt) * (y - my) for t, y in samples) / square if square else 0.0


def descriptors(pid):
    return len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))


class Asker:
    """One connection and the request that it waits for."""

    def __init__(self, soak):
        self.soak = soak
        self.client = None
        self.again = None  # when to ask again, after a refusal
        self.ask()

    def connect(self):
        if self.client is None:
            self.client = Client(self.soak.house.socket)

    def ask(self):
        self.connect()
        chance = self.soak.chance
        self.kind = chance.randrange(KINDS)
        self.deadline = chance.choice((0, 0, 0, 0, 1 + chance.randrange(200)))
        self.wish = chance.choice(("whole",) * 6 + ("cancel", "hang up"))
        self.stop_at = chance.randrange(12)
        self.answer = self.client.request("generate", self.soak.message(self.kind, self.deadline))
        self.cancelled = False
        self.began = time.monotonic()
        self.soak.sent += 1

    def step(self):
        """What came, or may have."""
        if self.again is not None:
            self.began = time.monotonic()
            if self.began >= self.again:
                self.again = None
                self.ask()
            return
        try:
            while self.client.has_frame() or self.client.readable():
                self.client.take()
        except HungUp:
            self.soak.test.fail(f"hearthd hung up: {self.answer}")
        if self.answer.over:
            self.soak.ended(self)
            if self.answer.error is not None and self.answer.error.code == pb.ERROR_BUSY:
                self.again = time.monotonic() + self.answer.error.retry_after_ms / 1000
            else:
                self.ask()
        elif len(self.answer.ids) >= self.stop_at and self.wish == "cancel" and not self.cancelled:
            self.client.send(pb.ClientFrame(cancel=pb.Cancel(id=self.answer.id)))
            self.cancelled = True
        elif len(self.answer.ids) >= self.stop_at and self.wish == "hang up":
            self.client.close()
            self.client = None
            self.soak.counts["hung up"] = self.soak.counts.get("hung up", 0) + 1
            self.ask()


class Soak:
    def __init__(self, test, house):
        self.test, self.house = test, house
        self.chance = random.Random(2026)
        self.counts, self.sent, self.same = {}, 0, 0
        c = test.connect(house)
        self.want = []
        for kind in range(KINDS):  # one after the other, nothing else runs
            a = c.wait(c.request("generate", self.message(kind, 0)))
            self.want.append((a.ids, a.text, a.done.finish))

    def message(self, kind, deadline):
        r = random.Random(kind)
        text = f"request {kind}: " + "the story so far " * r.choice((0, 1, 4, 20, 60))
        return generate_message(text, raw=True, max_tokens=r.choice((1, 8, 30, 80)), temperature=r.choice((0.0, 0.8)),
                                seed=100 + kind, request_class=CLASSES[kind % len(CLASSES)], deadline_ms=deadline)

    def ended(self, asker):
        a = asker.answer
        if a.error is not None:
            name = pb.ErrorCode.Name(a.error.code).removeprefix("ERROR_")
            allowed = {"CRASHED", "BUSY"} | ({"DEADLINE"} if asker.deadline else set())
            self.test.assertIn(name, allowed, a.error.message)
            what = name.lower()
        elif a.done.finish == pb.FINISH_CANCELLED:
            self.test.assertTrue(asker.cancelled)
            what = "cancelled"
        else:
            self.test.assertEqual((a.ids, a.text, a.done.finish), self.want[asker.kind], f"request {asker.kind}")
            self.same += 1
            what = "answered"
        if what in ("deadline", "cancelled", "crashed"):
            self.test.assertEqual(a.ids, self.want[asker.kind][0][:len(a.ids)], "what came was right")
        self.counts[what] = self.counts.get(what, 0) + 1

    def run(self, seconds, kill_every=0.0, samples=None):
        """@samples: receives (name, s, KiB) each second."""
        askers = [Asker(self) for _ in range(OPTIONS.connections)]
        begin = now = time.monotonic()
        next_kill, next_sample, kills = begin + kill_every, begin, 0
        while now < begin + seconds:
            ready = select.select([a.client.sock for a in askers], [], [], 0.05)[0]
            for a in askers:
                if a.client.sock in ready or a.client.has_frame() or a.wish != "whole" or a.again is not None:
                    a.step()
                self.test.assertLess(now - a.began, PATIENCE_S, f"stuck: {a.answer}")
            now = time.monotonic()
            if kill_every and now >= next_kill:
                kills += self.house.kill_worker() is not None
                next_kill = now + kill_every
            if samples is not None and now >= next_sample:
                worker = self.house.worker()
                samples.append((now - begin, rss_anon(self.house.process.pid), worker and rss_anon(worker)))
                next_sample = now + max(0.2, seconds / 1000)
        for a in askers:  # what is in flight has to end, too
            if a.client:
                if a.again is None:
                    a.client.wait(a.answer)
                    self.ended(a)
                a.client.close()
        return kills


class Mixed(TestCase):
    model = None
    conf = "[daemon]\nqueue = 64\n[model]\nkv-memory = 4M\n[everybody]\nclass = realtime\nrequests = 1024\nconnections = 256\n"

    def begin(self):
        if OPTIONS.model not in MODELS:
            MODELS[OPTIONS.model] = pathlib.Path(OPTIONS.model)
        conf = self.conf if OPTIONS.model == "small" else self.conf.replace("kv-memory = 4M\n", "")
        house = self.own_house(None, conf)
        house.add(OPTIONS.model, "soak")
        return house

    def grown(self, samples, what, column):
        """KiB that were added in the last two thirds, and the slope."""
        good = [(s[0], s[column]) for s in samples if s[column] is not None]
        late = [g for g in good if g[0] >= good[-1][0] / 3]
        k = slope(late)
        note(f"{what}: {late[0][1]} KiB of anonymous memory after a third, {late[-1][1]} at the end; {k * 3600:.0f} KiB an hour")
        return k * (late[-1][0] - late[0][0])

    def test_texts_are_the_same_nothing_is_stuck_and_memory_does_not_grow(self):
        house = self.begin()
        soak = Soak(self, house)
        fds = house.descriptors()
        samples, half = [], OPTIONS.minutes * 30
        soak.run(half, samples=samples)
        grown = [self.grown(samples, "hearthd", 1), self.grown(samples, "hearth-worker", 2)]
        kills = soak.run(half, OPTIONS.kill_every, disturbed := [])
        grown.append(self.grown(disturbed, "hearthd in the second half", 1))
        if kills == 0:
            grown.append(self.grown(disturbed, "hearth-worker in the second half", 2))
        note(f"{soak.sent} requests, {kills} kills: " + ", ".join(f"{n} {k}" for k, n in sorted(soak.counts.items())))
        self.assertEqual(soak.sent, sum(soak.counts.values()), "every request was answered, refused or left by its client")
        self.assertGreater(soak.same, 20)
        if OPTIONS.kill_every and half > OPTIONS.kill_every:
            self.assertGreater(kills, 0)
            self.assertGreaterEqual(self.status_of(house).worker_restarts, 1)
        self.calm(house)
        eventually("all descriptors are closed", lambda: house.descriptors() <= fds)
        if not SANITIZED:  # freed memory is kept in quarantine there
            for kib in grown:
                self.assertLess(kib, 2048)


class Cancels(TestCase):
    conf = "[daemon]\nqueue = 64\n[model]\nkv-memory = 2M\n[everybody]\nrequests = 64\nconnections = 64\n"

    def test_many_random_cancels_leave_no_page_sequence_request_or_descriptor_behind(self):
        house, chance = self.house, random.Random(7)
        whole = self.c.wait(self.c.generate("all of it", raw=True, max_tokens=400))
        self.calm()
        worker = house.worker()
        before = house.descriptors(), descriptors(worker)
        clients, done, hung_up = [self.connect() for _ in range(12)], 0, 0
        third = None
        while done < CANCELS:
            if third is None and done > CANCELS / 3:
                third = rss_anon(worker)
            for i, c in enumerate(clients):
                asked = [c.generate("x " * chance.randrange(1, 120), raw=True, max_tokens=chance.randrange(1, 60))
                         for _ in range(chance.randrange(1, 5))]
                if chance.randrange(40) == 0:  # at once, or with something on the way
                    c.close()
                    clients[i], hung_up, done = self.connect(), hung_up + 1, done + len(asked)
                    continue
                for a in asked:
                    if chance.randrange(3) == 0:
                        c.wait_tokens(a, chance.randrange(4))
                    c.send(pb.ClientFrame(cancel=pb.Cancel(id=a.id)))
                done += len(asked)
                for a in asked:
                    c.wait(a)
                    self.assertTrue(a.done or a.error.code == pb.ERROR_BUSY, a)
                    self.assertIn(a.done.finish if a.done else 0, (0, pb.FINISH_CANCELLED, pb.FINISH_LENGTH, pb.FINISH_STOP))
        for c in clients:
            c.close()
        self.calm()
        end = rss_anon(worker)
        note(f"{done} requests, {hung_up} connections hung up; the worker has {third} KiB of anonymous memory after a third, {end} at the end")
        if not SANITIZED:
            self.assertLess(end - third, 1024)
        self.assertEqual(house.worker(), worker, "it did not have to be replaced")
        self.assertTrue(alive(worker))
        eventually("descriptors are closed", lambda: house.descriptors() <= before[0] and descriptors(worker) <= before[1])
        self.assertEqual(len(self.c.ok("request_list", pb.RequestList()).requests.requests), 0)
        # 1,024 sequences may be open in a worker: with more than that left behind, none could be opened. And one that
        # needs the pool for itself gets it.
        self.assertGreater(done, 1024)
        again = self.c.wait(self.c.generate("all of it", raw=True, max_tokens=400))
        self.assertEqual(again.ids, whole.ids)
        pages = self.status_of().kv_pages_total
        big = self.c.wait(self.c.generate("all of it", raw=True, max_tokens=0))
        self.assertIsNone(big.error, big)
        note(f"{pages} pages; an answer of {len(big.ids)} tokens had room")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--minutes", type=float)
    p.add_argument("--kill-every", type=float, default=3.0)
    p.add_argument("--model", default="small")
    p.add_argument("--connections", type=int, default=16)
    o, rest = p.parse_known_args()
    if o.minutes is not None:
        OPTIONS.__dict__.update(vars(o))
        rest = ["Mixed", *rest]
    sys.argv[1:] = rest
    tap.main()


if __name__ == "__main__":
    main()
