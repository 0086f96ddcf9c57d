#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draw how a training went and what its levels reach, as SVG.

usage: plot.py LOG.txt RESULTS.json OUT.svg

LOG.txt is train.py's; RESULTS.json is card.py's. Left: loss of the answers' tokens over tokens seen. Right: requests with the
right calls over the time of an answer, both relative to the full level.
"""
import json
import math
import re
import sys

W, H, PAD = 360, 240, 44
COLORS = {"full": "#1f5fa8", "wide": "#3c8d40", "half": "#c77f1a", "small": "#b3352e"}


def losses(path):
    """{level: [(million tokens, loss)]}"""
    out = {}
    with open(path) as f:
        for m in re.finditer(r", ([\d.]+) M tokens, .*?loss (.*)", f.read()):
            for name, value in re.findall(r"(\w+) ([\d.]+)", m.group(2)):
                out.setdefault(name, []).append((float(m.group(1)), float(value)))
    return out


class Panel:
    """Axes with a linear x and, if @log, a logarithmic y."""

    def __init__(self, left, title, x, y, xs, ys, log=False):
        self.left, self.log, self.parts = left, log, []
        self.x0, self.x1, self.y0, self.y1 = xs[0], xs[-1], ys[0], ys[-1]
        self.text(left + W / 2, 18, title, "middle", 13)
        self.text(left + W / 2, H + 2 * PAD - 8, x, "middle", 11)
        self.parts.append(f'<text x="{left - 34}" y="{PAD + H / 2}" font-size="11" text-anchor="middle" transform="rotate(-90 {left - 34} {PAD + H / 2})">{y}</text>')
        for v in xs:
            self.line([(v, self.y0), (v, self.y1)], "#ddd", 1)
            self.text(self.at(v, self.y0)[0], PAD + H + 15, f"{v:g}", "middle", 10)
        for v in ys:
            self.line([(self.x0, v), (self.x1, v)], "#ddd", 1)
            self.text(left - 5, self.at(self.x0, v)[1] + 3, f"{v:g}", "end", 10)

    def at(self, x, y):
        f = math.log if self.log else float
        share = (f(min(max(y, self.y0), self.y1)) - f(self.y0)) / (f(self.y1) - f(self.y0))
        return self.left + W * (x - self.x0) / (self.x1 - self.x0), PAD + H * (1 - share)

    def text(self, x, y, text, anchor, size):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{text}</text>')

    def line(self, points, color, width=1.6):
        d = " ".join("%.1f,%.1f" % self.at(*p) for p in points)
        self.parts.append(f'<polyline points="{d}" fill="none" stroke="{color}" stroke-width="{width}"/>')

    def dot(self, x, y, color, label):
        a, b = self.at(x, y)
        self.parts.append(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="4" fill="{color}"/>')
        self.text(a - 7, b - 6, label, "end", 11)


def ticks(low, high, n=5):
    step = 10 ** math.floor(math.log10((high - low) / n))
    step *= next(k for k in (1, 2, 5, 10) if (high - low) / (step * k) <= n)
    at = math.floor(low / step) * step
    out = [at]
    while out[-1] < high:
        out.append(round(out[-1] + step, 6))
    return out


def main():
    curves, results = losses(sys.argv[1]), json.load(open(sys.argv[2]))["test"]
    left = Panel(2 * PAD, "training", "million tokens", "loss of answers", ticks(0, max(x for c in curves.values() for x, _ in c)),
                 [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5], log=True)
    for i, (name, c) in enumerate(curves.items()):
        left.line(c, COLORS[name])
        left.text(2 * PAD + W - 8, PAD + 16 + 15 * i, f'<tspan fill="{COLORS[name]}">{name}</tspan>', "end", 11)
    full = results["full"]["call_ms_median"]
    points = {n: (100 * r["call_ms_median"] / full, r["exact"]) for n, r in results.items()}
    low = min(y for _, y in points.values())
    right = Panel(4 * PAD + W, "levels, test split", "time to the complete call, % of full", "right calls, %",
                  [20, 40, 60, 80, 100, 120], ticks(max(0, low - 5), 100))
    right.line(sorted(points.values()), "#888")
    for n, (x, y) in points.items():
        right.dot(x, y, COLORS[n], f"{n} {y:g}")
    with open(sys.argv[3], "w") as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * W + 5 * PAD} {H + 2 * PAD}" font-family="sans-serif">\n'
                f'<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(left.parts + right.parts) + "\n</svg>\n")


if __name__ == "__main__":
    main()
