# SPDX-License-Identifier: Apache-2.0
"""A client of hearthd that shares no code with libhearth: the protocol as docs/PROTOCOL.md tells it, in Python.

It can also say what no good client says: `send_bytes`, frames that lie, descriptors that do not belong.
"""
import array
import fcntl
import os
import select
import socket
import struct
import time

import hearth_pb2 as pb

HEADER = 8
# What is expected to be quick says so itself: this is for slow builds on busy machines.
PATIENCE_S = 120 if os.environ.get("HEARTH_SANITIZE", "none") == "none" else 300


class HungUp(Exception):
    """hearthd closed the connection."""


def frame(message, n_fds=0):
    body = message if isinstance(message, bytes) else message.SerializeToString()
    return b"H1" + bytes([n_fds, 0]) + struct.pack("<I", len(body)) + body


def memfile(content, seals=fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW):
    """A memfd with @content, sealed."""
    fd = os.memfd_create("text", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with os.fdopen(os.dup(fd), "wb") as f:
        f.write(content)
    if seals:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


class Refused(Exception):
    """hearthd does not take the connection; the argument is its Error."""


class Answer:
    """All that came for one request."""

    def __init__(self, id):
        self.id, self.began = id, time.monotonic()
        self.queued = self.started = self.done = self.reply = self.error = None
        self.progress, self.tokens, self.times, self.events = [], [], [], []
        self.order = []  # kinds of frames, as they came

    @property
    def over(self):
        return bool(self.done or self.reply or self.error)

    @property
    def text(self):
        return b"".join(t.text for t in self.tokens)

    @property
    def ids(self):
        return [i for t in self.tokens for i in t.token_ids]

    def __repr__(self):
        return f"<{self.id}: {self.order[-4:]} {len(self.tokens)} tokens, error {self.error}>"


class Client:
    def __init__(self, path, hello=True, name="test"):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(path)
        self.buffer = b""
        self.next_id = 0
        self.answers = {}
        self.welcome = None
        if hello:
            try:
                self.send(pb.ClientFrame(hello=pb.Hello(version_min=1, version_max=1, client_name=name)))
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused already: the reason is there to be read
            f = self.receive()
            if f.WhichOneof("body") != "welcome":
                raise Refused(f.error)
            self.welcome = f.welcome

    def close(self):
        self.sock.close()

    # ---- frames ----

    def send_bytes(self, data, fds=()):
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        n = self.sock.sendmsg([data], control)
        if n < len(data):
            self.sock.sendall(data[n:])

    def send(self, message, fds=()):
        self.send_bytes(frame(message, len(fds)), fds)

    def readable(self, seconds=0):
        return bool(select.select([self.sock], [], [], seconds)[0])

    def has_frame(self):
        """Is a whole frame read already?"""
        n = len(self.buffer)
        return n >= HEADER and n >= HEADER + struct.unpack_from("<I", self.buffer, 4)[0]

    def receive(self, seconds=PATIENCE_S):
        """The next ServerFrame. Raises HungUp."""
        end = time.monotonic() + seconds
        while True:
            if len(self.buffer) >= HEADER:
                mark, n_fds, zero, size = struct.unpack("<2sBBI", self.buffer[:HEADER])
                assert (mark, n_fds, zero) == (b"H1", 0, 0) and size <= 1 << 20, self.buffer[:HEADER]
                if len(self.buffer) >= HEADER + size:
                    body, self.buffer = self.buffer[HEADER:HEADER + size], self.buffer[HEADER + size:]
                    return pb.ServerFrame.FromString(body)
            if not self.readable(max(0, end - time.monotonic())):
                raise TimeoutError(f"nothing came within {seconds} s")
            try:
                data = self.sock.recv(1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                raise HungUp
            self.buffer += data

    def rest(self, seconds=PATIENCE_S):
        """All frames until hearthd hangs up."""
        frames = []
        try:
            while True:
                frames.append(self.receive(seconds))
        except HungUp:
            return frames

    # ---- requests ----

    def request(self, kind, message, fds=(), id=None):
        """Send one with a new id. Return: its Answer, to which what comes is added by wait() or take()."""
        if id is None:
            self.next_id += 1
            id = self.next_id
        message.id = id
        answer = self.answers[id] = Answer(id)
        self.send(pb.ClientFrame(**{kind: message}), fds)
        return answer

    def take(self, seconds=PATIENCE_S):
        """Add the next frame to its Answer. Return: that Answer."""
        f = self.receive(seconds)
        kind = f.WhichOneof("body")
        body = getattr(f, kind)
        a = self.answers.get(body.id)
        assert a is not None, f"a frame for nobody: {f}"
        assert not a.over, f"a frame after the last one: {f}"
        a.order.append(kind)
        if kind == "token":
            a.tokens.append(body)
            a.times.append(time.monotonic())
        elif kind == "progress":
            a.progress.append(body)
        elif kind == "status_event":
            a.events.append(body)
        else:
            setattr(a, kind, body)
        return a

    def wait(self, answer, seconds=PATIENCE_S):
        end = time.monotonic() + seconds
        while not answer.over:
            self.take(max(0.01, end - time.monotonic()))
        return answer

    def wait_tokens(self, answer, n, seconds=PATIENCE_S):
        """Until @answer has @n tokens, or is over."""
        end = time.monotonic() + seconds
        while len(answer.ids) < n and not answer.over:
            self.take(max(0.01, end - time.monotonic()))
        return answer

    def ask(self, kind, message, fds=()):
        return self.wait(self.request(kind, message, fds))

    def ok(self, kind, message):
        """The Reply to a request that must succeed."""
        a = self.ask(kind, message)
        assert a.reply is not None, a
        return a.reply

    def generate(self, text=b"Turn on the kitchen light", **more):
        """Begin a Generate; see generate_message()."""
        fds = more.pop("fds", ())
        return self.request("generate", generate_message(text, **more), fds)

    def status(self):
        return self.ok("status", pb.StatusGet()).status

    def add_model(self, path, name, activate=True, sha256=""):
        with open(path, "rb") as f:
            message = pb.ModelAdd(name=name, fd_index=1, activate=activate, sha256=sha256)
            return self.ask("model_add", message, [f.fileno()])


def generate_message(text=b"Turn on the kitchen light", temperature=0.0, seed=None, messages=None, **more):
    """A Generate. Greedy unless told otherwise; @messages: instead of one message of the user with @text."""
    if isinstance(text, str):
        text = text.encode()
    if messages is None:
        messages = [pb.Message(role=pb.ROLE_USER, parts=[pb.Part(text=text)])]
    g = pb.Generate(messages=messages, **more)
    if temperature is not None:
        g.sampling.temperature = temperature
    if seed is not None:
        g.sampling.seed = seed
    return g


def said(role, text):
    return pb.Message(role=role, parts=[pb.Part(text=text if isinstance(text, bytes) else text.encode())])


def run(pairs, until=None, seconds=PATIENCE_S):
    """Serve several clients at once. @pairs: [(Client, Answer)]. Until all are over, or until() is true."""
    end = time.monotonic() + seconds
    clients = list({id(c): c for c, _ in pairs}.values())
    while not (until and until()) and not all(a.over for _, a in pairs):
        if time.monotonic() > end:
            raise TimeoutError(f"not over within {seconds} s: {[a for _, a in pairs if not a.over]}")
        ready = [c for c in clients if c.has_frame()]
        if not ready:
            sockets = select.select([c.sock for c in clients], [], [], 1)[0]
            ready = [c for c in clients if c.sock in sockets]
        for c in ready:
            c.take()
            if until and until():
                return
