#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check what the compiler does not: licence lines, include direction, prefixes, forbidden calls.

usage: tidy.py [ROOT]
Prints one line per finding, "file:line: what is wrong", then the counts. Exit 1 if there is a finding.
The rules are those of CONTRIBUTING.md; LAYERS below is the table of docs/ARCHITECTURE.md.
"""
import pathlib
import re
import subprocess
import sys

# folder -> folders it may include, besides itself. The longest matching folder counts.
LAYERS = {
    "base": [],
    "proto": ["base"],
    "engine": ["base"],
    "worker": ["engine", "proto", "base"],
    "daemon": ["proto", "base", "daemon/core"],
    "daemon/core": ["base"],
    "client-lib": ["proto", "base"],
    "cli": ["base"],
    "tools": ["engine", "base", "daemon/core", "bench"],
    "bench": ["engine", "base"],
}
PUBLIC = {"hearth.h"}  # what users of libhearth include, found through the include path
FORBIDDEN = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|atoi|atol|atof|strtok|system|signal|alloca|gets)\s*\(")
SPDX = "SPDX-License-Identifier: Apache-2.0"
CODE = (".c", ".h", ".inc")
MARKED = CODE + (".py", ".proto", ".build", ".sh")


def layer(path):
    """The folder of LAYERS that @path belongs to, or None."""
    fits = [k for k in LAYERS if str(path).startswith(k + "/")]
    return max(fits, key=len) if fits else None


def strip(text):
    """@text of C without comments and string contents, lines kept."""
    def blank(m):
        s = m.group(0)
        return re.sub(r"[^\n]", " ", s) if s.startswith("/") else '""'
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.S)


def check_includes(path, text):
    mine = layer(path)
    for i, line in enumerate(text.splitlines(), 1):
        m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not m or mine is None:
            continue
        target = m.group(1)
        if target in PUBLIC or "/" not in target and target.endswith(".pb-c.h"):
            continue
        other = layer(pathlib.Path(target))
        if other is None:
            yield i, f'"{target}" does not start at the root of the tree'
        elif other != mine and other not in LAYERS[mine]:
            yield i, f"{mine}/ may not include {other}/ (allowed: {', '.join(LAYERS[mine]) or 'nothing'})"


def check_prefix(path, text):
    """A header's functions begin with the name of its file (hearth_ for the public header)."""
    if path.suffix != ".h" or layer(path) is None:
        return
    prefix = "hearth" if path.name == "hearth.h" else path.stem.replace("-", "_")
    flat = strip(text)
    for m in re.finditer(r"^(?!static|typedef|#|\s|\})[A-Za-z_][\w \*]*?[ \*]([a-z_]\w*)\s*\([^;{]*\)[^;{]*;", flat, re.M):
        name = m.group(1)
        if not name.startswith(prefix) and name != "__attribute__":
            yield flat[: m.start()].count("\n") + 1, f"{name}() does not begin with {prefix}_"


def check(root, path):
    text = (root / path).read_text(errors="replace")
    if path.suffix in MARKED or path.name == "meson_options.txt" or text.startswith("#!"):
        if SPDX not in "\n".join(text.splitlines()[:3]):
            yield 1, f"the line '{SPDX}' is missing in the first three lines"
    if path.suffix not in CODE:
        return
    yield from check_includes(path, text)
    yield from check_prefix(path, text)
    for i, line in enumerate(strip(text).splitlines(), 1):
        if FORBIDDEN.search(line):
            yield i, f"{FORBIDDEN.search(line).group(1)}() is not used here"
        if layer(path) and re.search(r"\bgoto\b", line):
            yield i, "goto: use CLEANUP"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    files = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"], check=True, capture_output=True, text=True).stdout.split("\n")
    n = found = 0
    for f in filter(None, files):
        path = pathlib.Path(f)
        if not (root / path).is_file():
            continue
        n += 1
        for line, what in check(root, path):
            print(f"{path}:{line}: {what}")
            found += 1
    print(f"tidy: {n} files, {found} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
