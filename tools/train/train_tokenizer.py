#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Train the tokenizer: SentencePiece BPE with byte fallback, laid out as Gemma's and with the control tokens of docs/TOOLS.md.

usage: train_tokenizer.py OUT.model [--size N] [--conversations N] [--seed S]

Two things differ from a usual vocabulary, so that copying a name from the request into the call copies tokens:
- a space is a token of its own, because a name stands after a space in the request and after a quotation mark in the call;
- no piece is learnt across the edge of a value, so that a name is cut the same way before a Korean particle and alone.
Names of tools, values with an underscore and the frame of a call are one token each.
"""
import argparse
import io
import re

import sentencepiece as spm

import compose
import form
import grammar

SPACE = "\u2581"
FRAME = ['{"name":"', '","arguments":{"', '","arguments":{}}', '":"', '","', '":', ',"', '"}}', "}}"]


def corpus(n, seed):
    """Words of @n conversations, cut at spaces and at the edges of values."""
    c, tools = compose.Composer("train", seed, guards=True), grammar.tools()
    for _ in range(n):
        row = c.conversation()
        for t in row["turns"]:
            text = t["text"]
            for _, said in t.get("slots", {}).values():
                text = text.replace(said, f"\x01{said}\x02") if said else text
            for x in [text] + [form.dumps(x) for x in t.get("calls", [])]:
                yield from (w for w in re.split(r"[\x01\x02\s]+", x) if w)
        yield from (w for w in re.split(r"\s+", row["system"]) if w)
    for t in tools.values():
        yield from [form.tool_line(t)] * 40
    yield from ["user", "model"] * n


def symbols():
    """Texts that are one token wherever they stand."""
    names = set(grammar.tools())
    for t in grammar.tools().values():
        for a, p in t["parameters"]["properties"].items():
            names.update(x for x in [a, *p.get("enum", [])] if "_" in x)
    return ["\n"] + FRAME + sorted(n for n in names if "_" in n)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out")
    ap.add_argument("--size", type=int, default=5120)
    ap.add_argument("--conversations", type=int, default=30000)
    ap.add_argument("--seed", type=int, default=7)
    a = ap.parse_args()
    words = list(corpus(a.conversations, a.seed))
    out = io.BytesIO()
    spm.SentencePieceTrainer.Train(
        sentence_iterator=iter(words), model_writer=out, vocab_size=a.size, model_type="bpe", byte_fallback=True,
        pad_id=form.PAD, eos_id=form.EOS, bos_id=form.BOS, unk_id=form.UNK, pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>",
        unk_piece="<unk>", control_symbols=form.CONTROL[4:], user_defined_symbols=symbols() + [SPACE], add_dummy_prefix=False,
        remove_extra_whitespaces=False, normalization_rule_name="identity", split_digits=True, character_coverage=0.9985,
        max_sentence_length=16384, num_threads=1, minloglevel=1)
    with open(a.out, "wb") as f:
        f.write(out.getvalue())
    report(a.out)


def report(path):
    sp, counts = spm.SentencePieceProcessor(model_file=path), {"e": [0, 0], "k": [0, 0]}
    c, bytes_used = compose.Composer("dev", 3), 0
    for _ in range(2000):
        row = c.conversation()
        for t in row["turns"]:
            if t["role"] != "tool":
                ids = sp.EncodeAsIds(t["text"])
                korean = "k" if re.search("[가-힣]", t["text"]) else "e"
                counts[korean][0] += len(t["text"])
                counts[korean][1] += len(ids)
                bytes_used += sum(sp.IsByte(i) for i in ids)
    hangul = sum(1 for i in range(sp.GetPieceSize()) if re.fullmatch("[가-힣]", sp.IdToPiece(i)))
    print(f"{sp.GetPieceSize()} pieces, {hangul} single syllables of Hangul; characters per token: "
          f"English {counts['e'][0] / counts['e'][1]:.2f}, Korean {counts['k'][0] / counts['k'][1]:.2f}; "
          f"{100 * bytes_used / (counts['e'][1] + counts['k'][1]):.2f} % byte tokens")


if __name__ == "__main__":
    main()
