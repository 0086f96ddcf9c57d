#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write conversations as JSON lines, and a checksum of them.

usage: make_data.py OUT_DIR [--train N] [--dev N] [--test N] [--seed S]
"""
import argparse
import hashlib
import json
import os

import compose


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out")
    ap.add_argument("--train", type=int, default=100000)
    ap.add_argument("--dev", type=int, default=1000)
    ap.add_argument("--test", type=int, default=2000)
    ap.add_argument("--seed", type=int, default=1)
    a = ap.parse_args()
    os.makedirs(a.out, exist_ok=True)
    for split in ("train", "dev", "test"):
        c, h = compose.Composer(split, a.seed), hashlib.sha256()
        path = os.path.join(a.out, split + ".jsonl")
        with open(path, "w", encoding="utf-8") as f:
            for i in range(getattr(a, split)):
                row = json.dumps({"id": f"{split}-{i}", **c.conversation()}, ensure_ascii=False) + "\n"
                h.update(row.encode())
                f.write(row)
        print(f"{path}: {getattr(a, split)} conversations, sha256 {h.hexdigest()}")


if __name__ == "__main__":
    main()
