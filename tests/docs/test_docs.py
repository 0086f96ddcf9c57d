#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the documentation says about the code, compared with the code.

usage: test_docs.py ROOT HEARTHD [unittest arguments]
"""
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

ROOT, HEARTHD = (pathlib.Path(sys.argv.pop(1)).resolve() for _ in range(2))
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted((ROOT / "docs").glob("*.md"))
UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20}


def text_of_man(name):
    """A manual page without the macros' letters."""
    text = (ROOT / "docs" / "man" / name).read_text()
    return re.sub(r"\\&|\\(?=-)", "", text)


class Readme(unittest.TestCase):
    def test_the_program_in_c_is_the_example(self):
        blocks = re.findall(r"^```c\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
        self.assertEqual(blocks, [(ROOT / "client-lib" / "examples" / "ask.c").read_text()])


class Links(unittest.TestCase):
    def test_files_that_pages_name_exist(self):
        for page in PAGES:
            for target in re.findall(r"\]\(([^)#:]+)[^)]*\)", page.read_text()):
                self.assertTrue((page.parent / target).exists(), f"{page.name} names {target}")

    def test_no_line_of_prose_is_too_long(self):
        for page in PAGES:
            code = False
            for i, line in enumerate(page.read_text().splitlines(), 1):
                code ^= line.startswith("```")
                self.assertTrue(code or line.startswith("|") or len(line) <= 130, f"{page.name}:{i} has {len(line)} columns")


class Bounds(unittest.TestCase):
    """The table of bounds in ARCHITECTURE.md: each constant is in its file, with that value."""

    def test_constants(self):
        rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| `([A-Z_]+)` \| `([^`]+)` \|$", (ROOT / "docs" / "ARCHITECTURE.md").read_text(), re.M)
        self.assertGreaterEqual(len(rows), 30)
        for what, value, name, file in rows:
            m = re.search(rf"\b{name}\s*=\s*([^,}}/]+)", (ROOT / file).read_text())
            self.assertIsNotNone(m, f"{file} has no {name} ({what})")
            number, unit = re.match(r"([\d,]+) ?(KiB|MiB)?", value).groups()
            self.assertEqual(eval(m.group(1).strip(), {}), int(number.replace(",", "")) * UNITS[unit or ""], f"{name}: {what}")


class Manuals(unittest.TestCase):
    @unittest.skipUnless(shutil.which("mandoc"), "mandoc is not here")
    def test_mandoc_finds_no_fault(self):
        pages = sorted((ROOT / "docs" / "man").glob("*.[1-8]"))
        self.assertTrue(pages)
        for page in pages:
            r = subprocess.run(["mandoc", "-Tlint", "-Wwarning", page], capture_output=True, text=True)
            self.assertEqual(r.stdout, "")

    def test_hearthd_8_has_each_option(self):
        help_text = subprocess.run([HEARTHD, "--help"], capture_output=True, text=True, check=True).stdout
        options = re.findall(r"--([a-z-]+)", help_text)
        self.assertGreaterEqual(len(set(options)), 6)
        for option in options:
            self.assertRegex(text_of_man("hearthd.8"), rf"Fl -{option}\b")


if __name__ == "__main__":
    unittest.main(verbosity=2)
