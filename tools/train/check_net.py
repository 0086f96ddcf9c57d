#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare the training forward pass with transformers at every level, two conversations packed in one row.

usage: check_net.py
"""
import sys

import torch

import net

TOLERANCE = 2e-4  # of logits up to 30, float32 in two orders of summation


@torch.no_grad()
def main():
    torch.manual_seed(3)
    c, worst = net.load_config(), 0.0
    model = net.build(c, 600, seed=5).eval()
    for n, p in model.named_parameters():  # every parameter must matter
        if p.dim() == 1:
            p.mul_(1 + 0.2 * torch.randn(p.shape))
    fast = net.Fast(model)
    lengths = (300, 90)
    ids = torch.randint(9, 600, (1, sum(lengths)))
    pos = torch.cat([torch.arange(n) for n in lengths])[None]
    seg = torch.cat([torch.full((n,), i + 1) for i, n in enumerate(lengths)])[None]
    sel = torch.tensor([[0, 5, 299, 300, 301, 389]])
    full, near = net.masks(seg, c["model"]["sliding_window"])
    for name, level in c["levels"].items():
        whole = net.slice_model(model, level["width"], level["skip"])
        want = torch.cat([whole(input_ids=x, use_cache=False).logits for x in ids.split(lengths, 1)], 1)[0, sel[0]]
        got = fast(ids, pos, full, near, sel, level["width"], tuple(level["skip"]))[0]
        err = float((want - got).abs().max())
        worst = max(worst, err)
        print(f"{name}: largest difference {err:.2e}, largest logit {float(want.abs().max()):.2f}")
    total = sum(p.numel() for p in net.build(c, 5120).parameters())
    print(f"{total / 1e6:.2f} million parameters with 5120 tokens")
    return worst > TOLERANCE


if __name__ == "__main__":
    sys.exit(main())
