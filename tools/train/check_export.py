#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare an exported file with PyTorch: tokens of texts, and logits of prompts at every level.

usage: check_export.py FILE.gguf --tokenizer F.model --eval build/tools/hearth-eval [--config F.json]

PyTorch (transformers' classes) computes with the weights of the file, dequantised. A file without quantised tensors must
agree within TOLERANCE, run with the reference kernels and a float32 KV cache. Of a quantised file the difference is
reported only: hearth rounds activations to 8 bits there.
"""
import argparse
import json
import subprocess
import sys
import tempfile

import gguf
import numpy as np
import sentencepiece as spm
import torch

import compose
import export
import form
import grammar
import net

TOLERANCE = 5e-4  # of logits; 1e-5 was seen after 100 steps, and training makes a model amplify rounding
TEXTS = ["Take me to 12 Baker Street, please.", "조수석 창문 조금만 열어 줘", "  two  spaces\nand a line ", "뷁 쀍 🚗 naïve", "<call><end_of_turn> user_text window_set",
         '{"name":"call","arguments":{"to":"Mina"}}', "미나한테 7시 30분에 도착한다고 문자 보내 줘"]


def load_file(path, model):
    """Put the weights of the file, dequantised, into @model. Return whether some are quantised."""
    want, have, quantised = dict(export.tensors(model)), {}, False
    for t in gguf.GGUFReader(path).tensors:
        have[t.name] = gguf.quants.dequantize(t.data, t.tensor_type).reshape(want[t.name].shape)
        quantised |= t.tensor_type.name not in ("F32", "F16", "BF16")
    if set(want) != set(have):
        raise SystemExit(f"tensors differ: {sorted(set(want) ^ set(have))[:5]}")
    sd, new = model.state_dict(), {}
    names = {export.ONCE[k] + ".weight": "model." + k for k in export.ONCE}
    for n in sd:
        if ".layers." in n:
            _, _, i, leaf = n.split(".", 3)
            names[f"blk.{i}.{export.LAYER[leaf.removesuffix('.weight')]}.weight"] = n
    for n, x in have.items():
        if n in names:
            new[names[n]] = torch.from_numpy(np.array(x, dtype=np.float32))
    for k in range(3):
        new[f"model.altup_projections.{k}.weight"] = torch.from_numpy(np.array(have["altup_proj.weight"][k], dtype=np.float32))
        new[f"model.altup_unembed_projections.{k}.weight"] = torch.from_numpy(np.array(have["altup_unembd_proj.weight"][k], dtype=np.float32))
    missing = set(sd) - set(new) - {"lm_head.weight"}
    if missing:
        raise SystemExit(f"not in the file: {sorted(missing)[:5]}")
    model.load_state_dict(new, strict=False)
    model.tie_weights()
    return quantised


def check_tokens(hearth, path, sp):
    out = subprocess.run([hearth, path, "--tokenize"], input="".join(json.dumps(t) + "\n" for t in TEXTS), capture_output=True, text=True, check=True)
    bad = 0
    for text, row in zip(TEXTS, out.stdout.splitlines(), strict=True):
        want, got = sp.EncodeAsIds(text), json.loads(row)
        if want != got:
            bad += 1
            print(f"tokens of {text!r} differ: SentencePiece {[sp.IdToPiece(i) for i in want]}, hearth {[sp.IdToPiece(i) for i in got]}")
    return bad


@torch.no_grad()
def check_logits(hearth, path, sp, model, config):
    """The largest difference over five prompts and all levels."""
    c, tools, worst = compose.Composer("dev", 99), grammar.tools(), 0.0
    for n in range(5):
        row = c.conversation()
        ids = form.prompt(sp, row, tools, len(row["turns"]) - 1)
        for name, level in config["levels"].items():
            with tempfile.NamedTemporaryFile(suffix=".f32") as f:
                subprocess.run([hearth, path, "--ids", ",".join(map(str, ids)), "--logits", f.name, "--kernels", "c", "--kv", "f32", "--level", name,
                                "--threads", "1"], check=True, capture_output=True)
                got = np.fromfile(f.name, dtype="<f4").reshape(len(ids), -1)
            want = net.slice_model(model, level["width"], level["skip"])(input_ids=torch.tensor([ids]), use_cache=False).logits[0].numpy()
            err = float(np.abs(got - want).max())
            same = float((got.argmax(-1) == want.argmax(-1)).mean())
            worst = max(worst, err)
            print(f"prompt {n}, {len(ids)} tokens, {name}: largest difference {err:.2e}, the same best token at {100 * same:.1f} %")
    return worst


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("file")
    ap.add_argument("--tokenizer", required=True)
    ap.add_argument("--eval", required=True)
    ap.add_argument("--config", default=net.HERE + "/config.json")
    a = ap.parse_args()
    torch.set_num_threads(1)
    config, sp = net.load_config(a.config), spm.SentencePieceProcessor(model_file=a.tokenizer)
    model = net.build(config, sp.GetPieceSize()).eval()
    quantised = load_file(a.file, model)
    bad = check_tokens(a.eval, a.file, sp)
    worst = check_logits(a.eval, a.file, sp, model, config)
    print(f"largest difference {worst:.2e}" + ("" if quantised else f", allowed {TOLERANCE:.0e}"))
    return bool(bad) or (not quantised and worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
