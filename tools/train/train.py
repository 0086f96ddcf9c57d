#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Train the model; go on from the checkpoint in the folder if there is one.

usage: train.py DIR --tokenizer F.model [--steps N] [--minutes M] [--from F.gguf] [--rows B] [--threads T] [--no-compile]
       [--pause FILE] [--every MIN] [--nested X] [--rate X] [--templates X]

DIR gets last.pt (model, its mean over the last steps, optimizers, step; written anew every few minutes and on SIGTERM, the
one before stays as before.pt) and log.txt. The run ends after --steps or --minutes of work, of all its pieces together,
and its learning rates fall over the last part of it: do not change them between pieces. Matrices are trained by Muon, all
else by AdamW. --from begins with the weights of an exported file; --rate below 1 then keeps more of them. While FILE of
--pause exists, the work stands still.
"""
import argparse
import os
import random
import signal
import time

import sentencepiece as spm
import torch
import torch.nn.functional as F

import batches
import check_export
import net

T, S = 512, 208  # tokens of a row, and how many of them are answers
FALL = 0.6       # part of the run at whose end the learning rates have fallen to nearly nothing
MEAN = 0.99      # of the mean of the weights, per step


def loss_of(fast, b, window, level):
    full, near = net.masks(b["seg"], window, b["pos"], b["root"])
    logits = fast(b["ids"], b["pos"], full, near, b["sel"], level["width"], tuple(level["skip"]))
    x = F.cross_entropy(logits.flatten(0, 1), b["target"].flatten(), reduction="none")
    w = b["weight"].flatten()
    right = (logits.argmax(-1).flatten() == b["target"].flatten()).float()
    return (x * w).sum() / w.sum(), (right * w).sum() / w.sum()


def optimizers(model):
    """Muon for the matrices of layers, AdamW for embeddings, norms and the small matrices of AltUp. Each has its highest rate."""
    ours = lambda n, p: p.dim() == 2 and min(p.shape) >= 16 and "embed_tokens" not in n
    hidden = [p for n, p in model.named_parameters() if ours(n, p)]
    sharp = [p for n, p in model.named_parameters() if "q_norm" in n or "k_norm" in n]  # how sharply attention can look
    ids = {id(p) for p in hidden + sharp}
    rest = [p for p in model.parameters() if id(p) not in ids]
    return (torch.optim.Muon([dict(params=hidden, top=0.015)], lr=0.015, weight_decay=0.02, momentum=0.95),
            torch.optim.AdamW([dict(params=rest, top=3e-3), dict(params=sharp, top=15e-3)], lr=3e-3, weight_decay=0.0, betas=(0.9, 0.97), fused=True))


def rate(step, part, warm=60):
    """What the highest rates are multiplied with at @step, when @part (0 to 1) of the run is done."""
    return min(1.0, (step + 1) / warm, max(0.01, (1 - part) / FALL))


def save(path, model, mean, opts, **counts):
    torch.save(dict(model=model.state_dict(), mean=mean, opts=[o.state_dict() for o in opts], **counts), path + ".new")
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
    ap.add_argument("--steps", type=int, default=10 ** 9)
    ap.add_argument("--minutes", type=float, default=1e9)
    ap.add_argument("--rows", type=int, default=4)
    ap.add_argument("--from", dest="start")
    ap.add_argument("--pause")
    ap.add_argument("--nested", type=float, default=0.5, help="part of the run in which only the full level is trained")
    ap.add_argument("--rate", type=float, default=1.0, help="what all learning rates are multiplied with")
    ap.add_argument("--templates", type=float, default=1.0, help="share of the templates that is used, to see what they are worth")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--every", type=float, default=5, help="minutes between checkpoints")
    ap.add_argument("--no-compile", action="store_true")
    a = ap.parse_args()
    torch._dynamo.config.recompile_limit = 64
    torch.set_num_threads(a.threads)
    os.makedirs(a.dir, exist_ok=True)
    sp, config = spm.SentencePieceProcessor(model_file=a.tokenizer), net.load_config(a.config)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = net.build(config, sp.GetPieceSize(), a.seed).to(device)
    if a.start:
        check_export.load_file(a.start, model)
    opts, path = optimizers(model), os.path.join(a.dir, "last.pt")
    step = shard = tokens = done = 0
    if os.path.exists(path):
        c = torch.load(path, map_location=device)
        model.load_state_dict(c["model"])
        for o, s in zip(opts, c["opts"]):
            o.load_state_dict(s)
        step, shard, tokens, done = c["step"], c["shard"], c["tokens"], c["seconds"]
    mean = {k: v.clone() for k, v in (c["mean"] if os.path.exists(path) else model.state_dict()).items() if k != "lm_head.weight"}  # tied
    pairs = [[d[k] for k in mean] for d in (mean, model.state_dict())]
    fast, plain = net.Fast(model, not a.no_compile), net.Fast(model)  # compiling each level costs minutes
    move = lambda b: {k: v.to(device) if torch.is_tensor(v) else v for k, v in b.items()}
    data = batches.Packer(sp, "train", a.seed, T, S, shard, a.templates)
    held = batches.Packer(sp, "dev", 1, T, S)
    dev = [move(held.take(a.rows)) for _ in range(max(1, 24 // a.rows))]
    names, weights = list(config["level_weights"]), list(config["level_weights"].values())
    log = open(os.path.join(a.dir, "log.txt"), "a", buffering=1)
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))

    def say(text):
        text = time.strftime("%H:%M:%S ") + text
        print(text, flush=True)
        log.write(text + "\n")

    def keep():
        save(path, model, mean, opts, step=step, shard=data.shard, tokens=tokens, seconds=done)
        own = {k: v.clone() for k, v in model.state_dict().items()}
        model.load_state_dict(mean, strict=False)
        with torch.autocast(device, dtype=torch.bfloat16):
            say(f"step {step}, {tokens / 1e6:.2f} M tokens: saved; mean of weights on " + look(plain, dev, config, names if part >= a.nested else ["full"]))
        model.load_state_dict(own)

    saved = last = time.monotonic()
    sums, since, part = {n: [0.0, 0] for n in names}, 0, 0.0
    while not stop:
        begin = time.monotonic()
        part = max(step / a.steps, done / (60 * a.minutes))
        if part >= 1:
            break
        level = random.Random(f"{a.seed}:{step}").choices(names, weights)[0] if part >= a.nested else "full"
        for o in opts:
            for g in o.param_groups:
                g["lr"] = a.rate * g["top"] * rate(step, part)
        b = move(data.take(a.rows))
        with torch.autocast(device, dtype=torch.bfloat16):
            loss, _ = loss_of(fast if level == "full" else plain, b, config["model"]["sliding_window"], config["levels"][level])
        for o in opts:
            o.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for o in opts:
            o.step()
        torch._foreach_lerp_(pairs[0], pairs[1], 1 - min(MEAN, step / (step + 10)))
        step, tokens, since = step + 1, tokens + b["n"], since + b["n"]
        sums[level][0] += float(loss.detach())
        sums[level][1] += 1
        now = time.monotonic()
        if step % 20 == 0:
            means = ", ".join("%s %.3f" % (n, s / k) for n, (s, k) in sums.items() if k)
            say(f"step {step}, {tokens / 1e6:.2f} M tokens, {since / (now - last):.0f} tokens/s, gradient {float(norm):.2f}, loss {means}")
            sums, since, last = {n: [0.0, 0] for n in names}, 0, now
        done += time.monotonic() - begin
        if now - saved > a.every * 60:
            keep()
            saved = last = time.monotonic()
            since = 0
        while a.pause and os.path.exists(a.pause) and not stop:
            time.sleep(1)
            last, since = time.monotonic(), 0
    keep()


if __name__ == "__main__":
    main()
