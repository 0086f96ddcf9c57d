#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Put what evaluate.py measured into a model card, between its lines <!-- figures --> and <!-- end -->.

usage: card.py README.md RESULTS.json TEST.json FREE.json F16.json SPOKEN.json

RESULTS.json gets the four files as one.
"""
import json
import sys


def percent(x):
    return "-" if x is None else f"{x:.1f}"


def rows(results):
    full = results["full"]["call_ms_median"]
    for name, r in results.items():
        lang, quiet, chrf = r["exact_by_language"], r["no_call"], r["chrf"]
        yield [name, percent(lang.get("e")), percent(lang.get("k")), percent(r["exact"]), percent(quiet.get("scope")), percent(quiet.get("absent")),
               percent(r["valid_json"]), percent(r["replies"]), percent(chrf.get("translate_ek")), percent(chrf.get("translate_ke")),
               f"{r['call_ms_median']:.1f} ({100 * r['call_ms_median'] / full:.0f} %)"]


def table(head, lines):
    return "\n".join("| " + " | ".join(x) + " |" for x in [head, ["---"] * len(head), *lines]) + "\n"


def kinds(r):
    return table(["kind of turn", "right, %", "turns"], [[k, percent(v), str(n)] for k, (v, n) in r["by_kind"].items() if not k.startswith("translate")])


def figures(all_):
    test, free, f16, spoken = all_["test"], all_["free"]["full"], all_["f16"]["full"], all_["spoken"]
    full = test["full"]
    free_lang = ", ".join(f"{name} {percent(free['exact_by_language'].get(k))}" for k, name in (("e", "English"), ("k", "Korean")))
    return f"""Test split, {full['questions']} turns, each level, as released, measured by hearth's engine (`tools/hearth-answer`). "Right" is the tool and
all arguments, or all calls of several. Calls are held to the form and the schemas of the tools, as hearthd does: names,
places and free texts stand word for word in what was said to it (`x-verbatim`, docs/TOOLS.md). Without any of that the full
level makes {percent(free['valid_json'])} % valid JSON, and {percent(free['exact'])} % of the calls right ({free_lang}). What is not valid then has no end.

{table(["level", "right, English, %", "Korean", "both", "no call out of scope, %", "no call of what is not offered", "valid JSON, %", "reply word for word, %",
        "chrF to Korean", "to English", "ms to the call, median"], rows(test))}
By kind, full level:

{kinds(full)}
Quantisation (full level, the same turns): F16 {percent(f16['exact'])} % right, as released {percent(full['exact'])} %; chrF to Korean {f16['chrf'].get('translate_ek')} and
{full['chrf'].get('translate_ek')}, to English {f16['chrf'].get('translate_ke')} and {full['chrf'].get('translate_ke')}.

The 200 sentences by hand (`spoken.jsonl`), right calls:

{table(["level", "English, %", "Korean, %", "both, %", "valid JSON, %"],
       [[n, percent(r["exact_by_language"].get("e")), percent(r["exact_by_language"].get("k")), percent(r["exact"]), percent(r["valid_json"])] for n, r in spoken.items()])}"""


def main():
    card, out, *files = sys.argv[1:]
    all_ = dict(zip(("test", "free", "f16", "spoken"), (json.load(open(f)) for f in files), strict=True))
    with open(out, "w") as f:
        json.dump(all_, f, ensure_ascii=False, indent=1)
        f.write("\n")
    with open(card, encoding="utf-8") as f:
        before, rest = f.read().split("<!-- figures -->", 1)
    after = rest.split("<!-- end -->", 1)[1]
    with open(card, "w", encoding="utf-8") as f:
        f.write(f"{before}<!-- figures -->\n\n{figures(all_)}\n<!-- end -->{after}")


if __name__ == "__main__":
    main()
