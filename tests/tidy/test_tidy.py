#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tidy.py finds what it is there to find, and lets through what is right.

usage: test_tidy.py
Prints TAP; exit 1 if a case fails.
"""
import pathlib
import subprocess
import sys
import tempfile

TIDY = pathlib.Path(__file__).with_name("tidy.py")
C = "/* SPDX-License-Identifier: Apache-2.0 */\n"

# name, path, text, what the finding says (None: nothing is found)
CASES = [
    ("a right file", "daemon/core/quota.c", C + '#include "daemon/core/quota.h"\n#include "base/err.h"\nint quota_take(void);\n', None),
    ("no licence line", "base/buf.c", "int x;\n", "SPDX-License-Identifier"),
    ("no licence line in a script", "tools/x.py", "print(1)\n", "SPDX-License-Identifier"),
    ("no licence line in a command", "run", "#!/bin/sh\nexit 0\n", "SPDX-License-Identifier"),
    ("the daemon includes the engine", "daemon/server.c", C + '#include "engine/engine.h"\n', "daemon/ may not include engine/"),
    ("decisions include the daemon", "daemon/core/quota.c", C + '#include "daemon/server.h"\n', "daemon/core/ may not include daemon/"),
    ("base includes something", "base/buf.c", C + '#include "proto/frame.h"\n', "base/ may not include proto/"),
    ("the command includes the library's inside", "cli/ask.c", C + '#include "client-lib/pump.h"\n', "cli/ may not include client-lib/"),
    ("an include that does not start at the root", "base/buf.c", C + '#include "buf.h"\n', "does not start at the root"),
    ("the public header by its name", "cli/ask.c", C + "#include <hearth.h>\n", None),
    ("a name without its module's prefix", "base/buf.h", C + "int grow(struct buf *b);\n", "grow() does not begin with buf_"),
    ("a name with it", "base/buf.h", C + "int buf_grow(struct buf *b);\n", None),
    ("a forbidden call", "cli/ask.c", C + "void f(void)\n{\n    strcpy(a, b);\n}\n", "strcpy() is not used here"),
    ("a forbidden call in a comment or a text", "cli/ask.c", C + '/* strcpy(a, b) */\nconst char *s = "system(1)";\n', None),
    ("goto", "worker/step.c", C + "void f(void)\n{\n    goto out;\n}\n", "goto: use CLEANUP"),
]


def findings(path, text):
    """What tidy.py says about a tree that has this one file, and its exit status."""
    with tempfile.TemporaryDirectory() as root:
        subprocess.run(["git", "-C", root, "init", "-q"], check=True)
        file = pathlib.Path(root, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        r = subprocess.run([sys.executable, TIDY, root], capture_output=True, text=True)
        return r.stdout, r.returncode


def main():
    failed = 0
    for name, path, text, expected in CASES:
        said, status = findings(path, text)
        right = status == (1 if expected else 0) and (expected is None or f"{path}:" in said and expected in said)
        print(f"{'ok' if right else 'not ok'} - {name}")
        if not right:
            print(f"# exit {status}, expected {expected!r}, said:\n{said}")
            failed += 1
    print(f"1..{len(CASES)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
