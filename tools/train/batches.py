# SPDX-License-Identifier: Apache-2.0
"""Endless training rows: conversations are made, cut to tokens and packed as they are needed, the same ones for a seed."""
import numpy as np
import torch

import compose
import form
import grammar

SHARD = 512  # conversations that are made and packed at a time


class Packer:
    """Rows of @T tokens with room for @S answer tokens, from conversations of shard 0, 1, 2... of a split."""

    def __init__(self, sp, split, seed, T, S, shard=0):
        self.sp, self.split, self.seed, self.T, self.S = sp, split, seed, T, S
        self.tools, self.shard, self.rows = grammar.tools(), shard, []

    def _make(self):
        """One more shard: its conversations, the longest first, each into the first row with room for it."""
        c = compose.Composer(self.split, f"{self.seed}/{self.shard}")
        self.shard += 1
        made, rows = [], []
        while len(made) < SHARD:
            ids, learn = form.tokens(self.sp, c.conversation(), self.tools)
            if len(ids) <= self.T and sum(learn) < self.S:
                made.append((ids, learn))
        for ids, learn in sorted(made, key=lambda x: -len(x[0])):
            for r in rows:
                if r[0] + len(ids) <= self.T and r[1] + sum(learn) <= self.S:
                    break
            else:
                r = [0, 0, []]
                rows.append(r)
            r[0] += len(ids)
            r[1] += sum(learn)
            r[2].append((ids, learn))
        order = np.random.default_rng([self.seed, self.shard]).permutation(len(rows))
        self.rows += [rows[i][2] for i in order]

    def take(self, B):
        """A batch of @B rows: ids, pos, seg [B, T]; sel, target, weight [B, S]; and how many tokens it has."""
        while len(self.rows) < B:
            self._make()
        rows, self.rows = self.rows[:B], self.rows[B:]
        ids, pos, seg = (torch.zeros(B, self.T, dtype=torch.long) for _ in range(3))
        sel, target = (torch.zeros(B, self.S, dtype=torch.long) for _ in range(2))
        weight, n = torch.zeros(B, self.S), 0
        for b, row in enumerate(rows):
            at = s = 0
            for k, (x, learn) in enumerate(row, 1):
                ids[b, at:at + len(x)] = torch.tensor(x)
                pos[b, at:at + len(x)] = torch.arange(len(x))
                seg[b, at:at + len(x)] = k
                for i, flag in enumerate(learn):
                    if flag:
                        sel[b, s], target[b, s], weight[b, s] = at + i - 1, x[i], 1
                        s += 1
                at += len(x)
            n += at
        return dict(ids=ids, pos=pos, seg=seg, sel=sel, target=target, weight=weight, n=n)
