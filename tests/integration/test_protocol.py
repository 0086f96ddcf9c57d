# SPDX-License-Identifier: Apache-2.0
"""Framing, greeting and the form of requests: what a client in another language relies on, and what breaks nothing."""
import os
import socket
import struct
import time

import tap
from client import frame, generate_message, pb
from house import TestCase, eventually


def varint(n):
    out = b""
    while n > 0x7f:
        out += bytes([n & 0x7f | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, body):
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(body)) + body


class Greeting(TestCase):
    def farewell(self, c, code, *words):
        """hearthd says why, for the connection, and hangs up."""
        frames = c.rest(20)
        self.assertEqual(len(frames), 1, frames)
        e = frames[0].error
        self.assertEqual((pb.ErrorCode.Name(e.code), e.id, e.retry), ("ERROR_" + code, 0, False), e.message)
        for word in words:
            self.assertIn(word, e.message)
        self.status_of()  # and it lives

    def raw(self):
        return self.connect(hello=False)

    def test_hello_is_answered_with_version_and_limits(self):
        w = self.c.welcome
        self.assertEqual((w.version, w.max_frame_bytes), (1, 1 << 20))
        self.assertRegex(w.server, r"^hearthd \d+\.\d+\.\d+$")
        self.assertGreaterEqual(w.max_in_flight, 1)
        self.assertEqual(w.class_ceiling, pb.CLASS_INTERACTIVE)
        self.assertTrue(w.administrator, "the user that hearthd runs as")
        self.assertFalse(w.microphone)

    def test_the_highest_common_version_is_chosen(self):
        c = self.raw()
        c.send(pb.ClientFrame(hello=pb.Hello(version_min=0, version_max=99)))
        self.assertEqual(c.receive().welcome.version, 1)

    def test_a_client_that_is_too_new_or_too_old_is_told_who_must_be_updated(self):
        for low, high, who in ((2, 7, "daemon"), (0, 0, "client")):
            c = self.raw()
            c.send(pb.ClientFrame(hello=pb.Hello(version_min=low, version_max=high)))
            self.farewell(c, "VERSION", f"{low} to {high}", f"update the {who}")

    def test_the_first_message_must_be_hello(self):
        c = self.raw()
        c.send(pb.ClientFrame(status=pb.StatusGet(id=1)))
        self.farewell(c, "PROTOCOL", "Hello")

    def test_hello_comes_once(self):
        c = self.connect()
        c.send(pb.ClientFrame(hello=pb.Hello(version_min=1, version_max=1)))
        self.farewell(c, "PROTOCOL", "twice")

    def test_a_frame_that_is_too_long_is_refused_by_its_header(self):
        for size in ((1 << 20) + 1, 0xffffffff):
            c = self.connect()
            c.send_bytes(b"H1\0\0" + struct.pack("<I", size))
            self.farewell(c, "PROTOCOL", str(size))

    def test_the_longest_frame_is_taken(self):
        text = b"a" * ((1 << 20) - 100)
        a = self.c.ask("tokenize", pb.Tokenize(text=text, count_only=True))
        self.assertGreater(a.reply.tokens.count, 1000)
        self.assertEqual(list(a.reply.tokens.ids), [])

    def test_garbage_is_refused(self):
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"H2\0\0\0\0\0\0", b"H1\0\1\0\0\0\0", b"H1\xff\0\0\0\0\0", b"X" + os.urandom(64)):
            c = self.connect()
            c.send_bytes(data)
            self.farewell(c, "PROTOCOL")
        c = self.connect()  # a good header, and a body that is no message
        c.send_bytes(b"H1\0\0" + struct.pack("<I", 4) + b"\xff\xff\xff\xff")
        self.farewell(c, "PROTOCOL")

    def test_a_message_that_would_take_much_memory_is_refused(self):
        before = self.house.memory()
        bomb = field(2, b"\x08\x01" + field(2, b"") * 250_000)  # empty messages: 2 bytes here, 100 unpacked
        for _ in range(3):
            c = self.connect()
            c.send_bytes(frame(bomb))
            self.farewell(c, "PROTOCOL")
        self.assertLess(self.house.memory() - before, 40 << 20)

    def test_descriptors_must_be_announced_and_announced_ones_must_come(self):
        c = self.connect()
        c.send_bytes(frame(pb.ClientFrame(status=pb.StatusGet(id=1)), 2))
        self.farewell(c, "PROTOCOL", "descriptors")
        before = self.house.descriptors()
        with open("/dev/null") as f:
            c = self.connect()
            c.send_bytes(frame(pb.ClientFrame(status=pb.StatusGet(id=1))), [f.fileno()] * 20)
            frames = c.rest(20)
        self.assertEqual(frames[-1].error.code, pb.ERROR_PROTOCOL, frames)
        eventually("the others are closed", lambda: self.house.descriptors() <= before + 1)

    def test_half_a_frame_and_then_silence_is_hung_up_on_after_ten_seconds(self):
        silent, half = self.raw(), self.connect()
        half.send_bytes(frame(pb.ClientFrame(status=pb.StatusGet(id=1)))[:-1])
        began = time.monotonic()
        self.farewell(half, "PROTOCOL", "incomplete")
        self.farewell(silent, "PROTOCOL", "no Hello")
        self.assertGreater(time.monotonic() - began, 8)
        self.assertLess(time.monotonic() - began, 60)
        self.c.status()  # a client that greeted and says nothing may stay

    def test_a_frame_may_come_byte_by_byte(self):
        for b in frame(pb.ClientFrame(status=pb.StatusGet(id=77))):
            self.c.send_bytes(bytes([b]))
        self.assertEqual(self.c.receive().reply.id, 77)

    def test_many_frames_may_come_at_once_and_are_answered_in_order(self):
        n = 60
        self.c.send_bytes(b"".join(frame(pb.ClientFrame(status=pb.StatusGet(id=i + 1))) for i in range(n)))
        self.assertEqual([self.c.receive().reply.id for _ in range(n)], list(range(1, n + 1)))

    def test_a_client_that_hangs_up_at_any_byte_costs_nothing(self):
        whole = frame(pb.ClientFrame(hello=pb.Hello(version_min=1, version_max=1))) + frame(
            pb.ClientFrame(generate=generate_message(max_tokens=5, raw=True)))
        before = self.house.descriptors()
        for n in range(len(whole)):
            s = socket.socket(socket.AF_UNIX)
            s.connect(self.house.socket)
            s.sendall(whole[:n])
            s.close()
        self.calm()
        eventually("the connections are closed", lambda: self.house.descriptors() <= before)


class Requests(TestCase):
    def test_a_request_of_the_future_is_unsupported_under_its_own_id(self):
        self.c.send(field(500, b"\x08" + varint(1234567)))
        e = self.c.receive().error
        self.assertEqual((e.id, e.code), (1234567, pb.ERROR_UNSUPPORTED))
        self.c.send(b"")  # no request at all
        self.assertEqual(self.c.receive().error.code, pb.ERROR_UNSUPPORTED)
        self.c.status()

    def test_unknown_fields_are_ignored(self):
        known = pb.ClientFrame(status=pb.StatusGet(id=9)).SerializeToString()
        self.c.send(known + field(900, b"later"))
        self.assertEqual(self.c.receive().reply.id, 9)
        self.c.send(field(7, b"\x08\x0a" + field(77, b"more")))
        self.assertEqual(self.c.receive().reply.id, 10)

    def test_id_0_is_refused(self):
        self.c.send(pb.ClientFrame(status=pb.StatusGet()))
        e = self.c.receive().error
        self.assertEqual((e.id, e.code), (0, pb.ERROR_INVALID))
        self.assertIn("id", e.message)

    def test_an_id_in_flight_is_taken_and_free_again_afterwards(self):
        a = self.c.generate(max_tokens=100, raw=True)
        self.c.send(pb.ClientFrame(status=pb.StatusGet(id=a.id)))
        while (f := self.c.receive()).WhichOneof("body") != "error":
            pass
        self.assertEqual((f.error.id, f.error.code), (a.id, pb.ERROR_EXISTS))
        self.c.send(pb.ClientFrame(cancel=pb.Cancel(id=a.id)))
        while (f := self.c.receive()).WhichOneof("body") != "done":
            pass
        self.c.send(pb.ClientFrame(status=pb.StatusGet(id=a.id)))
        self.assertEqual(self.c.receive().reply.id, a.id)

    def test_the_same_id_on_two_connections_is_no_conflict(self):
        other = self.connect()
        mine, theirs = self.c.generate(max_tokens=30, raw=True), other.generate(max_tokens=30, raw=True)
        self.assertEqual(mine.id, theirs.id)
        self.assertEqual(self.c.wait(mine).ids, other.wait(theirs).ids)

    def test_cancel_of_an_unknown_id_is_ignored(self):
        self.c.send(pb.ClientFrame(cancel=pb.Cancel(id=4711)))
        self.c.send(pb.ClientFrame(cancel=pb.Cancel(id=0)))
        self.c.status()

    def test_every_kind_of_request_once(self):
        c = self.c
        status = c.status()
        self.assertEqual((status.state in (pb.STATE_READY, pb.STATE_UNLOADED), status.model.name), (True, "small"))
        self.assertGreater(status.uptime_us, 0)
        self.assertEqual(c.ok("model_load", pb.ModelLoad()).model.name, "small")
        status = c.status()
        self.assertEqual(status.state, pb.STATE_READY)
        self.assertGreater(status.kv_pages_total, 0)
        self.assertGreater(status.rss_bytes, 1 << 20)
        self.assertTrue(status.kernels and status.sandbox)

        models = c.ok("model_list", pb.ModelList()).models.models
        self.assertEqual([(m.name, m.active, m.loaded, m.architecture) for m in models], [("small", True, True, "gemma3n")])
        tokens = c.ok("tokenize", pb.Tokenize(text=b"hello")).tokens
        self.assertEqual(len(tokens.ids), tokens.count)
        self.assertEqual(c.ok("metrics", pb.MetricsGet()).metrics.prometheus.count("# TYPE"),
                         c.ok("metrics", pb.MetricsGet()).metrics.prometheus.count("# HELP"))

        c.ok("conversation_open", pb.ConversationOpen(name="once"))
        a = c.ask("generate", generate_message("hello", max_tokens=3, conversation="once"))
        self.assertEqual(a.order[0], "queued")
        self.assertEqual(a.order[-1], "done")
        self.assertLess(a.order.index("started"), a.order.index("token"))
        c.ok("conversation_close", pb.ConversationClose(name="once"))

        long = c.generate(max_tokens=0, raw=True)
        c.wait_tokens(long, 1)
        listed = [r for r in c.ok("request_list", pb.RequestList()).requests.requests]
        self.assertEqual([(r.uid, r.pid) for r in listed], [(os.getuid(), os.getpid())])
        c.ok("request_kill", pb.RequestKill(request=listed[0].serial))
        self.assertEqual(c.wait(long).done.finish, pb.FINISH_CANCELLED)

        events = c.request("subscribe", pb.Subscribe(interval_ms=100))
        while len(events.events) < 3:
            c.take()
        c.send(pb.ClientFrame(cancel=pb.Cancel(id=events.id)))
        self.assertEqual(c.wait(events).done.finish, pb.FINISH_CANCELLED)

        c.ok("set_level", pb.SetLevel(level="auto"))
        self.assertTrue(c.ok("model_activate", pb.ModelActivate(name="small")).model.loaded)
        c.ok("model_unload", pb.ModelUnload())
        self.assertEqual(c.status().state, pb.STATE_UNLOADED)
        a = c.ask("model_remove", pb.ModelRemove(name="small", version=models[0].version))
        self.refused(a, "BUSY", "activate another")

    def test_what_makes_no_sense_is_refused_by_name(self):
        for code, kind, message, word in (
            ("INVALID", "subscribe", pb.Subscribe(interval_ms=5), "5 ms"),
            ("NOT_FOUND", "request_kill", pb.RequestKill(request=12345), "12345"),
            ("NOT_FOUND", "conversation_close", pb.ConversationClose(name="nobody"), "nobody"),
            ("NOT_FOUND", "model_activate", pb.ModelActivate(name="absent"), "absent"),
            ("NOT_FOUND", "model_remove", pb.ModelRemove(name="absent"), "absent"),
            ("INVALID", "model_load", pb.ModelLoad(name="absent"), "small"),
            ("INVALID", "model_activate", pb.ModelActivate(name="../../etc"), "name"),
            ("INVALID", "set_level", pb.SetLevel(level="turbo"), "turbo"),
            ("INVALID", "conversation_open", pb.ConversationOpen(name="a b"), "a b"),
        ):
            if kind == "set_level":
                self.c.ok("model_load", pb.ModelLoad())
            self.refused(self.c.ask(kind, message), code, word)

    def test_a_connection_has_a_limit_of_unanswered_calls(self):
        c = self.connect()
        events = [c.request("subscribe", pb.Subscribe(interval_ms=60000)) for _ in range(65)]
        while not events[-1].over:
            c.take()
        self.refused(events[-1], "QUOTA", "64")
        self.assertFalse(events[0].over)


class Strangers(TestCase):
    """What a client may not do that is no administrator."""
    conf = "[everybody]\nadmin = no\n"
    model = None

    def test_administration_is_denied(self):
        self.assertFalse(self.c.welcome.administrator)
        for kind, message in (("model_load", pb.ModelLoad()), ("model_unload", pb.ModelUnload()),
                              ("model_add", pb.ModelAdd(name="x")), ("model_activate", pb.ModelActivate(name="x")),
                              ("model_remove", pb.ModelRemove(name="x")), ("set_level", pb.SetLevel(level="fast")),
                              ("drain", pb.Drain())):
            self.assertFalse(self.refused(self.c.ask(kind, message), "DENIED", "administrators").retry)

    def test_a_request_without_a_model_is_told_so(self):
        for kind, message in (("generate", generate_message()), ("tokenize", pb.Tokenize(text=b"a"))):
            self.refused(self.c.ask(kind, message), "NO_MODEL", "model add")
        self.assertEqual(self.c.status().state, pb.STATE_NO_MODEL)
        self.assertFalse(self.c.status().HasField("model"))


if __name__ == "__main__":
    tap.main()
