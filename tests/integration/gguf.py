# SPDX-License-Identifier: Apache-2.0
"""Changes keys of a GGUF v3 file: a model that has what the tiny ones lack, or that lies."""
import struct

ALIGNMENT = 32
STRING, ARRAY = 8, 9
FORMATS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<B", 10: "<Q", 11: "<q", 12: "<d"}


def _string(data, at):
    n, = struct.unpack_from("<Q", data, at)
    return data[at + 8:at + 8 + n], at + 8 + n


def _after_value(data, at, kind):
    if kind == STRING:
        return _string(data, at)[1]
    if kind != ARRAY:
        return at + struct.calcsize(FORMATS[kind])
    item, n = struct.unpack_from("<IQ", data, at)
    at += 12
    if item != STRING:
        return at + n * struct.calcsize(FORMATS[item])
    for _ in range(n):
        at = _string(data, at)[1]
    return at


def _packed(value):
    """The bytes of a value with its type: text, or (type, number)."""
    if isinstance(value, str):
        return struct.pack("<IQ", STRING, len(value.encode())) + value.encode()
    kind, number = value
    return struct.pack("<I", kind) + struct.pack(FORMATS[kind], number)


def change(data, changes):
    """@data: a file's bytes. @changes: {key: text, (type, number), or None to take it away}. Return: the new bytes."""
    magic, version, n_tensors, n_keys = struct.unpack_from("<4sIQQ", data)
    assert (magic, version) == (b"GGUF", 3)
    at, keys = 24, {}
    for _ in range(n_keys):
        name, at = _string(data, at)
        kind, = struct.unpack_from("<I", data, at)
        end = _after_value(data, at + 4, kind)
        keys[name.decode()], at = data[at:end], end
    begin = at
    for _ in range(n_tensors):
        at = _string(data, at)[1]
        n_dims, = struct.unpack_from("<I", data, at)
        at += 4 + 8 * n_dims + 4 + 8
    tensors, weights = data[begin:at], data[at + -at % ALIGNMENT:]
    keys.update({name: value if value is None else _packed(value) for name, value in changes.items()})
    keys = {name: value for name, value in keys.items() if value is not None}
    head = struct.pack("<4sIQQ", magic, version, n_tensors, len(keys))
    for name, value in keys.items():
        head += struct.pack("<Q", len(name.encode())) + name.encode() + value
    head += tensors
    return head + bytes(-len(head) % ALIGNMENT) + weights
