# SPDX-License-Identifier: Apache-2.0
"""Many clients, and bad ones: each costs the others nothing."""
import os
import signal
import socket
import subprocess
import time

import tap
from client import Answer, Client, Refused, frame, pb, run
from house import HEARTHCTL, SANITIZED, TestCase, eventually, note

MANY = 1000


class Crowd(TestCase):
    conf = "[daemon]\nclients = 300\n[everybody]\nconnections = 10000\n"

    def test_a_thousand_connections(self):
        self.c.wait(self.c.generate(raw=True, max_tokens=2))
        self.calm()
        descriptors, memory = self.house.descriptors(), self.house.memory()
        taken, refused = [], []
        for _ in range(MANY):
            try:
                taken.append(Client(self.house.socket))
            except Refused as e:
                refused.append(e.args[0])
        self.assertEqual(len(taken) + len(refused), MANY)
        self.assertEqual(len(taken), 300 - 1)  # and self.c
        for e in refused:
            self.assertEqual((e.code, e.retry), (pb.ERROR_BUSY, True))
            self.assertIn("300", e.message)
        self.assertEqual(taken[-1].wait(taken[-1].generate(raw=True, max_tokens=3)).done.finish, pb.FINISH_LENGTH)
        for c in taken:
            c.close()
        eventually("the connections are closed", lambda: self.house.descriptors() <= descriptors)
        grown = self.house.memory() - memory
        note(f"{len(taken)} taken, {len(refused)} refused; hearthd has {grown >> 10} KiB more than before")
        if not SANITIZED:  # freed memory is kept in quarantine there
            self.assertLess(grown, 4 << 20)
        self.c.status()

    def test_a_thousand_connections_one_after_another_leave_nothing(self):
        def some():
            for _ in range(200):
                Client(self.house.socket).close()
        some()
        eventually("they are gone", lambda: self.status_of().clients <= 2)
        descriptors, memory = self.house.descriptors(), self.house.memory()
        for _ in range(4):
            some()
        eventually("they are gone", lambda: self.house.descriptors() <= descriptors)
        if not SANITIZED:
            self.assertLess(self.house.memory() - memory, 1 << 20)

    def test_connections_that_never_say_hello_do_not_keep_others_out(self):
        silent = []
        for _ in range(290):
            s = socket.socket(socket.AF_UNIX)
            s.connect(self.house.socket)
            silent.append(s)
        self.assertEqual(len(self.c.wait(self.c.generate(raw=True, max_tokens=3)).ids), 3)
        for s in silent:
            s.close()


class Quotas(TestCase):
    conf = """
        [everybody]
        requests = 4
        connections = 6
        [model]
        kv-memory = 64M
    """

    def cancel(self, c, *answers):
        for a in answers:
            c.send(pb.ClientFrame(cancel=pb.Cancel(id=a.id)))
        for a in answers:
            c.wait(a)

    def test_connections_of_one_user_are_limited_with_a_reason(self):
        others = []
        with self.assertRaises(Refused) as e:
            for _ in range(8):
                others.append(self.connect())
        self.assertEqual(e.exception.args[0].code, pb.ERROR_QUOTA)
        self.assertIn("6", e.exception.args[0].message)
        self.assertEqual(len(others), 5)
        others[0].close()
        eventually("a place is free", lambda: self.house.answers())
        for c in others[1:]:
            c.close()
        eventually("they are gone", lambda: self.c.status().clients == 1)

    def test_requests_in_flight_of_one_app_are_limited(self):
        self.assertEqual(self.c.welcome.max_in_flight, 4)
        flying = [self.c.generate(raw=True, max_tokens=0) for _ in range(4)]
        e = self.refused(self.c.wait(self.c.generate(raw=True, max_tokens=1)), "QUOTA", "4")
        self.assertTrue(e.retry)
        other = self.connect()  # of the same app
        self.refused(other.wait(other.generate(raw=True, max_tokens=1)), "QUOTA", "4")
        self.cancel(self.c, flying[0])
        self.assertEqual(len(self.c.wait(self.c.generate(raw=True, max_tokens=1)).ids), 1, "a place is free")
        self.cancel(self.c, *flying[1:])
        self.calm()

    def test_a_full_queue_is_busy_and_says_when_to_come_again(self):
        house = self.own_house("small", "queue = 3\nrunning = 1\n[everybody]\nrequests = 100\n")
        c = self.connect(house)
        runs = c.wait_tokens(c.generate(raw=True, max_tokens=0), 3)
        waiting = [c.generate(raw=True, max_tokens=1) for _ in range(2)]
        e = self.refused(c.wait(c.generate(raw=True, max_tokens=1)), "BUSY", "3")
        self.assertTrue(e.retry)
        self.assertGreater(e.retry_after_ms, 0)
        self.assertEqual([w.queued.position for w in waiting], sorted(w.queued.position for w in waiting))
        self.cancel(c, runs)
        for w in waiting:
            self.assertEqual(len(c.wait(w).ids), 1)

    def test_tokens_per_minute_are_charged_and_paid_back_by_time(self):
        house = self.own_house("small", "[everybody]\ntokens-per-minute = 600\n")
        c = self.connect(house)
        c.wait(c.generate(raw=True, max_tokens=565))
        a = c.wait(c.generate(raw=True, max_tokens=60))  # begins with what is left, and goes into debt
        self.assertEqual(len(a.ids), 60)
        e = self.refused(c.wait(c.generate(raw=True, max_tokens=1)), "QUOTA", "600", "minute")
        self.assertTrue(e.retry)
        self.assertTrue(0 < e.retry_after_ms < 60_000, e)
        if e.retry_after_ms < 15_000:
            time.sleep(e.retry_after_ms / 1000 + 0.05)
            self.assertEqual(len(c.wait(c.generate(raw=True, max_tokens=1)).ids), 1, "when it said")


class Bad(TestCase):
    """Clients that do not read, or die."""
    conf = "[model]\nkv-memory = 64M\n[everybody]\nrequests = 100\n"

    def test_a_client_that_never_reads_is_paused_and_nobody_else(self):
        deaf = self.connect()
        story = deaf.generate(raw=True, max_tokens=1000)
        deaf.wait_tokens(story, 3)
        paused = lambda: [r for r in self.c.ok("request_list", pb.RequestList()).requests.requests if r.state == "paused"]
        for i in range(2000):  # what it asks and does not read fills its socket, and then what hearthd keeps for it
            deaf.send(pb.ClientFrame(status=pb.StatusGet(id=100_000 + i)))
            deaf.answers[100_000 + i] = Answer(100_000 + i)
            if i % 100 == 0 and paused():
                break
        eventually("its answer is paused", paused, 20)
        before = self.c.ok("request_list", pb.RequestList()).requests.requests[0].output_tokens
        began = time.monotonic()
        a = self.c.wait(self.c.generate(raw=True, max_tokens=30))
        self.assertEqual(len(a.ids), 30)
        note(f"beside it, 30 tokens took {time.monotonic() - began:.2f} s")
        after = self.c.ok("request_list", pb.RequestList()).requests.requests[0].output_tokens
        self.assertLessEqual(after - before, 1, "it waits for its reader")
        self.assertEqual(len(deaf.wait(story).ids), 1000, "it reads again: its answer goes on")
        deaf.close()
        self.calm()

    def test_a_client_that_asks_and_never_reads_is_cut(self):
        deaf = self.connect()
        memory = self.house.memory()
        deaf.sock.settimeout(30)
        request = frame(pb.ClientFrame(model_list=pb.ModelList(id=5)))
        ended = False
        for _ in range(3000):  # each answer has 200 bytes or more: beyond what hearthd keeps for one client
            try:
                deaf.sock.sendall(request * 64)
            except (BrokenPipeError, ConnectionResetError):
                ended = True
                break
        self.assertTrue(ended, "hearthd hung up")
        self.assertEqual(len(self.c.wait(self.c.generate(raw=True, max_tokens=3)).ids), 3)
        if not SANITIZED:
            eventually("its memory is given back", lambda: self.house.memory() - memory < 8 << 20)

    def test_a_client_process_that_is_killed_in_mid_answer_costs_nothing(self):
        descriptors = self.house.descriptors()
        for _ in range(3):
            p = subprocess.Popen([HEARTHCTL, "--socket", self.house.socket, "complete", "--max-tokens", "4000", "a"],
                                 stdout=subprocess.PIPE, env=self.house.environment())
            p.stdout.read(20)
            p.send_signal(signal.SIGKILL)
            p.wait()
            p.stdout.close()
        self.calm()
        eventually("its connection is closed", lambda: self.house.descriptors() <= descriptors)

    def test_two_hearthctl_at_once_both_stream(self):
        args = ["--socket", self.house.socket, "complete", "--json", "--stream", "--temperature", "0", "--max-tokens", "300"]
        both = [subprocess.Popen([HEARTHCTL, *args, f"question {i}"], stdout=subprocess.PIPE, env=self.house.environment())
                for i in range(2)]
        times = [[], []]
        os.set_blocking(both[0].stdout.fileno(), False)
        os.set_blocking(both[1].stdout.fileno(), False)
        while any(p.poll() is None for p in both):
            for i, p in enumerate(both):
                try:
                    data = os.read(p.stdout.fileno(), 1 << 16)
                except BlockingIOError:
                    continue
                if data:
                    times[i].append(time.monotonic())
            time.sleep(0.002)
        for p in both:
            p.stdout.close()
            self.assertEqual(p.returncode, 0)
        for i in (0, 1):
            between = [t for t in times[1 - i] if times[i][0] < t < times[i][-1]]
            self.assertGreater(len(between), 3, "each wrote while the other did")

    def test_eight_clients_get_the_same_share(self):
        clients = [self.connect() for _ in range(8)]
        answers = [c.generate(f"client {i}", raw=True, max_tokens=0) for i, c in enumerate(clients)]
        pairs = list(zip(clients, answers))
        run(pairs, lambda: all(len(a.ids) >= 1 for a in answers))
        run(pairs, lambda: any(len(a.ids) >= 150 for a in answers))
        counts = [len(a.ids) for a in answers]
        jain = sum(counts) ** 2 / (len(counts) * sum(n * n for n in counts))
        note(f"tokens {counts}, Jain index {jain:.3f}")
        self.assertGreaterEqual(jain, 0.95)


if __name__ == "__main__":
    tap.main()
