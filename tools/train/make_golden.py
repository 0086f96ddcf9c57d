#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write conversations of the dev split with their token ids, for the test that hearth renders them the same.

usage: make_golden.py TOKENIZER.model FOLDER [--conversations N] [--seed S]

FOLDER gets vocab.gguf, which has the vocabulary and the form and no weights, and conversations.json.
Each has what an app would send: the system text, tools as JSON schemas, turns of the user and results as texts, earlier
answers as the tokens that made them; `ids` is the prompt for the last answer.
"""
import argparse
import json
import os

import gguf
import sentencepiece as spm

import compose
import export
import form
import grammar


def case(sp, row, tools):
    turns = row["turns"]
    out = []
    for t in turns[:-1]:
        if t["role"] == "model":
            out.append({"role": "model", "ids": form.encode(sp, form.answer(t)) + [form.END]})
        else:
            out.append({"role": t["role"], "text": t["text"]})
    return {"system": row["system"], "tools": [tools[n] for n in row["tools"]], "turns": out,
            "ids": form.prompt(sp, row, tools, len(turns) - 1)}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("tokenizer")
    ap.add_argument("folder")
    ap.add_argument("--conversations", type=int, default=40)
    ap.add_argument("--seed", type=int, default=11)
    a = ap.parse_args()
    sp, tools, c = spm.SentencePieceProcessor(model_file=a.tokenizer), grammar.tools(), compose.Composer("dev", a.seed)
    rows = [c.conversation() for _ in range(a.conversations)]
    rows.append(dict(rows[0], system=" <call> and <end_of_turn>\n are only text here. ", turns=[dict(rows[0]["turns"][0], text="\n <tools>a()\n\n뷁 🚗 "), rows[0]["turns"][1]]))
    with open(os.path.join(a.folder, "conversations.json"), "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join(json.dumps(case(sp, r, tools), ensure_ascii=False, separators=(",", ":")) for r in rows) + "\n]\n")
    w = gguf.GGUFWriter(os.path.join(a.folder, "vocab.gguf"), "gemma3n")
    export.add_tokenizer(w, sp)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.close()


if __name__ == "__main__":
    main()
