#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check what the built libhearth promises and needs.

usage: exports.py LIBRARY LIST [--man PAGE] [--sanitized] [--size-max BYTES]
Compares the dynamic symbols of LIBRARY with LIST, its soname and the libraries that it needs with what they must be
(--sanitized: sanitizers need more), and the stripped size with BYTES; each function must be in PAGE. Exit 1 and a line per finding if something differs.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

NEEDED = {"libprotobuf-c.so.1", "libc.so.6"}
NEEDED_MAYBE = re.compile(r"libgcc_s\.so\.|ld-linux")  # the compiler's and the loader's


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def check_symbols(library, promised):
    names = {line.split()[-1] for line in run("nm", "-D", "--defined-only", library).splitlines()}
    for name in sorted(promised - names):
        yield f"{name} is promised and not exported: programs that use it do not start any more"
    for name in sorted(names - promised):
        yield f"{name} is exported and not promised: if that is wanted, add it to hearth.map and to the list"


def check_dynamic(library, sanitized):
    dynamic = run("readelf", "-dW", library)
    soname = re.findall(r"\(SONAME\).*\[(.*)\]", dynamic)
    if soname != ["libhearth.so.0"]:
        yield f"the soname is {soname}, it must be libhearth.so.0"
    if "TEXTREL" in dynamic:
        yield "there are text relocations"
    if sanitized:
        return
    needed = {n for n in re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic) if not NEEDED_MAYBE.match(n)}
    if needed != NEEDED:
        yield f"it needs {', '.join(sorted(needed))}; it may need {', '.join(sorted(NEEDED))}"


def check_man(page, promised):
    text = page.read_text()
    for name in sorted(n.split("@")[0] for n in promised if n.startswith("hearth_")):
        if not re.search(rf"^\.F[no] {name}\b", text, re.M):
            yield f"{page.name} does not have {name}()"


def stripped_size(library):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "stripped")
        run("strip", "-o", out, library)
        return os.path.getsize(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library")
    parser.add_argument("list", type=pathlib.Path)
    parser.add_argument("--man", type=pathlib.Path)
    parser.add_argument("--sanitized", action="store_true")
    parser.add_argument("--size-max", type=int)
    a = parser.parse_args()
    promised = {line for line in a.list.read_text().split("\n") if line and not line.startswith("#")}
    found = [*check_symbols(a.library, promised), *check_dynamic(a.library, a.sanitized)]
    found += check_man(a.man, promised) if a.man else []
    size = stripped_size(a.library)
    if a.size_max and size > a.size_max:
        found.append(f"it has {size} bytes stripped, more than {a.size_max}")
    for line in found:
        print(f"{a.library}: {line}")
    print(f"libhearth: {size} bytes stripped, {len(promised)} symbols, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
