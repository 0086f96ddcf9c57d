#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Train the model; go on from the checkpoint in the folder if there is one.

usage: train.py DIR --tokenizer F.model [--steps N] [--minutes M] [--rows B] [--lr X] [--threads T] [--no-compile] [--every MIN]

DIR gets last.pt (model, optimizer, step; written anew every few minutes, the one before stays as before.pt) and log.txt.
The learning rate falls by a cosine over --steps, so --steps is the length of the whole run and not of this piece.
"""
import argparse
import math
import os
import random
import time

import sentencepiece as spm
import torch
import torch.nn.functional as F

import batches
import net

T, S = 512, 176  # tokens of a row, and how many of them are answers


def loss_of(fast, b, window, level):
    full, near = net.masks(b["seg"], window)
    logits = fast(b["ids"], b["pos"], full, near, b["sel"], level["width"], tuple(level["skip"]))
    x = F.cross_entropy(logits.flatten(0, 1), b["target"].flatten(), reduction="none")
    w = b["weight"].flatten()
    right = (logits.argmax(-1).flatten() == b["target"].flatten()).float()
    return (x * w).sum() / w.sum(), (right * w).sum() / w.sum()


def optimizer(model, lr):
    """Decay for matrices; none for norms and embeddings."""
    decay = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed_tokens" not in n and "coefs" not in n]
    ids = {id(p) for p in decay}
    rest = [p for p in model.parameters() if id(p) not in ids]
    return torch.optim.AdamW([dict(params=decay, weight_decay=0.05), dict(params=rest, weight_decay=0.0)], lr=lr, betas=(0.9, 0.98), fused=True)


def rate(step, steps, lr, warm=100):
    if step < warm:
        return lr * (step + 1) / warm
    x = min(1.0, (step - warm) / max(1, steps - warm))
    return lr * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * x)))


def save(path, model, opt, step, shard, tokens):
    torch.save(dict(model=model.state_dict(), opt=opt.state_dict(), step=step, shard=shard, tokens=tokens), path + ".new")
    if os.path.exists(path):
        os.replace(path, os.path.join(os.path.dirname(path), "before.pt"))
    os.replace(path + ".new", path)


@torch.no_grad()
def look(fast, dev, config, names):
    """Loss and share of right tokens on the dev rows, by level."""
    out = []
    for n in names:
        got = [loss_of(fast, b, config["model"]["sliding_window"], config["levels"][n]) for b in dev]
        out.append("%s %.4f %.2f %%" % (n, sum(float(x) for x, _ in got) / len(got), 100 * sum(float(y) for _, y in got) / len(got)))
    return "dev: " + ", ".join(out)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("dir")
    ap.add_argument("--tokenizer", required=True)
    ap.add_argument("--config", default=os.path.join(net.HERE, "config.json"))
    ap.add_argument("--steps", type=int, default=10000)
    ap.add_argument("--minutes", type=float, default=1e9)
    ap.add_argument("--rows", type=int, default=8)
    ap.add_argument("--lr", type=float, default=2e-3)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--every", type=float, default=5, help="minutes between checkpoints")
    ap.add_argument("--no-compile", action="store_true")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    os.makedirs(a.dir, exist_ok=True)
    sp, config = spm.SentencePieceProcessor(model_file=a.tokenizer), net.load_config(a.config)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = net.build(config, sp.GetPieceSize(), a.seed).to(device)
    opt, path = optimizer(model, a.lr), os.path.join(a.dir, "last.pt")
    step = shard = tokens = 0
    if os.path.exists(path):
        c = torch.load(path, map_location=device)
        model.load_state_dict(c["model"])
        opt.load_state_dict(c["opt"])
        step, shard, tokens = c["step"], c["shard"], c["tokens"]
    fast = net.Fast(model)
    run = fast if a.no_compile else torch.compile(fast, dynamic=False)
    move = lambda b: {k: v.to(device) if torch.is_tensor(v) else v for k, v in b.items()}
    data = batches.Packer(sp, "train", a.seed, T, S, shard)
    held = batches.Packer(sp, "dev", 1, T, S)
    dev = [move(held.take(a.rows)) for _ in range(max(1, 32 // a.rows))]
    names, weights = list(config["level_weights"]), list(config["level_weights"].values())
    log = open(os.path.join(a.dir, "log.txt"), "a", buffering=1)

    def say(text):
        print(text, flush=True)
        log.write(text + "\n")

    begin = saved = last = time.monotonic()
    sums, since = {n: [0.0, 0] for n in names}, 0
    while step < a.steps and time.monotonic() - begin < a.minutes * 60:
        level = random.Random(f"{a.seed}:{step}").choices(names, weights)[0]
        for g in opt.param_groups:
            g["lr"] = rate(step, a.steps, a.lr)
        b = move(data.take(a.rows))
        loss, _ = loss_of(run, b, config["model"]["sliding_window"], config["levels"][level])
        opt.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        step, tokens, since = step + 1, tokens + b["n"], since + b["n"]
        sums[level][0] += float(loss.detach())
        sums[level][1] += 1
        now = time.monotonic()
        if step % 20 == 0:
            means = ", ".join("%s %.3f" % (n, s / k) for n, (s, k) in sums.items() if k)
            say(f"step {step}, {tokens / 1e6:.2f} M tokens, {since / (now - last):.0f} tokens/s, gradient {float(norm):.2f}, loss {means}")
            sums, since, last = {n: [0.0, 0] for n in names}, 0, now
        if now - saved > a.every * 60:
            save(path, model, opt, step, data.shard, tokens)
            say(f"step {step}: saved; " + look(run, dev, config, names))
            saved = last = time.monotonic()
            since = 0
    save(path, model, opt, step, data.shard, tokens)
    say(f"step {step}, {tokens / 1e6:.2f} M tokens: saved; " + look(run, dev, config, names))


if __name__ == "__main__":
    main()
