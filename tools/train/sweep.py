#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Short trainings side by side: what of size, templates and steps makes the loss of dev smaller? Prints a table.

usage: sweep.py DIR --tokenizer F.model [--steps N] [--threads T]

Every run begins with nothing and has N steps of some 1,900 tokens unless it says so, with rates that fall to its own end, and
trains the full level alone. The loss is that of the answers' tokens of dev, by the mean of the weights over the last steps. DIR
gets a folder for each run; what is there already is not run again.
"""
import argparse
import json
import os
import re
import subprocess
import sys

import net

SHAPES = (  # besides that of config.json: layers, width, FFN, layers that share KV, layers that see everything
    (10, 128, 256, 4, [4, 9]), (10, 192, 384, 4, [4, 9]), (10, 256, 512, 4, [4, 9]))


def shape(base, layers, width, ffn, shared, full):
    model = {**base["model"], "hidden_size": width, "intermediate_size": ffn, "num_hidden_layers": layers, "num_kv_shared_layers": shared,
             "activation_sparsity_pattern": [0.8, 0.8] + [0.0] * (layers - 2)}
    return {"model": model, "full_attention": full, "levels": {"full": {"width": ffn, "skip": []}}, "level_weights": {"full": 1}}


def runs(base, steps):
    """(name, configuration, options of train.py)."""
    m, here = base["model"], ["--steps", str(steps)]
    released = (m["num_hidden_layers"], m["hidden_size"], m["intermediate_size"], m["num_kv_shared_layers"], base["full_attention"])
    own = shape(base, *released)
    for x in (released, *SHAPES):
        yield f"{x[0]} layers of {x[1]}", shape(base, *x), here
    for share in (0.02, 0.1):
        yield f"{100 * share:g} % of the templates", own, [*here, "--templates", str(share)]
    for n in (steps // 2, 2 * steps):
        yield f"{n} steps", own, ["--steps", str(n)]


def train(folder, config, options, o):
    """What the last line of the log says: (million tokens, loss, right tokens in percent)."""
    log = os.path.join(folder, "log.txt")
    if not os.path.exists(log) or "saved" not in open(log).read().splitlines()[-1]:
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, "config.json")
        with open(path, "w") as f:
            json.dump(config, f)
        command = [sys.executable, os.path.join(net.HERE, "train.py"), folder, "--tokenizer", o.tokenizer, "--config", path, "--nested", "1",
                   "--every", "1e9", "--threads", str(o.threads), *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with open(log) as f:
        m = re.search(r"([\d.]+) M tokens: saved.* full ([\d.]+) ([\d.]+) %", f.read().splitlines()[-1])
    return m.groups()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("dir")
    ap.add_argument("--tokenizer", required=True)
    ap.add_argument("--steps", type=int, default=200)
    ap.add_argument("--threads", type=int, default=2)
    o = ap.parse_args()
    print("| run | million tokens | loss of dev | right tokens, % |\n|---|---|---|---|")
    for name, config, options in runs(net.load_config(), o.steps):
        got = train(os.path.join(o.dir, re.sub(r"\W+", "-", name)), config, options, o)
        print("| " + " | ".join((name, *got)) + " |", flush=True)


if __name__ == "__main__":
    main()
