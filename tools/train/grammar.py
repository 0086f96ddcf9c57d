# SPDX-License-Identifier: Apache-2.0
"""Reads the files of data/: templates and values.

A head `[tool: arg=slot, arg:=literal]` begins a block; `*=slot` gives several arguments. Its lines are
`e TEXT` (English) or `k TEXT` (Korean), with `.d` or `.t` where a line is of the dev or test split only. In a text
`[a|b]` is a choice, `{x}` a slot, `%을` a Korean particle that fits what stands before it, `~` the place of a Korean
verb's ending, and a `=` in front says that the line is no command: nothing is put around it and it joins no other one.
A block's arguments are those whose slots are in the line.
"""
import functools
import itertools
import json
import os
import re
import zlib
from dataclasses import dataclass, field

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
SPLITS = ("train", "dev", "test")
SUFFIX = {"": "train", "d": "dev", "t": "test"}


@dataclass
class Line:
    lang: str      # "e" or "k"
    split: str     # of SPLITS
    text: str      # without the "="
    command: bool  # may be wrapped and joined
    key: str       # names the line, for the check of the splits

    def slots(self):
        return re.findall(r"\{(\w+)\}", self.text)


@dataclass(eq=False)
class Block:
    head: list                     # words before the colon
    args: dict                     # argument -> slot, or "*"
    fixed: dict                    # argument -> value
    lines: list = field(default_factory=list)
    replies: dict = field(default_factory=lambda: {"e": [], "k": []})
    answers: dict = field(default_factory=lambda: {"e": [], "k": []})

    @functools.cache
    def of(self, lang, split):
        return [x for x in self.lines if x.lang == lang and x.split == split]


def rows(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as f:
        for n, row in enumerate(f, 1):
            row = row.strip()
            if row and not row.startswith("#"):
                yield n, row


def head(text):
    """`tool: a=b, c:=1` -> (words, args, fixed)."""
    name, _, rest = text.partition(":")
    args, fixed = {}, {}
    for part in filter(None, (p.strip() for p in rest.split(", "))):
        if ":=" in part:
            k, v = part.split(":=")
            fixed[k] = json.loads(v) if re.fullmatch(r"-?\d+|true|false", v) else v
        else:
            k, v = part.split("=")
            args[k] = v
    return name.split(), args, fixed


@functools.cache
def blocks(name):
    """The blocks of a file of templates."""
    out = []
    for n, row in rows(name):
        if row.startswith("[") and row.endswith("]") and not re.match(r"[ek]", row):
            words, args, fixed = head(row[1:-1])
            out.append(Block(words, args, fixed))
            continue
        kind, _, text = row.partition(" ")
        if kind in ("re", "rk"):
            out[-1].replies[kind[1]].append(text)
        elif kind == "answer":
            out[-1].answers[text[0]].append(text[2:])
        else:
            lang, _, split = kind.partition(".")
            if lang not in ("e", "k") or split not in SUFFIX:
                raise SystemExit(f"{name}:{n}: a line begins with e, k, re or rk, not '{kind}'")
            command = not text.startswith("=")
            text = text.lstrip("= ")
            out[-1].lines.append(Line(lang, SUFFIX[split], text, command, f"{lang} {text}"))
    return out


def thinned(some, share):
    """@some blocks with that share of their lines of training (0 to 1), the same ones each time, at least one of each language."""
    out = []
    for b in some:
        mine = sorted((x for x in b.lines if x.split == "train"), key=lambda x: zlib.crc32(x.key.encode()))
        kept = {x.key for lang in "ek" for of in [[x for x in mine if x.lang == lang]] for x in of[:max(1, round(share * len(of)))]}
        out.append(Block(b.head, b.args, b.fixed, [x for x in b.lines if x.split != "train" or x.key in kept], b.replies, b.answers))
    return out


def choose(text, rng):
    """Take one of each `[a|b]`."""
    while (m := re.search(r"\[([^\[\]]*)\]", text)):
        text = text[:m.start()] + rng.choice(m.group(1).split("|")) + text[m.end():]
    return text


def texts(line):
    """All that a line can say, as near as two lines are the same: without case, stops, particles and the blanks of Korean."""
    parts = re.split(r"\[([^\[\]]*)\]", line.text.lower())  # every second one is a choice
    said = map("".join, itertools.product(*(p.split("|") if i % 2 else [p] for i, p in enumerate(parts))))
    plain = (re.sub(r"%(으로|라고|[을를이가은는와랑로])|[~.,?!']", "", t) for t in said)
    return {line.lang + re.sub(r"\s+", "" if line.lang == "k" else " ", t).strip() for t in plain}


def number_split(slot, value):
    """Split that a number (or a made-up word) as value of @slot belongs to."""
    h = zlib.crc32(f"{slot}={value}".encode()) % 10
    return "dev" if h == 0 else "test" if h <= 2 else "train"


def values(name="slots.txt"):
    """({slot: [(value, [English], [Korean])]}, {(slot, lang, split): [text]})."""
    closed, free, at = {}, {}, None
    for _, row in rows(name):
        if row.startswith("["):
            at = row[1:-1].split()
        elif at[1] == "closed":
            v, e, k = (x.strip() for x in row.split("|"))
            closed.setdefault(at[0], []).append((v, e.split(", "), k.split(", ")))
        else:
            split = "train"
            if row[:3] in (".d ", ".t "):
                split, row = SUFFIX[row[1]], row[3:]
            free.setdefault((at[0], at[1][0], split), []).extend(row.split(", "))
    return closed, free


def tools():
    with open(os.path.join(HERE, "tools.json"), encoding="utf-8") as f:
        return {t["name"]: t for t in json.load(f)}


def phrases():
    """([(English, Korean, other English, other Korean)] templates, the others being lists, {slot: [(English, Korean)]})."""
    pairs, lists = [], {}
    for _, row in rows("phrases.txt"):
        if (m := re.match(r"\((\w+)\) (.*)", row)):
            lists[m.group(1)] = [tuple(x.split("=")) for x in m.group(2).split("; ")]
        else:
            e, k, *others = (x.strip() for x in row.split("|"))
            pairs.append((e, k, *([x.strip() for x in o.split(";")] for o in others)))
    return pairs, lists
