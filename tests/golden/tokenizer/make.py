#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make tiny.json: small vocabularies, texts, and their tokens by a slow and plain encoder.

usage: make.py MODEL.gguf ... [--check REAL.gguf CASES.jsonl] > tiny.json
The vocabularies are those of the given files (equal ones once), and the first of them again with user-defined and
unused tokens added. The encoder below follows the rule of the file format word by word, in quadratic time, and shares
nothing with engine/token. --check compares it with rows made by llama.cpp on a real vocabulary first. (`</s>` is an end
mark there, whatever kind the file gives it, so texts do not make that token.)
needs: gguf
"""
import argparse
import base64
import json
import random
import sys

import gguf

NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
TEXTS = [
    "", "a", " ", "  ", "Turn on the kitchen light and set the heating to 22 degrees.", "내일 부산 날씨가 어때? 미나에게 전화해 줘. 🚗",
    "user\nPlay quiet music.", "model\n", "\n", "\n\n", "\n\n\n\n\n", " leading", "trailing ", "  two  spaces  ", "a    b", "tabs\tand\ttabs",
    "for (int i = 0; i < n; i++) { sum += a[i] * b[i]; }\n\tNavigate to the airport, but avoid the motorway.", "the the the thethe", "aaaaaaaaaaaaaaaaaaaaaaa",
    "Größe, Straße", "こんにちは、世界。", "👨‍👩‍👧‍👦 family", "e\u0301 vs é", "▁", "▁▁the", "\ufeffBOM", "\x00", "a\x00b", "\x1b[31mred",
    "<start_of_turn>user\nhi<end_of_turn>\n", "<eos>", "<bos>text", "<pad><unk>", "<0x41>", "<start_of_turn", "<<start_of_turn>>", "<end_of_turn><end_of_turn>",
    "<b>bold</b><br><br>", "ababab", "abcab", "cabc", "<unused1><unused0>", "x[multimodal]y", "<s>x</s>", "   \n\n\n   \n",
]
BYTES = [b"\xff", b"\xc3", b"\xc3 x", b"\xc3   ", b"a\xe2\x82", b"\xed\xa0\x80", b"ok \xf0\x9f\x9a end", b"\x80\x80 \x80", b"\xf0 \xf0 \xf0 ", b"caf\xe9"]
# what files of real models have beside normal tokens, and some that overlap in each other's way
ADDED = [("\n" * k, USER) for k in range(1, 5)] + [(" " * k, USER) for k in range(2, 6)] + [
    ("</s>", USER), ("<b>", USER), ("</b>", USER), ("<br>", USER), ("[multimodal]", USER), ("ab", USER), ("bc", USER), ("cab", USER),
    ("<unused0>", CONTROL), ("<unused1>", CONTROL), ("[PAD7]", UNUSED)]


class Vocabulary:
    def __init__(self, tokens, scores, kinds):
        self.tokens, self.scores, self.kinds = [t.encode() for t in tokens], scores, kinds
        self.pieces = {t: i for i, t in enumerate(self.tokens) if kinds[i] in (NORMAL, USER)}
        self.bytes = {int(t[3:5], 16): i for i, t in enumerate(self.tokens) if kinds[i] == BYTE}
        self.special = sorted((i for i, k in enumerate(kinds) if k in (CONTROL, UNKNOWN, USER)), key=lambda i: -len(self.tokens[i]))

    @classmethod
    def of_file(cls, path):
        f = gguf.GGUFReader(path).fields
        return cls(*(f["tokenizer.ggml." + k].contents() for k in ("tokens", "scores", "token_type")))

    def json(self):
        return dict(tokens=[t.decode() for t in self.tokens], scores=self.scores, kinds=self.kinds)

    def encode(self, text, special):
        parts = [text]  # bytes: raw; int: a token
        for i in self.special:
            if not special and (self.kinds[i] != USER or self.tokens[i] == b"</s>"):
                continue
            out = []
            for p in parts:
                while isinstance(p, bytes) and self.tokens[i] in p:
                    left, p = p.split(self.tokens[i], 1)
                    out += [left, i]
                out.append(p)
            parts = out
        return [i for p in parts for i in ([p] if isinstance(p, int) else self.merge(p))]

    def merge(self, raw):
        raw = raw.replace(b" ", "▁".encode())
        # surrogateescape makes a character of each byte that belongs to none
        symbols = [c.encode(errors="surrogateescape") for c in raw.decode(errors="surrogateescape")]
        while True:
            best = [(-self.scores[self.pieces[a + b]], k) for k, (a, b) in enumerate(zip(symbols, symbols[1:])) if a + b in self.pieces]
            if not best:
                break
            k = min(best)[1]
            symbols[k:k + 2] = [symbols[k] + symbols[k + 1]]
        return [i for s in symbols for i in ([self.pieces[s]] if s in self.pieces else [self.bytes[b] for b in s])]


def check(model, cases):
    v, n = Vocabulary.of_file(model), 0
    for line in open(cases):
        row = json.loads(line)
        if "ids" in row and len(row["text"]) < 2000:
            assert v.encode(row["text"].encode(), row["parse_special"]) == row["ids"], row
            n += 1
    print(f"{n} rows of {cases} agree", file=sys.stderr)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("models", nargs="+")
    ap.add_argument("--check", nargs=2, metavar=("REAL.gguf", "CASES.jsonl"))
    a = ap.parse_args()
    if a.check:
        check(*a.check)
    vocabularies = []
    for m in a.models:
        v = Vocabulary.of_file(m)
        if all(v.json() != w.json() for w in vocabularies):
            vocabularies.append(v)
    j = vocabularies[0].json()
    vocabularies.append(Vocabulary(j["tokens"] + [t for t, _ in ADDED], j["scores"] + [-1000.0] * len(ADDED), j["kinds"] + [k for _, k in ADDED]))
    r, rows = random.Random(1), []
    pool = TEXTS + ["".join(r.choice("abc the<>/\n 한▁é\t") for _ in range(r.randrange(1, 40))) for _ in range(40)] + ["the ab " * 60, "가나다 \n" * 40]
    pool += ["".join(r.sample(TEXTS, 3)) for _ in range(20)]
    for k, v in enumerate(vocabularies):
        for t in pool:
            for special in (False, True) if "<" in t else (False,):
                rows.append(dict(vocabulary=k, text=t, special=special, ids=v.encode(t.encode(), special)))
        rows += [dict(vocabulary=k, bytes=base64.b64encode(b).decode(), special=False, ids=v.encode(b, False)) for b in BYTES]
    print(json.dumps(dict(vocabularies=[v.json() for v in vocabularies], rows="ROWS"), ensure_ascii=False).replace(
        '"ROWS"', "[\n" + ",\n".join(json.dumps(x, ensure_ascii=False) for x in rows) + "\n]"))


if __name__ == "__main__":
    main()
