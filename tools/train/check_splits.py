#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check that no split has a template or a value of a free slot that another one has, and that every call fits its schema.

usage: check_splits.py DATA_DIR
Closed slots (rooms, windows, levels...) have the same values everywhere: the tools know no others. Hours and small
steps (up, down, fan, lv3) are few numbers and count as closed; of a time, the minutes are looked at.
"""
import json
import os
import re
import sys

import form
import grammar

FREE = ("name", "place", "city", "title", "todo", "item", "temp", "pct", "mhz", "num")


def fits(value, schema):
    kinds = {"string": str, "boolean": bool, "integer": int, "number": (int, float)}
    if not isinstance(value, kinds[schema["type"]]) or (isinstance(value, bool) and schema["type"] != "boolean"):
        return False
    if "enum" in schema and value not in schema["enum"] or "pattern" in schema and not re.match(schema["pattern"], value):
        return False
    return not isinstance(value, (int, float)) or schema.get("minimum", value) <= value <= schema.get("maximum", value)


def stands(value, row):
    """Whether @value stands word for word in what was said, as "x-verbatim" wants it."""
    return any(value in text for text in (row["system"], *(t["text"] for t in row["turns"] if t["role"] != "model")))


def wrong_call(call, row, tools):
    """What is wrong with a call of a conversation, or None."""
    tool = tools.get(form.own_name(row, call["name"]))
    if call["name"] not in row["tools"] or not tool:
        return "the tool is not offered"
    p = tool["parameters"]
    for k, v in call["arguments"].items():
        if k not in p["properties"] or not fits(v, p["properties"][k]):
            return f"argument {k}={v!r}"
        if p["properties"][k].get("x-verbatim") and not stands(v, row):
            return f"argument {k}={v!r} was not said"
    missing = [k for k in p["required"] if k not in call["arguments"]]
    return f"without {missing[0]}" if missing else None


def main():
    tools, templates, values, phrases, bad = grammar.tools(), {}, {}, {}, 0
    closed, _ = grammar.values()
    spoken = {f for s in ("relation", "spot") for _, e, k in closed[s] for f in e + k}
    for split in grammar.SPLITS:
        templates[split], values[split], phrases[split] = set(), set(), set()
        with open(os.path.join(sys.argv[1], split + ".jsonl"), encoding="utf-8") as f:
            for row in map(json.loads, f):
                for t in row["turns"]:
                    if t["role"] != "model":
                        continue
                    templates[split].update(t["templates"])
                    if "phrase" in t:
                        phrases[split].add(t["phrase"])
                    for s, (v, said) in t["slots"].items():
                        if s in FREE and said not in spoken:
                            values[split].add((s, str(v)))
                        elif s == "time" and not v.endswith((":00", ":30")):
                            values[split].add(("minute", v[3:]))
                        elif s == "dur":
                            values[split].update((k, str(x)) for k, x in v.items() if k != "hours")
                    for c in t["calls"]:
                        why = wrong_call(c, row, tools)
                        if why:
                            bad += 1
                            print(f"{row['id']}: {c['name']}: {why}")
    for a, b in (("train", "dev"), ("train", "test"), ("dev", "test")):
        for what, sets in (("template", templates), ("value", values), ("phrase", phrases)):
            both = sets[a] & sets[b]
            bad += len(both)
            for x in sorted(both, key=str)[:10]:
                print(f"{a} and {b} share the {what} {x}")
    for s in grammar.SPLITS:
        print(f"{s}: {len(templates[s])} templates, {len(values[s])} values, {len(phrases[s])} translated phrases")
    print("splits are disjoint, all calls fit" if not bad else f"{bad} faults")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
