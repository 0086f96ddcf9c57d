#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measure an exported file on a split, through hearth's engine: right calls, valid JSON, refusals, translation, time.

usage: evaluate.py FILE.gguf DATA.jsonl --tokenizer F.model --answer build/tools/hearth-answer [--limit N] [--level NAME ...]
       [--show N] [--json OUT.json]
       [--free]

Every turn of the model is one question; the turns before it are the right ones. A turn counts as exact if its calls are
those expected, in order, with all arguments equal. The order of arguments does not matter, 22 and 22.0 are equal.
"""
import argparse
import collections
import json
import os
import subprocess
import sys

import sentencepiece as spm

import form
import grammar

CALLS = ("command", "several", "correct", "also", "opposite", "relative", "answer", "favourite", "spoken")  # kinds that must call
TURN = 300                                                                                                # questions of a level before the next level's
QUIET = ("scope", "absent")                                                                               # must not, by any means


def ngrams(text, n):
    return collections.Counter(text[i:i + n] for i in range(len(text) - n + 1))


def chrf(pairs, order=6, beta=2.0):
    """chrF of [(got, want)], 0 to 100: character n-grams of the corpus without spaces (Popovic 2015), F with recall counting beta^2."""
    got_n, want_n, hit_n = [0] * order, [0] * order, [0] * order
    for got, want in pairs:
        got, want = got.replace(" ", ""), want.replace(" ", "")
        for n in range(1, order + 1):
            a, b = ngrams(got, n), ngrams(want, n)
            got_n[n - 1] += a.total()
            want_n[n - 1] += b.total()
            hit_n[n - 1] += (a & b).total()
    scores = []
    for a, b, hit in zip(got_n, want_n, hit_n):
        if b == 0:
            continue
        p, r = hit / a if a else 0.0, hit / b
        scores.append((1 + beta ** 2) * p * r / (beta ** 2 * p + r) if hit else 0.0)
    return 100 * sum(scores) / len(scores) if scores else 0.0


def cached(ids, row, i, sp, tools):
    """How many of @ids, the prompt of turn @i, hearthd has computed before: all before the text of the last turn."""
    before = {**row, "turns": row["turns"][:i - 1] + [{**row["turns"][i - 1], "text": ""}]}
    return next((n for n, (a, b) in enumerate(zip(ids, form.prompt(sp, before, tools, i))) if a != b), len(ids) - 1)


def questions(path, sp, limit, free=False):
    """[(conversation, index of the turn, what hearth-answer gets)]. @free: calls are not held to the form."""
    tools, out = grammar.tools(), []
    with open(path, encoding="utf-8") as f:
        for row in map(json.loads, f):
            for i, t in enumerate(row["turns"]):
                if t["role"] == "model" and (limit is None or len(out) < limit):
                    ids = form.prompt(sp, row, tools, i)
                    offered = [] if free else [{**tools[form.own_name(row, n)], "name": n} for n in row["tools"]]
                    out.append((row, i, {"ids": ids, "cached": cached(ids, row, i, sp, tools), **({"tools": offered} if offered else {})}))
    return out


def ask(program, path, level, prompts, threads):
    """Answers of the engine to @prompts, as it prints them."""
    command = [program, path, "--level", level, "--threads", str(threads)]
    lines = "".join(json.dumps(p) + "\n" for p in prompts)
    out = subprocess.run(command, input=lines, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    return [json.loads(x) for x in out]


def call_ms(a, sp):
    """Time from the request until the last call is complete, taking each token of the answer to last equally long."""
    ids = a["ids"]
    ends = [i for i in range(len(ids)) if ids[i] == form.CALL]
    if not ends:
        return None
    end = next((i for i in range(ends[-1], len(ids)) if "\n" in sp.DecodeIds([ids[i]])), len(ids) - 1)
    return a["prefill_ms"] + (a["total_ms"] - a["prefill_ms"]) * (end + 1) / len(ids)


def median(x):
    return sorted(x)[len(x) // 2] if x else None


def measure(asked, answers, sp, show):
    """Figures of one level."""
    kinds, langs, json_ok, quiet = (collections.defaultdict(lambda: [0, 0]) for _ in range(4))
    pairs, times, replies, shown = collections.defaultdict(list), [], [0, 0], 0
    for (row, i, _), a in zip(asked, answers, strict=True):
        turn = row["turns"][i]
        calls, text = form.parse(sp, a["ids"])
        want = [{"name": c["name"], "arguments": c["arguments"]} for c in turn["calls"]]
        right = calls == want
        kind = turn["kind"]
        kinds[kind][0] += right
        kinds[kind][1] += 1
        if kind in CALLS:
            langs[row["lang"]][0] += right
            langs[row["lang"]][1] += 1
        if kind in QUIET:
            quiet[kind][0] += not calls
            quiet[kind][1] += 1
        if kind.startswith("translate"):
            pairs[kind].append((text, turn["text"]))
        elif kind != "spoken":
            replies[0] += text == turn["text"].strip()
            replies[1] += 1
        if calls:
            json_ok["all"][0] += sum(c is not None for c in calls)
            json_ok["all"][1] += len(calls)
            times.append(call_ms(a, sp))
        if shown < show and (not right or kind.startswith("translate") and text != turn["text"]):
            shown += 1
            print(f"  {row['id']} [{kind}] {row['turns'][i - 1]['text']!r}\n    want {form.dumps(want)} {turn['text']!r}\n    got  {form.dumps(calls)} {text!r}")
    share = lambda x: round(100 * x[0] / x[1], 2) if x[1] else None
    asked_calls = [sum(v[j] for v in langs.values()) for j in (0, 1)]
    return {"exact": share(asked_calls), "exact_by_language": {k: share(v) for k, v in langs.items()}, "by_kind": {k: [share(v), v[1]] for k, v in sorted(kinds.items())},
            "valid_json": share(json_ok["all"]), "no_call": {k: share(v) for k, v in quiet.items()}, "replies": share(replies),
            "chrf": {k: round(chrf(v), 2) for k, v in pairs.items()}, "call_ms_median": median(times), "questions": len(asked)}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("file")
    ap.add_argument("data")
    ap.add_argument("--tokenizer", required=True)
    ap.add_argument("--answer", required=True)
    ap.add_argument("--limit", type=int)
    ap.add_argument("--level", nargs="+")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--free", action="store_true", help="do not hold calls to the form and the schemas, as hearthd does")
    ap.add_argument("--show", type=int, default=0, help="print so many wrong answers of each level")
    ap.add_argument("--config", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "config.json"))
    ap.add_argument("--json")
    a = ap.parse_args()
    sp = spm.SentencePieceProcessor(model_file=a.tokenizer)
    with open(a.config) as f:
        names = a.level or list(json.load(f)["levels"])
    asked, out, answers = questions(a.data, sp, a.limit, a.free), {}, {n: [] for n in names}
    for at in range(0, len(asked), TURN):  # in turn, so that a busy minute of the machine is every level's
        for name in names:
            answers[name] += ask(a.answer, a.file, name, [q for _, _, q in asked[at:at + TURN]], a.threads)
    for name in names:
        out[name] = measure(asked, answers[name], sp, a.show)
        print(name, json.dumps(out[name], ensure_ascii=False), flush=True)
    if a.json:
        with open(a.json, "w") as f:
            json.dump(out, f, ensure_ascii=False, indent=1)
            f.write("\n")


if __name__ == "__main__":
    sys.exit(main())
