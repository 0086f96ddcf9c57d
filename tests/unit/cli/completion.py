#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The shell completion and the manual page know the commands and options that hearthctl knows, and no others.

usage: completion.py HEARTHCTL COMPLETION_FILE MANUAL_PAGE
Both are compared with what `hearthctl help` and `hearthctl COMMAND --help` say. Output: TAP.
"""
import os
import re
import subprocess
import sys

HEARTHCTL, COMPLETION, MANUAL = sys.argv[1:4]
MODELS = r"""
hearthctl() { # stands for a hearthd with two models
    case "$*" in
    "model list --json") echo '[{"name":"gemma3n","version":"1","levels":[{"name":"half","cost":0.5}]},{"name":"tiny","version":"2"}]' ;;
    "model info --json") echo '{"name":"gemma3n","version":"1","levels":[{"name":"half","cost":0.5}]}' ;;
    *) return 3 ;;
    esac
}
"""


def help_text(*command):
    return subprocess.run([HEARTHCTL, *command, "--help"], check=True, capture_output=True, text=True).stdout


def options_of(text):
    found = set()
    for letter, name in re.findall(r"^  (-\w,|   ) (--[a-z0-9-]+)", text, re.M):
        found.add(name)
        if letter.strip():
            found.add(letter[:2])
    return found


def complete(*words):
    """What bash offers for the last of @words, "hearthctl" not among them."""
    script = f'source "{COMPLETION}"\n{MODELS}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _hearthctl; printf "%s\\n" "${{COMPREPLY[@]}}"'
    run = subprocess.run(["bash", "--norc", "-c", script, "bash", "hearthctl", *words], check=True, capture_output=True, text=True)
    assert run.stderr == "", run.stderr
    return set(filter(None, run.stdout.split("\n")))


def commands():
    """Tuples of words, from the list in the general help."""
    block = help_text().split("commands:", 1)[1].split("options of all commands:", 1)[0]
    return [tuple(re.match(r"  ((?:[a-z]+ ?)+)", line).group(1).split()) for line in block.splitlines()[1:] if line.startswith("  ")]


class Tap:
    n = failed = 0

    def equal(self, got, expected, what):
        self.n += 1
        if got == expected:
            print(f"ok {self.n} - {what}")
            return
        self.failed += 1
        print(f"not ok {self.n} - {what}\n# missing: {sorted(expected - got)}\n# too much: {sorted(got - expected)}")


def main():
    tap = Tap()
    all_commands = commands()
    manual = open(MANUAL).read().replace("\\-", "-")
    known = options_of(help_text())
    assert len(all_commands) > 15 and len(known) >= 5, "the general help is read as intended"

    tap.equal({w for w in complete("") if not w.startswith("-")}, {c[0] for c in all_commands}, "first words are completed")
    tap.equal(complete("-"), known, "options before the command are completed")
    tap.equal(complete("help", ""), {c[0] for c in all_commands}, "commands are completed after help")
    for group in sorted({c[0] for c in all_commands if len(c) > 1}):
        second = {c[1] for c in all_commands if len(c) > 1 and c[0] == group}
        tap.equal(complete(group, ""), second, f"words after {group} are completed")
        tap.equal(complete("help", group, ""), second, f"words after help {group} are completed")
    for command in all_commands:
        options = options_of(help_text(*command))
        name = " ".join(command)
        tap.equal(complete(*command, "-"), options, f"options of {name} are completed")
        known |= options
        tap.equal({name} if re.search(rf"^\.It Cm {name}(\s|$)", manual, re.M) else set(), {name}, f"{name} is in the manual")
    documented = {"-" + o if len(o) == 1 else "-" + o for o in re.findall(r"Fl (-?[a-z][a-z0-9-]*)", manual)}
    tap.equal(documented, known, "the manual has the options that there are, and no others")

    tap.equal(complete("model", "activate", ""), {"gemma3n", "tiny", "--no-progress"}, "models are completed")
    tap.equal(complete("model", "remove", "t"), {"tiny"}, "models are completed by their beginning")
    tap.equal(complete("ask", "--level", "h"), {"half"}, "levels of the model are completed")
    tap.equal(complete("--socket", "/x", "ask", "--class", ""), {"background", "interactive", "realtime"}, "values are completed")
    here = os.path.dirname(os.path.abspath(__file__)) + "/comp"
    tap.equal(complete("model", "add", here), {here + "letion.py"}, "files are completed")
    print(f"1..{tap.n}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
