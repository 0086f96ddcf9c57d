#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Weights between those that a run began with and those that it ended with; they are often better than both.

usage: mix.py START.gguf LAST.pt OUT.pt --tokenizer F.model --part X [--config F.json]

OUT = (1 - X) START + X LAST, parameter by parameter (Wortsman et al. 2022, arXiv:2109.01903); a checkpoint for export.py.
"""
import argparse

import sentencepiece as spm
import torch

import check_export
import net


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("start")
    ap.add_argument("last")
    ap.add_argument("out")
    ap.add_argument("--tokenizer", required=True)
    ap.add_argument("--part", type=float, required=True, help="0 to 1")
    ap.add_argument("--config", default=net.HERE + "/config.json")
    a = ap.parse_args()
    model = net.build(net.load_config(a.config), spm.SentencePieceProcessor(model_file=a.tokenizer).GetPieceSize())
    check_export.load_file(a.start, model)
    start, last = model.state_dict(), torch.load(a.last, map_location="cpu")["mean"]
    torch.save({"mean": {k: torch.lerp(start[k], v, a.part) for k, v in last.items()}}, a.out)


if __name__ == "__main__":
    main()
