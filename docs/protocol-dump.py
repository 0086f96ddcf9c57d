#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Speak hearth's protocol with the standard library alone, and show every byte of it.

usage: protocol-dump.py [--socket PATH] [--prompt TEXT] [--tokens N]     a session with hearthd, as Markdown
       protocol-dump.py --explain FILE.md                                the dumps of FILE.md, decoded again

docs/PROTOCOL.md has the output of the first form; tests/docs/test_protocol.py checks it with the second. The names of
messages and fields come from proto/hearth.proto, so this is also the smallest client in another language.
"""
import argparse
import os
import pathlib
import re
import socket
import struct
import sys

PROTO = pathlib.Path(__file__).resolve().parent.parent / "proto" / "hearth.proto"
HEADER = struct.Struct("<2sBBI")  # 'H1', descriptors, 0, bytes of the message
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
SCALARS = {"uint32": VARINT, "uint64": VARINT, "bool": VARINT, "float": FIXED32, "string": LENGTH, "bytes": LENGTH}


class Schema:
    """As much of the language of .proto files as hearth.proto uses."""

    def __init__(self, path):
        text = re.sub(r"//[^\n]*", "", path.read_text())
        self.messages, self.enums = {}, {}
        for name, body in self.blocks(text, "enum"):
            self.enums[name] = {int(n): word for word, n in re.findall(r"(\w+)\s*=\s*(\d+)\s*;", body)}
        for name, body in self.blocks(text, "message"):
            fields = re.findall(r"(repeated\s+)?(\w+)\s+(\w+)\s*=\s*(\d+)\s*(?:\[packed = true\])?\s*;", body)
            self.messages[name] = {int(number): (word, kind, bool(many)) for many, kind, word, number in fields}

    @staticmethod
    def blocks(text, keyword):
        for m in re.finditer(rf"^{keyword}\s+(\w+)\s*\{{", text, re.M):
            depth, end = 1, m.end()
            while depth:
                depth += {"{": 1, "}": -1}.get(text[end], 0)
                end += 1
            yield m.group(1), text[m.end():end - 1]


def varint_write(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    return bytes(out) + bytes([n])


def varint_read(data, at):
    n = shift = 0
    while True:
        byte = data[at]
        n |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return n, at
        if shift > 63:
            raise ValueError("a varint has more than ten bytes")


def encode(schema, message, values):
    """The bytes of @message. @values: field -> number, text, bytes, dict, or a list of these."""
    numbers = {word: (number, kind) for number, (word, kind, _) in schema.messages[message].items()}
    out = b""
    for word, value in values.items():
        number, kind = numbers[word]
        for one in value if isinstance(value, list) else [value]:
            if kind == "float":
                out += varint_write(number << 3 | FIXED32) + struct.pack("<f", one)
            elif isinstance(one, (dict, str, bytes)):
                body = encode(schema, kind, one) if isinstance(one, dict) else one.encode() if isinstance(one, str) else one
                out += varint_write(number << 3 | LENGTH) + varint_write(len(body)) + body
            else:
                out += varint_write(number << 3 | VARINT) + varint_write(one)
    return out


def decode(schema, message, data, at, end, depth=0):
    """What data[at:end] says: (depth, from, to, sentence) of each field, children after their parent."""
    while at < end:
        start = at
        tag, at = varint_read(data, at)
        number, wire = tag >> 3, tag & 7
        word, kind, _ = schema.messages[message].get(number, (f"field {number}, unknown", "", False))
        if wire == VARINT:
            value, at = varint_read(data, at)
            yield depth, start, at, f"{word} = {schema.enums[kind].get(value, value) if kind in schema.enums else value}"
        elif wire in (FIXED32, FIXED64):
            size = 4 if wire == FIXED32 else 8
            value = struct.unpack_from("<f" if size == 4 else "<d", data, at)[0]
            at += size
            yield depth, start, at, f"{word} = {value:g}"
        elif wire == LENGTH:
            size, at = varint_read(data, at)
            body, at = at, at + size
            if at > end:
                raise ValueError(f"{word} is longer than what it is in")
            if kind in schema.messages:
                yield depth, start, body, f"{word}: {kind}, {size} bytes"
                yield from decode(schema, kind, data, body, at, depth + 1)
            elif kind in ("string", "bytes"):
                yield depth, start, at, f'{word} = "{readable(data[body:at])}"'
            else:  # packed numbers
                values, p = [], body
                while p < at:
                    n, p = varint_read(data, p)
                    values.append(str(n))
                yield depth, start, at, f"{word} = [{', '.join(values)}]"
        else:
            raise ValueError(f"{word} has wire type {wire}, which proto3 does not use")


def readable(data):
    """Text in a Markdown code block: what is no printable character appears as its bytes."""
    return "".join(c if c.isprintable() and c not in '"\\' else "".join(f"\\x{b:02x}" for b in c.encode()) for c in data.decode("utf-8", "backslashreplace"))


def explain(schema, sender, frame):
    """The lines of one frame: bytes on the left, what they say on the right. @sender: "client" or "hearthd"."""
    mark, n_fds, zero, size = HEADER.unpack_from(frame)
    if mark != b"H1" or zero or size != len(frame) - HEADER.size:
        raise ValueError("not a frame")
    rows = [(0, 0, 4, f"'H1', {n_fds} descriptors, 0"), (0, 4, 8, f"{size} bytes follow")]
    rows += decode(schema, "ClientFrame" if sender == "client" else "ServerFrame", frame, HEADER.size, len(frame))
    for depth, start, end, sentence in rows:
        for i in range(start, end, 16):
            left = " ".join(f"{b:02x}" for b in frame[i:min(i + 16, end)])
            yield f"{start if i == start else i:04x}  {left:<47}  {'  ' * depth + sentence if i == start else ''}".rstrip()


def dumps(markdown):
    """(sender, title, lines, bytes) of each code block that follows a line "client -> hearthd: TITLE" or "hearthd -> client: TITLE"."""
    for m in re.finditer(r"^\*\*(client|hearthd) → \w+: ([^*\n]+)\*\*\n+```\n(.*?)\n```", markdown, re.M | re.S):
        lines = m.group(3).splitlines()
        yield m.group(1), m.group(2), lines, b"".join(bytes.fromhex(line[6:53]) for line in lines)


# ---- a session ----

HELLO = {"hello": {"version_min": 1, "version_max": 1, "client_name": "dump"}}


def generate(prompt, n_tokens):
    """A question. Fields that have their default are left out; temperature is a oneof, where 0 has to be sent."""
    return {"generate": {"id": 1, "messages": [{"parts": [{"text": prompt}]}], "sampling": {"temperature": 0.0, "seed": 7},
                         "max_tokens": n_tokens}}


def receive(sock, n):
    data = b""
    while len(data) < n:
        more = sock.recv(n - len(data))
        if not more:
            raise EOFError("hearthd hung up")
        data += more
    return data


def name_of(schema, sender, frame):
    kind = "ClientFrame" if sender == "client" else "ServerFrame"
    return schema.messages[kind][varint_read(frame, HEADER.size)[0] >> 3][1]


def session(schema, path, prompt, n_tokens):
    """(sender, name, frame) of everything that is said until the request has ended."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(120)
        sock.connect(path)
        for values in (HELLO, generate(prompt, n_tokens)):
            body = encode(schema, "ClientFrame", values)
            frame = HEADER.pack(b"H1", 0, 0, len(body)) + body
            sock.sendall(frame)
            yield "client", name_of(schema, "client", frame), frame
            while True:
                head = receive(sock, HEADER.size)
                frame = head + receive(sock, HEADER.unpack(head)[3])
                name = name_of(schema, "hearthd", frame)
                yield "hearthd", name, frame
                if name in ("Welcome", "Done", "Error"):
                    break
            if name == "Error":
                return


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--socket", default=os.environ.get("HEARTH_SOCKET", "/run/hearth/hearth.sock"))
    parser.add_argument("--prompt", default="What is the capital of France?")
    parser.add_argument("--tokens", type=int, default=8)
    parser.add_argument("--explain", type=pathlib.Path, metavar="FILE.md")
    o = parser.parse_args()
    schema = Schema(PROTO)
    if o.explain:
        said = [(sender, title, frame) for sender, title, _, frame in dumps(o.explain.read_text())]
    else:
        said = session(schema, o.socket, o.prompt, o.tokens)
    for sender, name, frame in said:
        other = "hearthd" if sender == "client" else "client"
        print(f"**{sender} → {other}: {name}**\n\n```", *explain(schema, sender, frame), "```\n", sep="\n")


if __name__ == "__main__":
    sys.exit(main())
