# SPDX-License-Identifier: Apache-2.0
"""Endless training rows: conversations are made, cut to tokens and packed as they are needed, the same ones for a seed.

Conversations come in groups with the same beginning (facts of the user and list of tools). It stands once in a row, and
the conversations of the group after it, side by side: each sees the beginning and itself, and counts its positions from
there. What is computed is what each would give alone.
"""
import random

import numpy as np
import torch

import compose
import form
import grammar

SHARD = 192                   # groups that are made and packed at a time
LENGTHS = (50, 26, 14, 10)    # weights of 1, 2, 3 and 4 turns
TRANSLATIONS = 0.14           # of the groups
GROUP = (1, 2, 3, 4, 5, 6, 7, 8)
FIRST = 2                     # weight of an answer's first token, which decides between a call and a text


def shared(made):
    """Length of the beginning that all of @made, [(ids, learn)], have; nothing of an answer, nor the token before one."""
    n = min(learn.index(1) for _, learn in made) - 1
    first = made[0][0]
    return next((i for i in range(n) if any(ids[i] != first[i] for ids, _ in made)), n)


class Packer:
    """Rows of @T tokens with room for @S answer tokens, from groups of shard 0, 1, 2... of a split."""

    def __init__(self, sp, split, seed, T, S, shard=0, share=1.0):
        """@share: of the templates of training (compose.Composer)."""
        self.sp, self.split, self.seed, self.T, self.S, self.share = sp, split, seed, T, S, share
        self.tools, self.shard, self.rows = grammar.tools(), shard, []

    def _group(self, c, r):
        """(tokens, answer tokens, length of the beginning, [(ids, learn)]) of as many conversations as fit, or None."""
        made = [form.tokens(self.sp, x, self.tools) for x in c.group(r.choice(GROUP), LENGTHS, TRANSLATIONS)]
        while made:
            n = shared(made) if len(made) > 1 else 0
            size, learn = n + sum(len(ids) - n for ids, _ in made), sum(sum(x) for _, x in made)
            if size <= self.T and learn <= self.S:
                return size, learn, n, made
            made.pop()
        return None

    def _make(self):
        """One more shard: its groups, the longest first, each into the first row with room for it."""
        name = f"{self.seed}/{self.shard}"
        c, r = compose.Composer(self.split, name, share=self.share), random.Random(name)
        self.shard += 1
        groups, rows = [g for g in (self._group(c, r) for _ in range(SHARD)) if g], []
        for size, learn, n, made in sorted(groups, key=lambda x: -x[0]):
            row = next((x for x in rows if x[0] + size <= self.T and x[1] + learn <= self.S), None)
            if row is None:
                row = [0, 0, []]
                rows.append(row)
            row[0] += size
            row[1] += learn
            row[2].append((n, made))
        order = np.random.default_rng([self.seed, self.shard]).permutation(len(rows))
        self.rows += [rows[i][2] for i in order]

    def take(self, B):
        """
        A batch of @B rows: ids, pos, seg, root [B, T]; sel, target, weight [B, S]; and how many tokens it has.
        seg numbers the pieces of a row from 1, root is the piece that a piece goes on from (itself if there is none).
        """
        while len(self.rows) < B:
            self._make()
        rows, self.rows = self.rows[:B], self.rows[B:]
        out = {k: torch.zeros(B, self.T, dtype=torch.long) for k in ("ids", "pos", "seg", "root")}
        out.update({k: torch.zeros(B, self.S, dtype=torch.long) for k in ("sel", "target")})
        out.update(weight=torch.zeros(B, self.S), n=0)
        for b, row in enumerate(rows):
            self._fill({k: v[b] for k, v in out.items() if k != "n"}, row)
            out["n"] += int((out["seg"][b] > 0).sum())
        return out

    @staticmethod
    def _fill(row, groups):
        at = s = seg = 0
        for n, made in groups:
            root, pieces = seg + 1, [(0, made[0][0][:n], [0] * n)] if n else []
            pieces += [(n, ids[n:], learn[n:]) for ids, learn in made]
            for start, ids, learn in pieces:
                seg += 1
                end = at + len(ids)
                row["ids"][at:end] = torch.tensor(ids)
                row["pos"][at:end] = torch.arange(start, start + len(ids))
                row["seg"][at:end] = seg
                row["root"][at:end] = root if n else seg
                for i, flag in enumerate(learn):
                    if flag:
                        row["sel"][s], row["target"][s], row["weight"][s] = at + i - 1, ids[i], 1 if i and learn[i - 1] else FIRST
                        s += 1
                at = end
