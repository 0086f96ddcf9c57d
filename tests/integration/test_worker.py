# SPDX-License-Identifier: Apache-2.0
"""hearth-worker alone: what hearthd relies on in proto/worker.proto, said by a hearthd that is slow or behind."""
import os
import select
import socket
import struct
import subprocess
import unittest

import tap
import worker_pb2 as wpb
from client import HEADER, PATIENCE_S, frame, pb
from house import MODELS, WORKER

QUIET_S = 0.5  # far longer than a step of the tiny model


class Worker:
    """A worker with a tiny model, loaded, and the other end of its socket."""

    def __init__(self):
        self.socket, theirs = socket.socketpair()
        # its sandbox forbids what looks for leaks, and a stack for signals
        options = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0:use_sigaltstack=0:log_path=stderr"
        self.process = subprocess.Popen([WORKER], pass_fds=(3,), preexec_fn=lambda: os.dup2(theirs.fileno(), 3), stderr=subprocess.DEVNULL,
                                        env=dict(os.environ, ASAN_OPTIONS=options))
        theirs.close()
        self.bytes = b""
        with open(MODELS["small"], "rb") as model:
            self.want("ready")
            body = frame(wpb.ToWorker(load=wpb.Load(model_fd_index=1, threads=1, kernels="c")), 1)
            socket.send_fds(self.socket, [body], [model.fileno()])
        self.want("loaded")

    def close(self):
        self.socket.close()
        if (status := self.process.wait(PATIENCE_S)) != 0:
            raise AssertionError(f"hearth-worker ended with {status}")

    def send(self, **body):
        self.socket.sendall(frame(wpb.ToWorker(**body)))

    def take(self, seconds=PATIENCE_S):
        """The next message, or None after @seconds."""
        while len(self.bytes) < HEADER or len(self.bytes) < HEADER + struct.unpack_from("<I", self.bytes, 4)[0]:
            if not select.select([self.socket], [], [], seconds)[0]:
                return None
            got = self.socket.recv(1 << 16)
            if not got:
                raise EOFError("the worker is gone")
            self.bytes += got
        end = HEADER + struct.unpack_from("<I", self.bytes, 4)[0]
        m, self.bytes = wpb.FromWorker.FromString(self.bytes[HEADER:end]), self.bytes[end:]
        return m

    def want(self, kind):
        """The next message of that kind; others are left out."""
        while True:
            m = self.take()
            if m is None:
                raise TimeoutError(f"no {kind}")
            if m.WhichOneof("body") == kind:
                return getattr(m, kind)

    def open(self, seq):
        turn = wpb.Turn(role=pb.ROLE_USER, parts=[pb.Part(text=b"one two three " * 8)])
        self.send(seq_open=wpb.SeqOpen(seq=seq, owner=1, turns=[turn], raw=True, max_tokens=8))

    def plan(self, version, seqs, opened):
        entries = [wpb.PlanEntry(seq=s, prefill_tokens=1) for s in seqs]
        self.send(plan=wpb.Plan(version=version, entries=entries, opened=opened))


class Plans(unittest.TestCase):
    def setUp(self):
        self.w = Worker()
        self.addCleanup(self.w.close)

    def steps(self):
        """Versions of the plans whose steps come until nothing does."""
        out = set()
        while (m := self.w.take(QUIET_S)) is not None:
            if m.WhichOneof("body") == "step":
                out.add(m.step.plan)
        return out

    def test_no_step_begins_before_a_plan_that_knows_of_what_was_opened(self):
        w = self.w
        for seq in (1, 2):
            w.open(seq)
        w.plan(1, [1, 2], opened=0)  # was on its way when the first was opened
        for seq in (1, 2):
            self.assertEqual(w.want("seq_opened").seq, seq)
        self.assertEqual(self.steps(), set())
        w.plan(2, [1, 2], opened=1)  # knows of one of them
        self.assertEqual(self.steps(), set())
        w.plan(3, [1, 2], opened=1)
        self.assertEqual(self.steps(), {3})

    def test_an_empty_plan_stops_it(self):
        w = self.w
        w.open(1)
        w.want("seq_opened")
        w.plan(1, [], opened=1)
        self.assertEqual(self.steps(), set())
        w.plan(2, [1], opened=0)
        self.assertEqual(self.steps(), {2})

    def test_it_ends_with_hearthd(self):
        self.w.socket.shutdown(socket.SHUT_RDWR)
        self.assertEqual(self.w.process.wait(PATIENCE_S), 0)


if __name__ == "__main__":
    tap.main()
