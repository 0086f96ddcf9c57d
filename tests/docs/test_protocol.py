#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/PROTOCOL.md says what proto/hearth.proto and hearthd say.

usage: test_protocol.py ROOT HEARTHD WORKER HEARTHCTL [unittest arguments]
"""
import importlib.util
import itertools
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

ROOT, HEARTHD, WORKER, HEARTHCTL = (pathlib.Path(sys.argv.pop(1)).resolve() for _ in range(4))
PAGE = (ROOT / "docs" / "PROTOCOL.md").read_text()


def load(path):
    spec = importlib.util.spec_from_file_location("dump", path)
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(module)
    return module


DUMP = load(ROOT / "docs" / "protocol-dump.py")
SCHEMA = DUMP.Schema(DUMP.PROTO)


def kind_of(sender):
    return "ClientFrame" if sender == "client" else "ServerFrame"


def fields(sender, frame):
    """Names of the fields of @frame, as a dotted path each, in order."""
    path, names = [], []
    for depth, _, _, sentence in DUMP.decode(SCHEMA, kind_of(sender), frame, DUMP.HEADER.size, len(frame)):
        path[depth:] = [re.match(r"\w+", sentence).group(0)]
        names.append(".".join(path))
    return names


def course(names):
    """The course of a session: how many tokens an answer has, and what takes long, is the model's."""
    return [name for name, _ in itertools.groupby(name for name in names if name != "Progress")]


class Tables(unittest.TestCase):
    """Each message and enum has a table, and the table has each field."""

    def rows(self, heading):
        section = re.search(rf"^### `{heading}`\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S)
        self.assertIsNotNone(section, f"no section ### `{heading}`")
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in section.group(1).splitlines() if re.match(r"\| \d", line)]

    def test_messages(self):
        for name, known in SCHEMA.messages.items():
            want = [(number, f"`{word}`", ("repeated " if many else "") + kind) for number, (word, kind, many) in sorted(known.items())]
            self.assertEqual([(int(r[0]), r[1], r[2]) for r in self.rows(name)], want, name)

    def test_enums(self):
        for name, known in SCHEMA.enums.items():
            self.assertEqual([(int(r[0]), r[1]) for r in self.rows(name)], [(n, f"`{word}`") for n, word in sorted(known.items())], name)

    def test_nothing_else_has_a_section(self):
        self.assertEqual(set(re.findall(r"^### `(\w+)`", PAGE, re.M)), set(SCHEMA.messages) | set(SCHEMA.enums))


class Dump(unittest.TestCase):
    """The dump in the page is a session as hearthd has it."""
    said = list(DUMP.dumps(PAGE))

    def test_it_is_there_and_its_words_are_those_of_its_bytes(self):
        titles = [title for _, title, _, _ in self.said]
        for name in ("Hello", "Welcome", "Generate", "Queued", "Started", "Token", "Done"):
            self.assertIn(name, titles)
        for sender, title, lines, frame in self.said:
            self.assertEqual(list(DUMP.explain(SCHEMA, sender, frame)), lines, title)
            self.assertEqual(DUMP.name_of(SCHEMA, sender, frame), title)

    @unittest.skipUnless(shutil.which("protoc"), "protoc is not here")
    def test_protoc_reads_the_same(self):
        for sender, title, _, frame in self.said:
            r = subprocess.run(["protoc", f"--proto_path={DUMP.PROTO.parent}", f"--decode=hearth.{kind_of(sender)}", "hearth.proto"],
                               input=frame[DUMP.HEADER.size:], capture_output=True, check=True)
            theirs = re.findall(r"^\s*(\w+)(?:: | \{)", r.stdout.decode(), re.M)
            self.assertEqual([name.rsplit(".", 1)[-1] for name in fields(sender, frame)], theirs, title)

    def test_hearthd_says_the_same_today(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/hearth.sock"
            conf = pathlib.Path(folder, "hearthd.conf")
            conf.write_text(f"[daemon]\nsocket = {path}\nmodels = {folder}/models\ncache = {folder}/cache\nworker = {WORKER}\n")
            with open(f"{folder}/log", "w") as log, subprocess.Popen([HEARTHD, "--private", "--config", conf], stderr=log) as daemon:
                try:
                    today = self.session(daemon, path, pathlib.Path(folder, "log"))
                finally:
                    daemon.terminate()
            self.assertEqual(daemon.returncode, 0, "hearthd stops when it is asked to")
        documented = {title: (sender, frame) for sender, title, _, frame in self.said}
        self.assertEqual(course(name for _, name, _ in today), course(title for _, title, _, _ in self.said))
        for sender, name, frame in today:
            if name in ("Hello", "Welcome", "Generate"):
                self.assertEqual(frame, documented[name][1], f"{name}: byte for byte")
            if name in ("Started", "Done"):
                self.assertEqual(fields(sender, frame), fields(*documented[name]), name)

    def session(self, daemon, path, log):
        for _ in range(100):
            if pathlib.Path(path).exists() or daemon.poll() is not None:
                break
            time.sleep(0.1)
        self.assertIsNone(daemon.poll(), log.read_text())
        model = ROOT / "tests" / "golden" / "text" / "n3-wide" / "model.gguf"
        r = subprocess.run([HEARTHCTL, "--socket", path, "model", "add", model], capture_output=True, text=True)
        self.assertEqual(r.returncode, 0, r.stderr)
        asked = next(frame for _, title, _, frame in self.said if title == "Generate")
        prompt = next(s for _, _, _, s in DUMP.decode(SCHEMA, "ClientFrame", asked, 8, len(asked)) if s.startswith("text = "))
        return list(DUMP.session(SCHEMA, path, prompt[len('text = "'):-1], 8))


if __name__ == "__main__":
    unittest.main(verbosity=2)
